#!/usr/bin/env python3
"""Works a joined agent and console for a long time with mixed load, and asks: does memory stay flat, do
descriptors not grow, is no file missed?

Usage: soak.py [--minutes N] [--rate N] [--record FILE]

--rate: file operations a second. Files are written, renamed, linked, overwritten and deleted, one in five is malware; now and then a tree is
scanned, signatures are loaded anew, the console is asked. Every process is looked at ten times a minute.
Flat means: the median of the last third is at most a tenth and 4 MiB above that of the middle third (the first
third is warm-up); the console's may grow until its cache of the database is full. No event may be missing from the console, none be there twice, each malicious file have its two, and
none have come that the load did not cause (judge.py). The seeds of churn are few, so the verdict cache and the watch tree reach their size early."""

import argparse
import collections
import os
import platform
import re
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../faults"), os.path.join(HERE, "../system/delivery"),
                os.path.join(HERE, "../system/agent")]
sys.dont_write_bytecode = True

import judge  # noqa: E402
from pair import Pair, agents  # noqa: E402

DIRECTORIES = 40
FILES = 50  # a directory; older ones are overwritten
LOOK_SECONDS = 6
RATE = 50
GROWTH_FACTOR, GROWTH_KIB = 1.1, 4096
CACHES_KIB = {"yagura-console": 32768}  # what SQLite keeps of the database (console/store/sql_sqlite.c), full after hours
PATIENCE = 600
HEAD = "# Soak, last runs\n"
SANITIZER_SAID = re.compile(r"^.*(?:ERROR: \w+Sanitizer|runtime error:).*$", re.MULTILINE)
COMMIT = subprocess.run([os.path.join(HERE, "../commit.sh")], capture_output=True, text=True, check=True).stdout.strip()
SANITIZED = "asan" in agents.PROGRAMS


class Churn(threading.Thread):
    """Mixed load on the watched folder, until told to stop."""

    def __init__(self, folder, rate):
        super().__init__()
        self.folder = folder
        self.between = 1 / rate
        self.stopping = threading.Event()
        self.bad = []
        self.number = 0

    def run(self):
        while not self.stopping.wait(self.between):
            self.one(self.number)
            self.number += 1

    def one(self, number):
        folder = os.path.join(self.folder, f"d{number % DIRECTORIES}")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, f"f{number // DIRECTORIES % FILES}")
        if number % 5 == 0:
            bad = f"{path}-bad{number}"
            agents.put(bad, agents.EICAR)
            self.bad.append(bad)
        elif number % 7 == 0:
            agents.put(path + "~", b"%d" % number)
            os.replace(path + "~", path)
        elif number % 11 == 0 and os.path.exists(path):
            os.unlink(path)
        else:
            agents.put(path, agents.CLEAN * (number % 90) + b"%d" % number)


