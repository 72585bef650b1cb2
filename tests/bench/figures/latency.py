"""From close() to the report of the verdict: bursts, and single files on an idle agent.

Both products' reports pass through the same stamping reader. clamonacc reports on its standard output as soon as
it has the verdict; ours is read by "yaguractl events --follow", which shows committed events only, so ours carries
one durable commit more."""

import contextlib
import os
import subprocess
import time

import peers
from figures.misses import wait_watching
from machine import BenchError, drop_tree, percentile

PREPARED = 50
SMALL_SIZE = 2048
WARM_UP = 5


class Stage:
    """A watched folder with prepared directories."""

    def __init__(self, bench, name):
        self.machine = bench.machine
        self.root = self.machine.new_folder(f"watched-{name}", 0o755)
        self.log = os.path.join(self.machine.new_folder("logs"), "log")
        self.machine.run_tool("workload", "--mode", "prepare", "--directories", PREPARED, "--root",
                              self.root, "--log", "/dev/null")

    def write(self, count, seed, infected):
        self.machine.run_tool("workload", "--mode", "create", "--root", self.root, "--directories",
                              PREPARED, "--count", count, "--seed", seed, "--infected", infected,
                              "--size", SMALL_SIZE, "--log", self.log)
        return peers.read_log(self.log)

    @contextlib.contextmanager
    def one_by_one(self, count, seed):
        """Gives a function that has the next file written at once and answers its path."""
        process = self.machine.start(
            [self.machine.tool("workload"), "--mode", "single", "--root", self.root, "--directories",
             str(PREPARED), "--count", str(count), "--seed", str(seed), "--log", self.log],
            stdin=subprocess.PIPE)
        numbers = iter(range(count))

        def write_next():
            process.stdin.write(b"\n")
            process.stdin.flush()
            number = next(numbers)
            return os.path.join(self.root, f"d{number % PREPARED}", f"c{number}").encode()

        try:
            yield write_next
            process.stdin.close()
            process.wait(10)
        finally:
            self.machine.stop(process)

    def write_one_by_one(self, count, seed, detections, seconds=30):
        """The next file is written when the last one's report has come."""
        with self.one_by_one(count, seed) as write_next:
            for _ in range(count):
                path = write_next()
                if detections.wait_for(path, seconds) is None:
                    raise BenchError(f"{path.decode()}: no report within {seconds} s")
        return peers.read_log(self.log)

    def remove(self):
        drop_tree(self.root)


def with_clamonacc(bench, database, use):
    """use(stage, detections) beside a fresh clamonacc with extra scanning; None when not installed."""
    if peers.missing():
        return None
    machine = bench.machine
    clamd = peers.Clamd(machine, machine.database(database), ["DisableCache true"])
    clamd.start()
    stage = Stage(bench, "clamonacc")
    watcher = peers.Clamonacc(machine, clamd, stage.root)
    try:
        watcher.start()
        wait_watching(watcher, stage.root)
        return use(stage, watcher.detections)
    finally:
        watcher.stop()
        clamd.stop()
        stage.remove()


def with_agent(bench, database, use, kinds=("malware_found",), **policy):
    stage = Stage(bench, "agent")
    agent = bench.product.agent(bench.machine.database(database), [stage.root], **policy)
    try:
        agent.start()
        agent.follow(kinds)
        return use(stage, agent)
    finally:
        agent.stop()
        stage.remove()


def ratio_figure(bench, name, ours, theirs, **bar):
    """theirs may be None: then only our value is shown."""
    if theirs is None:
        bench.skip(name, "clamonacc is not installed")
        return
    bench.figure(name, ours[0] / theirs[0] if "most" in bar else theirs[0] / ours[0], "x", **bar,
                 note=f"ours {ours[0]:.2f} ms, clamonacc {theirs[0]:.2f} ms",
                 beside={"kind": "latency", "unit": "ms", "values": {"Yagura": ours[0], "clamonacc": theirs[0]}})


def burst(bench):
    count = bench.size(5000, 1000)

    def beside_clamonacc(stage, detections):
        files = stage.write(count, 1, 100)
        detections.wait_for_count(count + 1, 10, 300)
        return peers.join_latencies(files, detections)

    def beside_agent(stage, agent):
        files = stage.write(count, 1, 100)
        agent.sync()
        agent.detections.wait_for_count(count, 5, 30)
        return peers.join_latencies(files, agent.detections)

    theirs = with_clamonacc(bench, "small", beside_clamonacc)
    latencies, missed = with_agent(bench, "small", beside_agent)
    ours = peers.summary(latencies)
    bench.figure(f"burst of {count:,}, small database: lost", len(missed), "files", most=0)
    bench.detail("burst ours", ours)
    if theirs is not None:
        bench.detail("burst clamonacc", {**peers.summary(theirs[0]), "missed": len(theirs[1])})
    ratio_figure(bench, f"burst of {count:,}, small database: p50 shorter by", [ours["p50_ms"]],
                 theirs and [peers.summary(theirs[0])["p50_ms"]], least=3)


