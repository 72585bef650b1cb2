"""Joining a console, being refused by it, and leaving it."""
import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, agents  # noqa: E402


def test_a_detection_is_in_the_console_within_seconds(place):
    both = Pair(place, heartbeat="60s")
    both.agent.start()
    assert "activated as" in both.activate()
    path = both.nudge()
    found = both.until(lambda: [event for event in both.events("&kind=malware_found")
                                if event["subject"] == path], "the detection", 10)
    assert len(found) == 1
    computer = both.computer()
    assert computer["status"] == "Managed (Online)", computer
    both.nudge()  # the console writes what it saw behind, every 5 s
    both.until(lambda: both.computer()["facts"].get("watch", {}).get("complete"), "the facts")


def test_how_the_agent_is_reaches_the_console(place):
    """Degraded, with each reason and its cure; then well, with the figures that the agent itself says."""
    databases = place.folder("databases")
    for name in "abcdef":
        place.folder(os.path.join("watched", name))
    both = Pair(place, agent=place.agent(databases=[databases], watch__budget=3, health__interval="1s"))
    both.agent.start()
    both.activate()

    def facts():
        return both.computer()["facts"]

    def reasons():
        return {problem["module"]: problem for problem in facts().get("problems", [])}
    both.until(lambda: {"scanner", "watch"} <= set(reasons()), "both reasons")
    poor, why = facts(), reasons()
    assert poor["state"] == "degraded" and poor["scanner"]["state"] == "no-signatures", poor
    assert "signatures" in why["scanner"]["problem"] and "freshclam" in why["scanner"]["cure"], why
    assert "budget" in why["watch"]["problem"] and why["watch"]["cure"], why
    watch = poor["watch"]
    all_directories = watch["directories_watched"] + watch["directories_unwatched"]
    assert watch["directories_unwatched"] > 0 and not watch["complete"], watch
    assert abs(watch["coverage"] - watch["directories_watched"] / all_directories) < 0.01, watch
    assert poor["health"]["self_test"] != "passed", poor["health"]

    coming = shutil.copy(os.path.join(agents.SIGNATURES, "yagura-demo.ndb"), databases + ".ndb")
    os.utime(coming, (time.time() - 90000,) * 2)
    os.rename(coming, os.path.join(databases, "yagura-demo.ndb"))
    both.put_policy("test", both.policy_text(watch__budget=0))
    both.agent.until(lambda status: status["state"] == "protecting" and status["health"]["self_test"] == "passed", "it is well")
    both.agent.sync()  # lag is that of a marker
    well = both.until(lambda: facts()["state"] == "protecting" and facts()["watch"]["lag_ns"] and facts(), "the console knows")
    own = both.agent.status()
    assert well["problems"] == [] and well["health"]["self_test"] == "passed", well
    assert well["watch"]["coverage"] == 1 and well["watch"]["overflows"] == own["watch"]["overflows"], well["watch"]
    assert well["scanner"]["engine"] == own["scanner"]["engine"] != "", well["scanner"]
    assert 90000 <= well["scanner"]["signatures_age"] <= own["scanner"]["signatures_age"], well["scanner"]
    assert well["store"]["epoch"] == own["store"]["epoch"] and well["store"]["dropped"] == own["store"]["dropped"]


def test_the_token_leaves_no_trace(place):
    both = Pair(place)
    both.agent.start()
    token = both.token()
    both.activate(token)
    secret = token.encode()
    for folder, _, names in os.walk(both.agent.home):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path):
                with open(path, "rb") as stream:
                    assert secret not in stream.read(), path
    for pid in [both.agent.process.pid, *agents.descendants(both.agent.process.pid)]:
        for part in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{part}", "rb") as stream:
                assert secret not in stream.read(), (pid, part)
    identity = os.path.join(both.agent.state, "console", "identity.json")
    assert os.stat(identity).st_mode & 0o777 == 0o600


def test_what_the_messenger_may(place):
    """Confined while it works; its names come from the real resolver."""
    both = Pair(place)
    both.agent.start()
    both.activate(url=f"https://localhost:{both.console.agents_port}")
    pids = [pid for pid in agents.descendants(both.agent.process.pid)
            if agents.command_of(pid).startswith("yagura-messeng")]
    assert len(pids) == 1, pids
    with open(f"/proc/{pids[0]}/status", encoding="utf-8") as stream:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in stream if ":\t" in line)
    assert status["Uid"].split()[0] != "0", status["Uid"]
    assert int(status["CapEff"], 16) == 0 and int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    with open(f"/proc/{pids[0]}/environ", "rb") as stream:
        names = {item.split(b"=")[0] for item in stream.read().split(b"\0") if item}
    assert names <= {b"PATH", b"LANG", b"TZ", b"JOURNAL_STREAM", b"ASAN_OPTIONS", b"UBSAN_OPTIONS",
                     b"TSAN_OPTIONS"}, names
    with open(os.path.join(agents.PROGRAMS, "yagura-messenger"), "rb") as stream:
        program = stream.read()
    if b"__asan_init" not in program and b"__tsan_init" not in program:
        assert status["Seccomp"] == "2", status["Seccomp"]


