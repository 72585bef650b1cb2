"""Scanning a tree: first pass beside clamdscan --multiscan --fdpass and a bare libclamav loop, second pass beside
clamdscan with clamd's cache warm."""

import os

import peers
from machine import BenchError, drop_tree

WORKERS = 2


def scan_with_clamd(bench, database, tree, *settings, passes=1):
    """Wall seconds of each pass; None when not installed."""
    if peers.missing():
        return None
    clamd = peers.Clamd(bench.machine, bench.machine.database(database), settings)
    clamd.start()
    try:
        return [clamd.scan(tree)["wall_s"] for _ in range(passes)]
    finally:
        clamd.stop()


def scan_with_agent(bench, database, tree, count, passes=1):
    """A fresh agent that watches something else, so that the tree is met for the first time."""
    agent = bench.product.agent(bench.machine.database(database),
                                [bench.machine.new_folder("elsewhere", 0o755)],
                                scan__workers=WORKERS)
    agent.start()
    try:
        walls = []
        for _ in range(passes):
            wall, totals = agent.scan(tree)
            walls.append(wall)
            bench.detail(f"scan totals {database}", totals)
            if totals["clean"] != count:
                raise BenchError(f"{totals['clean']} of {count} files were found clean: {totals}")
        return walls
    finally:
        agent.stop()


def bare_loops(bench, database, files):
    """The loop as anyone would write it (temporary files where they fall), and with them in memory, as our
    workers have them."""
    machine = bench.machine
    arguments = ["--database", machine.database(database), "--list", files, "--workers", WORKERS]
    in_memory = f"/dev/shm/{os.path.basename(machine.folder)}"
    os.mkdir(in_memory)
    try:
        return (machine.measure_tool("bare_scan", *arguments, "--temporary", machine.folder),
                machine.measure_tool("bare_scan", *arguments, "--temporary", in_memory))
    finally:
        drop_tree(in_memory)


def first_pass(bench, database, count, rounds, least):
    machine = bench.machine
    tree, files = machine.corpus(count, max(1, count // 10))
    theirs, ours, bare, bare_in_memory = [], [], [], []
    for _ in range(rounds):
        walls = scan_with_clamd(bench, database, tree, "DisableCache true")
        theirs.extend(walls or [])
        ours.extend(scan_with_agent(bench, database, tree, count))
        on_disk, in_memory = bare_loops(bench, database, files)
        bare.append(on_disk["wall_s"])
        bare_in_memory.append(in_memory["wall_s"])
    our_best = min(ours)
    name = f"tree of {count:,} small files, {database} database"
    bench.detail(name, {"ours": ours, "clamdscan": theirs, "bare": bare, "bare in memory": bare_in_memory})
    if theirs:
        bench.figure(f"{name}: clamdscan's time / ours", min(theirs) / our_best, "x", least=least,
                     note=f"ours {our_best:.2f} s, clamdscan {min(theirs):.2f} s",
                     beside={"kind": "throughput", "unit": "s", "values": {
                         "Yagura": our_best, "clamdscan": min(theirs), "bare loop": min(bare)}})
    else:
        bench.skip(f"{name}: beside clamdscan", "not installed")
    bench.figure(f"{name}: bare loop's time / ours", min(bare) / our_best, "x", least=0.95,
                 note=f"bare {min(bare):.2f} s")
    bench.figure(f"{name}: bare loop's in memory / ours", min(bare_in_memory) / our_best, "x",
                 note=f"bare, temporary files in memory {min(bare_in_memory):.2f} s")
    drop_tree(tree)


def tree(bench):
    first_pass(bench, "small", bench.size(20000, 2000), bench.size(3, 1), 1.3)


def tree_large(bench):
    first_pass(bench, "large", bench.size(10000, 500), 1, 1.0)


def unchanged(bench, database, count, least):
    corpus, _ = bench.machine.corpus(count, max(1, count // 9))
    theirs = scan_with_clamd(bench, database, corpus, "DisableCache false", passes=3)
    ours = scan_with_agent(bench, database, corpus, count, passes=4)
    name = f"second pass over {count:,} unchanged files, {database} database"
    bench.detail(name, {"ours": ours, "clamdscan": theirs})
    best = min(ours[1:])
    if theirs is None:
        bench.skip(name, "clamdscan is not installed")
    else:
        bench.figure(f"{name}: faster by", min(theirs[1:]) / best, "x", least=least,
                     note=f"ours {best:.3f} s, clamdscan {min(theirs[1:]):.2f} s",
                     beside={"kind": "throughput", "unit": "s",
                             "values": {"Yagura": best, "clamdscan": min(theirs[1:])}})
    drop_tree(corpus)


def second_pass(bench):
    unchanged(bench, "small", bench.size(50000, 5000), None)


def second_pass_large(bench):
    unchanged(bench, "large", bench.size(50000, 1000), 70)
