"""The faults. Each breaks one thing, puts right only what an operator or the service manager would
(a full disk gets room, a dead service is started), and returns when the service says it is well."""

import contextlib
import errno
import os
import random
import re
import resource
import shutil
import signal
import subprocess

from pair import agents

PATIENCE = 300  # seconds; after a lost console the back-off alone may take two minutes
Skip = agents.Skip


class Fault:
    def __init__(self, inflict, said, quick):
        self.name = inflict.__name__
        self.meaning = inflict.__doc__
        self.inflict = inflict
        self.said = re.compile(said)
        self.quick = quick


FAULTS = []
STORAGE_FAILED = re.compile(r"store_failed|event_not_stored|malware_action_\w+")


def fault(said, quick=True):
    """said: what the logs or events must say; quick: takes seconds."""
    def register(inflict):
        FAULTS.append(Fault(inflict, said, quick))
        return inflict
    return register


# ---- waiting until it is well ----

def well(subject):
    agent = subject.agent
    agent.until(lambda status: status["scanner"]["state"] == "ready", "the scanner is ready")
    subject.pair.until(lambda: subject.pair.console_status()["state"] == "online", "online", PATIENCE)


def some_files(subject, count=25):
    """While the load goes on."""
    before = subject.load.number
    subject.pair.until(lambda: subject.load.number >= before + count, "the load goes on")


def child(subject, name, last=False):
    found = [pid for pid in agents.descendants(subject.agent.process.pid)
             if agents.command_of(pid).startswith(name)]
    assert found, f"there is no {name}"
    return found[-1 if last else 0]


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


# ---- processes ----

@fault(r"agent_started")
def agent_killed(subject):
    """kill -9 of yagura-agent at a random moment; started again as systemd would"""
    some_files(subject, random.randrange(5, 40))
    subject.agent.kill()
    some_files(subject)
    subject.agent.start()
    well(subject)


@fault(r"scanner_crashed")
def worker_killed(subject):
    """kill -9 of a scanning process"""
    some_files(subject, random.randrange(5, 40))
    kill(child(subject, "yagura-scanner", last=True))
    some_files(subject)
    well(subject)


@fault(r"scanner_problem")
def loader_killed(subject):
    """kill -9 of the process that holds the signatures"""
    some_files(subject, random.randrange(5, 40))
    kill(child(subject, "yagura-scanner"))
    some_files(subject)
    well(subject)


@fault(r"messenger_ended")
def messenger_killed(subject):
    """kill -9 of the process that speaks to the console"""
    starts = subject.pair.console_status()["messenger_starts"]
    kill(child(subject, "yagura-messeng"))
    subject.pair.until(lambda: subject.pair.console_status()["messenger_starts"] > starts,
                       "another messenger", PATIENCE)
    well(subject)


@fault(r"console_ready", quick=False)
def console_killed(subject):
    """kill -9 of yagura-console; started again as systemd would"""
    some_files(subject, random.randrange(5, 40))
    subject.pair.console.stop(signal.SIGKILL)
    some_files(subject, 100)
    subject.pair.restart_console()
    well(subject)


# ---- disks ----

def fill(folder):
    path = os.path.join(folder, "filler")
    with open(path, "ab", buffering=0) as stream:
        for size in (1 << 20, 4096, 512, 1):
            try:
                while True:
                    stream.write(b"\0" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return path


@fault(STORAGE_FAILED.pattern)
def disk_full(subject):
    """no block is free where the agent keeps its events and its quarantine"""
    filler = fill(subject.agent.state)
    subject.pair.until(lambda: subject.said(STORAGE_FAILED), "the full disk is noticed")
    assert subject.agent.process.poll() is None, "the agent ended"
    some_files(subject, 60)
    os.unlink(filler)
    well(subject)


@fault(r"malware_quarantined")
def inodes_full(subject):
    """no file can be made where the agent keeps its events and its quarantine: it needs none"""
    folder = os.path.join(subject.agent.state, "fillers")
    os.mkdir(folder)
    with contextlib.suppress(OSError):
        for number in range(1 << 20):
            agents.put(os.path.join(folder, str(number)), b"")
    some_files(subject, 60)
    assert subject.agent.process.poll() is None, "the agent ended"
    shutil.rmtree(folder)
    well(subject)


# ---- databases ----

def spoil(path, pages=3):
    """Overwrites random pages, the first one left alone."""
    count = os.path.getsize(path) // 4096
    with open(path, "r+b") as stream:
        for page in random.sample(range(1, count), min(pages, count - 1)):
            stream.seek(4096 * page)
            stream.write(os.urandom(4096))


@fault(r"store_notice|store_rewound")
def store_corrupted(subject):
    """random pages of the stopped agent's event store and of its log are overwritten"""
    some_files(subject)
    with subject.load.pause:
        subject.events_hold()  # what the console has acknowledged can no longer be lost
        subject.agent.stop()
    database = os.path.join(subject.agent.state, "events.db")
    os.truncate(database + "-wal", 0)  # its newer pages would cover the spoilt ones
    spoil(database)
    subject.agent.start()
    well(subject)


# ---- resources ----

@fault(r"Too many open files|descriptor\w*|watch_gap|scan_error|watch_limited")
def descriptors_gone(subject):
    """the agent may open no file more: all numbers below the limit are taken"""
    pid = subject.agent.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (16, before[1]))
    some_files(subject, 60)
    assert subject.agent.process.poll() is None, "the agent ended"
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
    well(subject)


# ---- what is watched, what it is watched with ----

@fault(r"watch_mount_changed")
def tree_unmounted(subject):
    """a watched file system is unmounted while files are written on it, and comes back"""
    folder = os.path.join(subject.agent.watched, f"mount{subject.load.number}")
    os.makedirs(folder)
    image = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder]
    for _ in range(2):
        subprocess.run(image, check=True)
        for number in range(10):
            agents.put(os.path.join(folder, f"passing{number}"), agents.CLEAN)
        subprocess.run(["umount", "-l", folder], check=True)
    subprocess.run(image, check=True)
    subject.place.cleanups.append(lambda: subprocess.run(["umount", "-l", folder], check=False))
    path = agents.put(os.path.join(folder, "malicious"), agents.EICAR)
    subject.load.bad.append(path)
    well(subject)


@fault(r"scanner_problem")
def signatures_swapped(subject):
    """signatures are replaced under load, first by broken ones"""
    folder = subject.agent.databases[0]
    broken = os.path.join(folder, "broken.hdb")
    agents.put(broken, b"not:a:signature\n\xff\x00\n")
    some_files(subject, 60)
    os.unlink(broken)
    agents.put(os.path.join(folder, "more.hdb"),
               b"%032x:%d:Test.More-%d\n" % (subject.load.number, 1 << 20, subject.load.number))
    some_files(subject, 60)
    well(subject)
