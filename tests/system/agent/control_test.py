"""yaguractl and the control socket, as an administrator uses them."""
import contextlib
import json
import os
import pty
import select
import signal
import stat
import subprocess
import time

import harness
from harness import CLEAN, EICAR, escaped, put


def run(agent, *arguments, **options):
    """yaguractl as it is: nothing is checked."""
    return subprocess.run([os.path.join(harness.PROGRAMS, "yaguractl"), "--socket", agent.socket,
                           *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=harness.SECONDS, check=False, **options)


def lines_of(agent, *arguments):
    return [json.loads(line) for line in agent.control("--json", *arguments).splitlines()]


def everything_below(folder):
    found = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]
    return [path for path in found if os.path.isfile(path)]


def contents(path):
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except FileNotFoundError:  # the original has just gone
        return b""


def quarantine_one(agent, name="bad", content=EICAR, mode=0o640):
    made = put(os.path.join(agent.home, "made"), content)
    os.chmod(made, mode)
    path = os.path.join(agent.watched, name)
    os.rename(made, path)
    agent.sync()
    agent.expect_gone(path)
    return path, lines_of(agent, "quarantine", "list")[0]["id"]


def test_scan_says_by_its_exit_what_it_found(place):
    agent = place.agent().start()
    folder = place.folder("elsewhere")
    put(os.path.join(folder, "good"), CLEAN)
    assert agent.scan(folder)[0] == 0
    bad = put(os.path.join(folder, "bad\n\x1b[31m"), EICAR)
    exit_code, lines, totals = agent.scan(folder, options=("--no-action",))
    assert exit_code == 1 and totals["infected"] == 1 and totals["clean"] == 1, lines
    assert lines[0]["result"]["path"] == escaped(bad), lines
    assert os.path.exists(bad)
    plain = run(agent, "scan", folder)
    assert plain.returncode == 1 and escaped(bad).encode() in plain.stdout
    assert b"\x1b" not in plain.stdout + plain.stderr
    agent.sync()
    agent.expect_gone(bad)
    assert agent.scan(os.path.join(folder, "nothing"))[0] == 2


def test_scans_need_no_path(place):
    harness.own_mounts()
    harness.mount_tmpfs(place, "/srv")
    tops = [f"/{name}/" for name in os.listdir("/")] + [f"/{name}/*/" for name in
                      ("tmp", "var/tmp", "dev/shm", "home", "root", "etc", "opt", "srv",
                       "usr/local", "var/www")]  # of each place the top alone
    agent = place.agent(watch__exclude_directories=tops).start()
    bad, old = put("/srv/bad", EICAR), put("/srv/old", EICAR)
    quick = run(agent, "--json", "scan", "--quick", "--changed-days", "1", "--no-action")
    found = [json.loads(line)["result"]["path"] for line in quick.stdout.splitlines()[:-1]]
    assert quick.returncode == 1 and {bad, old} <= set(found), (quick.returncode, found)
    os.unlink(bad)
    full = run(agent, "--json", "scan", "--full", "--no-action")  # nothing of / but its own files
    assert b'"totals"' in full.stdout and b"/srv/old" not in full.stdout, full
    agent.set_policy(watch__exclude_directories=[top for top in tops if not top.startswith("/srv/")])
    agent.control("reload")
    os.makedirs("/srv/deep/er")
    deep = put("/srv/deep/er/bad", EICAR)
    full = run(agent, "--json", "scan", "--full", "--no-action")
    found = {json.loads(line)["result"]["path"] for line in full.stdout.splitlines()[:-1]}
    assert full.returncode == 1 and {old, deep} <= found, (full.returncode, found)
    for wrong in (["--quick", "--full"], ["--quick", "/srv"], [], ["--changed-days", "0", "/"],
                  ["--changed-days", "1", "--changed-within", "1d", "/"]):
        result = run(agent, "scan", *wrong)
        assert result.returncode == 2 and b"yaguractl: " in result.stderr, (wrong, result)


