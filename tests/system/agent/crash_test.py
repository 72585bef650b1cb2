"""Processes are killed under load: no committed event is lost, no file is left without a verdict."""
import datetime
import json
import os
import random
import select
import signal
import threading

import harness
from harness import CLEAN, EICAR, put


class Load:
    """Writes files until it is told to stop; remembers what it wrote."""

    def __init__(self, folder, period=5):
        self.folder = folder
        self.period = period
        self.bad, self.good = [], []
        self.stopping = threading.Event()
        self.wrote = threading.Condition()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        number = 0
        while not self.stopping.is_set():
            where = os.path.join(self.folder, f"d{number // 50}")
            os.makedirs(where, exist_ok=True)
            if number % self.period == 0:
                self.bad.append(put(os.path.join(where, f"bad{number}"), EICAR))
            else:
                self.good.append(put(os.path.join(where, f"good{number}"), CLEAN + b"%d" % number))
            number += 1
            with self.wrote:
                self.wrote.notify_all()

    def wait_for(self, count):
        with self.wrote:
            while len(self.bad) + len(self.good) < count:
                self.wrote.wait(1)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


def now_as_told():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ends_told(agent):
    """Without reading the many others."""
    return [json.loads(line) for line in agent.control("--json", "events", "--kind", "agent_died").splitlines()]


def test_killing_the_agent_loses_nothing(place):
    agent = place.agent().start()
    committed, ends = set(), []
    random.seed(7)
    with Load(agent.watched) as load:
        for turn in range(6):
            load.wait_for((turn + 1) * random.randrange(150, 300))
            agent.until(lambda _, told=turn: len(ends_told(agent)) == told, "the end before is told")
            events = agent.events()
            committed |= {(event["number"], event["id"]) for event in events}
            agent.kill()
            ends.append((events[-1]["time"], now_as_told()))
            agent.start()
    agent.sync()
    died = ends_told(agent)
    assert len(died) == len(ends), died
    for event, (last, end) in zip(died, ends):
        detail = event["detail"]
        assert detail["started"] <= last <= detail["unseen_from"] <= end <= event["time"], (event, last, end)
    now = {(event["number"], event["id"]) for event in agent.events()}
    assert committed <= now, f"committed events are gone: {sorted(committed - now)[:5]}"
    left = [path for path in load.bad if os.path.exists(path)]
    assert not left, f"left in place: {left[:5]} of {len(load.bad)}"
    found = set(agent.subjects("malware_found"))
    missing = [path for path in load.bad if harness.escaped(path) not in found]
    assert not missing, f"no event: {missing[:5]}"
    assert all(os.path.exists(path) for path in load.good)
    quarantined = set(agent.subjects("malware_quarantined"))
    wanted = {harness.escaped(path) for path in load.bad}
    assert quarantined == wanted, (sorted(quarantined - wanted), sorted(wanted - quarantined))


def test_killing_workers_leaves_no_file_without_a_verdict(place):
    agent = place.agent().start()
    agent.sync()
    agent.until(lambda status: status["scanner"]["workers"] >= 1, "there is somebody to kill")
    with Load(agent.watched) as load:
        for turn in range(10):
            load.wait_for((turn + 1) * 100)
            workers = agent.scanner_pids()[1:]
            for pid in workers[:1]:
                os.kill(pid, signal.SIGKILL)
    agent.sync()
    found = set(agent.subjects("malware_found"))
    told = found | set(agent.subjects("scan_error"))
    missing = [path for path in load.bad if harness.escaped(path) not in told]
    assert not missing, f"no verdict: {missing[:5]} of {len(load.bad)}"
    # several crashes in a minute start a fresh loader
    status = agent.until(lambda status: status["scanner"]["state"] == "ready",
                         "the engine is ready again")
    assert status["scanner"]["crashed"] >= 1, status["scanner"]


def test_a_hung_worker_is_told_and_replaced(place):
    agent = place.agent(scan__workers=1, scan__max_time="1s").start()
    agent.until(lambda status: status["scanner"]["state"] == "ready", "there are workers to stop")
    stopped = agent.scanner_pids()[1:]
    with agent.following() as events:
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        bad = [put(os.path.join(agent.watched, f"bad{number}"), EICAR) for number in range(5)]
        event = events.wait("scanner_timed_out")
    assert event["severity"] == "medium" and event["detail"]["timed_out"] >= 1, event
    agent.sync()
    agent.expect_gone(*bad)
    agent.expect_found(*bad)
    assert not agent.events("scanner_crashed")
    assert not set(stopped) <= set(agent.scanner_pids())


def test_killing_the_loader_is_survived(place):
    agent = place.agent().start()
    agent.sync()
    with Load(agent.watched) as load:
        for turn in range(3):
            load.wait_for((turn + 1) * 200)
            loaders = agent.scanner_pids()[:1]
            for pid in loaders:
                os.kill(pid, signal.SIGKILL)
    agent.sync()
    found = set(agent.subjects("malware_found")) | set(agent.subjects("scan_error"))
    missing = [path for path in load.bad if harness.escaped(path) not in found]
    assert not missing, f"no verdict: {missing[:5]} of {len(load.bad)}"
    bad = put(os.path.join(agent.watched, "after"), EICAR)
    agent.sync()
    agent.expect_gone(bad)


def test_children_end_with_the_agent(place):
    agent = place.agent().start()
    agent.sync()
    children = harness.descendants(agent.process.pid)
    assert children
    handles = [os.pidfd_open(pid) for pid in children]
    agent.kill()
    left = [pid for pid, handle in zip(children, handles)
            if not select.select([handle], [], [], harness.SECONDS)[0]]
    for handle in handles:
        os.close(handle)
    assert not left, f"left behind: {left}"


def test_the_signal_of_a_lease_ends_nothing(place):
    """One that has no thread for its owner goes to the process, and to any thread that does not block it."""
    agent = place.agent().start()
    os.kill(agent.process.pid, signal.SIGIO)
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    agent.sync()
    agent.expect_found(bad)
    agent.expect_alive()


def test_an_orderly_stop_under_load_is_quick(place):
    agent = place.agent().start()
    with Load(agent.watched) as load:
        load.wait_for(300)
        agent.stop()
        agent.start()
    agent.sync()
    left = [path for path in load.bad if os.path.exists(path)]
    assert not left, f"left in place: {left[:5]}"


if __name__ == "__main__":
    harness.main()
