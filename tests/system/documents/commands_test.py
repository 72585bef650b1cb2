"""Every command that README.md and docs/ tell a person to type is run: here, on an agent joined to a console of its own; by
another test that is named; or it is said why not. A command that nobody knows of fails, and so does a row that no document needs.

A shorter form of a command that is run (`yaguractl activate`) is run by that. Pages of results name the commands that made them,
and are left out. Commands that deploy stacks give parameters that the templates have."""
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../delivery"), os.path.join(HERE, "../application")]
sys.dont_write_bytecode = True

import documents_test as documents  # noqa: E402
from pair import Pair, agents, consoles  # noqa: E402

ROOT = documents.ROOT
RESULTS = {f"docs/{name}.md" for name in (*documents.RECORDS, "benchmarks")}
TOOLS = {"apt", "apt-get", "aws", "bash", "cd", "chown", "chrt", "cmake", "cp", "ctest", "curl", "cvdupdate", "dnf", "docker",
         "dpkg", "freshclam", "git", "install", "journalctl", "kill", "man", "mkdir", "npm", "openssl", "pip", "psql", "python",
         "python3", "rpm", "runuser", "scp", "sh", "sha256sum", "ss", "ssh", "sudo", "sysctl", "systemctl", "systemd-tmpfiles",
         "terraform", "unshare", "yum", "zypper"}


# ---- what the documents say ----

def pages():
    english = [os.path.relpath(path, ROOT) for path in glob.glob(os.path.join(ROOT, "docs/*.md"))]
    return ["README.md", *sorted(page for page in english if not page.endswith(".ja.md") and page not in RESULTS)]


