"""Memory (proportional set size, so that shared pages count once) of agent and scanner beside clamd's, and how soon
a killed scanner process is back."""

import os
import signal
import time

import peers
from machine import BenchError, drop_tree, wait_until

MIXED_SOURCES = ["/usr/share", "/usr/lib", "/usr/bin", "/usr/include", "/etc"]
LARGEST_COPY = 65536
KILLS = 2  # three crashes in a minute start a fresh loader, which is another thing


def clamd_memory(bench, tree):
    clamd = peers.Clamd(bench.machine, bench.machine.database("large"), ["DisableCache true"])
    clamd.start()
    try:
        clamd.scan(tree)
        return bench.machine.pss(clamd.process.pid)["pss_kb"]
    finally:
        clamd.stop()


def reload_peak(bench, mode, tree):
    """Memory after the scan, then the highest sum while new signatures are taken up."""
    machine = bench.machine
    database = machine.own_database("large")
    agent = bench.product.agent(database, [machine.new_folder("elsewhere", 0o755)], scan__reload=mode)
    agent.start()
    try:
        if tree is not None:
            agent.scan(tree)
        steady = machine.pss(agent.process.pid)
        bench.detail(f"memory {mode} steady", steady)
        before = agent.status()["scanner"]
        sampler = machine.start_pss_sampling(agent.process.pid)
        with open(os.path.join(database, "added.hdb"), "w", encoding="ascii") as stream:
            stream.write("00112233445566778899aabbccddeeff:4711:Bench.Added-1\n")
        begin = time.monotonic()
        wait_until(lambda: reloaded(agent, before), 300, f"{mode} reload", 0.5)
        took = time.monotonic() - begin
        wait_until(lambda: len(agent.scanner_pids()) <= 4, 60, "the old scanner's end", 0.5)
        peak = machine.end_pss_sampling(sampler)["peak_kb"]
        return steady["pss_kb"], peak, took
    finally:
        agent.stop()
        drop_tree(database)


def reloaded(agent, before):
    status = agent.status()
    return status is not None and status["scanner"]["state"] == "ready" and \
        status["scanner"]["signatures"] != before["signatures"]


def memory(bench):
    machine = bench.machine
    sources = [option for folder in MIXED_SOURCES for option in ("--copy", folder)]
    tree, files = machine.corpus(bench.size(20000, 300), 100, "--largest", LARGEST_COPY, *sources)
    with open(files, encoding="utf-8", errors="replace") as stream:
        count = sum(1 for _ in stream)
    theirs = None if peers.missing() else clamd_memory(bench, tree)
    steady, overlap, overlap_took = reload_peak(bench, "overlap", tree)
    _, sequential, sequential_took = reload_peak(bench, "sequential", tree if not bench.quick else None)
    drop_tree(tree)
    if theirs is None:
        bench.skip("memory beside clamd", "clamd is not installed")
        theirs = steady
    bench.figure(f"memory after {count:,} mixed files / clamd's", steady / theirs, "x", most=1.05,
                 note=f"ours {steady / 1024:.0f} MiB, clamd {theirs / 1024:.0f} MiB")
    bench.figure("peak of a sequential reload / clamd's memory", sequential / theirs, "x", most=1.15,
                 note=f"{sequential / 1024:.0f} MiB, done after {sequential_took:.0f} s")
    bench.figure("peak of an overlapping reload / clamd's memory", overlap / theirs, "x", most=2.15,
                 note=f"{overlap / 1024:.0f} MiB, done after {overlap_took:.0f} s")


def scanner_workers(agent):
    """Scanner processes whose parent is one too: the loader forks the workers."""
    from machine import stat_fields
    scanners = set(agent.scanner_pids())
    workers = []
    for pid in scanners:
        fields = stat_fields(pid)
        if fields and int(fields[1]) in scanners:
            workers.append(pid)
    return workers


def killed_worker(bench):
    """All workers are killed at once and a file is written: the time from the kill to its committed verdict."""
    machine = bench.machine
    root = machine.new_folder("watched", 0o755)
    log = os.path.join(machine.new_folder("logs"), "log")
    agent = bench.product.agent(machine.database("large"), [root], scan__workers=1)
    agent.start()
    agent.follow()
    worst = 0.0
    try:
        for number in range(KILLS + 1):
            workers = scanner_workers(agent)
            if not workers:
                raise BenchError("no scanner worker was found below the agent")
            begin = time.time_ns()
            if number > 0:  # the first round shows what a verdict takes without a kill
                for pid in workers:
                    os.kill(pid, signal.SIGKILL)
            machine.run_tool("workload", "--mode", "create", "--root", root, "--count", 1, "--seed",
                             number + 10, "--log", log)
            path = next(iter(peers.read_log(log)))
            seen = agent.detections.wait_for(path, 60)
            if seen is None:
                raise BenchError("no verdict within 60 s after a worker was killed")
            os.unlink(path)
            agent.sync()
            with agent.detections.changed:
                agent.detections.first.pop(path)
            took = (seen - begin) / 1e6
            bench.detail(f"killed-worker round {number} ms", took)
            if number > 0:
                worst = max(worst, took)
    finally:
        agent.stop()
        drop_tree(root)
    bench.figure("killed worker: until the next committed verdict", worst, "ms", most=100)
