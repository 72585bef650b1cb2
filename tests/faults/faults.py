#!/usr/bin/env python3
"""Breaks a running Yagura, one fault after another, under load, and holds it to three promises.

Usage: faults.py [--seed N] [--turns N] [--only FAULT]... [--list] [--sample] [--record FILE]

An agent joined to a console works while files, one in five of them malware, are written all the time.
Each turn inflicts one fault (inflict.py), waits until the service is back by itself, and then asks:

  1. every malicious file written so far has its event and is gone, every clean one is still there;
  2. every event that the agent committed is in the console, once;
  3. something in the logs or the events says what happened, which nothing says in a turn without a fault.

The order is random; --seed repeats it. --sample: the faults that take seconds, once each, for the
main run. --record: the result as a page."""

import argparse
import os
import platform
import random
import shutil
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, *(os.path.join(HERE, "..", *place.split("/")) for place in (
    "system/delivery", "system/agent", "stand-ins/bad_link"))]
sys.dont_write_bytecode = True

import bad_link  # noqa: E402
import inflict  # noqa: E402
from host import Clock, HostAgent  # noqa: E402
from load import Load  # noqa: E402
from pair import Pair, agents  # noqa: E402
import fault_processes  # noqa: E402,F401  pylint: disable=unused-import
import fault_storage  # noqa: E402,F401  pylint: disable=unused-import
import fault_host  # noqa: E402,F401  pylint: disable=unused-import
import fault_network  # noqa: E402,F401  pylint: disable=unused-import

STATE_BYTES = "96m"
STATE_INODES = 16384
CONSOLE_SETTINGS = 'keep_events = "3650d";\n'  # also while its clock is a year ahead
MOST_SCAN_TIME = "5s"  # of one file; a hung process is given up soon after


class Subject:
    """The pair under load, on a host of its own as far as this machine allows, and what was promised about it so far."""

    def __init__(self, place):
        self.place = place
        self.link = self.make_link(place)
        self.clock, self.console_clock = Clock(place, "agent-clock"), Clock(place, "console-clock")
        agents.PROGRAMS = shutil.copytree(agents.PROGRAMS, place.folder("programs"), dirs_exist_ok=True)
        agent = HostAgent(place, self.link.far if self.link else None, self.clock.environment(),
                          databases=[self.own_signatures(place)], scan__max_time=MOST_SCAN_TIME)
        place.agents.append(agent)
        agents.mount_tmpfs(place, agent.state, f"size={STATE_BYTES}", f"nr_inodes={STATE_INODES}",
                           "mode=0700")
        agents.mount_tmpfs(place, agent.watched, "mode=0755")  # so that a guard looks at nobody else's files
        address = bad_link.NEAR if self.link else "127.0.0.1"
        self.pair = Pair(place, agent=agent, agents_address=address, settings=CONSOLE_SETTINGS, environment=self.console_clock.environment())
        self.agent = agent
        self.agent.start()
        self.pair.activate(url=f"https://{address}:{self.pair.console.agents_port}")
        self.load = Load(self.agent.watched)
        self.turn = None

    @staticmethod
    def make_link(place):
        """None where the machine gives no network of our own."""
        try:
            link = bad_link.BadLink()
        except OSError:
            return None
        place.cleanups.append(link.end)
        return link

    def needs_link(self):
        if self.link is None:
            raise inflict.Skip("no network namespace with a tun device here")
        return self.link

    def needs_clock(self):
        if not self.clock.environment():
            raise inflict.Skip("YAGURA_FAKE_CLOCK names no library")

    @staticmethod
    def own_signatures(place):
        """A copy that may be broken."""
        return shutil.copytree(agents.SIGNATURES, place.folder("signatures"), dirs_exist_ok=True)

    def said(self, pattern):
        """What the logs and the events of this turn say of it; None when nothing."""
        mark = self.turn
        with open(self.agent.log, "rb") as stream:
            stream.seek(mark["agent"])
            text = stream.read().decode("utf-8", "replace")
        text += "".join(self.pair.console.log[mark["console"]:])
        text += "\n".join(str(event) for event in self.agent.events()
                          if event["number"] > mark["number"])
        return pattern.search(text)

    def mark(self):
        numbers = [event["number"] for event in self.agent.events()]
        return {"agent": os.path.getsize(self.agent.log), "console": len(self.pair.console.log),
                "number": max(numbers, default=0)}

    # ---- the promises ----

    def verdicts_hold(self):
        bad, good = self.load.written()
        self.agent.sync(inflict.PATIENCE)
        left = [path for path in bad if os.path.lexists(path)]
        if left:  # a file that could not be acted on then is acted on when it is possible again
            self.pair.until(lambda: not any(map(os.path.lexists, bad)),
                            f"{len(left)} malicious files gone, {left[:2]}", inflict.PATIENCE)
        known = {event["subject"] for event in self.pair.events("&kind=malware_found")}
        known |= set(self.agent.subjects("malware_found"))
        silent = [path for path in bad if agents.escaped(path) not in known]
        assert not silent, f"without an event: {silent[:3]} of {len(bad)}"
        gone = [path for path in good if not os.path.lexists(path)]
        assert not gone, f"clean files are gone: {gone[:3]}"
        return len(bad) + len(good)

    def events_hold(self):
        wanted = {event["id"] for event in self.agent.events()}
        self.pair.nudge()

        def all_there():
            found = [event["id"] for event in self.pair.events()]
            return found if wanted <= set(found) else None
        found = self.pair.until(all_there, f"{len(wanted)} events in the console", inflict.PATIENCE)
        assert len(found) == len(set(found)), "an event is in the console twice"
        return len(wanted)