def burst_large(bench):
    """2 % infected, the last file among them. Ours ends when the sync says that everything has a verdict,
    clamonacc's at its last report: it tells nothing of clean files."""
    count = bench.size(5000, 500)


    def beside_clamonacc(stage, detections):
        files = stage.write(count, 2, 2)
        expected = sum(1 for _, infected in files.values() if infected)
        detections.wait_for_count(expected + len(detections.first), 30, 300)
        return files, peers.join_latencies(files, detections), detections

    def beside_agent(stage, agent):
        files = stage.write(count, 2, 2)
        agent.sync()
        synced = time.time_ns()
        expected = sum(1 for _, infected in files.values() if infected)
        agent.detections.wait_for_count(expected, 5, 30)
        return files, peers.join_latencies(files, agent.detections), synced

    def last_verdict(files, detections):
        first_write = min(written for written, _ in files.values())
        return (max((detections.first[path] for path in files if path in detections.first),
                    default=first_write) - first_write) / 1e6

    theirs = with_clamonacc(bench, "large", beside_clamonacc)
    files, (_, missed), synced = with_agent(bench, "large", beside_agent)
    ours = (synced - min(written for written, _ in files.values())) / 1e6
    bench.figure(f"burst of {count:,} of 2 KB, large database: lost", len(missed), "infected", most=0)
    ratio_figure(bench, f"burst of {count:,} of 2 KB, large database: last verdict", [ours],
                 theirs and [last_verdict(theirs[0], theirs[2])], most=0.45)
    if theirs is not None:
        bench.detail("burst-large clamonacc missed", len(theirs[1][1]))


def single_file(bench, database, most):
    count = bench.size(300, 40)

    def one_by_one(stage, detections):
        files = stage.write_one_by_one(count, 3, detections)
        latencies, missed = peers.join_latencies(files, detections)
        return latencies[WARM_UP:], missed

    theirs = with_clamonacc(bench, database, one_by_one)
    latencies, missed = with_agent(bench, database,
                                   lambda stage, agent: one_by_one(stage, agent.detections))
    if missed:
        raise BenchError(f"{len(missed)} of {count} single files were not reported")
    bench.detail(f"single {database} ours", peers.summary(latencies))
    if theirs is not None:
        bench.detail(f"single {database} clamonacc", peers.summary(theirs[0]))
    ratio_figure(bench, f"single file, {database} database: verdict p50", [percentile(latencies, 50)],
                 theirs and [percentile(theirs[0], 50)], most=most)


def single(bench):
    single_file(bench, "small", 0.6)


def single_large(bench):
    single_file(bench, "large", 0.75)


def bare_cost(bench, database, count):
    """A bare scan of such a file and two fdatasyncs on the same file system: percentiles of each."""
    machine = bench.machine
    _, files = machine.corpus(count, 1, "--eicar-per-mille", 1000)
    scan = machine.measure_tool("bare_scan", "--database", machine.database(database), "--list", files,
                                "--workers", 1)
    sync = machine.measure_tool("bare_sync", machine.folder, count)
    return scan, sync


def quarantine_with(bench, database):
    """The bare costs are measured before and after, because the disk is not the same all the time."""
    count = bench.size(300, 40)

    def one_by_one(stage, agent):
        files = stage.write_one_by_one(count, 4, agent.detections)
        return peers.join_latencies(files, agent.detections)

    bare = [bare_cost(bench, database, count)]
    latencies, missed = with_agent(bench, database, one_by_one, ("malware_quarantined",),
                                   respond__action="quarantine")
    bare.append(bare_cost(bench, database, count))
    if missed:
        raise BenchError(f"{len(missed)} of {count} files were not quarantined")
    scan_ms = sum(scan["p99_us"] for scan, _ in bare) / len(bare) / 1000
    sync_ms = sum(sync["p99_us"] for _, sync in bare) / len(bare) / 1000
    ours = percentile(latencies[WARM_UP:], 99)
    bench.detail(f"quarantine {database}", {"ours": peers.summary(latencies[WARM_UP:]),
                                            "bare": bare})
    bench.figure(f"quarantined and committed, {database} database: p99", ours / (scan_ms + sync_ms),
                 "x", most=3,
                 note=f"ours {ours:.2f} ms; bare scan {scan_ms:.2f} ms, two fdatasyncs {sync_ms:.2f} ms")


def quarantine(bench):
    quarantine_with(bench, "small")


def quarantine_large(bench):
    quarantine_with(bench, "large")