def refused(both, said, **options):
    both.activate(accept=(2,), wait="20s", **options)
    problem = both.console_status()
    assert said in problem["problem"], problem
    return problem


def test_wrong_token(place):
    both = Pair(place)
    both.agent.start()
    assert refused(both, "403", token="yt1" + "x" * 40)["state"] == "refused"
    token = both.token()
    kept = both.admin.get("/api/v1/tokens").json["tokens"][0]["id"]
    both.admin.delete(f"/api/v1/tokens/{kept}", expect=204)
    refused(both, "403", token=token)
    token = both.token()
    with contextlib.closing(sqlite3.connect(both.console.data + "/console.db", timeout=20)) as base:
        with base:
            base.execute("UPDATE tokens SET expires_ms = 1")
    refused(both, "403", token=token)
    both.activate(both.token())  # another one mends it
    assert both.console_status()["state"] == "online"


def test_wrong_pin(place):
    both = Pair(place)
    both.agent.start()
    refused(both, "pinned key", **{"ca-pin": "sha256//" + "A" * 43 + "="})
    refused(both, "not trusted", **{"ca-pin": ""})  # the system does not know our CA
    refused(both, "ca_pin", **{"ca-pin": "sha256//short"})
    assert both.admin.get("/api/v1/computers").json["computers"] == []
    both.activate()


def test_unreachable(place):
    both = Pair(place)
    both.agent.start()
    both.activate(accept=(2,), wait="2s", url="https://nowhere.invalid:4120")
    assert both.console_status()["state"] == "activating", both.console_status()
    assert "cannot be reached" in both.console_status()["problem"]
    both.activate()


