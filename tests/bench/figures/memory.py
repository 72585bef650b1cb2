"""Memory (proportional set size, so that shared pages count once) of agent and scanner beside clamd's, and how soon
a killed scanner process is back."""

import os
import signal
import time

import peers
from figures.latency import with_agent
from machine import BenchError, drop_tree, stat_fields, wait_until

MIXED_SOURCES = ["/usr/share", "/usr/lib", "/usr/bin", "/usr/include", "/etc"]
LARGEST_COPY = 65536
WARM_UP = 3


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
    scanners = set(agent.scanner_pids())
    workers = []
    for pid in scanners:
        fields = stat_fields(pid)
        if fields and int(fields[1]) in scanners:
            workers.append(pid)
    return workers


def kill_and_write(bench, kills):
    """Milliseconds from a kill to the committed verdict of a file written right after it; the first is without
    a kill. kills: for each round, how many workers of those there are."""
    rounds = []

    def use(stage, agent):
        with stage.one_by_one(WARM_UP + len(kills), 5) as write_next:
            for _ in range(WARM_UP):
                agent.detections.wait_for(write_next(), 60)
            for count in kills:
                agent.sync()
                workers = wait_until(lambda: scanner_workers(agent), 60, "a scanner worker")
                begin = time.time_ns()
                for pid in workers[:count]:
                    os.kill(pid, signal.SIGKILL)
                seen = agent.detections.wait_for(write_next(), 60)
                if seen is None:
                    raise BenchError("no verdict within 60 s after a worker was killed")
                rounds.append((seen - begin) / 1e6)

    with_agent(bench, "large", use, scan__workers=1)
    return rounds


def killed_worker(bench):
    """Three crashes within a minute start a fresh loader, so there are two kills an agent."""
    name = "killed worker: until the next committed verdict"
    one = kill_and_write(bench, [0, 1, 1])
    bench.detail("killed-worker rounds ms", one)
    bench.figure(name, max(one[1:]), "ms", most=100, note=f"{one[0]:.1f} ms without a kill")
    every = kill_and_write(bench, [0, 2])
    bench.detail("killed-workers rounds ms", every)
    bench.figure(f"{name}, the spare killed too", every[1], "ms", most=100,
                 note=f"{every[0]:.1f} ms without a kill")
