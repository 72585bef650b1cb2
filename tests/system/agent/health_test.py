"""The agent finds out by use whether its sensors work, and says so."""
import contextlib
import ctypes
import functools
import json
import os
import resource
import shutil
import signal
import time

import harness
from harness import EICAR, escaped, put

PREFIX = ".yagura-marker-"


def rounds(agent, count=1):
    return agent.until(lambda now: now["health"]["rounds"] >= count, f"{count} rounds")


def markers_below(folder):
    return [name for name in os.listdir(folder) if name.startswith(PREFIX)]


def test_files_pass_through_the_whole_path_and_nobody_sees_them(place):
    agent = place.agent(health__interval="1s", integrity__enabled=True,
                        integrity__paths=[place.folder("watched")]).start()
    status = rounds(agent, 3)
    health = status["health"]
    assert health["self_test"] == "passed" and health["places"] >= 1, health
    assert health["silent"] == health["unscanned"] == 0, health
    assert 0 < health["seen_ns"] <= health["verdict_ns"], health
    assert status["state"] == "protecting" and not status["problems"], status
    agent.set_policy(health__interval="0s")
    agent.control("reload")
    agent.sync()
    assert status["scan"]["infected"] == 0, status["scan"]
    told = [event for event in agent.events() if event["module"] != "health"]
    assert not [event for event in told if PREFIX in event["subject"]], told
    assert not {event["module"] for event in told} & {"malware", "quarantine"}, told
    assert [event["kind"] for event in agent.events() if event["module"] == "health"] == [
        "self_test_passed"]
    assert not markers_below(agent.watched)


def test_malware_beside_the_files_is_malware(place):
    """A name like ours exempts nothing."""
    agent = place.agent().start()
    bad = put(os.path.join(agent.watched, PREFIX + "0123456789abcdef"), EICAR)
    agent.sync()
    agent.expect_found(bad)
    agent.expect_gone(bad)


def test_every_watched_mount_is_tried(place):
    harness.own_mounts()
    agent = place.agent()
    inner = os.path.join(agent.watched, "inner")
    locked = os.path.join(agent.watched, "locked")
    left = os.path.join(agent.watched, "left")
    for path in inner, locked, left:
        harness.mount_tmpfs(place, path)
    harness.subprocess.run(["mount", "-o", "remount,ro", locked], check=True)
    agent.set_policy(watch__exclude_directories=[left + "/"])
    agent.start()
    agent.until(lambda now: now["state"] == "protecting", "ready")
    answer = [json.loads(line)
              for line in agent.control("--json", "self-test", "--mounts").splitlines()]
    outcomes = {row["directory"]: row["outcome"] for row in answer if "directory" in row}
    assert outcomes[inner] == "passed" and outcomes[locked] == "untried", outcomes
    assert outcomes[agent.watched] == "passed" and left not in outcomes, outcomes
    # No round pins what it tried; the scanner may have the file open a moment longer.
    agent.until(lambda _: harness.subprocess.run(["umount", inner], check=False).returncode == 0,
                "unmounted")


def silence(pid, folders):
    """Takes the kernel's watches of the folders from the agent while it stands still, and what is told
    about that: a sensor that lives and will never say anything."""
    libc = ctypes.CDLL(None, use_errno=True)
    inodes = {os.stat(folder).st_ino for folder in folders}
    pidfd, taken = os.pidfd_open(pid), 0
    os.kill(pid, signal.SIGSTOP)
    os.waitid(os.P_PID, pid, os.WSTOPPED)
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            with open(f"/proc/{pid}/fdinfo/{name}", encoding="ascii") as stream:
                watches = [dict(word.split(":", 1) for word in line.split()[1:] if ":" in word)
                           for line in stream if line.startswith("inotify")]
            wanted = [int(watch["wd"], 16) for watch in watches if int(watch["ino"], 16) in inodes]
            if not wanted:
                continue
            fd = libc.syscall(438, pidfd, int(name), 0)  # pidfd_getfd
            if fd < 0:
                raise harness.Skip(f"no descriptor of another: {os.strerror(ctypes.get_errno())}")
            taken += sum(libc.inotify_rm_watch(fd, key) == 0 for key in wanted)
            with contextlib.suppress(BlockingIOError):
                while os.read(fd, 65536):
                    pass
            os.close(fd)
    finally:
        os.kill(pid, signal.SIGCONT)
        os.close(pidfd)
    return taken


