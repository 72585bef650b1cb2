"""What the console may ask an agent for, each from the REST API to its result there."""
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import tarfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, agents  # noqa: E402


def joined(place, **options):
    agent = place.agent(**options) if options else None
    both = Pair(place, agent=agent)
    both.agent.start()
    both.activate()
    # It may replace the scanner, which some of these tests hold still.
    both.agent.until(lambda status: both.agent.events("policy_applied"), "the console's policy")
    return both


def stopped_scanner(both):
    """Its processes stand still: a scan that begins now has no end."""
    both.agent.until(lambda status: status["scanner"]["state"] == "ready", "the scanner")
    return both.agent.hold_scanner()


def go_on(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass  # the agent has replaced it


def held_scan(both, place):
    """A scan that has begun and does not end: its id, and who stands still."""
    other = place.folder("other")
    agents.put(os.path.join(other, "file"), b"to be scanned")
    pids = stopped_scanner(both)
    identifier = both.send("scan", path=other)
    both.until(lambda: both.shown(identifier)["state"] == "running", "its progress")
    return identifier, pids


def test_a_scan_shows_how_far_it_is_and_can_be_cancelled(place):
    both = joined(place)
    identifier, pids = held_scan(both, place)
    assert "files" in json.loads(both.shown(identifier)["output"])
    busy = both.command("scan_quick")
    assert busy["state"] == "failed" and "another scan" in busy["output"], busy
    cancelled = both.command("cancel")
    assert cancelled["output"] == "the scan ends", cancelled
    go_on(pids)
    ended = both.result(identifier)
    assert ended["state"] == "failed" and "cancelled" in ended["output"], ended
    assert both.command("cancel")["output"] == "no scan was running"


def test_a_crash_is_told_and_nothing_is_done_twice(place):
    both = joined(place)
    identifier, _ = held_scan(both, place)
    both.agent.kill()
    both.agent.start()
    ended = both.result(identifier)
    assert ended["state"] == "failed" and "not done twice" in ended["output"], ended
    # Sent once more, although its result was taken.
    both.console.query("UPDATE commands SET state = 'delivered', delivered_ms = 0, output = ''"
                       f" WHERE id = '{identifier}'")
    both.nudge()
    ended = both.result(identifier)
    assert ended["state"] == "failed" and "not done twice" in ended["output"], ended


def test_a_result_outlives_the_agent(place):
    """The console is away when the command ends, and the agent dies before it is back."""
    both = joined(place)
    identifier, pids = held_scan(both, place)
    kept = os.path.join(both.agent.state, "console", "results.json")
    both.console.stop(signal.SIGKILL)
    go_on(pids)

    def is_kept():
        with open(kept, encoding="utf-8") as stream:
            return not [entry for entry in json.load(stream)
                        if entry["id"] == identifier and entry["running"]]
    both.agent.until(lambda status: is_kept(), "the result on the disk")
    both.agent.kill()
    both.restart_console()
    both.agent.start()
    assert both.result(identifier)["state"] == "done"
    both.until(lambda: json.load(open(kept, encoding="utf-8")) == [], "it is forgotten")


def test_what_is_not_done_says_why(place):
    both = joined(place)
    commands = both.commands_path
    both.agent.stop()
    expired = both.admin.post(commands, {"type": "scan_full"}, expect=201).json["id"]
    both.console.query(f"UPDATE commands SET expires_ms = 1 WHERE id = '{expired}'")
    both.agent.start()
    versions = ("0.0.2; touch /tmp/x", "$(id)", "-o=Dir::Etc=/tmp", "../0.0.2", "0.0.2\n0.0.3")
    wrong = [both.send("upgrade", version=version) for version in versions]
    missing = both.send("quarantine_restore", id="01a20110-8b87-741b-b374-275c67b8f792")
    signatures = both.send("update_signatures")
    for identifier in wrong:
        refused = both.result(identifier)
        assert refused["state"] == "failed", refused
        assert "does not look like one" in refused["output"], refused
    assert both.result(missing)["state"] == "failed"
    done = both.result(signatures)
    assert done["state"] == "done" and "being loaded" in done["output"], done
    assert "freshclam fills" in done["output"] or "not set up" in done["output"], done
    assert both.shown(expired)["state"] == "expired"
    assert not [event for event in both.agent.events() if event["subject"] == expired]


def test_the_helper_looks_at_the_version_itself():
    helper = os.path.join(agents.PROGRAMS, "yagura-upgrade")
    for version in ("-y", "1.0;id", "1 0", "1/0", "x" * 65, "1" * 65):
        done = subprocess.run([helper, "start", "/nonexistent/result", version], check=False,
                              capture_output=True, text=True)
        assert done.returncode == 2 and "version" in done.stdout, (version, done)


# ---- signatures ----

def test_freshclam_updates_signatures(place):
    """The real one, with a configuration of its own and a mirror that is a file."""
    configuration = "/etc/clamav/freshclam.conf"
    if not os.path.exists("/usr/bin/freshclam") or not os.path.exists(configuration):
        raise agents.Skip("freshclam is not installed (clamav-freshclam)")
    agents.own_mounts()
    databases, mirror = place.folder("databases"), place.folder("mirror")
    source = agents.put(os.path.join(mirror, "fetched.ndb"),
                        b"Yagura.Fetched:0:*:" + b"feed me, freshclam".hex().encode() + b"\n")
    ours = agents.put(os.path.join(place.root, "freshclam.conf"),
                      f"DatabaseDirectory {databases}\nDatabaseOwner root\n"
                      f"DatabaseCustomURL file://{source}\nDatabaseMirror 127.0.0.1\n"
                      "ExcludeDatabase main\nExcludeDatabase daily\nExcludeDatabase bytecode\n"
                      "MaxAttempts 1\nDNSDatabaseInfo no\n".encode())
    subprocess.run(["mount", "--bind", ours, configuration], check=True)
    place.cleanups.append(lambda: subprocess.run(["umount", "-l", configuration], check=False))
    both = joined(place, databases=[agents.SIGNATURES, databases])
    before = both.agent.until(lambda status: status["scanner"]["state"] == "ready", "the scanner")
    done = both.command("update_signatures")
    assert done["state"] == "done" and "fetched.ndb updated" in done["output"], done
    both.agent.until(lambda status: status["scanner"]["signatures"] >
                     before["scanner"]["signatures"], "the new signature")
    path = agents.put(os.path.join(both.watched, "found"), b"feed me, freshclam")
    both.until(lambda: [event for event in both.events("&kind=malware_found")
                        if event["subject"] == path], "its detection")
    os.unlink(source)
    failed = both.command("update_signatures")
    assert failed["state"] == "failed" and "fetched.ndb" in failed["output"], failed


# ---- diagnostics ----

def names_in(tar):
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        return {os.path.basename(member.name): archive.extractfile(member).read()
                for member in archive.getmembers()}


def test_diagnostics_come_to_the_console(place):
    both = joined(place)
    agents.put(os.path.join(both.watched, "eicar"), agents.EICAR)
    both.agent.sync()
    secret = both.token()
    agents.put(os.path.join(both.watched, secret), agents.EICAR)  # a secret in a name
    both.agent.sync()
    done = both.command("diagnostics")
    assert done["state"] == "done", done
    path = f"{both.commands_path}/{done['id']}/bundle"
    answer = both.admin.get(path, expect=200)
    assert answer.headers["Content-Type"] == "application/x-tar"
    assert len(answer.body) == json.loads(done["output"])["bundle_bytes"]
    parts = names_in(answer.body)
    listed = both.agent.control("diagnose", "--list")
    for name in parts:
        assert name in listed or name == "contents.txt", name
    assert b"malware_found" in parts["events.jsonl"]
    assert json.loads(parts["status.jsonl"])["status"]["agent"]["version"]
    assert b"Name:\tyagura-agent" in parts["processes.txt"]
    assert secret.encode() not in answer.body and b"PRIVATE KEY" not in answer.body
    assert b"yt1(removed)" in answer.body
    log = both.admin.get("/api/v1/audit").json["entries"]
    assert "bundle_read" in [entry["action"] for entry in log], log
    # The newest is kept.
    again = both.command("diagnostics")
    both.admin.get(path, expect=404)
    both.admin.get(f"{both.commands_path}/{again['id']}/bundle", expect=200)
    assert not [name for name in os.listdir(os.path.join(both.agent.state, "console"))
                if name.endswith(".tar")]


def test_bundles_outlive_the_agent(place):
    """Killed between making and bringing two; the console has forgotten about one of them."""
    both = joined(place)
    commands, folder = both.commands_path, os.path.join(both.agent.state, "console")
    both.agent.stop()
    ids = [both.admin.post(commands, {"type": "diagnostics"}, expect=201).json["id"] for _ in "12"]
    both.console.query("UPDATE commands SET state = 'delivered', delivered_ms = 9999999999999")
    both.console.query(f"DELETE FROM commands WHERE id = '{ids[1]}'")
    bundle = os.urandom(3_000_000)
    for identifier in ids:
        agents.put(os.path.join(folder, f"bundle-{identifier}.tar"), bundle)
    agents.put(os.path.join(folder, "results.json"), json.dumps(
        [{"id": identifier, "running": True, "good": False, "output": ""}
         for identifier in ids]).encode())
    both.agent.start()
    assert both.result(ids[0])["state"] == "done"
    assert both.admin.get(f"{commands}/{ids[0]}/bundle", expect=200).body == bundle
    failed = both.until(lambda: both.agent.events("command_failed"), "the other is refused")
    kept = os.path.join(both.agent.state, "diagnostics.tar")
    assert failed[0]["subject"] == ids[1] and kept in json.dumps(failed[0]), failed
    with open(kept, "rb") as stream:
        assert stream.read() == bundle
    assert not [name for name in os.listdir(folder) if name.endswith(".tar")]


def test_diagnose_by_hand(place):
    agent = place.agent()
    target = os.path.join(place.root, "bundle.tar")
    agent.start()
    agent.control("diagnose", "--output", target)
    assert os.stat(target).st_mode & 0o777 == 0o600
    assert json.loads(names_in(open(target, "rb").read())["status.jsonl"])
    agent.control("diagnose", "--output", target, accept=(2,))  # not over a file
    agent.stop()
    os.unlink(target)
    agent.control("diagnose", "--output", target)  # without an agent, too
    assert b"does not answer" in names_in(open(target, "rb").read())["status.jsonl"]


# ---- upgrade ----

class Packages:
    """This process' own dpkg and apt: nothing of the host's database is seen or changed."""

    FOLDERS = ("/var/lib/dpkg", "/var/lib/apt", "/var/cache/apt", "/etc/apt", "/var/log")

    def __init__(self, place):
        for program in ("dpkg-deb", "apt-get", "apt-cache"):
            if not os.path.exists("/usr/bin/" + program):
                raise agents.Skip(f"{program} is not installed")
        agents.own_mounts()
        for folder in self.FOLDERS:
            agents.mount_tmpfs(place, folder)
        for name in ("info", "updates", "triggers", "alternatives", "parts"):
            os.mkdir(f"/var/lib/dpkg/{name}")
        for path in ("/var/lib/dpkg/status", "/var/lib/dpkg/available"):
            agents.put(path, b"")
        for folder in ("/etc/apt/apt.conf.d", "/etc/apt/preferences.d", "/etc/apt/sources.list.d",
                       "/etc/apt/trusted.gpg.d", "/var/cache/apt/archives/partial",
                       "/var/lib/apt/lists/partial", "/var/log/apt"):
            os.makedirs(folder)
        self.place = place
        self.repository = place.folder("repository")
        self.index = b""
        agents.put("/etc/apt/sources.list",
                   f"deb [trusted=yes] file:{self.repository} ./\n".encode())

    def build(self, version, script=None):
        tree = self.place.folder(f"tree-{version}")
        os.makedirs(os.path.join(tree, "DEBIAN"), exist_ok=True)
        control = (f"Package: yagura-agent\nVersion: {version}\nArchitecture: all\n"
                   "Maintainer: Test <test@example.com>\nDescription: test\n").encode()
        agents.put(os.path.join(tree, "DEBIAN", "control"), control)
        if script:
            path = agents.put(os.path.join(tree, "DEBIAN", "postinst"), script.encode())
            os.chmod(path, 0o755)
        name = f"yagura-agent_{version}_all.deb"
        path = os.path.join(self.repository, name)
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, path], check=True,
                       capture_output=True)
        with open(path, "rb") as stream:
            content = stream.read()
        self.index += control + (f"Filename: ./{name}\nSize: {len(content)}\n"
                                 f"SHA256: {hashlib.sha256(content).hexdigest()}\n\n").encode()
        agents.put(os.path.join(self.repository, "Packages"), self.index)
        return path

    @staticmethod
    def install(path):
        subprocess.run(["dpkg", "--install", path], check=True, capture_output=True)

    @staticmethod
    def installed():
        return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "yagura-agent"], check=True,
                              capture_output=True, text=True).stdout


