"""Disks that are full, databases that are spoilt."""

import contextlib
import errno
import os
import random
import re
import shutil

from inflict import agents, fault, policy, some_files, well

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
    subject.agent.expect_alive()
    some_files(subject, 60)
    os.unlink(filler)
    well(subject)


@fault(r"malware_action_\w+")
def inodes_full(subject):
    """no file can be made where the agent keeps its events and its quarantine: events need none, a large quarantined file waits"""
    folder = os.path.join(subject.agent.state, "fillers")
    os.mkdir(folder)
    with contextlib.suppress(OSError):
        for number in range(1 << 20):
            agents.put(os.path.join(folder, str(number)), b"")
    large = agents.put(os.path.join(subject.agent.watched, f"large{subject.load.number}"), agents.EICAR + bytes(1 << 20))
    subject.load.bad.append(large)
    some_files(subject, 60)
    subject.agent.expect_alive()
    shutil.rmtree(folder)
    well(subject)


def spoil(path, pages=3):
    """Overwrites random pages, the first like any other."""
    count = os.path.getsize(path) // 4096
    with open(path, "r+b") as stream:
        for page in random.sample(range(count), min(pages, count)):
            stream.seek(4096 * page)
            stream.write(os.urandom(4096))


def spoil_log(database):
    """Of the pages that are not in the database yet: none is left, or some are overwritten."""
    path = database + "-wal"
    if not os.path.exists(path):
        return
    if random.random() < 0.5:
        os.truncate(path, 0)
    else:
        spoil(path)


@fault(r"store_notice|store_rewound")
def store_corrupted(subject):
    """random pages of the stopped agent's event store and of its log are overwritten"""
    some_files(subject)
    with subject.load.pause:
        subject.events_hold()  # what the console has acknowledged can no longer be lost
        subject.agent.stop()
    database = os.path.join(subject.agent.state, "events.db")
    spoil_log(database)
    spoil(database)
    subject.agent.start()
    well(subject)


def spoil_stopped(subject, name):
    """A file of the agent's other databases, so that none of it can be used, and its log."""
    with subject.load.pause:
        subject.events_hold()
        subject.agent.stop()
    database = os.path.join(subject.agent.state, name)
    spoil_log(database)
    spoil(database, pages=max(3, os.path.getsize(database) // 8192))
    subject.agent.start()


@fault(r"baseline_(lost|tampered)")
def baseline_corrupted(subject):
    """random pages of the stopped agent's baseline of files, and of its log, are overwritten"""
    folder = subject.place.folder("approved")
    for number in range(200):
        agents.put(os.path.join(folder, f"file{number}"), b"one\n")
    path = os.path.join(folder, "file7")
    with policy(subject, integrity__enabled=True, integrity__paths=[folder], integrity__interval="0s"):
        subject.pair.nudge()
        subject.agent.until(lambda status: status["integrity"]["state"] == "watching", "the baseline stands")
        spoil_stopped(subject, "integrity.db")
        subject.agent.until(lambda status: status["integrity"]["state"] == "watching", "a baseline stands again")
        agents.put(path, b"another %d\n" % subject.load.number)
        subject.pair.until(lambda: path in subject.agent.subjects("integrity_updated"), "a change is told")
    well(subject)


@fault(r"application_inventory_tampered")
def programs_corrupted(subject):
    """random pages of the stopped agent's inventory of programs, and of its log, are overwritten"""
    folder = subject.place.folder("controlled")
    for number in range(200):
        shutil.copyfile("/bin/true", os.path.join(folder, f"program{number}"))
        with open(os.path.join(folder, f"program{number}"), "ab") as stream:
            stream.write(b"%d" % number)
    with policy(subject, application_control__mode="report", application_control__paths=[folder]):
        subject.pair.nudge()
        subject.agent.until(lambda status: status["application_control"]["state"] == "working", "programs are known")
        spoil_stopped(subject, "programs.db")
        subject.agent.until(lambda status: status["application_control"]["state"] == "working", "programs are known again")
    subject.agent.until(lambda status: status["application_control"]["state"] != "working", "no guard is wanted")
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