def test_a_silent_watch_is_reported_and_started_anew(place):
    agent = place.agent(health__interval="1s", health__patience="1s")
    folders = [agent.watched] + [place.folder(os.path.join("watched", name)) for name in "abc"]
    agent.start()
    rounds(agent)
    with agent.following() as follower:
        assert silence(agent.process.pid, folders) == len(folders)
        silent = follower.wait("sensor_silent")
        assert silent["severity"] == "high" and silent["subject"] == escaped(agent.watched), silent
        assert follower.wait("sensor_restarted")["subject"] == "watch"
        follower.wait("sensor_recovered")
    status = agent.until(lambda now: now["state"] == "protecting", "well again")
    assert status["health"]["restarts"] == 1, status["health"]
    bad = put(os.path.join(agent.watched, "a", "bad"), EICAR)
    agent.sync()
    agent.expect_found(bad)


def wait_for(agent, holds, what):
    """Of what can be seen from outside."""
    deadline = time.monotonic() + harness.SECONDS
    while not holds():
        agent.expect_alive()
        assert time.monotonic() < deadline, f"not within {harness.SECONDS} s: {what}: {agent.log_end()}"


def test_a_watch_is_started_when_there_are_descriptors_again(place):
    """None can be started in the place of the silent one: the agent stays, says so, and starts it later."""
    agent = place.agent(health__interval="0s", health__patience="5s").start()
    agent.until(lambda now: now["state"] == "protecting", "ready")
    pid = agent.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    with agent.following() as follower:
        assert silence(pid, [agent.watched]) == 1
        with harness.subprocess.Popen(
                [os.path.join(harness.PROGRAMS, "yaguractl"), "--socket", agent.socket, "self-test", "--mounts"],
                stdin=harness.subprocess.DEVNULL, stdout=harness.subprocess.DEVNULL,
                stderr=harness.subprocess.DEVNULL) as asking:
            wait_for(agent, lambda: markers_below(agent.watched), "a test file")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (3, before[1]))
            wait_for(agent, lambda: "watch_not_started" in agent.log_end(), "it is said")
            resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
            assert asking.wait(timeout=harness.SECONDS) != 0
        assert follower.wait("sensor_restarted")["subject"] == "watch"
    agent.until(lambda now: now["watch"]["complete"], "watched again")
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    agent.sync()
    agent.expect_found(bad)


def test_signatures_that_lack_eicar_degrade(place):
    empty = place.folder("signatures")
    put(os.path.join(empty, "one.hdb"), b"44d88612fea8a8f36de82e1278abb02e:99999:Other.File\n")
    agent = place.agent(databases=[empty], health__interval="1s", health__patience="1s").start()
    with agent.following() as follower:
        assert follower.wait("self_test_failed")["severity"] == "high"
    status = agent.until(lambda now: now["health"]["self_test"] == "failed", "it fails")
    assert status["state"] == "degraded", status
    problem = next(each for each in status["problems"] if each["module"] == "health")
    assert "EICAR" in problem["problem"] and "freshclam" in problem["cure"], problem


def self_test(agent, code):
    return [json.loads(line) for line in
            agent.control("--json", "self-test", "--mounts", accept=(code,)).splitlines()]


def test_nothing_tried_is_nothing_proved(place):
    harness.own_mounts()
    agent = place.agent(health__interval="0s")
    locked = os.path.join(agent.watched, "locked")
    harness.mount_tmpfs(place, locked)
    harness.subprocess.run(["mount", "-o", "remount,ro", locked], check=True)
    agent.set_policy(watch__paths=[locked])
    agent.start()
    agent.until(lambda now: now["state"] == "protecting", "ready")
    assert [row["outcome"] for row in self_test(agent, 1) if "outcome" in row] == ["untried"]
    agent.set_policy(watch__exclude_directories=[locked + "/"])
    agent.control("reload")
    assert not [row for row in self_test(agent, 1) if "outcome" in row]