def leave(both):
    done = subprocess.run([os.path.join(agents.PROGRAMS, "yaguractl"), "--socket", both.agent.socket, "deactivate"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=agents.SECONDS, check=False)
    assert done.returncode == 0, done
    return done.stderr


def test_leaving_a_console_that_does_not_answer(place):
    """The host leaves all the same, within the time that a package's removal has, and says so."""
    both = Pair(place)
    both.agent.start()
    both.activate()
    both.console.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    said = leave(both)
    both.console.process.send_signal(signal.SIGCONT)
    assert time.monotonic() - begun < 10
    assert "could not be told" in said and "within 8 seconds" in said, said
    assert both.console_status()["state"] == "none", both.console_status()
    both.activate()
    both.console.stop()
    said = leave(both)
    assert "could not be told" in said and "within" not in said, said


def reset(both, *options, accept=0):
    done = subprocess.run([os.path.join(agents.PROGRAMS, "yaguractl"), "--config", both.agent.config, "reset", *options],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=agents.SECONDS, check=False)
    assert done.returncode == accept, done
    return done.stdout + done.stderr


def test_an_image_of_this_computer(place):
    """After a reset the next start is a new computer's; nothing of the old one is left to it."""
    both = Pair(place)
    both.agent.start()
    both.activate()
    first, epoch = both.console_status()["agent_id"], both.agent.status()["store"]["epoch"]
    path = both.nudge()
    both.agent.sync()
    both.agent.expect_gone(path)
    assert "the agent runs" in reset(both, accept=2)
    both.agent.stop()
    assert "holds 1 files" in reset(both, accept=2)
    protection = agents.put(os.path.join(both.agent.state, "protection"), b"sha256 salt digest")
    assert "protected" in reset(both, "--discard-quarantine", accept=2)
    os.unlink(protection)
    key = os.path.join(both.agent.state, "host.key")
    assert os.path.exists(os.path.join(both.agent.state, "console", "identity.json"))
    assert "Forgotten" in reset(both, "--discard-quarantine")
    assert os.listdir(both.agent.state) == ["agent.lock"], os.listdir(both.agent.state)
    assert "Forgotten" in reset(both)  # again
    both.agent.start()
    assert both.console_status()["state"] == "none", both.console_status()
    assert both.agent.status()["store"]["epoch"] != epoch and not both.agent.subjects("malware_found")
    both.activate()
    assert both.console_status()["agent_id"] != first
    assert os.path.exists(key) and not os.path.exists(path)
    assert both.admin.get(f"/api/v1/computers/{first}").status == 200, "the original's record stays"


def test_again_and_elsewhere(place):
    both = Pair(place)
    both.agent.start()
    both.activate()
    first = both.console_status()["agent_id"]
    assert first in both.activate(accept=(0,))  # already: nothing changes
    both.agent.control("deactivate")
    assert both.console_status()["state"] == "none", both.console_status()
    assert not os.path.exists(os.path.join(both.agent.state, "console", "identity.json"))
    assert both.admin.get(f"/api/v1/computers/{first}").json["status"] == "Deactivated", "the console was not told"
    both.activate()
    # Another console: its revisions begin anew, and its policy comes into force.
    other = Pair(place, agent=both.agent)
    other.activate()
    other.nudge()
    other.until(lambda: other.computer()["policy_in_force"], "the other console's policy")


def test_deactivated_by_the_console(place):
    both = Pair(place)
    both.agent.start()
    both.activate()
    first = both.console_status()["agent_id"]
    both.admin.post(f"/api/v1/computers/{first}/deactivate", expect=None)
    both.nudge()
    both.until(lambda: both.console_status()["state"] in ("deactivated", "none"), "deactivation")
    both.activate()
    assert both.console_status()["state"] == "online"


def test_restart_comes_back_as_itself(place):
    both = Pair(place)
    both.agent.start()
    both.activate()
    first = both.console_status()["agent_id"]
    both.agent.stop()
    both.agent.start()
    assert both.console_status()["agent_id"] == first


def test_damaged_files_do_not_stop_the_agent(place):
    both = Pair(place)
    both.agent.start()
    both.activate()
    both.nudge()
    both.until(lambda: both.computer()["policy_in_force"], "the policy")
    both.agent.stop()
    folder = os.path.join(both.agent.state, "console")
    for name in ("identity.json", "orders.json", "console.json"):
        agents.put(os.path.join(folder, name), b"{\"agent_id\": 7")
    both.agent.start()
    both.until(lambda: len(both.agent.events("console_file_unreadable")) == 3, "each is told")
    both.activate()
    assert both.console_status()["state"] == "online"


def test_a_copied_disk_comes_back_as_a_new_computer(place):
    """Two hosts with one identity and no token: the first goes on, the other becomes itself."""
    both = Pair(place)
    both.agent.start()
    both.activate()
    first = both.console_status()["agent_id"]
    copy = place.agent(name="copy")
    shutil.copytree(os.path.join(both.agent.state, "console"), os.path.join(copy.state, "console"))
    copy.start()

    def computers():
        return {computer["id"] for computer in
                both.admin.get("/api/v1/computers").json["computers"]}

    def are_two():  # the console is sure of a copy after 30 s, which have passed
        both.console.query("UPDATE computers SET session_ms = session_ms - 60000")
        return len(computers()) == 2

    both.until(are_two, "the copy is a computer of its own")
    both.until(lambda: {both.agent.status()["console"]["agent_id"],
                        copy.status()["console"]["agent_id"]} == computers(), "each has its name")
    mover = copy if copy.status()["console"]["agent_id"] != first else both.agent
    assert mover.events("activated_as_copy")
    for agent in (both.agent, copy):
        path = agents.put(os.path.join(agent.watched, "malware"), agents.EICAR)
        both.until(lambda: [event for event in both.events("&kind=malware_found")
                            if event["subject"] == path], "its detection")
    kinds = [event["kind"] for event in both.events()]
    assert "clone_seen" in kinds and "activated_as_clone" in kinds, kinds


def test_a_copy_on_another_board_becomes_a_new_computer(place):
    """The same disk, the same machine-id, another machine: by the firmware's number alone, and only once."""
    agents.own_mounts()
    subprocess.run(["mount", "-t", "tmpfs", "none", "/sys/class"], check=True)
    place.cleanups.append(lambda: subprocess.run(["umount", "-l", "/sys/class"], check=False))
    os.makedirs("/sys/class/dmi/id")
    board = "/sys/class/dmi/id/product_uuid"
    agents.put(board, b"11111111-2222-3333-4444-555555555555\n")
    both = Pair(place)
    both.agent.start()
    both.activate()
    both.nudge()
    both.until(lambda: both.computer()["policy_in_force"], "the policy")
    first = both.console_status()["agent_id"]
    both.agent.stop()
    both.agent.start()
    assert not both.agent.events("identity_of_other_host")
    both.agent.stop()
    agents.put(board, b"99999999-2222-3333-4444-555555555555\n")
    both.agent.start()
    assert both.agent.events("identity_of_other_host")[0]["severity"] == "high"
    both.nudge()
    both.until(lambda: both.console_status()["agent_id"] not in ("", first), "a name of its own")
    second = both.console_status()["agent_id"]
    both.until(lambda: [event for event in both.events() if event["kind"] == "activated_as_clone"], "the console tells")
    both.agent.stop()
    both.agent.start()
    both.until(lambda: both.console_status()["state"] == "online", "the console")
    assert both.console_status()["agent_id"] == second
    assert len(both.agent.events("identity_of_other_host")) == 1
    assert len(both.admin.get("/api/v1/computers").json["computers"]) == 2


if __name__ == "__main__":
    agents.main()
