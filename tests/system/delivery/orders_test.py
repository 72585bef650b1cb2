"""Policies and commands of the console, and what the agent makes of them."""
import ctypes
import json
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, agents  # noqa: E402


def joined(place, **more):
    both = Pair(place, **more)
    both.agent.start()
    both.activate()
    both.nudge()
    both.until(lambda: both.computer()["policy_in_force"], "the first policy")
    return both


def test_a_policy_reaches_the_agent(place):
    both = joined(place)
    second = place.folder("second")
    both.put_policy("test", both.policy_text(watch__paths=[both.watched, second]))
    both.until(lambda: not both.computer()["policy_in_force"] or
               second in both.agent.control("policy", "show"), "the edit is seen")
    both.until(lambda: both.computer()["policy_in_force"], "the edit's result")
    assert second in both.agent.control("policy", "show")
    path = agents.put(os.path.join(second, "eicar"), agents.EICAR)
    both.agent.sync()
    assert path in both.agent.subjects("malware_found")
    folders = [name for name in os.listdir(os.path.join(both.agent.state, "console"))
               if name.startswith("policy-")]
    assert len(folders) == 1, folders
    both.agent.stop()
    both.agent.start()
    assert second in both.agent.control("policy", "show")
    both.agent.control("deactivate")  # the local one again
    both.until(lambda: second not in both.agent.control("policy", "show"), "the local policy")


def test_a_policy_that_cannot_be_applied_changes_nothing(place):
    """The console's parser lets nothing wrong through: the wrong text is put into its database."""
    both = joined(place)
    before = both.agent.control("policy", "show")
    if both.console.database:
        raise agents.Skip("needs the built-in store")
    digest = json.load(open(os.path.join(both.agent.state, "console", "orders.json"),
                            encoding="utf-8"))["policy_digest"]
    body = json.dumps([{"name": "test", "text": "watch = {\n  unknown_key = 1;\n};\n"}])
    import sqlite3
    import contextlib
    with contextlib.closing(sqlite3.connect(both.console.data + "/console.db", timeout=20)) as base:
        with base:
            columns = [row[1] for row in base.execute("PRAGMA table_info(policy_bodies)")]
            assert "body" in columns and "digest" in columns, columns
            base.execute("INSERT INTO policy_bodies (digest, body) VALUES (?, ?)",
                         ("f" * 64, body))
            base.execute("UPDATE computers SET policy_digest = ?, policy_revision ="
                         " policy_revision + 1 WHERE policy_digest = ?", ("f" * 64, digest))
    both.nudge()
    both.until(lambda: both.computer()["policy_problem"], "the refusal")
    problem = both.computer()["policy_problem"]
    assert "test.conf:2" in problem and "unknown_key" in problem, problem
    assert both.agent.control("policy", "show") == before
    assert len(both.agent.events("order_refused")) == 1
    both.put_policy("test", both.policy_text(scan__heuristics=False))
    both.nudge()
    both.until(lambda: both.computer()["policy_in_force"], "the cure")
    assert both.computer()["policy_problem"] == ""


def test_commands(place):
    both = joined(place)
    other = place.folder("other")
    path = agents.put(os.path.join(other, "eicar"), agents.EICAR)
    done = both.command("scan", path=other)
    assert done["state"] == "done" and json.loads(done["output"])["infected"] == 1, done
    assert not os.path.exists(path)
    listed = json.loads(both.command("quarantine_list")["output"])
    entry = [item for item in listed if item["path"] == path][0]
    assert both.command("quarantine_restore", id=entry["id"])["state"] == "done"
    assert os.path.exists(path)
    allowed = agents.put(os.path.join(both.watched, "allowed"), agents.EICAR + b"\n")
    both.agent.sync()
    held = [item for item in json.loads(both.command("quarantine_list")["output"]) if item["path"] == allowed][0]
    assert both.command("quarantine_restore", id=held["id"], exclude=True)["state"] == "done"
    both.agent.sync()
    assert os.path.exists(allowed), "what a person excluded was taken away again"
    nudged = [item for item in listed if item["path"] != path][0]
    assert both.command("quarantine_delete", id=nudged["id"])["state"] == "done"
    assert both.command("quarantine_delete", id=nudged["id"])["state"] == "failed"
    assert both.command("cancel")["state"] == "done"
    assert both.command("heartbeat")["state"] == "done"
    assert both.command("update_signatures")["state"] == "done"
    unknown = both.command("rebuild_baseline")
    assert unknown["state"] == "failed" and "monitoring is off" in unknown["output"], unknown
    for off in (both.command("maintenance", minutes="30"), both.command("learn_programs")):
        assert off["state"] == "failed" and "application control is off" in off["output"], off
    refused = both.command("maintenance", minutes="a while")
    assert refused["state"] == "failed" and "0 to 1440" in refused["output"], refused
    left = both.command("deactivate")
    assert left["state"] == "done"
    both.until(lambda: both.console_status()["agent_id"] == "", "the identity is gone")
    assert both.shown(left["id"])["state"] == "done"  # the console keeps what it was asked


def program(path, more):
    """One of its own, which no inventory knows."""
    shutil.copyfile("/bin/true", path)
    with open(path, "ab") as stream:
        stream.write(more)
    os.chmod(path, 0o755)
    return path


