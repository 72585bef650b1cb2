"""The agent's own files: whoever changes them is told of, with what was before, also when no agent ran."""
import os
import shutil

import harness

HELPERS = ("yagura-scanner", "yagura-inspector", "yagura-messenger", "yagura-guard")


def agent_with_helpers(place):
    """Programs of its own, so that they can be tampered with."""
    folder = place.folder("programs")
    for name in HELPERS:
        shutil.copy(os.path.join(harness.PROGRAMS, name), folder)
    agent = place.agent(protection__check_interval="1s")
    agent.write_config(program_directory=folder)
    return agent, folder


def replace(path, content):
    """As attackers and editors do: another file under the name."""
    with open(path + ".new", "wb") as stream:
        stream.write(content)
    os.chmod(path + ".new", 0o755)
    os.rename(path + ".new", path)


def looked(agent):
    """A whole look began and ended after this was called."""
    seen = agent.status()["tamper"]["passes"]
    agent.until(lambda status: status["tamper"]["passes"] >= seen + 2, "another look")


def changes(agent):
    return {event["subject"]: event for event in agent.events("own_file_changed")}


def test_changes_are_told_with_what_was_before(place):
    agent, folder = agent_with_helpers(place)
    agent.start()
    looked(agent)
    assert not changes(agent), changes(agent)
    assert agent.status()["tamper"]["files"] >= len(HELPERS) + 3
    guard = os.path.join(folder, "yagura-guard")
    replace(guard, b"#!/bin/sh\n")
    with open(agent.config, "a", encoding="utf-8") as stream:
        stream.write("# mine\n")
    replace(os.path.join(folder, "yagura-more"), b"what is this")
    looked(agent)
    told = changes(agent)
    assert sorted(told) == sorted([guard, agent.config, os.path.join(folder, "yagura-more")]), told
    detail = told[guard]["detail"]
    assert told[guard]["severity"] == "high" and detail["what"] == "program" and "content" in detail["changed"], told[guard]
    assert detail["before"]["sha256"] != detail["after"]["sha256"] and detail["while_away"] is False, detail
    assert told[agent.config]["severity"] == "medium" and told[agent.config]["detail"]["what"] == "configuration", told
    assert "before" not in told[os.path.join(folder, "yagura-more")]["detail"]
    looked(agent)
    assert len(agent.events("own_file_changed")) == 3, "each is told once"


def test_what_happened_while_no_agent_ran(place):
    agent, folder = agent_with_helpers(place)
    agent.start()
    looked(agent)
    agent.kill()
    guard = os.path.join(folder, "yagura-guard")
    os.unlink(guard)
    agent.start()
    looked(agent)
    told = changes(agent)
    assert list(told) == [guard] and told[guard]["detail"]["while_away"] is True, told
    assert "after" not in told[guard]["detail"], told
    agent.stop()
    agent.start()
    looked(agent)
    assert len(agent.events("own_file_changed")) == 1


def test_who_stopped_it(place):
    agent, _ = agent_with_helpers(place)
    agent.set_policy(protection__enabled=True)
    agent.start()
    agent.stop()
    agent.start()
    assert not agent.events("agent_died")
    stopped = agent.events("agent_stopped")[-1]
    detail = stopped["detail"]
    assert stopped["severity"] == "high" and detail["protected"] is True and detail["signal"] == "Terminated", stopped
    assert detail["by"]["pid"] == os.getpid() and detail["uid"] == os.getuid() and "python" in detail["by"]["executable"], stopped
    agent.kill()
    agent.start()
    died = agent.events("agent_died")
    assert len(died) == 1 and died[0]["severity"] == "high" and died[0]["detail"]["started"], died
    agent.stop()
    agent.start()
    assert len(agent.events("agent_died")) == 1


def test_another_database(place):
    agent, _ = agent_with_helpers(place)
    agent.start()
    looked(agent)
    database = os.path.join(agent.state, "events.db")
    shutil.copy(database, database + ".old")
    os.rename(database + ".old", database)
    looked(agent)
    assert agent.status()["tamper"]["database_replaced"] is True
    assert any(problem["module"] == "tamper" for problem in agent.status()["problems"]), agent.status()["problems"]
    assert "own_file_changed" in agent.log_end(), agent.log_end()


if __name__ == "__main__":
    harness.main()
