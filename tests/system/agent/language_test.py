"""yaguractl is documented, and speaks the language of the locale."""
import glob
import os
import re
import subprocess

import harness

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..")
FOLDER = os.path.join(TOP, "agent", "control")
LITERAL = r'((?:"(?:[^"\\]|\\.)*"\s*)+)'
# Where texts for people stand in the sources.
PLACES = (rf"command_fail\(\s*{LITERAL}", rf"\bsay\(\s*{LITERAL}", rf"\.summary\s*=\s*{LITERAL}",
          rf'\{{"[a-z-]+", (?:0|\'.\'), (?:NULL|"[^"]*"), (?:NULL|"[^"]*"),\s*{LITERAL}',
          rf"begin_row\({LITERAL}", rf'print_some\(\w+, "[^"]*",\s*{LITERAL}',
          rf"(?:passed|failed)\(\s*test,\s*{LITERAL}(?:,\s*{LITERAL})?",
          rf"QUARANTINE_COMMAND\(\w+, \"[^\"]*\", \w+, \w+,\s*{LITERAL}")


def joined(literals):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', literals))


def control(*arguments, language):
    return subprocess.run([os.path.join(harness.PROGRAMS, "yaguractl"), *arguments],
                          stdin=subprocess.DEVNULL, capture_output=True, check=False,
                          timeout=harness.SECONDS, env={"LANG": language, "PATH": os.environ["PATH"]})


def command_names():
    names = []
    for path in glob.glob(os.path.join(FOLDER, "command_*.c")):
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
        names += re.findall(r'\.name = "([a-z -]+[a-z])",', text)
        names += [f"quarantine {word}" for word in re.findall(r"^QUARANTINE_COMMAND\((\w+),", text, re.M)]
    return names


def test_every_text_has_its_translation():
    with open(os.path.join(FOLDER, "messages_ja.h"), encoding="utf-8") as stream:
        known = {joined(text) for text in re.findall(rf"X\({LITERAL},", stream.read())}
    missing = {}
    for path in glob.glob(os.path.join(FOLDER, "*.c")):
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
        for place in PLACES:
            for found in re.finditer(place, text):
                for literals in filter(None, found.groups()):
                    if joined(literals) not in known | {"", "%s"}:
                        missing[joined(literals)] = os.path.basename(path)
    assert not missing, missing


def test_problems_and_refusals_are_said_in_japanese(place):
    agent = place.agent(databases=[place.folder("none")]).start()
    agent.until(lambda now: now["scanner"]["state"] == "no-signatures", "no signatures")
    ask = ("--socket", agent.socket)
    said = control(*ask, "status", language="ja_JP.UTF-8").stdout.decode()
    assert "のデータベースディレクトリにシグネチャを" in said, said
    assert "とほかのフォルダーにシグネチャファイルがありません" in said, said
    left = set(re.findall("[a-z]{3,}", re.sub(r"/\S+|\([0-9a-f]+\)|\w+\.conf|freshclam|scanner|policy", "", said)))
    assert not left - {"agura", "lam"}, (left, said)
    refused = control(*ask, "scan", agent.watched, language="ja_JP.UTF-8")
    assert refused.returncode == 2 and "スキャンできません: ".encode() in refused.stderr, refused
    plain = control("--json", *ask, "status", language="ja_JP.UTF-8").stdout.decode()
    assert "put signatures" in plain, plain
    refused = control(*ask, "quarantine", "show", "ffff", language="ja_JP.UTF-8")
    assert "ffff: 項目または".encode() in refused.stderr, refused


def test_the_locale_chooses():
    english, japanese = (control("--help", language=language).stdout.decode()
                         for language in ("C.UTF-8", "ja_JP.UTF-8"))
    assert "Scan files and directories now" in english and "スキャン" not in english
    assert "ファイルとディレクトリを今すぐスキャンする" in japanese
    error = control("sacn", language="ja_JP.UTF-8")
    assert error.returncode == 2 and "コマンド「sacn」はありません".encode() in error.stderr, error


def test_policy_keys_are_explained_in_japanese():
    assert "watch directories in real time" in control("policy", "keys", language="C.UTF-8").stdout.decode()
    said = control("policy", "keys", language="ja_JP.UTF-8").stdout.decode()
    assert "リアルタイム" in said and "watch directories in real time" not in said
    assert b"watch directories" in control("--json", "policy", "keys", language="ja_JP.UTF-8").stdout


def test_status_speaks_japanese_and_json_does_not(place):
    agent = place.agent().start()
    agent.until(lambda now: now["state"] == "protecting", "ready")
    ask = ("--socket", agent.socket, "status")
    assert "Yagura: 保護中".encode() in control(*ask, language="ja_JP.UTF-8").stdout
    assert b'"protecting"' in control("--json", *ask, language="ja_JP.UTF-8").stdout


def test_manual_and_completion_name_every_command():
    with open(os.path.join(TOP, "packaging", "man", "yaguractl.8"), encoding="utf-8") as stream:
        manual = stream.read().replace("\\-", "-").replace("\\&", "")
    completion = control("completion", language="C").stdout.decode()
    listed = control("--help", language="C").stdout.decode()
    names = command_names()
    assert len(names) > 25, names
    for name in names:
        assert re.search(rf"^\.SS {re.escape(name)}\b", manual, re.M), f"{name} is not in yaguractl(8)"
        assert re.search(rf"^  {re.escape(name)}  ", listed, re.M), f"{name} is not in --help"
        for word in name.split():
            assert re.search(rf"\b{re.escape(word)}\b", completion), f"{name} is not completed"


if __name__ == "__main__":
    harness.main()