def take_turn(subject, fault):
    """One line; raises when a promise is broken."""
    begin = time.monotonic()
    subject.turn = subject.mark()
    subject.load.write(random.randrange(40, 120))
    with subject.load.running():
        fault.inflict(subject)
    back = time.monotonic() - begin
    files = subject.verdicts_hold()
    events = subject.events_hold()
    said = subject.pair.until(lambda: subject.said(fault.said),
                              f"somebody says what happened ({fault.said.pattern})")
    return {"fault": fault.name, "back": back, "files": files, "events": events,
            "said": said.group(0)}


def take_quiet_turn(subject, faults):
    """Without a fault nobody says what these are to be known by."""
    subject.turn = subject.mark()
    subject.load.write(40)
    with subject.load.running():
        inflict.some_files(subject)
    subject.verdicts_hold()
    subject.events_hold()
    for fault in faults:
        said = subject.said(fault.said)
        assert not said, f"{fault.name}: {said.group(0)} is said without it, too"


def choose(options):
    known = {fault.name: fault for fault in inflict.FAULTS}
    if options.only:
        return [known[name] for name in options.only]
    if options.sample:
        return [fault for fault in inflict.FAULTS if fault.quick]
    order = []
    while len(order) < options.turns:
        order += random.sample(inflict.FAULTS, len(inflict.FAULTS))
    return order[:options.turns]


def page(options, rows, failed, skipped, commit):
    lines = ["# Faults, last run", "",
             f"`tests/faults/run.sh --seed {options.seed} --turns {options.turns}`, "
             f"{time.strftime('%Y-%m-%d')}, {commit}, Linux {platform.release()}, "
             f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.0f}. "
             f"{len(rows)} turns held, {failed} broken.", "",
             "| fault | turns | service back after, at most | said |", "| --- | --- | --- | --- |"]
    for name in sorted({row["fault"] for row in rows}):
        mine = [row for row in rows if row["fault"] == name]
        lines.append(f"| {name.replace('_', ' ')} | {len(mine)} | "
                     f"{max(row['back'] for row in mine):.1f} s | `{mine[-1]['said']}` |")
    lines += [f"| {name.replace('_', ' ')} | 0 | - | skipped: {skipped[name]} |" for name in sorted(skipped)]
    if rows:
        lines += ["", f"{rows[-1]['files']:,} files were written; each malicious one has its event and is "
                  f"gone, each clean one is there. {rows[-1]['events']:,} events were committed; each is in "
                  "the console once. In a turn without a fault nobody said any of this."]
    return "\n".join(lines) + "\n"


def run(options):
    commit = subprocess.run([os.path.join(HERE, "../commit.sh")], capture_output=True, text=True, check=True).stdout.strip()
    place = agents.Place()
    rows, failed, skipped = [], 0, {}
    try:
        subject = Subject(place)
        chosen = choose(options)
        take_quiet_turn(subject, chosen)
        print("ok - no fault: nobody says that there was one", flush=True)
        for fault in chosen:
            try:
                row = take_turn(subject, fault)
            except inflict.Skip as reason:
                skipped[fault.name] = str(reason)
                print(f"ok - {fault.name} # SKIP {reason}", flush=True)
                continue
            except Exception as error:  # pylint: disable=broad-except
                failed += 1
                print(f"not ok - {fault.name}: {error}", flush=True)
                break  # what follows would only repeat it
            rows.append(row)
            print(f"ok - {fault.name}: back after {row['back']:.1f} s; {row['files']} files, "
                  f"{row['events']} events; said {row['said']!r}", flush=True)
    finally:
        place.remove()
    print(f"{len(rows) + 1} passed, {failed} failed, {len(skipped)} skipped")
    if options.record:
        with open(options.record, "w", encoding="utf-8") as stream:
            stream.write(page(options, rows, failed, skipped, commit))
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(prog="run.sh")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    parser.add_argument("--turns", type=int, default=40)
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--record")
    options = parser.parse_args()
    if options.list:
        for fault in inflict.FAULTS:
            print(f"{fault.name:<20} {fault.meaning}")
        return 0
    random.seed(options.seed)
    print(f"# seed {options.seed}", flush=True)
    try:
        agents.own_mounts()
    except (agents.Skip, PermissionError) as reason:
        print(f"SKIPPED: {reason}\n0 passed, 0 failed, 1 skipped")
        return 77
    return run(options)


sys.exit(main())