def read(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as stream:
        return stream.read()


def commands_in(line):
    """(program, words); KEY=$(command) is that command."""
    return documents.commands(re.sub(r"^\s*[A-Z_]+=\$\((.*)\)\s*$", r"\1", line))


def is_command(name, words):
    if documents.OURS.match(name) or name in TOOLS:
        return bool(words) and words != ["..."]
    return bool(documents.SCRIPT.match(name)) and not name.endswith("_test.py")


def told():
    """{command: its pages}"""
    found = {}
    for page in pages():
        for line in documents.pieces(read(page)):
            for name, words in commands_in(line):
                if is_command(name, words):
                    found.setdefault(shlex.join([name.removeprefix("./"), *words]), set()).add(page)
    return found


def strangers():
    """What begins a line of a block of shell, and is no program that we know of."""
    for page in pages():
        for block in re.findall(r"```(?:sh|shell|bash|console)\n(.*?)```", read(page), re.S):
            for line in block.replace("\\\n", " ").splitlines():
                for name, _ in commands_in(line):
                    if not name.startswith("#") and not is_command(name, ["x"]):
                        yield f"{page}: {name}"


# ---- not here ----

ELSEWHERE = {  # the file that runs it, and words that stand there
    "installer/quickstart.sh": ("tests/system/installer/quickstart_test.sh", "quickstart.sh"),
    "installer/quickstart.sh --stop": ("tests/system/installer/quickstart_test.sh", "quickstart --stop"),
    "installer/dependencies.sh": ("tests/run.sh", "installer/dependencies.sh"),
    "installer/deployment.sh --key": ("tests/system/ssm_package/deployment_test.py", "deployment.sh --key"),
    "packaging/sbom.py": ("tests/system/packaging/structure_test.py", "sbom.cdx.json"),
    "packaging/build-deb.sh --output FOLDER": ("tests/system/packaging/supply.py", "build-deb.sh --output"),
    "packaging/build-rpm.sh --output FOLDER": ("tests/system/packaging/supply.py", "build-rpm.sh --output"),
    "packaging/build-portable.sh --output FOLDER": ("tests/system/packaging/supply.py", "build-portable.sh --output"),
    "packaging/lambda/build-layer.sh": ("tests/system/relay/layer_test.py", "build-layer.sh"),
    "packaging/lambda/publish.sh": ("tests/system/relay/layer_test.py", "publish.sh --dry-run"),
    "ssm-package/build.sh --version X.Y.Z --output FOLDER --sign KEY FOLDERS...":
        ("tests/system/ssm_package/deployment_test.py", "small_packages.build --sign"),
    "ssm-package/publish.sh": ("tests/system/ssm_package/publish_test.py", "ssm-package/publish.sh"),
    "tests/fuzz/run.sh": ("tests/run.sh", "tests/fuzz/run.sh --seconds"),
    "tests/fuzz/run.sh --minutes 10 wire": ("tests/run.sh", "tests/fuzz/run.sh"),
    "tests/fuzz/run.sh --seconds 600": ("tests/run.sh", "tests/fuzz/run.sh --seconds"),
    "cmake --preset release-hardened": ("tests/run.sh", "cmake --preset release-hardened"),
    "cmake --preset asan-ubsan": ("tests/run.sh", "cmake --preset asan-ubsan"),
    "cmake --build build/release-hardened": ("tests/run.sh", "cmake --build"),
    "ctest --test-dir build/release-hardened -R store": ("tests/run.sh", "ctest --test-dir"),
    "man yagura-console": ("tests/style/manual_pages.sh", "groff -man"),
    "yagura-storage scan-bucket BUCKET": ("tests/system/storage/scan_bucket_test.py", "scan-bucket"),
    "yagura-storage quarantine restore": ("tests/system/storage/actions_test.py", '"quarantine" "restore"'),
    "yaguractl applications learn": ("tests/system/agent/application_control_test.py", '"applications" "learn"'),
    "yaguractl maintenance on": ("tests/system/agent/application_control_test.py", '"maintenance" "on"'),
    "yaguractl maintenance on --minutes 30": ("tests/system/agent/application_control_test.py", '"maintenance" "on" "--minutes"'),
    "yaguractl integrity rebuild": ("tests/system/agent/integrity_test.py", '"integrity" "rebuild"'),
    "yaguractl integrity show": ("tests/system/agent/integrity_test.py", '"integrity" "show"'),
    "yaguractl activate --proxy http://HOST:PORT": ("tests/system/delivery/hostile_test.py", "both.activate proxy="),
}

CLONE = "this is the clone"
THE_RUN = "it is what runs this test"
BENCH = "a benchmark, by hand, with whatever options; the main run has a sample"
BY_HAND = "takes long, by hand: its last result stands in docs/, and tests/run.sh runs a sample"
SERVICE = "no service manager with our units here; packages_test.py boots one where it can"
HOSTS = "changes the whole host, or is only spoken of"
AWS = "needs AWS's own program and an account"
NOT_HERE = {
    CLONE: ("git clone REPOSITORY yagura", "cd yagura"),
    THE_RUN: ("tests/run.sh", "tests/run.sh --quick", "tests/run.sh --only unit --only style/layers"),
    BENCH: ("tests/bench/run.sh",),
    BY_HAND: ("tests/faults/run.sh", "tests/faults/run.sh --only worker_hung", "tests/soak/run.sh", "tests/soak/run.sh --sanitized",
              "tests/machine/run.sh", "tests/machine/run.sh system/agent/prevention", "tests/fuzz/coverage.sh"),
    SERVICE: ("systemctl status yagura-agent", "systemctl start yagura-agent", "systemctl stop yagura-agent",
              "systemctl stop yagura-console", "systemctl start yagura-console", "systemctl reload yagura-console",
              "systemctl edit yagura-console", "systemctl status clamav-freshclam", "systemctl mask",
              "systemd-tmpfiles --create", "journalctl -u yagura-agent", "journalctl -u yagura-console",
              "journalctl -u yagura-upgrade"),
    HOSTS: ("sysctl vm.memfd_noexec=2", "sysctl user.max_user_namespaces=0", "unshare -Urm", "kill -9", "python file.py"),
    AWS: ("aws ssm put-parameter --name /yagura/activation-url --type String --value https://CONSOLE:4120",
          "aws ssm put-parameter --name /yagura/token --type SecureString --value TOKEN",
          "aws ssm put-parameter --name /yagura/ca-pin --type String --value sha256//...",
          "aws s3 sync --delete --exclude '*' --include '*.cvd' /srv/mirror s3://BUCKET/signatures/"),
    "makes a release, with its key": ("git tag -s vX.Y.Z",),
    "needs the network, and ClamAV's servers": ("freshclam --datadir=/srv/mirror",),
    "needs the network, and Python's packages": ("pip install 'moto[server]' boto3", "pip install cfn-lint"),
    "needs images of other distributions, and for arm64 an emulator": ("packaging/builders/build.sh --output FOLDER",),
    "needs Docker; tests/system/storage/write_path_test.py sends the signal that it sends": ("docker stop --time 60",),
}


# ---- here ----

class Shell:
    """In which somebody follows the documents. run() takes a document's command, what is meant by its placeholders (a whole word,
    or a part of one), words behind it, and what the answer must hold."""

    def __init__(self, place):
        self.place = place
        self.folder = place.folder("shell")
        self.both = Pair(place)
        self.agent, self.console = self.both.agent, self.both.console
        self.console_config = self.console.config
        self.done = set()

    def resolved(self, words):
        name = words[0]
        if name == "yaguractl":
            return [os.path.join(agents.PROGRAMS, name), "--config", self.agent.config, *words[1:]]
        if name == "yagura-console":  # as its user, who is root here
            return ["runuser", "-u", "root", "--", os.path.join(consoles.BIN, name), "--config", self.console_config, *words[1:]]
        if documents.OURS.match(name):
            return [os.path.join(agents.PROGRAMS, name), *words[1:]]
        return [os.path.join(ROOT, name), *words[1:]] if documents.SCRIPT.match(name) else words

    def line(self, command, meant, more):
        def filled(word):
            for name, value in (meant or {}).items():
                if name == word or len(name) > 3:
                    word = word.replace(name, value)
            return word
        self.done.add(command)
        return self.resolved([filled(word) for word in shlex.split(command)] + list(more))

    def run(self, command, meant=None, *more, says=r"\S", given=None, accept=(0,)):
        line = self.line(command, meant, more)
        done = subprocess.run(line, input=given or "", capture_output=True, text=True, timeout=agents.SECONDS, check=False,
                              cwd=self.folder, env={**os.environ, "LC_ALL": "C.UTF-8"})
        said = done.stdout + done.stderr
        assert done.returncode in accept, f"{shlex.join(line)}: exit {done.returncode}: {said[-1500:]}"
        assert re.search(says, said, re.M), f"{shlex.join(line)} does not say /{says}/: {said[-1500:]}"
        return done.stdout

    def follow(self, command, says, meant=None, stir=lambda: None):
        """One that goes on until it is ended; it must come to say this, when what it tells of is stirred up."""
        process = subprocess.Popen(self.line(command, meant, ()), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True, cwd=self.folder)
        heard = threading.Event()
        reader = threading.Thread(target=lambda: any(re.search(says, line) for line in process.stdout) and heard.set())
        reader.start()
        try:
            deadline = time.monotonic() + agents.SECONDS
            while not heard.wait(0.2):
                assert time.monotonic() < deadline and reader.is_alive(), f"{command} does not say {says}"
                stir()
        finally:
            process.kill()
            process.wait()
            reader.join()
            process.stdout.close()

    def put(self, name, content):
        return agents.put(os.path.join(self.folder, name), content)

    def quarantined(self, name, content):
        path = agents.put(os.path.join(self.agent.watched, name), content)
        self.agent.sync()
        listed = [json.loads(line) for line in self.agent.control("--json", "quarantine", "list").splitlines()]
        return path, [entry["id"] for entry in listed if entry["path"] == path][0]


def for_people(text):
    assert text.strip() and not re.match(r"\s*[\[{]", text), f"not for people: {text[:200]}"


def on_the_host(shell):
    agent = shell.agent
    agent.write_config(policy_directory=os.path.join(ROOT, "policies"))
    agent.start()
    agent.until(lambda now: now["state"] == "protecting", "ready")
    shell.run("yaguractl --help", says="quarantine list")
    for_people(shell.run("yaguractl status", says="Yagura: protecting"))
    shell.run("yaguractl self-test")
    clean = agents.put(os.path.join(agent.watched, "clean"), agents.CLEAN)
    shell.run("yaguractl scan 'PATH…'", {"PATH…": agent.watched}, says="no malware|clean|nothing")
    shell.run("yaguractl scan --no-cache --report-all FILE", {"FILE": clean}, says=re.escape(clean))
    for_people(shell.run("yaguractl policy explain KEY", {"KEY": "scan.workers"}, says="scan.workers"))
    shell.run("yaguractl policy explain respond.action", says="quarantine")
    shell.run("yaguractl policy explain watch.exclude_directories")
    shell.run("yaguractl reload")
    shell.run("yaguractl diagnose")
    assert [name for name in os.listdir(shell.folder) if name.endswith(".tar")], "no bundle"
    shell.run("yaguractl diagnose --list", says="events.jsonl")
    shell.run("yaguractl metrics", says="^yagura_")
    shell.run("yaguractl limits --processes")
    for_people(shell.run("yaguractl limits", says=r"^\w+ +\d+ "))
    for_people(shell.run("yaguractl applications status"))
    line = "Nov 30 12:00:00 host sshd[1]: Failed password for root from 192.0.2.1 port 1 ssh2\n"
    shell.run("yaguractl logs test --policy FILE", {"FILE": shell.put("local.conf", b"log_inspection : { enabled = true; };\n")},
              given=line, accept=(1,), says="sshd")

    path, entry = shell.quarantined("malicious", agents.EICAR)
    for_people(shell.run("yaguractl quarantine list", says=re.escape(path)))
    shell.run("yaguractl quarantine export", None, entry, os.path.join(shell.folder, "exported"), says="")
    shell.run("yaguractl quarantine restore --exclude ID", {"ID": entry}, says="")
    assert os.path.exists(path)
    path, entry = shell.quarantined("another", agents.EICAR + b"\n")
    back = os.path.join(shell.folder, "back")
    shell.run("yaguractl quarantine restore --exclude --to PATH ID", {"ID": entry, "PATH": back}, says="")
    assert os.path.exists(back)
    shell.run("yaguractl events", says="malware_found|Malware|malware")
    shell.run("yaguractl events --since '2h ago' --severity high", says=re.escape(path))
    shell.run("yaguractl events --module application_control", says="")
    shell.follow("yaguractl events --follow", re.escape(path))
    agent.set_policy(respond__brake_actions=1)
    agent.control("reload")
    held = agents.put(os.path.join(agent.watched, "held"), agents.EICAR + b"\n\n")
    agent.sync()
    for_people(shell.run("yaguractl quarantine held", says=re.escape(held)))
    entry = json.loads(agent.control("--json", "quarantine", "held").splitlines()[0])["id"]
    shell.run("yaguractl quarantine release ID", {"ID": entry}, says="")
    agent.sync()
    agent.expect_gone(held)


def at_the_console(shell):
    console, admin = shell.console, shell.both.admin
    assert shell.run("yagura-console pin").strip() == console.pin
    shell.run("yagura-console token create", says=r"^yt1\.")
    shell.run("yagura-console token create --days 30 --name ec2", says=r"^yt1\.")
    shell.run("yagura-console token create --days N --uses N", {"N": "3"}, says=r"^yt1\.")
    for_people(shell.run("yagura-console token list", says="ec2"))
    shell.key = shell.run("yagura-console api-key create --role reader --name try").strip()
    address = shell.address = f"https://127.0.0.1:{console.people_port}"
    said = shell.run("curl --cacert /var/lib/yagura-console/authority.crt -H 'Authorization: Bearer $KEY' "
                     "https://CONSOLE:4119/api/v1/computers",
                     {"/var/lib/yagura-console": console.data, "$KEY": shell.key, "https://CONSOLE:4119": address})
    assert "computers" in json.loads(said), said
    admin.post("/api/v1/users", {"name": "somebody", "role": "reader", "password": consoles.PASSWORD}, expect=201)
    shell.run("yagura-console user reset-password NAME", {"NAME": "somebody"})
    for kind in ("storage", "application"):
        shell.run("yagura-console sensor-key create 'storage|application'", {"storage|application": kind}, says=r"^ysk1_")
    shell.run("yagura-console rule", None, "create", "everything", says="")
    shell.run("yagura-console rule", None, "list", says="everything")
    lists = shell.place.folder("lists")
    agents.put(os.path.join(lists, "ours.hdb"), b"%032x:1048576:Test.Documents\n" % 7)
    shell.run("yagura-console signatures import FOLDER", {"FOLDER": lists}, "--unsigned", says="")
    shell.run("yagura-console signatures put NAME TYPE FILE",
              {"NAME": "denied", "TYPE": "deny", "FILE": shell.put("denied", b"%064x Bad.Thing\n" % 9)}, says="")
    shell.run("yagura-console keys rotate", says="")


def joined(shell):
    both, agent = shell.both, shell.agent
    token = shell.put("token", both.token().encode() + b"\n")
    shell.run("yaguractl activate --url https://CONSOLE:4120 --ca-pin PIN --token-file FILE",
              {"https://CONSOLE:4120": both.url, "PIN": shell.console.pin, "FILE": token}, says="activated as")
    shell.follow("curl -N --cacert authority.crt -H 'Authorization: Bearer KEY' https://CONSOLE:4119/api/v1/stream", "malware_found",
                 {"authority.crt": shell.console.authority, "Bearer KEY": f"Bearer {shell.key}", "https://CONSOLE:4119": shell.address},
                 stir=both.nudge)
    both.put_policy("test", both.policy_text(protection__enabled=True))
    both.until(lambda: agent.status()["protected"], "the protection")
    code = shell.run("yagura-console removal-code --computer 'NAME|--group' 'NAME|--all'",
                     {"--computer": "--all", "NAME|--group": "--hours", "NAME|--all": "1"}, says=r"^yr1\.")
    shell.run("yaguractl release FILE", {"FILE": shell.put("code", code.encode())}, says="")
    assert not agent.status()["protected"]
    shell.run("yaguractl deactivate", says="")
    agent.stop()
    shell.run("yaguractl reset", None, "--discard-quarantine", says="Forgotten")


def kept(shell):
    """Backup, and what is done with it on a new machine."""
    console = shell.console
    user = {"yagura-console": "root", "yagura-console:": "root:"}
    backup = os.path.join(shell.folder, "backup")
    shell.run("yagura-console backup FOLDER", {"FOLDER": backup}, says="")
    shell.run("chown -R yagura-console: FOLDER", {**user, "FOLDER": backup}, says="")
    console.stop()
    data = os.path.join(shell.folder, "new/console")
    os.makedirs(os.path.dirname(data))
    shell.run("install -d -o yagura-console -g yagura-console -m 700 /var/lib/yagura-console",
              {"/var/lib/yagura-console": data, "yagura-console": "root"}, says="")
    shell.run("chown -R yagura-console: /var/lib/yagura-console", {"/var/lib/yagura-console": data, "yagura-console:": "root:"}, says="")
    shell.console_config = shell.put("console.conf", consoles.read(console.config).replace(console.data, data).encode())
    shell.run("yagura-console restore FOLDER", {"FOLDER": backup}, says="")
    shell.run("yagura-console verify-audit", says="the chain is whole")
    try:
        url = consoles.postgres().database()
    except unittest.SkipTest as reason:
        print(f"# not run: yagura-console migrate: {reason}")
        shell.done.add("yagura-console migrate postgresql://yagura@HOST/yagura")
        return
    try:
        shell.run("yagura-console migrate postgresql://yagura@HOST/yagura", {"postgresql://yagura@HOST/yagura": url}, says="")
        shell.console_config = shell.put("console.conf", consoles.read(shell.console_config).encode() + f'database = "{url}";\n'.encode())
        shell.run("yagura-console verify-audit", says="the chain is whole")
    finally:
        consoles.stop_postgres()


def of_a_release(shell):
    for name in ("yagura-agent.deb", "yagura-console.deb"):
        shell.put(name, name.encode())
    sums = subprocess.run(["sha256sum", "yagura-agent.deb", "yagura-console.deb"], cwd=shell.folder, capture_output=True, check=True)
    shell.put("SHA256SUMS", sums.stdout)
    for line in ("openssl genpkey -algorithm ed25519 -out yagura.key", "openssl pkey -in yagura.key -pubout -out yagura.pub"):
        subprocess.run(line.split(), cwd=shell.folder, capture_output=True, check=True)
    shell.run("openssl pkeyutl -sign -rawin", None, "-inkey", "yagura.key", "-in", "SHA256SUMS", "-out", "SHA256SUMS.sig", says="")
    verify = "openssl pkeyutl -verify -rawin -pubin -inkey yagura.pub -sigfile SHA256SUMS.sig -in SHA256SUMS"
    shell.run(verify)
    shell.run("sha256sum -c SHA256SUMS", says="OK")
    shell.put("yagura-agent.deb", b"another")
    shell.run("sha256sum -c SHA256SUMS", says="FAILED", accept=(1,))
    shell.put("SHA256SUMS", sums.stdout.replace(b"0", b"1"))
    shell.run(verify, accept=(1,))


def of_other_programs(shell):
    shell.run("yagura-storage settings", says="YAGURA_")
    os.environ["YAGURA_BUILD_DIR"] = os.path.dirname(agents.PROGRAMS.rstrip("/"))
    shell.run("tests/faults/run.sh --list", says="agent_killed")
    if shutil.which("ss"):
        shell.run("ss -ltnp", says=f":{shell.console.people_port}")
    else:
        print("# not run: ss: it is not here")
        shell.done.add("ss -ltnp")
    import crs  # of tests/system/application
    try:
        judges = crs.Judges(os.environ["YAGURA_BUILD_DIR"], shell.folder)
    except crs.Skip as reason:
        print(f"# not run: yagura-inspect: {reason}")
        shell.done.add("yagura-inspect --rules TABLE --differences")
        return
    shell.run("yagura-inspect --rules TABLE --differences", {"TABLE": judges.table}, says="paranoia level 2|second signal")


BESIDES = {"yaguractl limits"}  # run, and in no document


def test_the_commands_do_what_the_documents_say(place):
    shell = Shell(place)
    on_the_host(shell)
    at_the_console(shell)
    of_other_programs(shell)
    joined(shell)
    kept(shell)
    of_a_release(shell)
    known = told()
    rows = shell.done | set(ELSEWHERE) | {command for commands in NOT_HERE.values() for command in commands}
    unknown = [f"{', '.join(sorted(where))}: {command}" for command, where in known.items()
               if command not in rows and not command.startswith("tests/bench/run.sh ") and not any(row.startswith(command + " ") for row in rows)]
    assert not unknown, "not run by any test, and no reason is given:\n" + "\n".join(unknown)
    needless = sorted(rows - set(known) - BESIDES)
    assert not needless, f"no document tells of: {needless}"


def test_what_other_tests_run():
    for command, (path, words) in ELSEWHERE.items():
        text = read(path)
        missing = [word for word in words.split() if word not in text]
        assert not missing, f"{command}: {path} has no {missing}"
    assert not list(strangers()), f"are these commands? Then TOOLS lacks them: {list(strangers())}"


def test_stacks_are_given_parameters_that_they_have():
    seen = 0
    for page in documents.documents():
        for line in documents.pieces(read(page)):
            for name, words in commands_in(line):
                if (name, words[:2]) != ("aws", ["cloudformation", "deploy"]):
                    continue
                seen += 1
                template = read(words[words.index("--template-file") + 1])
                section = re.search(r"^Parameters:\n((?:[ #].*\n|\n)+)", template, re.M).group(1)
                parameters = dict(re.findall(r"^  (\w+):\n((?:    .*\n|\n)+)", section, re.M))
                given = {word.split("=")[0] for word in words[words.index("--parameter-overrides") + 1:] if "=" in word}
                assert given <= set(parameters), f"{page}: the template has no {given - set(parameters)}"
                needed = {key for key, text in parameters.items() if "Default:" not in text}
                assert needed <= given, f"{page}: the template needs {needed - given}"
    assert seen >= 2, "is this looking at the documents?"


if __name__ == "__main__":
    agents.main()
