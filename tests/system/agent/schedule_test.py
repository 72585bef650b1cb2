"""Scheduled scans: when they begin, when they wait, and that one goes on after kill -9."""
import datetime
import os
import signal
import subprocess

import harness
from harness import CLEAN, EICAR, put

FILES = 300


def scheduled(place, **policy):
    """An agent that scans on a schedule alone, and a folder with one bad file among many."""
    agent = place.agent(watch__enabled=False, scan__schedule_interval="7d", scan__schedule_jitter="0s",
                        scan__at_start=False, scan__rescan_on_update=False, **policy)
    for number in range(FILES):
        put(os.path.join(agent.watched, f"good{number}"), CLEAN + b"%d" % number)
    return agent, put(os.path.join(agent.watched, "zbad"), EICAR)


def schedule(agent):
    return agent.status()["schedule"]


def until_state(agent, state):
    return agent.until(lambda status: status["schedule"]["state"] == state, f"the schedule is {state}")["schedule"]


def finished(agent, bad, starts):
    """The scan is over, and was one."""
    agent.until(lambda status: status["schedule"]["state"] == "waiting" and status["schedule"]["infected"] == 1, "its end")
    agent.sync()
    assert [event["detail"]["ended"] for event in agent.events("scan_finished")] == ["complete"]
    assert len(agent.events("scan_started")) == starts
    assert agent.subjects("malware_found") == [bad]


class Host:
    """What /proc says of the load and of stolen time, to the agent and to this test."""

    def __init__(self, place):
        harness.own_mounts()
        folder = os.path.join(place.root, "proc")
        harness.mount_tmpfs(place, folder, "strictatime")
        self.load, self.stat = os.path.join(folder, "loadavg"), os.path.join(folder, "stat")
        self.turns = 0
        put(self.load, self.load_text(0))
        put(self.stat, self.stat_text())
        for path, name in ((self.load, "/proc/loadavg"), (self.stat, "/proc/stat")):
            subprocess.run(["mount", "--bind", path, name], check=True)
            place.cleanups.append(lambda name=name: subprocess.run(["umount", "-l", name], check=False))

    @staticmethod
    def load_text(load):
        return b"%5.2f 0.00 0.00 1/100 4242\n" % load

    def stat_text(self):
        """Of each further second of this host others took half."""
        rest, stolen = 10000 + 25 * self.turns, 10000 + 50 * self.turns
        return b"cpu  %d 0 0 %d 0 0 0 %d 0 0\n" % (rest, rest, stolen)

    @staticmethod
    def rewrite(path, text):
        """In one piece: nobody reads half of it."""
        assert len(text) == os.path.getsize(path)
        fd = os.open(path, os.O_WRONLY)
        os.pwrite(fd, text, 0)
        os.close(fd)

    def set_load(self, load):
        self.rewrite(self.load, self.load_text(load))

    def steal(self):
        self.turns += 1
        self.rewrite(self.stat, self.stat_text())
        return os.stat(self.stat).st_mtime_ns

    def was_read_since(self, time_ns):
        return os.stat(self.stat).st_atime_ns > time_ns


def test_a_busy_host_is_left_alone_and_kill_9_loses_nothing(place):
    host = Host(place)
    agent, bad = scheduled(place, scan__schedule_max_load=80)
    host.set_load(99)
    agent.start()
    paused = until_state(agent, "paused-busy")
    agent.kill()
    agent.start()
    resumed = until_state(agent, "paused-busy")
    assert resumed["last"] == paused["last"], "it is still the one that began then"
    assert resumed["scanned"] < FILES and not agent.events("scan_finished"), resumed
    # The load is gone, but the hypervisor gives the time to others.
    stolen = host.steal()
    host.set_load(0)
    agent.until(lambda _: host.was_read_since(stolen), "another look")
    assert schedule(agent)["state"] == "paused-busy", "stolen time is not seen"
    finished(agent, bad, starts=2)
    agent.kill()
    agent.start()
    until_state(agent, "waiting")
    assert len(agent.events("scan_started")) == 2, "what is complete is not begun again"


def test_nothing_begins_until_the_window_opens(place):
    now = datetime.datetime.now()
    opens, closes = now + datetime.timedelta(hours=2), now + datetime.timedelta(hours=3)
    agent, bad = scheduled(place, scan__schedule_max_load=0, scan__schedule_window=f"{opens:%H:%M}-{closes:%H:%M}")
    clock = harness.Clock(place, agent)
    agent.start()
    agent.until(lambda status: status["scanner"]["state"] == "ready", "it could scan")
    agent.control("reload")  # the schedule looks at the clock
    waiting = until_state(agent, "waiting")
    opening = opens.replace(second=0, microsecond=0).astimezone(datetime.timezone.utc)
    assert waiting["next"].startswith(f"{opening:%Y-%m-%dT%H:%M:00}"), (waiting, opening)
    clock.set_ahead(3600)
    agent.control("reload")
    assert not schedule(agent)["last"] and not agent.events("scan_started")
    held = agent.hold_scanner()
    clock.set_ahead(2 * 3600 + 60)
    agent.control("reload")
    until_state(agent, "running")
    assert agent.events("scan_started")[0]["time"] >= f"{opening:%Y-%m-%dT%H:%M:00}", "it began before its time"
    clock.set_ahead(3 * 3600 + 60)
    until_state(agent, "paused-window")
    for pid in held:
        os.kill(pid, signal.SIGCONT)
    assert not agent.events("scan_finished"), "a closed window ends nothing"
    clock.set_ahead(26 * 3600 + 60)
    finished(agent, bad, starts=1)


if __name__ == "__main__":
    harness.main()
