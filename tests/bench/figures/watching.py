"""Setting up watches over many directories, what an idle agent costs, and running out of watches."""

import os
import time

import peers
from machine import BenchError, command_name, cpu_seconds, drop_tree, read_file, wait_until

QUIET_SECONDS = 1.0


def watches_of(pid):
    """inotify watches held by a process."""
    folder = f"/proc/{pid}/fdinfo"
    total = 0
    try:
        names = os.listdir(folder)
    except OSError:
        return 0
    for name in names:
        total += read_file(os.path.join(folder, name)).count("inotify wd:")
    return total


def time_until_quiet(pid, seconds=120):
    """Seconds until the process last used the processor, its first rest of QUIET_SECONDS ending the set-up:
    clamonacc does not say when it watches."""
    begin = last = time.monotonic()
    used = cpu_seconds([pid])
    while time.monotonic() - last < QUIET_SECONDS:
        if time.monotonic() - begin > seconds:
            raise BenchError(f"not at rest within {seconds} s")
        time.sleep(0.01)
        now = cpu_seconds([pid])
        if now != used:
            used, last = now, time.monotonic()
    return last - begin


def time_clamonacc(bench, tree):
    machine = bench.machine
    clamd = peers.Clamd(machine, machine.database("small"))
    clamd.start()
    watcher = peers.Clamonacc(machine, clamd, tree)
    try:
        watcher.start()
        took = time_until_quiet(watcher.process.pid)
        held = watches_of(watcher.process.pid)
        bench.detail("watching clamonacc", {"seconds": took, "watches": held})
        return took
    finally:
        watcher.stop()
        clamd.stop()


def watching(bench):
    machine = bench.machine
    count = bench.size(100000, 3000)
    tree, _ = machine.corpus(0, count)
    agent = bench.product.agent(machine.database("small"), [tree], watch__budget=count + 1000)
    listing = os.path.join(machine.folder, "directories")
    machine.measure_tool("bare_inotify", tree, listing)  # warms the tree
    bare = min(machine.measure_tool("bare_inotify", tree, listing)["total_s"] for _ in range(3))
    theirs = None if peers.missing() else min(time_clamonacc(bench, tree) for _ in range(2))
    try:
        first = agent.start_watching()
        agent.stop()
        ours = min(first, agent.start_watching())
        status = agent.status()
        bench.detail("watching status", status)
        held = watches_of(agent.root_pid())
        note = f"ours {ours:.2f} s from exec, bare {bare:.2f} s"
        bench.figure(f"watching {count:,} directories: directories without a watch", max(0, count - held),
                     "", most=0)
        bench.figure(f"watching {count:,} directories: ours / find + add_watch", ours / bare, "x",
                     most=2, note=note)
        if theirs is None:
            bench.skip("watching beside clamonacc", "not installed")
        else:
            bench.figure(f"watching {count:,} directories: clamonacc's time / ours", theirs / ours,
                         "x", least=2, note=f"clamonacc {theirs:.2f} s")
        idle(bench, agent)
    finally:
        agent.stop()
        drop_tree(tree)


def proportional_mb(pid):
    return sum(int(line.split()[1]) for line in read_file(f"/proc/{pid}/smaps_rollup").splitlines()
               if line.startswith("Pss:")) / 1024


def idle(bench, agent):
    seconds = bench.size(60, 5)
    root = bench.machine.pss(agent.root_pid())
    before = cpu_seconds(agent.pids())
    time.sleep(seconds)  # this is the measurement: a minute of nothing
    used = cpu_seconds(agent.pids()) - before
    bench.figure(f"idle: processor over {seconds} s", 100 * used / seconds, "%", most=0.2)
    bench.figure("idle: memory of the root process", root["root_rss_kb"] / 1024, "MB", most=25,
                 note=f"resident; proportional {root['root_pss_kb'] / 1024:.1f} MB")
    own = [pid for pid in agent.pids() if pid not in agent.scanner_pids()]
    bench.figure("idle: memory of all processes but the scanner's", sum(map(proportional_mb, own)), "MB", most=40,
                 note=f"proportional; {', '.join(sorted(map(command_name, own)))}")


def few_watches(bench):
    """A third of the directories can be watched: the agent must go on, say so, and still protect those it
    reached."""
    machine = bench.machine
    count = 3000
    allowed = 1000
    tree, _ = machine.corpus(0, count)
    log = os.path.join(machine.new_folder("logs"), "log")
    agent = bench.product.agent(machine.database("small"), [tree], watch__budget=100000)
    try:
        agent.start([machine.tool("few_watches"), str(allowed)])
        agent.follow()
        status = agent.status()["watch"]
        bench.detail("few-watches status", status)
        told = agent.events("--module", "watch", "--severity", "medium")
        machine.run_tool("workload", "--mode", "create", "--root", tree, "--count", 1, "--log", log)
        path = next(iter(peers.read_log(log)))
        protected = agent.detections.wait_for(path, 10) is not None
    finally:
        agent.stop()
        drop_tree(tree)
    bench.figure(f"{count:,} directories, {allowed:,} watches: agent still protects", int(protected),
                 "", least=1)
    bench.figure(f"{count:,} directories, {allowed:,} watches: events that say so", len(told), "",
                 least=1, note=told[0]["kind"] if told else "")
