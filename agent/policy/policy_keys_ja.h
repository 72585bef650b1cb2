/* What each key of policy_keys.h means, in Japanese: for yaguractl and the console's page. A unit
 * test holds that none is missing. X(symbol, "meaning") */
#ifndef AGENT_POLICY_POLICY_KEYS_JA_H
#define AGENT_POLICY_POLICY_KEYS_JA_H

/* clang-format off */
#define POLICY_KEYS_JA(X) \
    X(WATCH_ENABLED, \
      "ディレクトリをリアルタイムに監視する") \
    X(WATCH_PATHS, \
      "保護するディレクトリ（配下すべてを含む）") \
    X(WATCH_EXCLUDE_DIRECTORIES, \
      "監視しないディレクトリ（配下すべてを含む）。/path/ または任意の場所の名前。* は 1 階層内") \
    X(WATCH_EXCLUDE_FILES, \
      "監視しないファイル。任意の場所の名前またはパス。* は 1 階層内") \
    X(WATCH_EXCLUDE_EXTENSIONS, \
      "監視しない拡張子（ドットなし）") \
    X(WATCH_SETTLE, \
      "作成後に閉じられないファイルを、この時間が過ぎたらスキャンする") \
    X(WATCH_BUDGET, \
      "監視するディレクトリの上限。0: カーネルの上限の 80 %") \
    X(WATCH_CRAWL_INTERVAL, \
      "通知されなかった変更をゆっくり確認する間隔。0s: しない") \
    X(WATCH_CRAWL_RATE, \
      "その確認で 1 秒に調べるファイル数") \
    X(SCAN_WORKERS, \
      "スキャンプロセスの数。0: コアごとに 1、最大 4") \
    X(SCAN_MAX_FILE_SIZE, \
      "これより大きいファイルは「一部のみ」と報告する") \
    X(SCAN_MAX_SCAN_SIZE, \
      "1 ファイルから展開する最大バイト数") \
    X(SCAN_MAX_FILES, \
      "1 ファイルから展開する最大ファイル数") \
    X(SCAN_MAX_RECURSION, \
      "アーカイブの入れ子の最大の深さ") \
    X(SCAN_MAX_TIME, \
      "1 ファイルのスキャンの最長時間") \
    X(SCAN_HEURISTICS, \
      "libclamav のヒューリスティック検出") \
    X(SCAN_ENCRYPTED, \
      "暗号化されたアーカイブや文書を「一部のみ」と報告する") \
    X(SCAN_MACROS, \
      "文書のマクロをすべてヒューリスティック検出として扱う") \
    X(SCAN_BROKEN, \
      "壊れた実行ファイルをヒューリスティック検出として扱う") \
    X(SCAN_UNWANTED, \
      "望ましくない可能性のあるアプリケーションのシグネチャを読み込む") \
    X(SCAN_TEMPORARY, \
      "スキャンプロセスごとの一時領域（メモリ上）") \
    X(SCAN_RECYCLE, \
      "この数のファイルを処理したらスキャンプロセスを作り直す") \
    X(SCAN_RELOAD, \
      "新しいシグネチャの読み込み方。古いものと並行して、または破棄してから") \
    X(SCAN_IDLE_EXIT, \
      "スキャンするものがこの時間なければ、次のファイルまでシグネチャをメモリーから外す。0s: 外さない。実行防止とは併用不可") \
    X(SCAN_RESCAN, \
      "シグネチャの更新時に、既知のファイルをゆっくり再スキャンする") \
    X(SCAN_RESCAN_RATE, \
      "バックグラウンドスキャンで 1 秒に調べるファイル数") \
    X(SCAN_AT_START, \
      "エージェントの停止中に変わったファイルをスキャンする") \
    X(SCAN_INTERVAL, \
      "定期スキャンの間隔。0s: 行わない") \
    X(SCAN_WINDOW, \
      "定期スキャンの時間帯（現地時間、例 22:00-05:00）。外では一時停止") \
    X(SCAN_JITTER, \
      "定期スキャンの開始をずらす最大時間（ホストごとに異なる）") \
    X(SCAN_PATHS, \
      "定期スキャンの対象。空: watch.paths") \
    X(SCAN_CHANGED, \
      "この期間に変わったファイルだけ。0s: すべて") \
    X(SCAN_MAX_LOAD, \
      "コアあたりの負荷がこの % を超える間は一時停止。0: しない") \
    X(SIGNATURES_SOURCE, \
      "読み込むシグネチャファイルの入手元: freshclam が満たす agent.conf のフォルダー、コンソールのミラー、または両方") \
    X(SIGNATURES_RATE, \
      "ミラーから取得する速さの上限 (1 秒あたりのバイト数)") \
    X(SIGNATURES_JITTER, \
      "取得を遅らせる最長時間。ホストごとに異なり、まだ何もないうちは遅らせない") \
    X(RESPOND_ACTION, \
      "不正プログラムへの処置") \
    X(RESPOND_HEURISTIC, \
      "ヒューリスティック検出への処置") \
    X(RESPOND_HOLD_PACKAGES, \
      "パッケージの未変更のファイルは、報告して処置を保留する") \
    X(RESPOND_BRAKE, \
      "1 つのシグネチャにつき 1 時間の処置数の上限。以降は保留。0: 制限なし") \
    X(RESPOND_ALLOW_SIGNATURES, \
      "不正プログラムとして扱わないシグネチャ") \
    X(RESPOND_ALLOW_HASHES, \
      "不正プログラムとして扱わないファイルの SHA-256") \
    X(RESPOND_DENY_HASHES, \
      "不正プログラムとして扱うファイルの SHA-256") \
    X(QUARANTINE_SIZE, \
      "隔離領域の容量") \
    X(QUARANTINE_FULL, \
      "隔離領域がいっぱいのときの動作") \
    X(PREVENTION_ENABLED, \
      "感染ファイルを開けない・実行できないようにする") \
    X(PREVENTION_PATHS, \
      "ファイルを開く前にスキャンするディレクトリ（配下すべてを含む）") \
    X(PREVENTION_EXEC_ONLY, \
      "実行の前だけスキャンする") \
    X(PREVENTION_DEADLINE, \
      "開く操作が判定を待つ最長時間") \
    X(PREVENTION_ON_TIMEOUT, \
      "判定が間に合わない、または得られないときの動作") \
    X(CONTROL_MODE, \
      "既知のプログラムだけを実行させる：学習し、その後は未知のものを報告またはブロックする") \
    X(CONTROL_PATHS, \
      "プログラムを学習し、実行時に確認するディレクトリ（配下すべてを含む）") \
    X(CONTROL_EXCLUDE_DIRECTORIES, \
      "すべての実行を許可するディレクトリ。/path/ または任意の場所の名前") \
    X(CONTROL_TRUST_PACKAGES, \
      "パッケージの内容と一致するプログラムの実行を許可する") \
    X(CONTROL_ALLOW_HASHES, \
      "実行を許可するプログラムの SHA-256") \
    X(CONTROL_BLOCK_HASHES, \
      "学習済みでも未知とみなすプログラムの SHA-256") \
    X(CONTROL_MAX_SIZE, \
      "これより大きいプログラムは未知とみなす") \
    X(CONTROL_DEADLINE, \
      "プログラムの実行が回答を待つ最長時間") \
    X(CONTROL_ON_TIMEOUT, \
      "回答が間に合わない、または得られないときの動作") \
    X(INTEGRITY_ENABLED, \
      "変わってはならないファイルをベースラインと比較する") \
    X(INTEGRITY_PATHS, \
      "すべてを比較するファイルとディレクトリ（配下すべてを含む）") \
    X(INTEGRITY_ATTRIBUTES, \
      "同上。内容の変更は許し、アクセス権・所有者・リンク・属性だけを比較する") \
    X(INTEGRITY_LOGS, \
      "同上（ログ用）。追記とローテーションは許し、消失と書き換えを検出する") \
    X(INTEGRITY_EXCLUDE_DIRECTORIES, \
      "比較しないディレクトリ。/path/ または任意の場所の名前。* は 1 階層内") \
    X(INTEGRITY_EXCLUDE_FILES, \
      "比較しないファイル。任意の場所の名前またはパス。* は 1 階層内") \
    X(INTEGRITY_CRITICAL, \
      "これらとその配下の変更は重大度「高」") \
    X(INTEGRITY_DIFF, \
      "誰でも読めるテキストファイルについて、変更行を報告する場所") \
    X(INTEGRITY_NO_DIFF, \
      "鍵やパスワードなどに加えて、変更行を報告しないファイル") \
    X(INTEGRITY_ATTRIBUTION, \
      "カーネルから分かる場合、ファイルを変更した主体を報告する") \
    X(INTEGRITY_MAX_SIZE, \
      "これより大きいファイルは、内容ではなくサイズと時刻を比較する") \
    X(INTEGRITY_TRUST_PACKAGES, \
      "パッケージ由来の内容への変更は想定内（重大度「低」、承認済み）とする") \
    X(INTEGRITY_INTERVAL, \
      "全体を確認する間隔。0s: 要求時のみ") \
    X(INTEGRITY_WINDOW, \
      "全体の確認を始める時間帯（現地時間、例 22:00-05:00）。空: いつでも") \
    X(INTEGRITY_JITTER, \
      "確認の開始をずらす最大時間（ホストごとに異なる）") \
    X(LOG_ENABLED, \
      "ホストのログからログイン失敗やクラッシュなどを探す") \
    X(LOG_JOURNAL, \
      "systemd のジャーナルを読む") \
    X(LOG_FILES, \
      "ほかに読むログファイル（ローテーションにも追従）。ジャーナルにあるものは書かない") \
    X(LOG_DECODERS, \
      "独自のデコーダー。同梱のものより先に調べる") \
    X(LOG_RULES, \
      "独自のルール。同梱のものより先に調べる。番号は 100000 から") \
    X(LOG_LOWEST, \
      "これより低い重大度の一致は数えるだけで通知しない") \
    X(LOG_FOLD, \
      "この時間内の同じ一致は件数付きの 1 つのイベントになる") \
    X(LOG_RATE, \
      "1 つのルールの毎分の最大イベント数。残りは件数を通知") \
    X(STORE_MAX_AGE, \
      "これより古いイベントを削除する") \
    X(STORE_MAX_SIZE, \
      "イベントの保存容量。不正プログラムのイベントは最後に削除") \
    X(APPLICATION_SQL_INJECTION, \
      "関数: 引数、Cookie、本文に含まれる SQL") \
    X(APPLICATION_PAYLOAD, \
      "関数: スクリプト、テンプレート、XML 実体などのペイロード") \
    X(APPLICATION_FILE_ACCESS, \
      "関数: アプリケーション外へのパス、ファイルの読み込み") \
    X(APPLICATION_COMMANDS, \
      "関数: シェルコマンド") \
    X(APPLICATION_REDIRECT, \
      "関数: リクエストが指定した先へ移動させる応答") \
    X(APPLICATION_UPLOAD, \
      "関数: サーバーで実行されうるファイル") \
    X(APPLICATION_ADDRESS, \
      "関数: 拒否されたアドレス") \
    X(APPLICATION_THRESHOLD, \
      "関数: 不正とみなすリクエストのスコア") \
    X(APPLICATION_EXCLUSIONS, \
      "関数: 検査しないもの。route=、argument=、rule= の組み合わせ") \
    X(APPLICATION_ALLOW, \
      "関数: 検査しないアドレスとネットワーク") \
    X(APPLICATION_DENY, \
      "関数: 拒否するアドレスとネットワーク") \
    X(APPLICATION_UPLOAD_SIZE, \
      "関数: アップロードできるファイルの最大サイズ") \
    X(APPLICATION_UPLOAD_FILES, \
      "関数: 1 リクエストの最大ファイル数") \
    X(APPLICATION_UPLOAD_HASHES, \
      "関数: 拒否するファイルの SHA-256") \
    X(APPLICATION_REDIRECT_HOSTS, \
      "関数: 応答の移動先として許可するホスト。先頭の *. は配下すべて") \
    X(APPLICATION_GRAPHQL_DEPTH, \
      "関数: GraphQL クエリの入れ子の最大の深さ") \
    X(APPLICATION_GRAPHQL_INTROSPECTION, \
      "関数: GraphQL クエリによるスキーマの参照を許可する") \
    X(APPLICATION_RUNTIME_FILES, \
      "関数: 開くファイルの allow:パターン と deny:パターン。最初に一致したものを適用") \
    X(APPLICATION_RUNTIME_COMMANDS, \
      "関数: 起動するプログラムとその引数について同様") \
    X(APPLICATION_RUNTIME_CORRELATION, \
      "関数: リクエストの値によるファイル操作とコマンド実行を拒否とみなす") \
    X(HEALTH_INTERVAL, \
      "監視中の各マウントで監視とスキャンを実証する間隔。0s: しない") \
    X(HEALTH_PATIENCE, \
      "この時間応答のないセンサーは停止とみなし、再起動する") \
    X(PROTECTION_ENABLED, \
      "コンソールからの離脱・初期化・削除には、コンソールの release_protection 命令か解除コードが必要") \
    X(PROTECTION_CHECK_INTERVAL, \
      "エージェント自身のプログラム・ユニット・設定を確認する間隔。0s: 確認しない") \
    X(LIMITS_SCANNER_WEIGHT, \
      "エージェントの 100 に対するスキャナーの CPU 配分（コントロールグループが委任されている場合）") \
    X(LIMITS_SCANNER_QUOTA, \
      "スキャナーの CPU 使用の上限（全コアに対する %）。0: 制限なし") \
    X(LIMITS_SCANNER_MEMORY, \
      "スキャナーのメモリ使用の上限（ホストに対する %）。0: 制限なし") \
    X(AGENT_LOG_LEVEL, \
      "ログに記録する最低レベル") \
    X(AGENT_NICE, \
      "スキャナーの nice 値")
/* clang-format on */

#endif
