"""File storage: what an object costs beyond its scan, and how long a finding takes to be told. Processor time is
what counts: it holds on a busy machine. It is that of yagura-storage and its scanners; the stand-in's own is left
out, as the services' is."""

import hashlib
import io
import json
import os
import random
import shutil
import statistics
import subprocess
import tempfile
import time
import zipfile

from machine import BenchError, cpu_seconds, percentile, process_tree
from storage.fast_aws import REGION, FastAws

FSS_OBJECTS, FSS_MEGABYTES = 0.5, 4.7  # a worker and second: 1,000 x 10 MB in 40 s on 53 workers
TICK = 0.01  # seconds: less is not told of a process
EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"


def zips(count, megabytes, seed=1):
    """Archives of text and noise, each of its own."""
    source = random.Random(seed)
    made = {}
    for i in range(count):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            while out.tell() < megabytes << 20:
                archive.writestr(f"f{out.tell()}", source.randbytes(1 << 19) +
                                 b"some text that repeats itself, %d. " % i * 8000)
        made[f"zip{i:04}"] = out.getvalue()
    return made


def texts(count, seed=2):
    source = random.Random(seed)
    return {f"text{i:05}": b"".join(b"%x some words, no more\n" % source.getrandbits(64)
                                    for _ in range(50)) for i in range(count)}


