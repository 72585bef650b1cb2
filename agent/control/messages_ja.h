/* Japanese. X("English", "Japanese"); sorted as it is said, one row a text. A test compares the
 * placeholders, and looks for texts of the sources that are missing here. */
#ifndef AGENT_CONTROL_MESSAGES_JA_H
#define AGENT_CONTROL_MESSAGES_JA_H

/* clang-format off */
#define MESSAGES_JA(X) \
    X("there is no command \"%s\"; did you mean %s?", \
      "コマンド「%s」はありません。%s のことですか?") \
    X("there is no command \"%s\"; yaguractl --help lists them", \
      "コマンド「%s」はありません。一覧は yaguractl --help にあります") \
    X("%s needs another word; yaguractl %s --help lists them", \
      "%s にはもう一語必要です。一覧は yaguractl %s --help にあります") \
    X("%s needs a value", \
      "%s には値が必要です") \
    X("there is no option %s; did you mean --%s?", \
      "オプション %s はありません。--%s のことですか?") \
    X("there is no option %s here; see yaguractl %s%s--help", \
      "ここにオプション %s はありません。yaguractl %s%s--help を見てください") \
    X("%s needs %s; see yaguractl %s --help", \
      "%s には %s が必要です。yaguractl %s --help を見てください") \
    X("%s takes %s; see yaguractl %s --help", \
      "%s が受け取るのは %s です。yaguractl %s --help を見てください") \
    X("control socket of the agent", \
      "エージェントの制御ソケット") \
    X("the agent's configuration (default /etc/yagura/agent.conf)", \
      "エージェントの設定 (既定 /etc/yagura/agent.conf)") \
    X("Logs", \
      "ログ") \
    X(", %s lines", \
      "、%s 行") \
    X("matches told", \
      "件を通知") \
    X("folded", \
      "件を集約") \
    X("beyond log_inspection.rate", \
      "件が log_inspection.rate を超過") \
    X("gaps", \
      "か所の欠落") \
    X("Say which decoder and rule each line of standard input is of", \
      "標準入力の各行がどのデコーダーとルールに当たるかを示す") \
    X("Exit: 0 no line is of any rule, 1 some are, 2 error.\n", \
      "終了コード: 0 どのルールにも当たらない、1 当たる行がある、2 エラー\n") \
    X("with the rules of this policy (default: the configured one)", \
      "このポリシーのルールを使う (既定: 設定されたもの)") \
    X("the log file's name, for lines that name no program: dpkg.log", \
      "プログラム名のない行のためのログファイル名: dpkg.log") \
    X("decoder %s\n", \
      "デコーダー %s\n") \
    X("decoder %s, no rule\n", \
      "デコーダー %s、ルールなし\n") \
    X("no decoder\n", \
      "デコーダーなし\n") \
    X("%srule %u%s, %s, %s: %s%s\n", \
      "%sルール %u%s、%s、%s: %s%s\n") \
    X(" (ignored)", \
      "（無視）") \
    X(" (counted, not told)", \
      "（数えるが知らせない）") \
    X("Say how application control is, and how many programs are known", \
      "アプリケーションコントロールの状態と既知のプログラムの数を表示する") \
    X("Forget all programs and learn anew what is there", \
      "すべてのプログラムを忘れ、今あるものを学習し直す") \
    X("Let every program run for a while, and know it from then on", \
      "しばらくの間すべてのプログラムの実行を許可し、以後は既知とする") \
    X("End maintenance now", \
      "メンテナンスを今すぐ終える") \
    X("for so long, at most a day; an hour when it is not given", \
      "この時間だけ（最長 1 日、省略時は 1 時間）") \
    X("%s cannot be read", \
      "%s を読めません") \
    X("standard input cannot be read", \
      "標準入力を読めません") \
    X("cannot become the user %s", \
      "ユーザー %s になれません") \
    X("print JSON, one object a line", \
      "JSON で出力 (一行に一つのオブジェクト)") \
    X("explain", \
      "説明を表示") \
    X("print the version", \
      "バージョンを表示") \
    X("the token could not be read from %s: %s", \
      "トークンを %s から読めませんでした: %s") \
    X("%s holds no token", \
      "%s にトークンがありません") \
    X("--proxy must not hold a password, which every process of the host could read: use --proxy-file", \
      "--proxy にパスワードを書くと、このホストの全プロセスから読めてしまいます。--proxy-file を使ってください") \
    X("--proxy is too long", \
      "--proxy が長すぎます") \
    X("the proxy could not be read from %s: %s", \
      "プロキシを %s から読めませんでした: %s") \
    X("the proxy must be http://[USER:PASSWORD@]HOST:PORT", \
      "プロキシは http://[USER:PASSWORD@]HOST:PORT の形で指定してください") \
    X("not yet: %s; the agent goes on trying, see yaguractl status", \
      "まだです: %s。エージェントは試し続けます。yaguractl status を見てください") \
    X("activate needs either --url and --token-file (- reads standard input) or --parameter-store", \
      "activate には --url と --token-file (- は標準入力)、または --parameter-store が必要です") \
    X("--proxy and --proxy-file go with --url", \
      "--proxy と --proxy-file は --url と一緒に使います") \
    X("--wait %s is not a duration such as 30s", \
      "--wait %s は 30s のような時間ではありません") \
    X("Join a console", \
      "コンソールに参加する") \
    X("Leave the console: forget where it is and this host's identity; events stay", \
      "コンソールから離れる: 場所とこのホストの身元を忘れ、イベントは残す") \
    X("the console's agent port: https://HOST:4120", \
      "コンソールのエージェント用ポート: https://HOST:4120") \
    X("holds the activation token; - is standard input", \
      "有効化トークンのファイル。- は標準入力") \
    X("sha256//... of the console's CA; without it the system's trust store decides", \
      "コンソールの CA の sha256//...。なければシステムの証明書ストアで判断") \
    X("http://HOST:PORT, to reach the console by CONNECT; none without", \
      "コンソールへ CONNECT で届く http://HOST:PORT。指定がなければ使わない") \
    X("holds http://USER:PASSWORD@HOST:PORT instead", \
      "代わりに http://USER:PASSWORD@HOST:PORT を書いたファイル") \
    X("where the console has several", \
      "コンソールに複数あるとき") \
    X("ask for this policy", \
      "このポリシーを求める") \
    X("ask for this group", \
      "このグループを求める") \
    X("show this name in the console instead of the host's", \
      "ホスト名の代わりにコンソールに表示する名前") \
    X("take URL, token and the rest from AWS Systems Manager Parameter Store, with the AWS environment of this command", \
      "URL やトークンなどを AWS Systems Manager パラメータストアから、このコマンドの AWS 環境で取得") \
    X("the parameters are NAME/activation-url, NAME/token, ... (/yagura)", \
      "パラメータは NAME/activation-url, NAME/token など (/yagura)") \
    X("of the parameters", \
      "パラメータのリージョン") \
    X("for the first heartbeat (default 30s); the agent goes on after it", \
      "最初のハートビートを待つ時間 (既定 30s)。その後もエージェントは続ける") \
    X("Print the completion script of bash", \
      "bash の補完スクリプトを表示") \
    X("%s has no room in the bundle and is left out", \
      "%s は束に入りきらないため省きました") \
    X("%s was not written: %s", \
      "%s を書けませんでした: %s") \
    X("Gather what helps to find a fault into one file, without secrets", \
      "障害の調査に役立つものを、秘密を除いて一つのファイルに集める") \
    X("say what would be in it, and make nothing", \
      "何が入るかを言うだけで、何も作らない") \
    X("write there; not over a file that exists", \
      "そこに書く。既にあるファイルは上書きしない") \
    X("the output could not be written", \
      "出力を書けませんでした") \
    X("--%s %s is not a number", \
      "--%s %s は数ではありません") \
    X("--%s %s is not understood%s", \
      "--%s %s を解釈できません%s") \
    X("choose one of --json and --csv", \
      "--json と --csv のどちらか一つにしてください") \
    X("Show what the agent recorded, oldest first", \
      "エージェントの記録を古い順に表示") \
    X("only events from this time on", \
      "この時刻以降のイベントだけ") \
    X("only events up to this time", \
      "この時刻までのイベントだけ") \
    X("only of this severity and above", \
      "この重大度以上だけ") \
    X("only of this module", \
      "このモジュールだけ") \
    X("only of this kind, such as malware_found", \
      "この種類だけ (例 malware_found)") \
    X("only those whose subject holds this text", \
      "対象にこの文字列を含むものだけ") \
    X("only events with larger numbers", \
      "これより大きい番号のイベントだけ") \
    X("only the newest of them", \
      "そのうち新しいものだけ") \
    X("go on showing new ones until interrupted", \
      "中断されるまで新しいものを表示し続ける") \
    X("print CSV (RFC 4180)", \
      "CSV で出力 (RFC 4180)") \
    X("%s is not an absolute path", \
      "%s は絶対パスではありません") \
    X("Say how integrity monitoring is, and how many files are not as approved", \
      "変更監視の状態と、承認時と異なるファイルの数を表示") \
    X("Compare everything with the baseline now", \
      "今すぐすべてをベースラインと比較する") \
    X("Approve everything as it is now: the new baseline", \
      "今の状態をすべて承認し、新しいベースラインにする") \
    X("List what is not as approved, with what was approved and what it is now", \
      "承認時と異なるものを、承認時と今の値とともに表示") \
    X("read all content again, also of what seems unchanged", \
      "変わっていないように見えるものも、内容をすべて読み直す") \
    X("also what is as approved", \
      "承認時のままのものも表示") \
    X("Print every limit that is built in, or in force for processes", \
      "組み込みの上限、またはプロセスに効いている上限を表示") \
    X("what the agent's processes may take of CPU and memory, and take", \
      "各プロセスの CPU とメモリの上限と使用量") \
    X("Print counters and gauges in Prometheus' text format", \
      "カウンタとゲージを Prometheus のテキスト形式で表示") \
    X("there is no key %s; did you mean %s?", \
      "キー %s はありません。%s のことですか?") \
    X("there is no key %s; yagura-policy(5) lists them", \
      "キー %s はありません。一覧は yagura-policy(5) にあります") \
    X("Print the policy in force, each value with its origin", \
      "有効なポリシーを、値ごとの出所とともに表示") \
    X("Say what a key is, where it comes from and what it means", \
      "キーの値、出所、意味を表示") \
    X("Check policy files and their parents; needs no agent", \
      "ポリシーのファイルとその親を検査する。エージェントは不要") \
    X("List every key a policy may hold, with its default", \
      "ポリシーに書けるすべてのキーと既定値を表示") \
    X("of this file, not of the agent", \
      "エージェントのではなく、このファイルの") \
    X("the defaults too", \
      "既定値も") \
    X("look for parents here (default: as the agent does)", \
      "親をここで探す (既定: エージェントと同じ)") \
    X("--limit %s is not a number", \
      "--limit %s は数ではありません") \
    X("%s must be an absolute path", \
      "%s は絶対パスでなければなりません") \
    X("--to is for one file at a time", \
      "--to は一度に一つのファイルだけです") \
    X("read all of the sealed content and check it", \
      "封じた内容をすべて読んで検査する") \
    X("to this path instead of where it was", \
      "元の場所の代わりにこのパスへ") \
    X("and take this content for harmless from now on", \
      "今後この内容を無害とみなす") \
    X("give set-user-id, set-group-id and capabilities back too", \
      "set-user-id、set-group-id、ケーパビリティも戻す") \
    X("take the content for harmless instead of acting on it", \
      "処置せず、内容を無害とみなす") \
    X("List the files that were taken away, newest first", \
      "隔離したファイルを新しい順に表示") \
    X("Say all about one of them", \
      "その一つの詳細を表示") \
    X("Put files back, with owner, mode and times; never overwrites", \
      "所有者、モード、時刻とともにファイルを戻す。上書きはしない") \
    X("Remove files for ever", \
      "ファイルを完全に消す") \
    X("Write a plain copy for analysis; it is live malware", \
      "分析用にそのままの写しを書く。本物のマルウェアです") \
    X("List detections that were held back as likely false", \
      "誤検知らしいため保留した検出を表示") \
    X("Act on held detections after all", \
      "保留した検出を処置する") \
    X("List contents that are taken for harmless here", \
      "ここで無害とみなしている内容を表示") \
    X("Take contents for harmless from now on", \
      "今後その内容を無害とみなす") \
    X("Take that back", \
      "それを取り消す") \
    X("Read the policy anew; a wrong one is refused and the old one stays", \
      "ポリシーを読み直す。誤りがあれば拒み、前のものを保つ") \
    X("this agent is protected: give yaguractl release a removal code of the console, or send it release_protection from there", \
      "このエージェントは保護されています。コンソールの解除コードを yaguractl release に渡すか、コンソールから release_protection を送ってください") \
    X("Release a protected agent by a removal code of the console; - is standard input", \
      "保護されたエージェントをコンソールの解除コードで解除。- は標準入力") \
    X("Released for an hour: the agent may now be removed, reset or deactivated.", \
      "1 時間解除しました。この間、エージェントの削除、リセット、無効化ができます。") \
    X("the removal code could not be read from %s: %s", \
      "解除コードを %s から読めませんでした: %s") \
    X("the protection could not be released in %s: %s", \
      "%s の保護を解除できませんでした: %s") \
    X("there is no agent's state in %s", \
      "%s にエージェントの状態がありません") \
    X("this is no removal code: hand over the whole text that the console gave", \
      "解除コードではありません。コンソールが表示した文字列全体を渡してください") \
    X("this host has joined no console, so that no code can be checked: switch protection.enabled off in its local policy", \
      "このホストはコンソールに参加していないため、コードを確認できません。ローカルのポリシーで protection.enabled を無効にしてください") \
    X("the removal code was not signed by this host's console, or with a key that it has replaced: make another there", \
      "解除コードの署名がこのホストのコンソールのものでないか、交換済みの鍵のものです。コンソールで作り直してください") \
    X("the removal code is for another computer: make one for this one", \
      "別のコンピュータの解除コードです。このコンピュータのものを作ってください") \
    X("the removal code is for a group that this host is not in, as far as it was told: make one for its group, or for this computer", \
      "このホストの知る限り、所属していないグループの解除コードです。所属グループかこのコンピュータのものを作ってください") \
    X("the removal code has expired by this host's clock: make another", \
      "このホストの時計では解除コードの期限が切れています。作り直してください") \
    X("the removal code was made in the future by this host's clock: set the clock", \
      "このホストの時計では解除コードの作成時刻が未来です。時計を合わせてください") \
    X("the removal code was made before this host joined its console: make another", \
      "このホストがコンソールに参加する前の解除コードです。作り直してください") \
    X("the removal code could not be checked: look at memory and at the disk of the state directory, then try again", \
      "解除コードを確認できませんでした。メモリと状態ディレクトリのディスクを確認し、もう一度試してください") \
    X("what is in the quarantine cannot be told (%s): --discard-quarantine forgets it all the same", \
      "隔離の中身が分かりません (%s)。それでも捨てるなら --discard-quarantine") \
    X("the quarantine holds %lld files, which nobody can restore after this: start the agent and restore, export or delete them, or give --discard-quarantine", \
      "隔離に %lld 個のファイルがあり、この後は誰も復元できません。エージェントを起動して復元、書き出し、削除をするか、--discard-quarantine を付けてください") \
    X("the agent runs (process %d): stop it first, systemctl stop yagura-agent", \
      "エージェントが動いています (プロセス %d)。先に systemctl stop yagura-agent で止めてください") \
    X("%s cannot be used: %s", \
      "%s は使えません: %s") \
    X("%s could not be emptied (%s): make no image of this computer, and try again", \
      "%s を空にできませんでした (%s)。このコンピュータのイメージを作らず、もう一度試してください") \
    X("reset needs the agent's configuration: leave --socket away", \
      "reset にはエージェントの設定が必要です。--socket を外してください") \
    X("Forget which computer this is, before an image is made of it; the agent must not run", \
      "イメージを作る前に、どのコンピュータかを忘れる。エージェントは止めておくこと") \
    X("also when files are in the quarantine: they are lost", \
      "隔離にファイルがあっても行う。それらは失われます") \
    X("--quick, --full and paths: one of them at once", \
      "--quick、--full、パスは、どれか一つにしてください") \
    X("name a path, or --quick or --full", \
      "パス、または --quick か --full を指定してください") \
    X("%s: cannot be found", \
      "%s: 見つかりません") \
    X("out of memory", \
      "メモリが足りません") \
    X("--changed-within and --changed-days: one of them at once", \
      "--changed-within と --changed-days は、どちらか一つにしてください") \
    X("--changed-within %s is not a duration such as 7d", \
      "--changed-within %s は 7d のような時間ではありません") \
    X("--changed-days %s is not a number of days, 1 to %d", \
      "--changed-days %s は 1 から %d までの日数ではありません") \
    X("--database and --policy are for --standalone; the agent has its own", \
      "--database と --policy は --standalone 用です。エージェントには自分のものがあります") \
    X("Scan files and directories now", \
      "ファイルとディレクトリを今すぐスキャンする") \
    X("where malware lands first: /tmp, /home, /etc, /var/www, ...", \
      "マルウェアが最初に現れる場所: /tmp、/home、/etc、/var/www など") \
    X("the whole host", \
      "ホスト全体") \
    X("only files changed within this number of days", \
      "この日数以内に変わったファイルだけ") \
    X("pause while the host is busy (scan.schedule_max_load)", \
      "ホストが忙しい間は休む (scan.schedule_max_load)") \
    X("scan every file anew, also what is known to be unchanged", \
      "変わっていないと分かっているものも、すべてスキャンし直す") \
    X("report clean files too", \
      "問題のないファイルも報告する") \
    X("only report malware, whatever the policy says", \
      "ポリシーにかかわらず、マルウェアを報告するだけにする") \
    X("only files changed within this time, such as 7d", \
      "この時間 (例 7d) 以内に変わったファイルだけ") \
    X("without the agent, as the caller; never acts on a file", \
      "エージェントなしで、呼び出した利用者として。ファイルには手を出さない") \
    X("standalone: signatures (default: as agent.conf says)", \
      "standalone: シグネチャ (既定: agent.conf のとおり)") \
    X("standalone: limits and exclusions (default: built in)", \
      "standalone: 上限と除外 (既定: 組み込み)") \
    X("Send test files through the whole path, on every watched mount", \
      "監視中のすべてのマウントで、テストファイルを全経路に通す") \
    X("write the test file below this watched directory", \
      "監視中のこのディレクトリの下にテストファイルを書く") \
    X("only a harmless test file on each watched mount, no malware event", \
      "各マウントの無害なテストファイルだけ。マルウェアのイベントは残さない") \
    X("the agent answers", \
      "エージェントが応答する") \
    X("start it: systemctl start yagura-agent", \
      "起動してください: systemctl start yagura-agent") \
    X("the scanner has signatures", \
      "スキャンエンジンにシグネチャがある") \
    X("see yaguractl status", \
      "yaguractl status を見てください") \
    X("directories are watched", \
      "ディレクトリが監視されている") \
    X("set watch.enabled in the policy", \
      "ポリシーで watch.enabled を有効にしてください") \
    X("every watched mount is seen and scanned", \
      "監視中のすべてのマウントが見え、スキャンされる") \
    X("look at the mounts above, then at yaguractl status and the agent's log", \
      "上のマウント、次に yaguractl status とエージェントのログを見てください") \
    X("a watched directory can be written to", \
      "監視中のディレクトリに書ける") \
    X("name one with --directory", \
      "--directory で指定してください") \
    X("the test file is written", \
      "テストファイルを書いた") \
    X("every file event has a verdict", \
      "すべてのファイルイベントに判定がある") \
    X("the events are read", \
      "イベントが読める") \
    X("the test file is detected", \
      "テストファイルが検出される") \
    X("is its directory excluded or its content allowed (yaguractl quarantine allowed), and do the signatures know EICAR?", \
      "ディレクトリが除外されているか、内容が許可されていませんか (yaguractl quarantine allowed)。シグネチャは EICAR を知っていますか?") \
    X("the test file is detected and recorded", \
      "テストファイルが検出され、記録された") \
    X("it is in the quarantine", \
      "隔離された") \
    X("it is deleted", \
      "削除された") \
    X("it is held back by the brake against false positives", \
      "誤検知への歯止めにより保留された") \
    X("it is left in place, as the policy says", \
      "ポリシーのとおり、そのまま残した") \
    X("it is acted upon", \
      "処置される") \
    X("see yaguractl events --module malware", \
      "yaguractl events --module malware を見てください") \
    X("List the files of signatures and their age; load them anew", \
      "シグネチャのファイルとその古さを表示、または読み込み直す") \
    X("load them anew, even when nothing changed", \
      "何も変わっていなくても読み込み直す") \
    X("Say how the agent is: watch, scanner, backlog, signatures, events", \
      "エージェントの状態: 監視、スキャンエンジン、待ち、シグネチャ、イベント") \
    X("exit 1 when something needs attention (for monitoring)", \
      "対応が必要なら終了コード 1 (監視用)") \
    X("Watch", \
      "監視") \
    X("Scanner", \
      "スキャン") \
    X("Sandbox", \
      "隔離環境") \
    X("Console", \
      "コンソール") \
    X("Signatures", \
      "シグネチャ") \
    X("of the console: %s lists, %s allowed files", \
      "コンソールから: リスト %s 件、許可ファイル %s 件") \
    X(", %s files of its mirror", \
      "、ミラーのファイル %s 件") \
    X(", fetching %s of %s of ", \
      "、取得中 %s / %s: ") \
    X("let the console have signatures: yagura-console signatures import, or mirror.folder in console.conf", \
      "コンソールにシグネチャを用意してください: yagura-console signatures import、または console.conf の mirror.folder") \
    X("update those of the console", \
      "コンソールのシグネチャを更新してください") \
    X("mend what it says; until then the signatures before stay in use", \
      "表示された問題を直してください。それまでは以前のシグネチャを使い続けます") \
    X("Backlog", \
      "待ち") \
    X("Verdicts", \
      "判定") \
    X("Integrity", \
      "変更監視") \
    X("Schedule", \
      "予定") \
    X("Policy", \
      "ポリシー") \
    X("Events", \
      "イベント") \
    X("Running", \
      "稼働") \
    X("Prevent", \
      "実行防止") \
    X("denied", \
      "拒否") \
    X("without a verdict in time", \
      "時間内に判定なし") \
    X("too many at once", \
      "一度に多すぎ") \
    X(", %s opens asked for", \
      "、確認した開封 %s 件") \
    X("Programs", \
      "プログラム") \
    X("), %s known", \
      "）、既知 %s 件") \
    X("blocked", \
      "ブロック") \
    X("unknown that ran", \
      "未知（実行）") \
    X("without an answer in time", \
      "時間内に回答なし") \
    X("Application control: %s (%s)\n", \
      "アプリケーションコントロール: %s (%s)\n") \
    X("Complete", \
      "学習完了") \
    X("not yet: every program runs until then", \
      "まだです。それまではすべてのプログラムが実行されます") \
    X("Looked at", \
      "確認済み") \
    X("Maintenance", \
      "メンテナンス") \
    X("Blocked", \
      "ブロック") \
    X("Unknown, ran", \
      "未知（実行）") \
    X("Problem", \
      "問題") \
    X("%s is no number of minutes from 1 to %d", \
      "%s は 1 から %d までの分数ではありません") \
    X("Health", \
      "健康") \
    X("not watched", \
      "監視外") \
    X("gaps being walked again", \
      "抜けを再確認中") \
    X("queue overflows", \
      "キューあふれ") \
    X("found by the slow check only", \
      "低速確認でのみ発見") \
    X("workers", \
      "ワーカー") \
    X("crashed", \
      "異常終了") \
    X("timed out", \
      "時間切れ") \
    X("incomplete", \
      "不完全") \
    X("errors", \
      "エラー") \
    X("known from the cache", \
      "キャッシュから判明") \
    X("not as approved", \
      "承認時と相違") \
    X("waiting", \
      "待ち") \
    X("infected", \
      "感染") \
    X("not yet committed", \
      "未確定") \
    X("dropped before they were delivered", \
      "配信前に破棄") \
    X("mounts tried", \
      "マウントを確認") \
    X("silent", \
      "沈黙") \
    X("without a verdict", \
      "判定なし") \
    X("could not be tried", \
      "確認できず") \
    X("sensors started anew", \
      "センサー再起動") \
    X("--timeout %s is not a duration such as 30s", \
      "--timeout %s は 30s のような時間ではありません") \
    X("Wait until every file event so far has a committed verdict, and every log line was read", \
      "これまでのファイルイベントがすべて判定・記録され、ログの行がすべて読まれるまで待つ") \
    X("give up after this time (default 300s)", \
      "この時間で諦める (既定 300s)") \
    X("the agent is not running (nobody listens on %s); %s", \
      "エージェントが動いていません (%s で待つものがありません)。%s") \
    X("start yagura-agent with its --config, or name another --socket", \
      "yagura-agent をその --config で起動するか、別の --socket を指定してください") \
    X("start it with: systemctl start yagura-agent", \
      "起動: systemctl start yagura-agent") \
    X("only root may steer the agent; use sudo", \
      "エージェントを操作できるのは root だけです。sudo を使ってください") \
    X("the agent cannot be reached on %s: %s", \
      "エージェントに %s で届きません: %s") \
    X("the agent's answer is not understood; is it another version?", \
      "エージェントの応答を解釈できません。バージョンが違いませんか?") \
    X("the agent's answer is too long", \
      "エージェントの応答が長すぎます") \
    X("the agent is not done in time; yaguractl status says what it waits for", \
      "エージェントが時間内に終わりません。待っているものは yaguractl status で分かります") \
    X("the agent closed the connection before the answer was complete; look into its log", \
      "応答が終わる前にエージェントが接続を閉じました。ログを見てください") \
    X("the request is too long; name fewer things at once", \
      "要求が長すぎます。一度に指定する数を減らしてください") \
    X("the scanner cannot be started: %s", \
      "スキャンエンジンを起動できません: %s") \
    X("no temporary directory can be made in /tmp: %s", \
      "/tmp に一時ディレクトリを作れません: %s") \
    X("the scan could not be done: %s", \
      "スキャンできませんでした: %s") \
    X(", %s directories (%.1f %%)", \
      "、%s ディレクトリ (%.1f %%)") \
    X(", lag %s", \
      "、遅れ %s") \
    X(", %s signatures", \
      "、シグネチャ %s 個") \
    X(" (%s old)", \
      " (%s 前)") \
    X("%s files, %s directories", \
      "ファイル %s、ディレクトリ %s") \
    X(", the oldest waits %s", \
      "、最長の待ち %s") \
    X("%s clean, %s%s infected%s", \
      "正常 %s、%s感染 %s%s") \
    X(", %s entries", \
      "、%s 項目") \
    X(", %s files", \
      "、%s ファイル") \
    X("%s recorded, %s", \
      "記録 %s 件、%s") \
    X("protecting", \
      "保護中") \
    X("ready", \
      "準備完了") \
    X("loading", \
      "読み込み中") \
    X("reloading", \
      "新しいシグネチャを読み込み中") \
    X("no-signatures", \
      "シグネチャなし") \
    X("failed", \
      "失敗") \
    X("watching", \
      "監視中") \
    X("limited", \
      "制限あり") \
    X("off", \
      "停止") \
    X("working", \
      "動作中") \
    X("learning", \
      "学習中") \
    X("maintenance", \
      "メンテナンス中") \
    X("building", \
      "ベースラインを作成中") \
    X("checking", \
      "確認中") \
    X("idle", \
      "待機中") \
    X("activating", \
      "登録中") \
    X("refused", \
      "拒否") \
    X("online", \
      "オンライン") \
    X("offline", \
      "オフライン") \
    X("deactivated", \
      "登録解除済み") \
    X("running", \
      "実行中") \
    X("learn", \
      "学習") \
    X("report", \
      "報告") \
    X("block", \
      "ブロック") \
    X("pass", \
      "そのまま") \
    X("quarantine", \
      "隔離") \
    X("delete", \
      "削除") \
    X("not known yet", \
      "まだ不明") \
    X("; next try ", \
      "。次の試行 ") \
    X(", next ", \
      "、次回 ") \
    X(" (%.12s), malware: ", \
      " (%.12s)、マルウェア: ") \
    X("%s, version ", \
      "%s、バージョン ") \
    X(", process %llu\n", \
      "、プロセス %llu\n") \
    X("memory", \
      "メモリーの上限") \
    X("CPU", \
      "CPU の上限") \
    X("not limited", \
      "なし") \
    X("%s%-10s%s %s of memory, %s of CPU", \
      "%s%-10s%s メモリー %s、CPU %s") \
    X(" (weight %llu)\n", \
      "（重み %llu）\n") \
    X("%llu.%02llu cores", \
      "%llu.%02llu コア") \
    X("resting", \
      "休止中") \
    X("starting", \
      "起動中") \
    X("degraded", \
      "低下") \
    X(": no signatures", \
      ": シグネチャなし") \
    X("Usage: yaguractl [OPTION...] COMMAND [ARGUMENT...]", \
      "使い方: yaguractl [オプション...] コマンド [引数...]") \
    X("Steers the running yagura-agent.", \
      "動いている yagura-agent を操作します。") \
    X("Exit: 0 all is well, 1 something was found, 2 error.", \
      "終了コード: 0 問題なし、1 何かが見つかった、2 エラー。") \
    X("Commands:", \
      "コマンド:") \
    X("Options:", \
      "オプション:") \
    X("Everywhere:", \
      "共通:") \
    X("%s file, %s: %s clean", \
      "%s ファイル、%s: 正常 %s") \
    X("%s files, %s: %s clean", \
      "%s ファイル、%s: 正常 %s") \
    X("incomplete: not all of it could be looked at", \
      "不完全: すべては調べられませんでした") \
    X("not scanned because of errors", \
      "エラーのためスキャンできず") \
    X("unchanged since an earlier verdict", \
      "以前の判定から変化なし") \
    X("excluded", \
      "除外") \
    X("results left out because the output was not read in time", \
      "出力が間に合わず省いた結果") \
    X("%s of %s%s files, %s infected%s", \
      "%s / %s%s ファイル、感染 %s%s") \
    X(" (paused: the host is busy)", \
      " (休止中: ホストが忙しいため)") \
    X("FAILED", \
      "失敗") \
    X("ok", \
      "可")
/* clang-format on */

#endif