def test_a_policy_that_wants_rounds_is_noticed(place):
    """After an asked round without an interval the next one would never be due."""
    agent = place.agent(health__interval="0s").start()
    agent.until(lambda now: now["state"] == "protecting", "ready")
    self_test(agent, 0)
    agent.set_policy(health__interval="1s")
    agent.control("reload")
    rounds(agent, 3)


def test_a_watched_directory_that_cannot_be_opened_is_a_problem(place):
    agent = place.agent(health__interval="0s").start()
    agent.until(lambda now: now["state"] == "protecting", "ready")
    os.rename(agent.watched, agent.watched + ".away")
    self_test(agent, 1)
    problem = next(each for each in agent.status()["problems"] if each["module"] == "health")
    assert "no watched mount" in problem["problem"], problem
    os.rename(agent.watched + ".away", agent.watched)


def go_on(handle):
    """What stands still cannot see that its agent has gone."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGCONT)
    os.close(handle)


def test_stopping_waits_for_no_self_test(place):
    agent = place.agent(health__interval="0s", health__patience="60s").start()
    agent.until(lambda now: now["state"] == "protecting", "ready")
    for pid in agent.hold_scanner():
        place.cleanups.append(functools.partial(go_on, os.pidfd_open(pid)))
    asked = harness.subprocess.Popen(
        [os.path.join(harness.PROGRAMS, "yaguractl"), "--socket", agent.socket, "self-test",
         "--mounts"], stdin=harness.subprocess.DEVNULL, stdout=harness.subprocess.DEVNULL)
    agent.until(lambda _: markers_below(agent.watched), "a test file")
    began = time.monotonic()
    agent.stop()
    assert time.monotonic() - began < 30  # as systemd would wait
    assert asked.wait(timeout=harness.SECONDS) != 0
    assert not markers_below(agent.watched)


def mount_freezable(place, path):
    """tmpfs cannot be frozen: a small ext4 in a file."""
    image = os.path.join(place.root, "image")
    with open(image, "wb") as stream:
        stream.truncate(8 << 20)
    os.makedirs(path)
    for command in (["mkfs.ext4", "-q", image], ["mount", "-o", "loop", image, path]):
        if not shutil.which(command[0]) or harness.subprocess.run(command, check=False).returncode:
            raise harness.Skip(f"{command[0]}: no file system that can be frozen")
    place.cleanups.append(lambda: harness.subprocess.run(["umount", path], check=False))


def is_stuck(pid):
    """Whether one of its threads waits for a file system."""
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError):
            with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii", errors="replace") as stream:
                if stream.read().rsplit(")", 1)[1].split()[0] == "D":
                    return True
    return False


def test_a_frozen_mount_holds_nobody_up(place):
    """As while its snapshot is taken: one thread waits there, and the rest goes on."""
    harness.own_mounts()
    agent = place.agent()
    frozen = os.path.join(agent.watched, "frozen")
    mount_freezable(place, frozen)
    agent.start()
    agent.until(lambda now: now["state"] == "protecting", "ready")
    harness.subprocess.run(["fsfreeze", "--freeze", frozen], check=True)
    try:
        asked = harness.subprocess.Popen(
            [os.path.join(harness.PROGRAMS, "yaguractl"), "--socket", agent.socket, "self-test",
             "--mounts"], stdin=harness.subprocess.DEVNULL, stdout=harness.subprocess.DEVNULL)
        deadline = time.monotonic() + harness.SECONDS
        while not is_stuck(agent.process.pid):
            assert asked.poll() is None and time.monotonic() < deadline, "nobody waits"
            time.sleep(0.01)
        bad = put(os.path.join(agent.watched, "bad"), EICAR)
        agent.sync()
        agent.expect_found(bad)
        agent.control("metrics")
        assert asked.poll() is None
    finally:
        harness.subprocess.run(["fsfreeze", "--unfreeze", frozen], check=True)
    assert asked.wait(timeout=harness.SECONDS) == 0
    assert not markers_below(frozen) and not markers_below(agent.watched)


def test_the_watchdog_is_fed(place):
    """As systemd would: signs of life while the loop turns."""
    import socket
    import subprocess
    agent = place.agent()
    path = os.path.join(agent.home, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(path)
        told.settimeout(harness.SECONDS)
        with open(agent.log, "ab") as log:
            agent.process = subprocess.Popen(
                [os.path.join(harness.PROGRAMS, "yagura-agent"), "--config", agent.config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "NOTIFY_SOCKET": path, "WATCHDOG_USEC": "300000"})
        fed = 0
        while fed < 3:
            fed += b"WATCHDOG=1" in told.recv(4096)


def test_metrics_are_printed_and_written(place):
    agent = place.agent(health__interval="1s").start()
    rounds(agent)
    printed = agent.control("metrics")
    with open(os.path.join(agent.run, "metrics.prom"), encoding="ascii") as stream:
        written = stream.read()
    for text in printed, written:
        names = set()
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                name, kind = line.split()[2:]
                assert kind in ("gauge", "counter") and name not in names, line
                names.add(name)
            elif not line.startswith("#"):
                name, value = line.split("{")[0].split(" ")[0], line.rsplit(" ", 1)[1]
                assert name in names and float(value) >= 0, line
        wanted = {"yagura_up", "yagura_watch_directories", "yagura_watch_lag_seconds",
                  "yagura_watch_overflows_total", "yagura_cap_hits_total", "yagura_engine_info",
                  "yagura_signatures_age_seconds", "yagura_health_places",
                  "yagura_sensor_restarts_total", "yagura_events_undelivered"}
        assert wanted <= names, wanted - names
    assert 'yagura_health_places{outcome="passed"}' in printed
    assert "yagura_self_test_passed 1" in printed
    agent.stop()
    assert not os.path.exists(os.path.join(agent.run, "metrics.prom"))


def test_metrics_count_what_is_not_as_it_should_be(place):
    databases = place.folder("databases")
    signatures = shutil.copy(os.path.join(harness.SIGNATURES, "yagura-demo.ndb"), databases)
    os.utime(signatures, (time.time() - 90000,) * 2)
    for number in range(8):
        place.folder(os.path.join("watched", str(number)))
    agent = place.agent(databases=[databases], watch__budget=3, store__max_size="1M", respond__action="pass")
    agent.start()
    agent.until(lambda now: now["watch"]["directories_unwatched"] and now["scanner"]["state"] == "ready", "beyond the budget")
    status = agent.status()["watch"]
    assert agent.metric("watch_directories_unwatched") == status["directories_unwatched"] > 0
    assert agent.metric("watch_directories") == status["directories_watched"] > 0
    assert agent.metric('up{state="degraded"}') == 0
    assert 90000 <= agent.metric("signatures_age_seconds") < 90000 + 3600
    # Events with long subjects, more than the store has room for.
    deep = os.path.join(place.root, *["x" * 250] * 8)
    os.makedirs(deep)
    for turn in range(20):
        for number in range(200):
            put(os.path.join(deep, f"{turn}-{number}"), EICAR)
        agent.scan(deep)
        if agent.metric('cap_hits_total{cap="store"}') > 0:
            break
    assert agent.metric('cap_hits_total{cap="store"}') >= 1, agent.status()["store"]
    agent.until(lambda _: agent.events("events_dropped"), "it is told, too")
    agent.set_policy(watch__budget=0)
    agent.control("reload")
    agent.until(lambda now: now["state"] == "protecting", "all is watched")
    assert agent.metric("watch_directories_unwatched") == 0 and agent.metric('up{state="protecting"}') == 1


if __name__ == "__main__":
    harness.main()