def test_an_upgrade_ends_in_the_agent_after_it(place):
    packages = Packages(place)
    both = joined(place)
    no_package = both.command("upgrade", version="0.0.2")
    assert no_package["state"] == "failed" and "no package yagura-agent" in no_package["output"]

    packages.install(packages.build("0.0.1-1"))
    asked = os.path.join(place.root, "asked")
    # As the real one: the package stops the agent, and starts the new one.
    packages.build("0.0.2-1", f"#!/bin/sh\nset -e\necho done >> {asked}\n"
                              f"kill -9 {both.agent.process.pid}\n")
    missing = both.command("upgrade", version="9.9")
    assert missing["state"] == "failed" and "offers yagura-agent 9.9" in missing["output"], missing
    assert packages.installed() == "0.0.1-1"

    identifier = both.send("upgrade", version="0.0.2")
    both.agent.process.wait(agents.SECONDS)
    both.agent.start()
    done = both.result(identifier)
    assert done["state"] == "done", done
    assert "0.0.1-1 before, 0.0.2-1 now" in done["output"], done
    assert packages.installed() == "0.0.2-1"
    assert open(asked, encoding="utf-8").read() == "done\n"
    folder = os.path.join(both.agent.state, "console")
    assert not [name for name in os.listdir(folder) if name.startswith("upgrade")]

    back = both.command("upgrade", version="0.0.1")
    assert back["state"] == "failed", back
    assert packages.installed() == "0.0.2-1"
    again = both.command("upgrade")
    assert again["state"] == "done" and "0.0.2-1 before, 0.0.2-1 now" in again["output"], again


if __name__ == "__main__":
    agents.main()
