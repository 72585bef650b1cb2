#!/usr/bin/env python3
"""File storage: what an object costs beyond its scan, and how long a finding takes to be told.

    tests/bench/storage/bench.py --build BUILD [--large] [--quick]

BUILD is a hardened build with tests. Processor time is what counts: it holds on a busy machine. It
is that of yagura-storage and its scanners; the stand-in's own is left out, as the services' is.
"""
import argparse
import hashlib
import io
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests/bench")]
from fast_aws import REGION, FastAws  # noqa: E402
from machine import percentile, process_tree, cpu_seconds  # noqa: E402

FSS_OBJECTS, FSS_MEGABYTES = 0.5, 4.7  # a worker and second: 1,000 x 10 MB in 40 s on 53 workers
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
    def __init__(self, options, folder, database):
        self.options, self.folder, self.database = options, folder, database
        self.programs = os.path.join(options.build, "bin")

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
            raise SystemExit(f"no result; see {log.name}")
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
                raise SystemExit("results are missing")
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
                [os.path.join(self.options.build, "bench", "client_scan"), "--scanner",
                 self.programs + "/yagura-scanner", "--database", self.database, "--workers", "2",
                 "--list", f"{self.folder}/{name}.list"], stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL)
            # Its workers are killed at its end, and their time with them: the last look counts.
            most = 0
            while process.poll() is None:
                most = max(most, cpu_seconds(process_tree(process.pid)))
                time.sleep(0.005)
            if process.returncode:
                raise SystemExit("client_scan failed")
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
                raise SystemExit(f"nothing is quarantined; see {self.folder}/latency.log")
            for i in range(1, count + 1):
                aws.put_events([f"bad{i}"])
                if not aws.wait_ended(i + 1, 60):
                    raise SystemExit("an object is not quarantined")
            keys = list(aws.handed)[1:]
            return [[(moments[key] - aws.handed[key]) * 1000 for key in keys] for moments in (aws.told, aws.ended)]
        finally:
            self.end(aws, process)


def show(name, text):
    print(f"{name}: {text}", flush=True)


def compare(run, name, objects, rounds, loading):
    """Ours beside the bare loop, by turns; processor seconds."""
    ours, bare, shares, count = [], [], [], 0
    for _ in range(rounds):
        cpu, scanning, count = run.all_objects(objects, name)
        ours.append(cpu)
        shares.append(scanning / cpu)
        bare.append(run.bare(objects, name) - loading)
    mine, theirs = statistics.median(ours), statistics.median(bare)
    bytes_each = statistics.mean(len(body) for body in objects.values())
    show(name, f"{count} objects of {bytes_each / 1e6:.3f} MB: {count / mine:.1f} objects and "
         f"{count * bytes_each / 1e6 / mine:.1f} MB a core-second; bare loop {count / theirs:.1f} "
         f"objects; {theirs / mine:.2f} of it; {statistics.median(shares):.2f} of our time is the scanners'")
    return count / mine, count * bytes_each / 1e6 / mine


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


def bench(run, quick, large):
    rounds = 1 if quick or large else 3
    word = "large database" if large else "small database"
    loading = run.loading()
    show("loading", f"{loading:.2f} core-seconds, {word}")
    each, megabytes = compare(run, f"10 MB archives, {word}", zips(7 if quick else 25, 10), rounds,
                              loading)
    show("beside File Storage Security",
         f"{each / FSS_OBJECTS:.1f} times its objects and {megabytes / FSS_MEGABYTES:.1f} times its "
         "MB, a core here against a worker there")
    small, _ = compare(run, f"small clean objects, {word}", texts(101 if quick else 2001), rounds,
                       loading)
    for name, times in zip(("result", "quarantined"), run.latency(50 if quick else 500)):
        show(f"event to {name}, {word}", f"p50 {percentile(times, 50):.1f} ms, p99 {percentile(times, 99):.1f} ms")
    if shutil.which("clamscan"):
        one = clamscan(run, 1 if large else 3)
        show(f"clamscan an object, {word}", f"{one:.2f} core-seconds; ours is {one * small:.0f} "
             "times as many objects a core-second")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--large", action="store_true", help="the large synthetic database, too")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    folder = tempfile.mkdtemp(prefix="yagura-bench-")
    os.chmod(folder, 0o755)
    try:
        for profile in ["small"] + (["large"] if options.large else []):
            database = f"{folder}/{profile}"
            os.mkdir(database)
            subprocess.run([os.path.join(options.build, "bench", "signature_generator"),
                            "--profile", profile, database], check=True)
            with open(database + "/eicar.hdb", "w", encoding="utf-8") as stream:
                stream.write(f"{hashlib.md5(EICAR).hexdigest()}:{len(EICAR)}:Eicar-Test\n")
            bench(Run(options, folder, database), options.quick, profile == "large")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