def can_run(path):
    try:
        return subprocess.run([path], check=False).returncode == 0
    except PermissionError:
        return False


def test_programs_are_learned_and_maintained_from_the_console(place):
    libc = ctypes.CDLL(None, use_errno=True)
    fanotify = libc.fanotify_init(0x05, os.O_RDONLY)  # what the guard asks for
    if fanotify < 0:
        raise agents.Skip(f"no fanotify permission events here: {os.strerror(ctypes.get_errno())}")
    os.close(fanotify)
    agents.own_mounts()
    folder = os.path.join(place.root, "programs")
    agents.mount_tmpfs(place, folder, "mode=0777")
    both = joined(place)
    both.put_policy("test", both.policy_text(application_control__mode="block", application_control__paths=[folder],
                                             application_control__trust_packages=False))

    def is_in(state):
        control = both.agent.status()["application_control"]
        return control["state"] == state and control["guard_pid"] and not control["walking"]
    both.until(lambda: is_in("working"), "application control")
    before = program(os.path.join(folder, "before"), b"0")
    assert not can_run(before)

    begun = both.command("maintenance", minutes="30")
    assert begun["state"] == "done" and "every program runs" in begun["output"], begun
    both.until(lambda: is_in("maintenance"), "maintenance")
    brought = program(os.path.join(folder, "brought"), b"1")
    assert can_run(brought) and "console" in json.dumps(both.agent.events("maintenance_started"))
    ended = both.command("maintenance", minutes="0")
    assert ended["state"] == "done" and ended["output"] == "it ends", ended
    both.until(lambda: is_in("working"), "its end")
    after = program(os.path.join(folder, "after"), b"2")
    assert can_run(brought) and not can_run(after), "what maintenance brought runs, and nothing else"

    learned = both.command("learn_programs")
    assert learned["state"] == "done" and "learned anew" in learned["output"], learned
    both.until(lambda: is_in("working") and can_run(after), "what is there now is known")
    assert not can_run(program(os.path.join(folder, "later"), b"3"))


def test_the_baseline_is_approved_from_the_console(place):
    both = joined(place)
    folder = place.folder("monitored")
    path = agents.put(os.path.join(folder, "config"), b"one")
    both.put_policy("test", both.policy_text(integrity__enabled=True, integrity__paths=[folder],
                                             integrity__interval="0s"))
    both.nudge()
    both.until(lambda: both.agent.events("baseline_built"), "the baseline")
    agents.put(path, b"two")
    both.agent.sync()
    assert both.agent.status()["integrity"]["changed"] == 1
    assert [event["subject"] for event in both.agent.events("integrity_updated")] == [path]
    answer = both.command("rebuild_baseline")
    assert answer["state"] == "done" and json.loads(answer["output"])["approved"] == 1, answer
    assert both.agent.status()["integrity"]["changed"] == 0
    rebuilt = both.agent.events("baseline_rebuilt")
    assert len(rebuilt) == 1 and "console" in json.dumps(rebuilt[0]), rebuilt


def test_a_protected_agent_stays_until_the_console_releases_it(place):
    both = joined(place)
    unprotected = both.command("release_protection")
    assert unprotected["state"] == "failed" and "not protected" in unprotected["output"]
    both.put_policy("test", both.policy_text(protection__enabled=True))
    both.until(lambda: both.agent.status()["protected"], "the protection")
    said = os.path.join(both.agent.state, "protection")
    assert os.path.exists(said) and os.stat(said).st_mode & 0o777 == 0o600
    both.agent.control("deactivate", accept=(2,))
    both.agent.stop()
    refused = subprocess.run([os.path.join(agents.PROGRAMS, "yaguractl"), "--config", both.agent.config, "reset"],
                             stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert refused.returncode == 2 and b"release_protection" in refused.stderr, refused
    both.agent.start()
    stopped = both.agent.events("agent_stopped")[-1]
    assert stopped["severity"] == "high" and stopped["detail"]["protected"] is True, stopped
    assert both.agent.status()["protected"]
    released = both.command("release_protection")
    assert released["state"] == "done", released
    both.until(lambda: not os.path.exists(said), "the file goes")
    assert not both.agent.status()["protected"]
    assert both.agent.events("protection_released")[0]["severity"] == "high"
    both.agent.control("deactivate")


def test_a_command_is_done_once(place):
    """Its result is lost with the agent; sent again it is not done again, and that is said."""
    both = joined(place)
    identifier = both.command("quarantine_list")["id"]
    both.console.stop()
    import sqlite3
    import contextlib
    with contextlib.closing(sqlite3.connect(both.console.data + "/console.db", timeout=20)) as base:
        with base:
            base.execute("UPDATE commands SET state = 'delivered', delivered_ms = 0, output = ''"
                         " WHERE id = ?", (identifier,))
    both.restart_console()
    path = f"/api/v1/computers/{both.console_status()['agent_id']}/commands"
    both.until(lambda: both.admin.get(path).json["commands"][0]["state"] == "failed", "the answer")
    assert "before" in both.admin.get(path).json["commands"][0]["output"]


if __name__ == "__main__":
    agents.main()
