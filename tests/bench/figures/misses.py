"""Missed files: every file is infected and must be reported; whatever is not is a miss."""

import os
import signal
import time

import peers
from machine import BenchError, drop_tree

MODES = ["create", "mkdir-nested", "moved-tree", "rename-in", "hardlink", "tmpfile-linkat",
         "slow-writer", "late-dirs", "flood"]
GRACE_SECONDS = 5
PREPARED = 20


def prepare_roots(machine, folder, modes):
    """One watched directory a mode, each with directories that exist before the watcher starts."""
    for mode in modes:
        machine.run_tool("workload", "--mode", "prepare", "--directories", PREPARED, "--root",
                         os.path.join(folder, mode), "--log", "/dev/null")


def write_files(bench, mode, root, outside, count, seed):
    log = os.path.join(outside, f"{mode}.log")
    bench.machine.run_tool("workload", "--mode", mode, "--root", root, "--outside",
                           os.path.join(outside, mode), "--directories", PREPARED, "--count", count,
                           "--seed", seed, "--log", log)
    return peers.read_log(log)


def ours(bench):
    count = bench.size(36000, 1800)
    machine = bench.machine
    root = machine.new_folder("watched", 0o755)
    outside = machine.new_folder("outside", 0o755)
    prepare_roots(machine, root, MODES)
    agent = bench.product.agent(machine.database("small"), [root])
    agent.start()
    agent.follow()
    try:
        for seed, mode in enumerate(MODES, 1):
            if mode == "flood":
                agent.pause()
            begin = time.monotonic()
            try:
                files = write_files(bench, mode, os.path.join(root, mode), outside,
                                    flood_count(count) if mode == "flood" else count, seed)
            finally:
                if mode == "flood":
                    agent.resume()
            wrote = time.monotonic() - begin
            synced = agent.sync()
            agent.detections.wait_for_count(count_of(agent, files), GRACE_SECONDS, GRACE_SECONDS)
            latencies, missed = peers.join_latencies(files, agent.detections)
            note = f"written in {wrote:.1f} s, synced {synced:.1f} s later"
            if mode == "flood" and not agent.events("--kind", "watch_gap"):
                note += "; NO GAP WAS REPORTED"
            bench.figure(f"missed of {len(files):,}: {mode_name(mode)}", len(missed), "files", most=0,
                         note=note)
            bench.detail(f"missed {mode}", {"missed": [path.decode() for path in missed[:20]],
                                            **peers.summary(latencies)})
    finally:
        agent.stop()
        drop_tree(root)
        drop_tree(outside)


def count_of(agent, files):
    """How many paths will be known once all of these are."""
    return len(agent.detections.first) + sum(1 for path in files if path not in agent.detections.first)


def flood_count(count):
    """More than the kernel's queue of 16,384 events takes, however small the run."""
    return max(count, 24000)


def mode_name(mode):
    return "kernel queue overflow" if mode == "flood" else mode


def peers_mode(bench, clamd, mode, extra, seed):
    """A fresh clamonacc a mode, as its watches do not survive some of them."""
    machine = bench.machine
    folder = machine.new_folder("watched", 0o755)
    outside = machine.new_folder("outside", 0o755)
    root = os.path.join(folder, mode)
    prepare_roots(machine, folder, [mode])
    watcher = peers.Clamonacc(machine, clamd, folder, extra)
    watcher.start()
    try:
        wait_watching(watcher, root)
        if mode == "flood":
            os.kill(watcher.process.pid, signal.SIGSTOP)
        try:
            files = write_files(bench, mode, root, outside,
                                flood_count(0) if mode == "flood" else bench.size(1000, 300), seed)
        finally:
            if mode == "flood":
                os.kill(watcher.process.pid, signal.SIGCONT)
        watcher.detections.wait_for_count(len(files) + 1, GRACE_SECONDS, 120)
        _, missed = peers.join_latencies(files, watcher.detections)
        return len(files), len(missed)
    finally:
        watcher.stop()
        drop_tree(folder)
        drop_tree(outside)


def wait_watching(watcher, root, seconds=30):
    """It does not say when it watches: infected files are written until one is reported."""
    deadline = time.monotonic() + seconds
    number = 0
    while time.monotonic() < deadline:
        if watcher.process.poll() is not None:
            raise BenchError(f"clamonacc ended: {watcher.error_text()[-300:]}")
        number += 1
        path = os.path.join(root, f"probe{number}")
        with open(path, "w", encoding="ascii") as stream:
            stream.write("X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-" + "STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
                         + " " * (number % 50))
        if watcher.detections.wait_for(path.encode(), 0.3) is not None:
            return
    raise BenchError(f"clamonacc did not report a file within {seconds} s")


def peers_of(bench, extra):
    machine = bench.machine
    clamd = peers.Clamd(machine, machine.database("small"), ["DisableCache true"])
    clamd.start()
    try:
        for seed, mode in enumerate(MODES, 1):
            name = f"clamonacc {'extra' if extra else 'default'}: missed in {mode_name(mode)}"
            try:
                files, missed = peers_mode(bench, clamd, mode, extra, seed)
            except BenchError as error:
                bench.figure(name, -1, "files", note=f"not measured: {error}")
                continue
            bench.figure(name, missed, "files", note=f"of {files:,}")
    finally:
        clamd.stop()


def clamonacc(bench):
    absent = peers.missing()
    if absent:
        bench.skip("clamonacc: missed files", f"not installed: {', '.join(absent)}")
        return
    peers_of(bench, extra=False)
    peers_of(bench, extra=True)