def test_what_changed_lately_is_scanned_alone(place):
    """To the agent, what is written now is a day and a half old."""
    agent = place.agent(watch__enabled=False)
    harness.Clock(place, agent).set_ahead(36 * 3600)
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    agent.start()

    def found(*options):
        exit_code, lines, totals = agent.scan(agent.watched, options=("--no-action", *options))
        assert exit_code == totals["infected"], totals
        return [line["result"]["path"] for line in lines[:-1]]
    agent.until(lambda now: now["scanner"]["state"] == "ready", "ready")
    assert found("--changed-days", "1") == [] and found("--changed-within", "35h") == []
    assert found("--changed-days", "2") == found("--changed-within", "37h") == [bad]


@contextlib.contextmanager
def on_a_terminal(agent, *arguments, **environment):
    """yaguractl on a terminal of its own: what reads it, up to a text or its end."""
    ours, its = pty.openpty()
    variables = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", **environment}
    variables = {name: value for name, value in variables.items() if name != "NO_COLOR" or name in environment}
    process = subprocess.Popen([os.path.join(harness.PROGRAMS, "yaguractl"), "--socket", agent.socket, *arguments],
                               stdin=subprocess.DEVNULL, stdout=its, stderr=its, env=variables)
    os.close(its)
    shown = b""

    def read(until=None):
        nonlocal shown
        deadline = time.monotonic() + harness.SECONDS
        while until is None or until not in shown:
            assert select.select([ours], [], [], max(0, deadline - time.monotonic()))[0], (until, shown)
            try:
                shown += os.read(ours, 65536)
            except OSError:  # it has closed its side
                assert until is None, (until, shown)
                break
        return shown
    try:
        yield read
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_progress_and_colours_are_for_terminals(place):
    agent = place.agent(watch__enabled=False).start()
    folder = place.folder("elsewhere")
    put(os.path.join(folder, "good"), CLEAN)
    bad = put(os.path.join(folder, "bad"), EICAR)
    agent.until(lambda now: now["scanner"]["state"] == "ready", "ready")
    held = agent.hold_scanner()
    with on_a_terminal(agent, "scan", "--no-action", folder) as read:
        read(b"] 0 of 2 files, 0 infected")
        for pid in held:
            os.kill(pid, signal.SIGCONT)
        shown = read()
    assert b"\r\x1b[K[------------------------] 0 of 2 files" in shown, shown
    assert bad.encode() + b": \x1b[31minfected\x1b[0m" in shown, shown
    with on_a_terminal(agent, "scan", "--no-action", folder, NO_COLOR="1") as read:
        plain = read()
    assert bad.encode() + b": infected" in plain and b"\x1b[3" not in plain, plain
    with on_a_terminal(agent, "scan", "--no-action", folder, TERM="dumb") as read:
        assert b"\x1b[3" not in read()
    held = agent.hold_scanner()
    piped = subprocess.Popen([os.path.join(harness.PROGRAMS, "yaguractl"), "--socket", agent.socket, "scan", "--no-cache",
                              "--no-action", folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # Whoever asks after it for the same is shown how far it is: by then the other was told, too.
    with on_a_terminal(agent, "scan", "--no-cache", "--no-action", folder) as read:
        read(b"] 0 of 2 files, 0 infected")
    for pid in held:
        os.kill(pid, signal.SIGCONT)
    told, complaints = piped.communicate(timeout=harness.SECONDS)
    assert bad.encode() + b": infected" in told and b"\x1b" not in told + complaints, (told, complaints)
    assert b"#" not in complaints and b"of 2 files" not in complaints, complaints


def test_interrupted_scan_is_cancelled(place):
    agent = place.agent().start()
    agent.until(lambda now: now["scanner"]["state"] == "ready", "ready")
    before = agent.status()["scan"]["scanned"]
    scan = subprocess.Popen([os.path.join(harness.PROGRAMS, "yaguractl"), "--socket", agent.socket,
                             "scan", "--no-cache", "--no-action", "/usr"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    agent.until(lambda now: now["scan"]["scanned"] > before + 20, "the scan runs")
    scan.send_signal(signal.SIGINT)
    assert scan.wait(timeout=harness.SECONDS) != 0
    agent.sync()
    first = agent.until(lambda now: now["scan"]["in_flight"] == 0, "the scan ends")
    agent.sync()
    assert agent.status()["scan"]["scanned"] == first["scan"]["scanned"]


def test_standalone_needs_neither_agent_nor_root(place):
    folder = place.folder("files")
    put(os.path.join(folder, "good"), CLEAN)

    def scan(*arguments):
        return subprocess.run([os.path.join(harness.PROGRAMS, "yaguractl"), "scan", "--standalone",
                               "--json", "--database", harness.SIGNATURES, *arguments],
                              stdin=subprocess.DEVNULL, capture_output=True, check=False,
                              timeout=harness.SECONDS, user=65534, group=65534, extra_groups=[])

    assert os.access(harness.PROGRAMS, os.X_OK)
    result = scan(folder)
    if b"yagura-scanner" in result.stderr and b"denied" in result.stderr:
        raise harness.Skip("another user cannot reach the programs")
    assert result.returncode == 0, result
    bad = put(os.path.join(folder, "bad"), EICAR)
    result = scan(folder)
    assert result.returncode == 1 and escaped(bad).encode() in result.stdout, result
    assert os.path.exists(bad)
    os.unlink(bad)
    secret = put(os.path.join(folder, "secret"), CLEAN)
    os.chmod(secret, 0)
    assert scan(folder).returncode == 2
    os.unlink(secret)
    assert scan("--database", place.folder("empty"), folder).returncode == 2
    relative = os.path.relpath(harness.SIGNATURES)
    assert scan("--database", relative, folder).returncode == 0
    assert scan(os.path.join(folder, "nothing")).returncode == 2


def test_only_root_is_served(place):
    agent = place.agent().start()
    os.chmod(agent.socket, 0o666)  # even then
    result = run(agent, "status", user=65534, group=65534, extra_groups=[])
    assert result.returncode == 2 and b"only root" in result.stderr, result
    assert agent.status()["state"]


def test_without_an_agent_the_cure_is_told(place):
    agent = place.agent()
    result = run(agent, "status")
    assert result.returncode == 2 and b"the agent is not running" in result.stderr, result
    assert b"systemctl" not in result.stderr, result  # this one is not systemd's


def test_self_test(place):
    agent = place.agent().start()
    agent.until(lambda now: now["state"] == "protecting", "ready")
    steps = lines_of(agent, "self-test")
    places = [step for step in steps if "directory" in step]
    assert [place["outcome"] for place in places] == ["passed"] * len(places) != [], places
    steps = [step for step in steps if "step" in step]
    assert len(steps) == 8 and all(step["passed"] for step in steps), steps
    assert os.listdir(agent.watched) == []
    assert lines_of(agent, "quarantine", "list") == []
    agent.set_policy(watch__exclude_files=["eicar"])
    agent.control("reload")
    result = run(agent, "self-test")
    assert result.returncode == 1 and b"FAILED  the test file is detected" in result.stdout, result
    assert os.listdir(agent.watched) == []


def test_quarantine_from_list_to_restore(place):
    agent = place.agent().start()
    path, entry = quarantine_one(agent)
    agent.until(lambda status: not [name for name in everything_below(agent.state) if EICAR[:24] in contents(name)],
                "the original has gone, and nothing sealed can be read")
    shown = lines_of(agent, "quarantine", "show", "--check", entry[:18])[0]
    assert shown["path"] == path and shown["mode"] & 0o777 == 0o640, shown
    copy = os.path.join(place.root, "copy")
    agent.control("quarantine", "export", entry, copy)
    with open(copy, "rb") as stream:
        assert stream.read() == EICAR
    assert stat.S_IMODE(os.stat(copy).st_mode) == 0o400
    assert run(agent, "quarantine", "export", entry, copy).returncode == 2
    assert run(agent, "quarantine", "restore", "ffff").returncode == 2

    elsewhere = os.path.join(place.root, "back")
    agent.control("quarantine", "restore", "--to", elsewhere, entry)
    assert stat.S_IMODE(os.stat(elsewhere).st_mode) == 0o640
    assert lines_of(agent, "quarantine", "list") == []

    path, entry = quarantine_one(agent)
    agent.control("quarantine", "restore", "--exclude", entry)
    agent.sync()
    assert os.path.exists(path), "an allowed content was taken away again"
    allowed = lines_of(agent, "quarantine", "allowed")
    assert len(allowed) == 1
    agent.control("quarantine", "disallow", allowed[0]["sha256"])
    path, entry = quarantine_one(agent, "again")
    agent.control("quarantine", "delete", entry)
    assert lines_of(agent, "quarantine", "list") == []
    assert run(agent, "quarantine", "delete", entry).returncode == 2


def test_held_detections_are_released(place):
    agent = place.agent(respond__brake_actions=1).start()
    files = [put(os.path.join(agent.watched, f"bad{i}"), EICAR + b"\n" * i) for i in range(3)]
    agent.sync()
    held = lines_of(agent, "quarantine", "held")
    assert len(held) == 2, held
    agent.control("quarantine", "release", held[0]["id"])
    agent.sync()
    agent.expect_gone(held[0]["path"])
    agent.control("quarantine", "release", "--allow", held[1]["id"])
    assert lines_of(agent, "quarantine", "held") == []
    assert sum(os.path.exists(path) for path in files) == 1
    assert run(agent, "quarantine", "release", held[1]["id"]).returncode == 2


def test_policy_is_explained(place):
    agent = place.agent().start()
    row = lines_of(agent, "policy", "explain", "scan.workers")[0]
    assert row["value"] == "2" and row["origin"].startswith(agent.policy + ":"), row
    row = lines_of(agent, "policy", "explain", "scan.reload")[0]
    assert row["origin"] == "built-in default", row
    before = agent.status()["policy"]["digest"]
    agent.set_policy(scan__workers=1)
    changed = lines_of(agent, "reload")[0]["digest"]
    assert changed != before and agent.status()["policy"]["digest"] == changed
    put(agent.policy, b"scan : { wrokers = 1; };\n")
    result = run(agent, "reload")
    assert result.returncode == 2 and b"did you mean scan.workers?" in result.stderr, result
    assert agent.status()["policy"]["digest"] == changed
    assert run(agent, "policy", "check", agent.policy).returncode == 1


def test_events_are_filtered(place):
    agent = place.agent().start()
    for i in range(5):
        put(os.path.join(agent.watched, f"bad{i}"), EICAR)
    agent.sync()
    found = lines_of(agent, "events", "--kind", "malware_found")
    assert len(found) == 5
    assert [event["number"] for event in found] == sorted(event["number"] for event in found)
    newest = lines_of(agent, "events", "--kind", "malware_found", "--limit", "2")
    assert newest == found[3:], newest
    after = lines_of(agent, "events", "--kind", "malware_found", "--after",
                     str(found[0]["number"]))
    assert after == found[1:]
    assert len(lines_of(agent, "events", "--text", "bad3", "--kind", "malware_found")) == 1
    assert lines_of(agent, "events", "--severity", "critical", "--module", "malware") == []
    assert lines_of(agent, "events", "--since", "1h") == lines_of(agent, "events")
    assert lines_of(agent, "events", "--since", "2h ago") == lines_of(agent, "events")
    assert run(agent, "events", "--since", "ago").returncode == 2
    assert lines_of(agent, "events", "--until", "1h") == []
    csv = agent.control("events", "--csv", "--kind", "malware_found")
    assert csv.count("\r\n") == 6 or csv.count("\n") == 6, csv


def test_sync_gives_up(place):
    agent = place.agent(databases=[place.folder("empty")]).start()
    put(os.path.join(agent.watched, "waits"), CLEAN)
    begin = time.monotonic()
    result = run(agent, "sync", "--timeout", "1s")
    assert result.returncode == 2 and b"yaguractl status" in result.stderr, result
    assert time.monotonic() - begin < 30
    assert agent.scan(agent.watched)[0] == 2
    assert run(agent, "status", "--check").returncode == 1
    assert run(agent, "status").returncode == 0


def test_signatures_are_listed_and_loaded_anew(place):
    agent = place.agent().start()
    agent.until(lambda now: now["scanner"]["state"] == "ready", "ready")
    lines = lines_of(agent, "signatures")
    assert lines[0]["engine"]["signatures"] > 0
    assert any(line.get("file", {}).get("path", "").endswith("yagura-demo.ndb") for line in lines)
    reloads = agent.status()["scanner"]["reloads"]
    agent.control("signatures", "--reload")
    agent.until(lambda now: now["scanner"]["reloads"] > reloads, "loaded anew")


if __name__ == "__main__":
    harness.main()
