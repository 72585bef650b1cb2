"""What the relay costs a function: each latency beside the same function without the layer, in turns."""

import base64
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
BUILD = os.environ["YAGURA_BUILD_DIR"]
os.environ.update(YAGURA_PROGRAMS=os.path.join(BUILD, "bin"), YAGURA_TOOLS=os.path.join(BUILD, "tools"))
sys.path.insert(0, os.path.join(ROOT, "tests/system/relay"))
import transparency_test  # noqa: E402
from functions import Run, http_event  # noqa: E402
from transparency_test import Relay  # noqa: E402

RUNTIME = [os.path.join(BUILD, "tools", "bench-runtime")]
ROUNDS, REPEAT = 5, 400
CRS = "/usr/share/modsecurity-crs"
# A tenth of a CPU, as small functions get it: every 20 ms two of them.
PERIOD_US, QUOTA_US = 20000, 2000
GROUPS = "/sys/fs/cgroup/cpu", "/sys/fs/cgroup"


def latency(place, home, event, protected, mode="mitigate", repeat=REPEAT):
    run = Run(place, [event], RUNTIME, protected=protected, options=["--repeat", str(repeat)],
              environment={"YAGURA_APPLICATION_HOME": home, "YAGURA_APPLICATION_MODE": mode})
    assert run.outcomes() == ["response"] * repeat, run.errors()
    return statistics.median(result["us"] for result in run.results[repeat // 10:])


def added(place, home, event, repeat=REPEAT):
    """Medians over rounds of (relay alone, relay with inspection) over direct, in ms."""
    alone, judged, direct = [], [], []
    for _ in range(ROUNDS):
        direct.append(latency(place, home, event, False, repeat=repeat))
        alone.append(latency(place, home, event, True, "off", repeat) - direct[-1])
        judged.append(latency(place, home, event, True, repeat=repeat) - direct[-1])
    return [statistics.median(values) / 1000 for values in (direct, alone, judged)]


def first_of_its_kind(place, home, before):
    """Microseconds of the first event that many rules have to look at, after so many plain ones: rules are
    made ready between invocations."""
    odd = http_event("/shop", "q=%3Cb%3E%20select%20x%20'%20;%20$(a)%20../%20{{b}}%20or%201=1%20--")
    taken = []
    for _ in range(ROUNDS):
        run = Run(place, [http_event("/shop", "id=5")] * before + [odd], RUNTIME,
                  environment={"YAGURA_APPLICATION_HOME": home, "YAGURA_APPLICATION_MODE": "report"})
        taken.append(run.results[-1]["us"])
    return statistics.median(taken)


def processes(pid):
    """The process and its children."""
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as stream:
            found += [int(word) for word in stream.read().split()]
    return found


def cpu_ms(pids):
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as stream:
                total += int(stream.read().split()[0])
    return total / 1e6


def memory_mb(pids, field):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as stream:
            total += sum(int(line.split()[1]) for line in stream if line.startswith(field + ":"))
    return total / 1024


def cold_starts(home):
    """CPU of all its processes until the extension says that it is ready; memory then."""
    cpu, pss, private = [], [], []
    for _ in range(15):
        relay = Relay(home)
        with relay:
            pids = processes(relay.process.pid)
            cpu.append(cpu_ms(pids))
            pss.append(memory_mb(pids, "Pss"))
            private.append(memory_mb(pids, "Rss"))
    return statistics.median(cpu), statistics.median(pss), statistics.median(private)


def make_group():
    """A control group of a tenth of a CPU, of either version; None where that may not be."""
    for parent in GROUPS:
        group = os.path.join(parent, f"yagura-bench-{os.getpid()}")
        try:
            os.mkdir(group)
            if os.path.exists(os.path.join(group, "cpu.max")):
                values = {"cpu.max": f"{QUOTA_US} {PERIOD_US}"}
            else:
                values = {"cpu.cfs_period_us": PERIOD_US, "cpu.cfs_quota_us": QUOTA_US}
            for name, value in values.items():
                with open(os.path.join(group, name), "w", encoding="ascii") as stream:
                    stream.write(str(value))
            return group
        except OSError:
            if os.path.isdir(group):
                os.rmdir(group)
    return None


def throttled_start(place, home):
    """Milliseconds from exec to ready at a tenth of a CPU; the shell that enters the group included."""
    group = make_group()
    if group is None:
        return None
    script, extension = os.path.join(place, "throttled"), transparency_test.EXTENSION
    with open(script, "w", encoding="ascii") as stream:
        stream.write(f"#!/bin/sh\necho $$ >{group}/cgroup.procs\nexec {extension}\n")
    os.chmod(script, 0o755)
    transparency_test.EXTENSION = script
    taken = []
    try:
        for _ in range(9):
            begin = time.monotonic()
            with Relay(home):
                taken.append(1000 * (time.monotonic() - begin))
    finally:
        transparency_test.EXTENSION = extension
        os.rmdir(group)
    return statistics.median(taken)


def upload():
    """A picture of 1 MB, as a browser sends it."""
    content = random.Random(1).randbytes(1 << 20)
    body = (b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n'
            b"Content-Type: image/png\r\n\r\n\x89PNG" + content + b"\r\n--b--\r\n")
    event = json.loads(http_event("/upload", body=base64.b64encode(body).decode(), isBase64Encoded=True))
    event["headers"]["content-type"] = "multipart/form-data; boundary=b"
    return json.dumps(event, separators=(",", ":"))


def layer_mb(place):
    said = subprocess.run([os.path.join(ROOT, "packaging/lambda/build-layer.sh"), "--built", BUILD, "--output", place],
                          capture_output=True, text=True, check=True)
    return os.path.getsize(said.stdout.split()[-1]) / 1e6


def relay(bench):
    place = tempfile.mkdtemp(prefix="yagura-bench-relay-")
    try:
        home = os.path.join(place, "home")
        os.makedirs(home)
        if os.path.isdir(CRS):
            subprocess.run([os.path.join(BUILD, "bin/yagura-rules-compiler"), "--output",
                            os.path.join(home, "rules.bin"), CRS], check=True, stdout=subprocess.DEVNULL)
        else:
            bench.skip("the relay with its rules", "the package modsecurity-crs is not installed: measured without")
        invocations(bench, place, home)
        starts(bench, place, home)
        if os.path.isdir(CRS):
            bench.figure("layer zip", layer_mb(place), "MB", most=6)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def invocations(bench, place, home):
    small = http_event("/shop", "id=5&name=blue+chair")
    wide = http_event("/shop", body=json.dumps({f"field{i}": f"value number {i}" for i in range(300)}))
    everywhere = os.sched_getaffinity(0)
    for name, event, repeat, bar, processors in (
            ("small event", small, REPEAT, 0.2, everywhere),
            ("small event, one processor", small, REPEAT, 0.2, {min(everywhere)}),  # without waking another one that sleeps
            ("8 KB, 300 fields", wide, REPEAT, None, everywhere), ("upload of 1 MB", upload(), 60, None, everywhere)):
        os.sched_setaffinity(0, processors)
        try:
            direct, alone, judged = added(place, home, event, repeat)
        finally:
            os.sched_setaffinity(0, everywhere)
        bench.figure(f"{name}: added with inspection, p50", judged, "ms", most=bar,
                     note=f"by the relay alone {alone:.3f} ms; without it {direct:.3f} ms")
    at_once, later = first_of_its_kind(place, home, 0), first_of_its_kind(place, home, 60)
    bench.figure("first event that many rules look at, after 60 others: faster than at once", at_once / later, "x", least=2,
                 note=f"{at_once / 1000:.2f} ms at once, {later / 1000:.2f} ms")


def starts(bench, place, home):
    cpu, pss, rss = cold_starts(home)
    slow = throttled_start(place, home)
    if slow is None:
        bench.skip("cold start at a tenth of a CPU", "control groups may not be made here")
    else:
        bench.figure("cold start at a tenth of a CPU: exec to ready", slow, "ms", most=150)
    bench.figure("cold start: CPU of both processes, exec to ready", cpu, "ms", most=10)
    bench.figure("memory when ready, proportional, both processes", pss, "MB", most=10,
                 note=f"resident, shared pages counted twice: {rss:.1f} MB")
