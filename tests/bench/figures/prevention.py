"""What prevention costs: repeated opens, a warm compile, a web server, and doing nothing. A protected file system
and an unprotected one beside it, taken in turns."""

import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request

from machine import BenchError, cpu_seconds, wait_until

ROUNDS = 7
COMPILES = 15  # two alike differ by a tenth even on a quiet machine
UNIT = ("#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <pthread.h>\n"
        "#include <sys/socket.h>\n#include <netinet/in.h>\n")


class Places:
    """Two file systems in memory, of which the agent guards one."""

    def __init__(self, bench):
        self.folders = []
        try:
            for name in ("guarded", "bare"):
                folder = bench.machine.new_folder(name, 0o755)
                subprocess.run(["mount", "-t", "tmpfs", "yagura-bench", folder], check=True)
                self.folders.append(folder)
            self.agent = bench.product.agent(
                bench.machine.database("small"), [self.folders[0]], watch__enabled=False,
                prevention__enabled=True, prevention__paths=[self.folders[0]])
            self.agent.watch_ready = lambda status: status["prevention"]["state"] == "working"
            self.agent.start()
        except BaseException:
            self.remove()
            raise

    def remove(self):
        if hasattr(self, "agent") and self.agent.process is not None:
            self.agent.stop()
        for folder in self.folders:
            subprocess.run(["umount", "-l", folder], check=False)

    def fill(self, name, write):
        """The same below both; the two paths."""
        paths = [os.path.join(folder, name) for folder in self.folders]
        for path in paths:
            write(path)
        return paths

    def counts(self):
        return self.agent.status()["prevention"]


def write_file(content):
    def write(path):
        with open(path, "wb") as stream:
            stream.write(content)
    return write


def in_turns(work, paths, rounds=ROUNDS):
    """Times of both, taken in turns, who begins by turns, too: what else the machine does moves both of a pair alike.
    The first of each is to warm up."""
    pairs = []
    for number in range(rounds + 1):
        taken = {}
        for path in paths if number % 2 else paths[::-1]:
            begin = time.monotonic()
            work(path)
            taken[path] = time.monotonic() - begin
        pairs.append([taken[path] for path in paths])
    return pairs[1:]


def more(pairs):
    """Percent that the first of a pair took more than the second: the median of the pairs."""
    return (statistics.median(first / second for first, second in pairs) - 1) * 100


def medians(pairs):
    return ", ".join(f"{statistics.median(times):.2f} s" for times in zip(*pairs))


def children_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


class Seconds:
    """CPU time of work on either file system, the agent's own part included: unlike time by the clock it says the
    same on a busy machine."""

    def __init__(self, agent, work):
        self.agent = agent
        self.work = work
        self.of = {}

    def __call__(self, path):
        agents = cpu_seconds(self.agent.pids())
        begin = children_seconds()
        self.work(path)
        used = children_seconds() - begin + cpu_seconds(self.agent.pids()) - agents
        self.of.setdefault(path, []).append(used)

    def pairs(self, paths):
        return list(zip(*(self.of[path][1:] for path in paths)))


def load():
    return f"load {os.getloadavg()[0]:.1f}"


def opens(bench, places):
    paths = places.fill("opened", write_file(b"x" * 4096))
    count = bench.size(20000, 2000)
    guarded, bare = (bench.machine.measure_tool("repeated_opens", path, count) for path in paths)
    bench.figure("repeated open of an unchanged clean file, p50", guarded["p50_ns"] / 1000, "us",
                 most=10, note=f"unguarded {bare['p50_ns'] / 1000:.2f} us, p99 "
                 f"{guarded['p99_ns'] / 1000:.1f} us")


def compile_warm(bench, places):
    compiler = shutil.which("gcc")
    if compiler is None:
        bench.skip("a warm compile", "no gcc here")
        return
    units = bench.size(30, 4)

    def write_tree(path):
        os.makedirs(os.path.join(path, "tmp"))
        shutil.copytree("/usr/include", os.path.join(path, "include"), symlinks=True)
        for number in range(units):
            with open(os.path.join(path, f"u{number}.c"), "w", encoding="utf-8") as stream:
                stream.write(UNIT)
                stream.writelines(f"int f{number}_{i}(int a) {{ char b[64]; "
                                  f"snprintf(b, sizeof b, \"%d\", a * {i}); return atoi(b); }}\n"
                                  for i in range(60))

    own = subprocess.run([compiler, "-print-file-name=include"], capture_output=True, text=True,
                         check=True).stdout.strip()

    def build(path):
        include = os.path.join(path, "include")
        target = os.path.join(include, f"{os.uname().machine}-linux-gnu")
        for number in range(units):
            subprocess.run([compiler, "-O2", "-nostdinc", "-isystem", own, "-isystem", include,
                            "-isystem", target, "-c", f"u{number}.c", "-o", f"u{number}.o"],
                           cwd=path, env={**os.environ, "TMPDIR": os.path.join(path, "tmp")},
                           check=True)

    before = places.counts()
    paths = places.fill("source", write_tree)
    used = Seconds(places.agent, build)
    clock = in_turns(used, paths, bench.size(COMPILES, ROUNDS))
    after = places.counts()
    processor = used.pairs(paths)
    bench.figure("a warm compile, CPU more than unguarded", more(processor), "%",
                 most=5, note=f"{units} units, headers and temporary files guarded: {medians(processor)}, "
                 f"the agent's own included; median of {len(processor)} pairs; "
                 f"{after['asked'] - before['asked']} asked")
    bench.figure("a warm compile, by the clock more than unguarded", more(clock), "%",
                 most=5, note=f"{medians(clock)}; {load()}")


def web_server(bench, places):
    paths = places.fill("site", lambda path: os.mkdir(path))
    servers = []
    for number, path in enumerate(paths):
        for page in range(20):
            write_file(b"<p>" + b"y" * 2000)(os.path.join(path, f"{page}.html"))
        port = 18080 + number
        servers.append((f"http://127.0.0.1:{port}/", bench.machine.start(
            [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1", "--directory",
             path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)))

    def fetch(address):
        for number in range(bench.size(600, 200)):
            with urllib.request.urlopen(f"{address}{number % 20}.html") as answer:
                answer.read()

    def answers(address):
        try:
            with urllib.request.urlopen(address):
                return True
        except OSError:
            return False

    before = places.counts()["asked"]
    try:
        for address, _ in servers:
            wait_until(lambda address=address: answers(address), 30, "the web server")
        pairs = in_turns(fetch, [address for address, _ in servers])
        bench.figure("a web server's files, more than unguarded", more(pairs), "%",
                     note=f"Python's, one client: {medians(pairs)}; "
                     f"{places.counts()['asked'] - before} asked; {load()}")
    finally:
        for _, server in servers:
            bench.machine.stop(server)


def idle(bench, places):
    seconds = bench.size(30, 3)
    pid = places.counts()["guard_pid"]
    before = cpu_seconds(places.agent.pids())
    time.sleep(seconds)
    used = cpu_seconds(places.agent.pids()) - before
    if places.counts()["guard_pid"] != pid:
        raise BenchError("the guard did not stay")
    bench.figure("prevention doing nothing, all processes, of a core", used / seconds * 100, "%", most=0.2)


def prevention(bench):
    places = Places(bench)
    try:
        opens(bench, places)
        idle(bench, places)
        web_server(bench, places)
        compile_warm(bench, places)
        counts = places.counts()
        if counts["late"] or counts["overrun"] or counts["overflow"]:
            raise BenchError(f"opens without a verdict: {counts}")
    finally:
        places.remove()
