"""With scan.idle_exit the signatures leave memory while there is nothing to scan. Nobody notices but by the
time of the next verdict."""
import json
import os
import shutil
import subprocess

import harness
from harness import CLEAN, EICAR, PROGRAMS, SECONDS, put


def resting(agent):
    return agent.until(lambda now: now["scanner"]["state"] == "resting", "at rest")


def test_the_engine_goes_and_the_next_file_brings_it_back(place):
    agent = place.agent(scan__idle_exit="1s").start()
    status = resting(agent)
    assert status["state"] == "protecting" and not status["problems"], status
    assert status["scanner"]["loader_pid"] == 0 and status["scanner"]["signatures"] > 0, status
    agent.until(lambda _: not agent.scanner_pids(), "no scanner's process")
    assert "resting" in agent.control("status")
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    agent.sync()
    agent.expect_found(bad)
    agent.expect_gone(bad)
    resting(agent)
    assert not agent.events("scan_error"), agent.events("scan_error")


def test_files_at_the_very_moment_are_scanned(place):
    """Written as the engine goes, while it is gone and as it comes back."""
    agent = place.agent(scan__idle_exit="100ms", respond__action="pass").start()
    written = []
    for turn in range(12):
        if turn % 3:
            resting(agent)
        for part in range(3):
            written.append(put(os.path.join(agent.watched, f"bad-{turn}-{part}"), EICAR))
            put(os.path.join(agent.watched, f"good-{turn}-{part}"), CLEAN)
        if turn % 2:
            agent.sync()
    agent.sync()
    agent.expect_found(*written)
    status = resting(agent)
    assert status["scan"]["errors"] == 0 and status["scanner"]["crashed"] == 0, status
    assert status["scan"]["clean"] + status["scan"]["cached"] >= 36, status["scan"]


def test_the_self_test_neither_wakes_it_nor_misses_it(place):
    agent = place.agent(scan__idle_exit="2s", health__interval="1s").start()
    agent.until(lambda now: now["health"]["self_test"] == "passed", "self-test")
    status = resting(agent)
    reloads, rounds = status["scanner"]["reloads"], status["health"]["rounds"]
    status = agent.until(lambda now: now["health"]["rounds"] >= rounds + 5, "rounds")
    assert status["scanner"]["state"] == "resting", status["scanner"]
    assert status["scanner"]["reloads"] == reloads, status["scanner"]
    assert status["health"]["silent"] == status["health"]["unscanned"] == 0, status["health"]
    assert status["state"] == "protecting" and status["health"]["self_test"] == "passed", status
    assert {event["kind"] for event in agent.events()
            if event["module"] == "health"} == {"self_test_passed"}
    agent.control("self-test", "--mounts")
    assert agent.status()["scanner"]["reloads"] == reloads + 1
    resting(agent)


def test_new_signatures_are_loaded_and_tried_once(place):
    databases = place.folder("signatures")
    for name in os.listdir(harness.SIGNATURES):
        shutil.copy(os.path.join(harness.SIGNATURES, name), databases)
    agent = place.agent(databases=[databases], scan__idle_exit="1s", health__interval="1s").start()
    before = resting(agent)["scanner"]
    put(os.path.join(databases, "custom.ndb"), b"Custom.Hello:0:*:68656c6c6f207265737420776f726c64\n")
    agent.until(lambda now: now["scanner"]["generation"] != before["generation"], "loaded")
    after = resting(agent)
    assert after["scanner"]["signatures"] == before["signatures"] + 1, after["scanner"]
    agent.until(lambda _: len(agent.events("self_test_passed")) == 2, "tried with the test file")
    resting(agent)
    hello = put(os.path.join(agent.watched, "hello"), b"hello rest world")
    agent.sync()
    agent.expect_found(hello)


def test_a_scan_that_is_asked_for_waits_for_it(place):
    agent = place.agent(scan__idle_exit="1s", watch__enabled=False).start()
    elsewhere = place.folder("elsewhere")
    put(os.path.join(elsewhere, "bad"), EICAR)
    resting(agent)
    status, lines, totals = agent.scan(elsewhere)
    assert status == 1 and totals["infected"] == 1 and totals["errors"] == 0, lines


def held_programs(place, hold):
    """Programs whose scanner does not begin to load while there is a file of that name."""
    folder = place.folder("programs")
    for name in ("yagura-messenger", "yagura-guard", "yagura-inspector"):
        shutil.copy(os.path.join(PROGRAMS, name), folder)
    scanner = os.path.join(folder, "yagura-scanner")
    with open(scanner, "w", encoding="ascii") as stream:
        stream.write(f"#!/bin/sh\nwhile [ -e '{hold}' ]; do /bin/sleep 0.1; done\n"
                     f"exec '{PROGRAMS}/yagura-scanner' \"$@\"\n")
    os.chmod(scanner, 0o755)
    return folder


def test_while_it_comes_back_it_is_ready_and_the_self_test_waits(place):
    hold = os.path.join(place.root, "hold")
    agent = place.agent(scan__idle_exit="1s")
    agent.write_config(program_directory=held_programs(place, hold))
    agent.start()
    resting(agent)
    put(hold, b"")
    put(os.path.join(agent.watched, "first"), CLEAN)
    status = agent.until(lambda now: now["scanner"]["state"] == "loading", "on its way back")
    assert status["state"] == "protecting" and not status["problems"], status
    assert "yagura_scanner_ready 1\n" in agent.control("metrics")
    with subprocess.Popen([os.path.join(PROGRAMS, "yaguractl"), "--socket", agent.socket, "--json", "self-test",
                           "--mounts"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as test:
        agent.until(lambda _: test.poll() is not None or
                    any(name.startswith(".yagura-marker-") for name in os.listdir(agent.watched)), "test files")
        os.unlink(hold)
        said = [json.loads(line) for line in test.communicate(timeout=SECONDS)[0].splitlines()]
    assert test.returncode == 0 and all(step["passed"] for step in said if "step" in step), said
    places = [row for row in said if row.get("directory") == agent.watched]
    assert places and places[0]["verdict_ns"] > 0, said


def test_a_problem_says_what_is_true_at_rest(place):
    databases = place.folder("signatures")
    for name in os.listdir(harness.SIGNATURES):
        shutil.copy(os.path.join(harness.SIGNATURES, name), databases)
    put(os.path.join(databases, "broken.ndb"), b"this is no signature\n")
    agent = place.agent(databases=[databases], scan__idle_exit="1s").start()
    problem, = resting(agent)["problems"]
    assert "broken.ndb" in problem["problem"] and "files wait" in problem["cure"], problem
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    agent.sync()
    agent.expect_found(bad)
    agent.set_policy(scan__idle_exit="0s")
    agent.control("reload")
    status = agent.until(lambda now: now["scanner"]["state"] == "ready", "there again")
    problem, = status["problems"]
    assert "broken.ndb" in problem["problem"] and "stay in use" in problem["cure"], problem


def test_without_the_setting_it_stays_and_comes_back(place):
    agent = place.agent(scan__idle_exit="1s").start()
    resting(agent)
    agent.set_policy(scan__idle_exit="0s")
    agent.control("reload")
    agent.until(lambda now: now["scanner"]["state"] == "ready" and now["scanner"]["workers"] == 2,
                "there again")


if __name__ == "__main__":
    harness.main()
