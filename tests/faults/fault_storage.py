"""Disks that are full, databases that are spoilt."""

import contextlib
import errno
import os
import random
import re
import shutil

from inflict import agents, fault, some_files, well

STORAGE_FAILED = re.compile(r"store_failed|event_not_stored|malware_action_\w+")


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


@fault(r"database_rebuilt", quick=False)
def console_corrupted(subject):
    """random pages of the stopped console's database are overwritten; a backup is restored"""
    console = subject.pair.console
    backup = os.path.join(subject.place.root, f"backup{subject.load.number}")
    done = console.run("backup", backup)
    assert done.returncode == 0, done.stderr
    some_files(subject)
    with subject.load.pause:
        subject.events_hold()
    console.stop()
    spoil(os.path.join(console.data, "console.db"), pages=20)
    subject.pair.start_console()
    some_files(subject)
    console.stop()
    done = console.run("restore", backup, "--force")
    assert done.returncode == 0, done.stderr
    subject.pair.restart_console()
    well(subject)
