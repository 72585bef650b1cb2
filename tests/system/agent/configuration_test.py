"""Configuration, policies and signatures that are wrong, missing, or change while the agent runs."""
import hashlib
import os
import shutil
import signal

import harness
from harness import CLEAN, EICAR, put


def test_a_broken_configuration_is_refused_with_its_line(place):
    agent = place.agent()
    put(agent.config, b'state_directory = "/somewhere";\nruntime_directory = ;\n')
    agent.start(ready=False)
    assert agent.wait() != 0
    assert "configuration_refused" in agent.log_end() and ":2" in agent.log_end(), agent.log_end()
    agent.write_config(no_such_key="x")
    agent.start(ready=False)
    assert agent.wait() != 0
    assert "no_such_key" in agent.log_end(), agent.log_end()


def test_a_broken_policy_at_the_start_is_refused(place):
    agent = place.agent()
    put(agent.policy, b"scan : { workers = 1000; };\n")
    agent.start(ready=False)
    assert agent.wait() != 0
    assert "scan.workers" in agent.log_end(), agent.log_end()


def test_a_broken_policy_later_leaves_the_old_one_in_force(place):
    agent = place.agent().start()
    put(agent.policy, b"watch : { paths = 5; };\n")
    with agent.following() as events:
        agent.control("reload", accept=(1, 2))
        events.wait("policy_refused")
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    agent.sync()
    agent.expect_found(bad)


def test_a_new_policy_is_obeyed_without_losing_watches(place):
    agent = place.agent(respond__action="pass").start()
    first = put(os.path.join(agent.watched, "first"), EICAR)
    agent.sync()
    assert os.path.exists(first)
    before = agent.status()["watch"]["directories_watched"]
    other = place.folder("other")
    agent.set_policy(respond__action="delete", watch__paths=[agent.watched, other],
                     watch__exclude_extensions=["skip"])
    agent.control("reload")
    second = put(os.path.join(agent.watched, "second"), EICAR)
    third = put(os.path.join(other, "third"), EICAR)
    skipped = put(os.path.join(agent.watched, "x.skip"), EICAR)
    agent.sync()
    agent.expect_gone(second, third)
    assert os.path.exists(skipped)
    assert agent.status()["watch"]["directories_watched"] > before
    agent.process.send_signal(signal.SIGHUP)
    agent.expect_found(first, second, third)


def test_files_wait_for_signatures(place):
    """No database: nothing is called clean; once there is one, everything gets its verdict."""
    databases = place.folder("databases")
    agent = place.agent(databases=[databases]).start()
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    good = put(os.path.join(agent.watched, "good"), CLEAN)
    status = agent.until(lambda now: now["scanner"]["state"] == "no-signatures", "no signatures")
    assert status["scan"]["clean"] == 0 and status["state"] != "protecting", status
    for name in sorted(os.listdir(harness.SIGNATURES)):
        if name.endswith((".ndb", ".hdb")):
            shutil.copy(os.path.join(harness.SIGNATURES, name), os.path.join(databases, name + ".part"))
            os.rename(os.path.join(databases, name + ".part"), os.path.join(databases, name))
    agent.sync()
    agent.expect_found(bad)
    assert os.path.exists(good)
    assert agent.status()["scan"]["clean"] >= 1


def test_a_broken_database_leaves_the_old_engine_working(place):
    databases = place.folder("databases")
    shutil.copy(os.path.join(harness.SIGNATURES, "yagura-demo.ndb"), databases)
    agent = place.agent(databases=[databases]).start()
    with agent.following() as events:
        events.wait("scanner_ready")
        put(os.path.join(databases, "broken.part"), b"this is\x00no signature\n" * 10)
        os.rename(os.path.join(databases, "broken.part"), os.path.join(databases, "broken.ndb"))
        events.wait("scanner_problem")
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    agent.sync()
    agent.expect_found(bad)
    assert agent.status()["scanner"]["problem"]


def test_a_missing_watched_folder_is_waited_for(place):
    agent = place.agent()
    later = os.path.join(place.root, "later/than/start")
    agent.set_policy(watch__paths=[agent.watched, later])
    agent.start()
    agent.sync()
    os.makedirs(later)
    bad = put(os.path.join(later, "bad"), EICAR)
    agent.sync()
    agent.expect_found(bad)


def test_two_agents_at_once(place):
    first = place.agent().start()
    second = harness.Agent(place)
    place.agents.append(second)
    second.start(ready=False)
    assert second.wait() != 0
    assert "already_running" in second.log_end(), second.log_end()
    other = place.agent(name="other")
    other.start()
    bad = put(os.path.join(first.watched, "bad"), EICAR)
    first.sync()
    other.sync()
    told = first.subjects("malware_found") + other.subjects("malware_found")
    assert harness.escaped(bad) in told
    first.expect_gone(bad)


def test_a_denied_hash_makes_a_file_malware(place):
    denied = b"a tool that nobody should have here\n"
    agent = place.agent().start()
    harmless = put(os.path.join(agent.watched, "before"), denied)
    agent.sync()
    assert os.path.exists(harmless)
    reloads = agent.status()["scanner"]["reloads"]
    agent.set_policy(respond__deny_hashes=[hashlib.sha256(denied).hexdigest()])
    agent.control("reload")
    agent.until(lambda status: status["scanner"]["reloads"] > reloads, "the list was not loaded")
    fresh = put(os.path.join(agent.watched, "after"), denied)
    agent.sync()
    agent.expect_gone(fresh)
    signatures = {event["detail"]["signature"] for event in agent.events("malware_found")}
    assert signatures == {"Policy.Denied.Hash.UNOFFICIAL"}, signatures


def test_a_list_of_hashes_is_no_signature_database(place):
    empty = place.folder("no-signatures")
    agent = place.agent(databases=[empty], respond__deny_hashes=["0" * 64]).start()
    agent.until(lambda status: status["scanner"]["state"] == "no-signatures", "it took the list")
    status = agent.status()
    assert status["state"] == "degraded", status
    shutil.copy(os.path.join(harness.SIGNATURES, os.listdir(harness.SIGNATURES)[0]), empty)
    agent.until(lambda status: status["scanner"]["state"] == "ready", "the signatures were not seen")


def test_the_scanner_is_polite(place):
    agent = place.agent(agent__scanner_nice=7).start()
    agent.until(lambda status: status["scanner"]["state"] == "ready", "no scanner")
    nice = {os.getpriority(os.PRIO_PROCESS, pid) for pid in agent.scanner_pids()}
    assert nice == {os.getpriority(os.PRIO_PROCESS, agent.process.pid) + 7}, nice


if __name__ == "__main__":
    harness.main()