class Run:
    def __init__(self, bench, folder, database):
        self.tools, self.folder, self.database = bench.machine.tools, folder, database
        self.programs = os.path.join(bench.build, "bin")

    def storage(self, objects, name, acts=False):
        """A yagura-storage on a FastAws of these objects: (aws, process)."""
        aws = FastAws(objects, acts=acts)
        aws.__enter__()
        log = open(f"{self.folder}/{name}.log", "wb")
        values = {key: value for key, value in os.environ.items()
                  if not key.startswith(("AWS_", "YAGURA_")) and not key.lower().endswith("_proxy")}
        values.update(AWS_ENDPOINT_URL=aws.url, AWS_REGION=REGION, AWS_ACCESS_KEY_ID="bench",
                      AWS_SECRET_ACCESS_KEY="bench", AWS_CONFIG_FILE="/nonexistent",
                      AWS_SHARED_CREDENTIALS_FILE="/nonexistent",
                      YAGURA_QUEUE_URL=aws.url + "/1/queue",
                      YAGURA_TOPIC_ARN=f"arn:aws:sns:{REGION}:1:topic",
                      YAGURA_SCANNER_PROGRAM=self.programs + "/yagura-scanner",
                      YAGURA_SCANNER_DATABASES=self.database, YAGURA_SCANNER_WORKERS="2",
                      YAGURA_DIRECTORY=self.folder, YAGURA_LOG_LEVEL="warning",
                      YAGURA_WAIT="5s")
        process = subprocess.Popen([self.programs + "/yagura-storage", "poller"], env=values,
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if acts:
            values.update(YAGURA_QUARANTINE_BUCKET="vault", YAGURA_BUCKETS=aws.bucket)
            process.action = subprocess.Popen(
                [self.programs + "/yagura-storage", "action"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**values, "YAGURA_QUEUE_URL": aws.url + "/1/actions"})
        aws.put_events([next(iter(objects))])  # loaded, warm
        if not aws.wait_told(1, 600):
            raise BenchError(f"no result; see {log.name}")
        return aws, process

    def all_objects(self, objects, name):
        """Processor seconds for all of them, those of the scanners among them, and how many they are."""
        aws, process = self.storage(objects, name)
        try:
            keys = list(objects)[1:]
            pids = process_tree(process.pid)
            before, before_own = cpu_seconds(pids), cpu_seconds(pids[:1])
            aws.put_events(keys)
            if not aws.wait_told(len(keys) + 1, 1800):
                raise BenchError("results are missing")
            spent = cpu_seconds(pids) - before
            return spent, spent - (cpu_seconds(pids[:1]) - before_own), len(keys)
        finally:
            self.end(aws, process)

    @staticmethod
    def end(aws, process):
        for one in filter(None, (getattr(process, "action", None), process)):
            one.terminate()
            one.wait(timeout=60)
        aws.__exit__()

    def bare(self, objects, name):
        """The same bytes from memory through the same workers: processor seconds, loading
        included."""
        place = tempfile.mkdtemp(dir="/dev/shm")
        try:
            paths = []
            for key, body in list(objects.items())[1:]:
                paths.append(f"{place}/{key}")
                with open(paths[-1], "wb") as stream:
                    stream.write(body)
            with open(f"{self.folder}/{name}.list", "w", encoding="utf-8") as stream:
                stream.write("\n".join(paths) + "\n")
            process = subprocess.Popen(
                [os.path.join(self.tools, "client_scan"), "--scanner",
                 self.programs + "/yagura-scanner", "--database", self.database, "--workers", "2",
                 "--list", f"{self.folder}/{name}.list"], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL)
            # Its workers are killed at its end, and their time with them: the last look counts.
            most = 0
            while process.poll() is None:
                most = max(most, cpu_seconds(process_tree(process.pid)))
                time.sleep(0.005)
            if process.returncode:
                raise BenchError("client_scan failed")
            return most
        finally:
            shutil.rmtree(place)

    def loading(self):
        """Processor seconds of starting and ending a scanner: in bare()'s time, too."""
        return min(self.bare({"a": b"a", "b": b"b"}, "loading") for _ in range(3))

    def latency(self, count):
        """Milliseconds from an event in the queue, one at a time: (to its result, to the end of the object,
        which by then is quarantined)."""
        aws, process = self.storage({f"bad{i}": EICAR for i in range(count + 1)}, "latency", acts=True)
        try:
            if not aws.wait_ended(1, 60):
                raise BenchError(f"nothing is quarantined; see {self.folder}/latency.log")
            for i in range(1, count + 1):
                aws.put_events([f"bad{i}"])
                if not aws.wait_ended(i + 1, 60):
                    raise BenchError("an object is not quarantined")
            keys = list(aws.handed)[1:]
            return [[(moments[key] - aws.handed[key]) * 1000 for key in keys] for moments in (aws.told, aws.ended)]
        finally:
            self.end(aws, process)


def compare(run, name, objects, rounds, loading):
    """Ours beside the bare loop, by turns: (objects a core-second, bare's, megabytes of an object, note)."""
    ours, bare, shares, count = [], [], [], 0
    for _ in range(rounds):
        cpu, scanning, count = run.all_objects(objects, name)
        ours.append(cpu)
        shares.append(scanning / cpu)
        bare.append(run.bare(objects, name) - loading)
    mine, theirs = (count / max(statistics.median(seconds), TICK) for seconds in (ours, bare))
    megabytes = statistics.mean(len(body) for body in objects.values()) / 1e6
    return mine, theirs, megabytes, (
        f"{count} objects of {megabytes:.3f} MB: {mine:.1f} and {theirs:.1f} a core-second, "
        f"{mine * megabytes:.1f} MB of ours; {100 * statistics.median(shares):.0f} % of our time is the scanners'")


def clamscan(run, rounds):
    """One process an object, as some do it."""
    path = run.folder + "/one"
    with open(path, "wb") as stream:
        stream.write(next(iter(texts(1).values())))
    spent = []
    for _ in range(rounds):
        before = os.times()
        subprocess.run(["clamscan", "--quiet", "--database", run.database, path], check=True,
                       stdin=subprocess.DEVNULL)
        after = os.times()
        spent.append(after.children_user + after.children_system - before.children_user -
                     before.children_system)
    return statistics.median(spent)


def measure(bench, profile):
    """With a database of signatures that the generator makes, and EICAR's."""
    large = profile == "large"
    folder = bench.machine.new_folder("storage", 0o755)
    database = f"{folder}/{profile}"
    shutil.copytree(bench.machine.database(profile), database)
    with open(database + "/eicar.hdb", "w", encoding="utf-8") as stream:
        stream.write(f"{hashlib.md5(EICAR).hexdigest()}:{len(EICAR)}:Eicar-Test\n")
    run = Run(bench, folder, database)
    rounds = 1 if bench.quick or large else 3
    word = f"{profile} database"
    loading = run.loading()
    each, bare, megabytes, note = compare(run, "archives", zips(bench.size(25, 3), 10), rounds, loading)
    bench.figure(f"10 MB archives, {word}: of a bare loop's rate", each / bare, "x", least=0.9, note=note)
    bench.figure(f"10 MB archives, {word}: File Storage Security's objects, a core and a worker", each / FSS_OBJECTS, "x",
                 least=None if large else 8, note=f"its MB {each * megabytes / FSS_MEGABYTES:.1f} x; "
                 f"the bare loop {bare / FSS_OBJECTS:.1f} x")
    small_each, bare, _, note = compare(run, "small", texts(bench.size(2001, 101)), rounds, loading)
    bench.figure(f"small clean objects, {word}: of a bare loop's rate", small_each / bare, "x", least=0.8, note=note)
    for name, times, p50, p99 in zip(("result", "quarantined"), run.latency(bench.size(500, 50)), (None, 50), (None, 300)):
        bench.figure(f"event to {name}, {word}: p50", percentile(times, 50), "ms", most=p50)
        bench.figure(f"event to {name}, {word}: p99", percentile(times, 99), "ms", most=p99)
    if shutil.which("clamscan"):
        one = clamscan(run, 1 if large else 3)
        bench.figure(f"clamscan an object's time / ours, {word}", one * small_each, "x", least=50 if large else None,
                     note=f"clamscan {one:.2f} core-seconds each",
                     beside={"unit": "core-s", "kind": "throughput", "values": {"Yagura": 1 / small_each, "clamscan": one}})
    else:
        bench.skip(f"clamscan an object's time / ours, {word}", "clamscan is not installed (clamav)")


def small(bench):
    measure(bench, "small")


def large(bench):
    measure(bench, "large")
