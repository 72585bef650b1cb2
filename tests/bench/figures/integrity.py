"""Integrity monitoring: a check of files that did not change, beside find(1) and AIDE. In CPU time: a check
asks the kernel for the state of every file and nothing else."""

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys

from machine import BenchError, drop_tree, wait_until

PER_DIRECTORY = 10
ROUNDS = 7
FIND_FORMAT = "%p %y %s %m %U %G %n %i %T@ %C@\n"


def make_tree(root, count):
    for number in range(count):
        folder = os.path.join(root, str(number // 1000), str(number // PER_DIRECTORY))
        if number % PER_DIRECTORY == 0:
            os.makedirs(folder)
        with open(os.path.join(folder, f"f{number}"), "wb") as stream:
            stream.write(b"%d" % number)


def thread_seconds(pid, name):
    """CPU time of the agent's threads of that name."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="utf-8") as stream:
            if stream.read().strip() != name:
                continue
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="utf-8") as stream:
            total += int(stream.read().split()[0])
    return total / 1e9


def child_seconds(arguments, accept=(0,)):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    status = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, check=False).returncode
    if status not in accept:
        raise BenchError(f"{arguments[0]}: exit {status}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def aide_seconds(folder, root):
    """AIDE's check of the same tree by the same facts, which it cannot but hash; None without AIDE."""
    if shutil.which("aide") is None:
        return None
    config = os.path.join(folder, "aide.conf")
    with open(config, "w", encoding="utf-8") as stream:
        stream.write(f"database_in=file:{folder}/aide.db\ndatabase_out=file:{folder}/aide.db\n"
                     f"gzip_dbout=no\nreport_url=file:/dev/null\n{root} p+u+g+n+s+i+m+c+sha256\n")
    child_seconds(["aide", "--init", "--config", config])
    return child_seconds(["aide", "--check", "--config", config], accept=range(8))


def check(bench):
    count = bench.size(100000, 5000)
    root = bench.machine.new_folder("monitored", 0o755)
    folder = bench.machine.new_folder("aide", 0o755)
    make_tree(root, count)
    agent = bench.product.agent(bench.machine.database("small"), [root], watch__enabled=False,
                                integrity__enabled=True, integrity__paths=[root],
                                integrity__interval="0s", integrity__trust_packages=False)
    agent.watch_ready = lambda status: status["integrity"]["state"] == "watching"
    try:
        agent.start()
        wait_until(lambda: agent.status()["integrity"]["entries"] > count, 600, "the baseline", 0.1)
        find = ["find", root, "-printf", FIND_FORMAT]
        child_seconds(find)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            before = thread_seconds(agent.process.pid, "integrity")
            totals = json.loads(agent.control("--json", "integrity", "check"))
            if totals["changes"] != 0:
                raise BenchError(f"changes where there are none: {totals}")
            ours.append(thread_seconds(agent.process.pid, "integrity") - before)
            theirs.append(child_seconds(find))
        ratio = statistics.median(ours) / statistics.median(theirs)
        aide = aide_seconds(folder, root)
        bench.figure(f"check of {count:,} unchanged files, CPU, of find -printf", round(ratio, 2),
                     "x", most=1.5,
                     note=f"{statistics.median(ours):.2f} s, find {statistics.median(theirs):.2f} s, "
                          + (f"AIDE {aide:.2f} s" if aide is not None else "no AIDE here"))
    finally:
        agent.stop()
        drop_tree(root)


def race(bench):
    """Everything made in new directories, by three writers, while they are watched and compared."""
    count = bench.size(36000, 3600)
    root = bench.machine.new_folder("race", 0o755)
    agent = bench.product.agent(bench.machine.database("small"), [root], integrity__enabled=True,
                                integrity__paths=[root], integrity__interval="0s",
                                integrity__trust_packages=False)
    try:
        agent.start()
        wait_until(lambda: agent.status()["integrity"]["state"] == "watching", 60, "the baseline")
        script = ("import os,sys\nroot, part, count = sys.argv[1], sys.argv[2], int(sys.argv[3])\n"
                  "for i in range(count // 4):\n"
                  "    d = os.path.join(root, part, str(i // 50), str(i))\n"
                  "    os.makedirs(d)\n"
                  "    for f in range(4):\n"
                  "        open(os.path.join(d, f'f{f}'), 'w').close()\n")
        writers = [subprocess.Popen([sys.executable, "-c", script, root, str(part),
                                     str(count // 3)]) for part in range(3)]
        if any(writer.wait() != 0 for writer in writers):
            raise BenchError("a writer failed")
        agent.sync(seconds=900)
        wanted = {os.path.join(top, name) for top, folders, files in os.walk(root)
                  for name in folders + files}
        created = [event["subject"] for event in agent.events("--kind", "integrity_created")]
        bench.figure(f"changes missed of {len(wanted):,}", len(wanted - set(created)), "entries",
                     most=0, note=f"{len(created) - len(set(created))} told twice")
    finally:
        agent.stop()
        drop_tree(root)