def look(pid):
    """Proportional memory in KiB and open descriptors; None when it is gone."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as stream:
            memory = next(int(line.split()[1]) for line in stream if line.startswith("Pss:"))
        return memory, len(os.listdir(f"/proc/{pid}/fd"))
    except (OSError, StopIteration):
        return None


class Watcher:
    """What each process used, by its name; of several (scanner workers) the sum."""

    def __init__(self, pair):
        self.pair = pair
        self.rows = []
        self.loads = []

    def look(self):
        self.loads.append(os.getloadavg()[0])
        row = collections.Counter()
        pids = {self.pair.console.process.pid: "yagura-console", self.pair.agent.process.pid: "yagura-agent"}
        pids.update((pid, agents.command_of(pid)) for pid in agents.descendants(self.pair.agent.process.pid))
        for pid, name in pids.items():
            seen = look(pid)
            if seen:
                row[name, "memory"] += seen[0]
                row[name, "descriptors"] += seen[1]
        self.rows.append(row)

    def thirds(self, key):
        values = [row[key] for row in self.rows if key in row]
        values += values[-1:] * (3 - len(values))  # of a process that was seen once
        third = len(values) // 3
        return [statistics.median(part) for part in (values[:third], values[third:2 * third], values[2 * third:])]

    def keys(self):
        return sorted({key for row in self.rows for key in row})


def grew(name, kind, thirds):
    first, middle, last = thirds
    if kind == "descriptors":
        return last > middle + 3
    return (last > middle * GROWTH_FACTOR + GROWTH_KIB and
            last > first * GROWTH_FACTOR + GROWTH_KIB + CACHES_KIB.get(name, 0))


def work(pair, churn, watcher, seconds):
    begin = time.monotonic()
    turn = 0
    while time.monotonic() - begin < seconds:
        turn += 1
        watcher.look()
        if turn % 5 == 0:
            pair.agent.scan(os.path.join(pair.agent.watched, f"d{turn % DIRECTORIES}"))
        if turn % 20 == 0:
            pair.agent.control("signatures", "--reload", accept=(0, 1, 2))
        pair.admin.get("/api/v1/events?limit=100")
        pair.admin.get("/api/v1/computers")
        churn.stopping.wait(LOOK_SECONDS)


def broken_promises(pair, churn):
    """What was missed, lost, doubled or told without a cause, as lines."""
    pair.agent.sync(PATIENCE)
    left = [path for path in churn.bad if os.path.lexists(path)]
    faults = [f"{len(left)} files were missed, {left[0]}"] if left else []
    files = {agents.escaped(path) for path in [*churn.bad, pair.nudge()]}
    pair.agent.sync(PATIENCE)
    at_agent = pair.agent.events()
    kept = {event["id"] for event in at_agent}

    def delivered():
        events = pair.events()
        return events if kept <= {event["id"] for event in events} else None
    events = pair.until(delivered, "every event is in the console", PATIENCE)
    faults += judge.faults(events, at_agent, files)
    return faults + judge.blind_spots(events, at_agent, files), len(events)


def ended_badly(pair):
    """Ends both in order; what exit codes, sanitizers and the scanner say, as lines."""
    faults = [f"the scanner crashed: {event['subject']}" for event in pair.agent.events("scanner_crashed")]
    pair.agent.stop()
    code = pair.console.stop()
    if code:
        faults.append(f"the console ended with {code}")
    with open(pair.agent.log, encoding="utf-8", errors="replace") as stream:
        logs = stream.read() + "".join(pair.console.log)
    return faults + sorted(set(SANITIZER_SAID.findall(logs)))


def judged(watcher):
    faults = []
    for name, kind in watcher.keys():
        thirds = watcher.thirds((name, kind))
        if len(watcher.rows) >= 60 and grew(name, kind, thirds):
            faults.append(f"{kind} of {name} grew from {thirds[1]:,.0f} to {thirds[2]:,.0f}")
    return faults


def title():
    return "## " + ("sanitized (ASan and UBSan)" if SANITIZED else "release-hardened")


def section(options, churn, watcher, faults, events):
    command = "tests/soak/run.sh" + (" --sanitized" if SANITIZED else "") + f" --minutes {options.minutes:g} --rate {options.rate:g}"
    lines = [title(), "",
             f"`{command}`, {time.strftime('%Y-%m-%d')}, {COMMIT}, Linux {platform.release()}, {os.cpu_count()} processors, load "
             f"{statistics.median(watcher.loads):.0f} (at most {max(watcher.loads):.0f}). {churn.number:,} file operations, "
             f"{len(churn.bad):,} malicious files, all found and gone; {events:,} events, each in the console once, none without a cause. "
             f"{len(faults)} faults.", "",
             "| process | memory (KiB): first, middle, last third | descriptors |", "| --- | --- | --- |"]
    for name in sorted({name for name, _ in watcher.keys()}):
        memory, descriptors = watcher.thirds((name, "memory")), watcher.thirds((name, "descriptors"))
        lines.append(f"| {name} | {', '.join(f'{value:,.0f}' for value in memory)} | "
                     f"{', '.join(f'{value:.0f}' for value in descriptors)} |")
    return "\n".join(lines + [f"\nFAULT: {fault}" for fault in faults]) + "\n"


def record(path, text):
    """In the place of the last result of this build."""
    sections = [HEAD]
    if os.path.exists(path):
        with open(path, encoding="utf-8") as stream:
            sections = re.split(r"^(?=## )", stream.read(), flags=re.MULTILINE)
    kept = [part.rstrip("\n") + "\n" for part in sections if not part.startswith(title() + "\n")]
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("\n".join(kept[:1] + sorted(kept[1:] + [text])))


def soak(options):
    place = agents.Place()
    try:
        pair = Pair(place, heartbeat="5s")
        pair.agent.start()
        pair.activate()
        churn, watcher = Churn(pair.agent.watched, options.rate), Watcher(pair)
        churn.start()
        try:
            work(pair, churn, watcher, options.minutes * 60)
        finally:
            churn.stopping.set()
            churn.join()
        faults, events = broken_promises(pair, churn)
        faults += ended_badly(pair)
    finally:
        place.remove()
    faults += judged(watcher)
    return section(options, churn, watcher, faults, events), faults


def main():
    parser = argparse.ArgumentParser(prog="run.sh")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=RATE)
    parser.add_argument("--record")
    options = parser.parse_args()
    text, faults = soak(options)
    print(text)
    if options.record:
        record(options.record, text)
    print(f"{0 if faults else 1} passed, {len(faults)} failed, 0 skipped")
    return 1 if faults else 0


sys.exit(main())
