"""What the host withholds, or changes under the agent."""

import contextlib
import os
import random
import re
import resource
import shutil
import subprocess

from host import UserNamespace
from inflict import Skip, agents, child, fault, kill, restart, some_files, well


def find_malware(subject):
    subject.load.write(random.randrange(20, 100))


def end_scanner(subject):
    kill(child(subject, "yagura-scanner"))


def end_messenger(subject):
    kill(child(subject, "yagura-messeng"))


def load_signatures(subject):
    number = subject.load.number
    agents.put(os.path.join(subject.agent.databases[0], "moment.hdb"),
               b"%032x:%d:Test.Moment-%d\n" % (number, 1 << 20, number))


def change_policy(subject):
    pair = subject.pair
    pair.put_policy("test", pair.policy_text(store__max_age=f"{300 + subject.load.number % 3000}d"))
    pair.nudge()


@fault(r"Too many open files|descriptor\w*|watch_gap|scan_error|watch_limited")
def descriptors_gone(subject):
    """the agent may open no file more, at bad moments: all numbers below the limit are taken"""
    pid = subject.agent.process.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    for begin in (find_malware, end_scanner, find_malware, end_messenger, find_malware, load_signatures,
                  change_policy):
        begin(subject)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (16, before[1]))
        some_files(subject, 40)
        subject.agent.expect_alive()
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)
        well(subject)
    subject.pair.put_policy("test", subject.pair.policy_text())


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


def address_space(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as stream:
        return int(stream.read().split()[0]) * resource.getpagesize()


@fault(r"scanner_problem")
def memory_refused(subject):
    """the agent may have no memory more, and a scanner that it starts has too little"""
    pid = subject.agent.process.pid
    if address_space(pid) > 1 << 40:
        raise Skip("AddressSanitizer ends a program that gets no memory")
    before = resource.prlimit(pid, resource.RLIMIT_AS)
    scanner = child(subject, "yagura-scanner")
    resource.prlimit(pid, resource.RLIMIT_AS, (address_space(pid), before[1]))
    some_files(subject, 60)
    kill(scanner)  # it may have had to go already
    some_files(subject, 60)
    subject.agent.expect_alive()
    resource.prlimit(pid, resource.RLIMIT_AS, before)
    well(subject)


MEMORY_SAID = re.compile(r"scanner_problem|scanner_crashed|agent_died")


class MemoryGroup:
    """A control group of either version, whose processes share so much memory."""

    PLACES = (("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "-1"), ("/sys/fs/cgroup", "memory.max", "max"))

    def __init__(self):
        for root, name, unlimited in self.PLACES:
            self.folder = os.path.join(root, f"yagura-faults-{os.getpid()}")
            try:
                os.mkdir(self.folder)
            except OSError:
                continue
            self.limit_file, self.unlimited = os.path.join(self.folder, name), unlimited
            if os.path.exists(self.limit_file):
                return
            os.rmdir(self.folder)
        raise Skip("no memory control group can be made here")

    def limit(self, text):
        with open(self.limit_file, "w", encoding="ascii") as stream:
            stream.write(text)

    def take(self, pids, folder=None):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError), open(
                    os.path.join(folder or self.folder, "cgroup.procs"), "w", encoding="ascii") as stream:
                stream.write(str(pid))

    def members(self):
        with open(os.path.join(self.folder, "cgroup.procs"), encoding="ascii") as stream:
            return [int(line) for line in stream]

    def end(self):
        self.limit(self.unlimited)
        while True:  # what was killed is a member until it is gone
            self.take(self.members(), os.path.dirname(self.folder))
            with contextlib.suppress(OSError):
                os.rmdir(self.folder)
                return


def somebody_was_killed(subject):
    with contextlib.suppress(AssertionError):  # who is asked may be who is killed
        if subject.said(MEMORY_SAID):
            return True
    return subject.agent.process.poll() is not None


@fault(MEMORY_SAID.pattern, quick=False)
def memory_limited(subject):
    """agent and scanner share less memory than they want, and the kernel kills one of them"""
    group = MemoryGroup()
    try:
        group.limit("3M")
        group.take([subject.agent.process.pid, *agents.descendants(subject.agent.process.pid)])
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):  # it may be killed itself
            subject.agent.control("signatures", "--reload", accept=(0, 1, 2))
        subject.pair.until(lambda: somebody_was_killed(subject), "the kernel killed somebody")
        some_files(subject, 60)
        group.limit(group.unlimited)
        if subject.agent.process.poll() is not None:
            subject.agent.start()
        well(subject)
    finally:
        group.end()


@fault(r"watch_limited", quick=False)
def watches_gone(subject):
    """the kernel gives the agent's user no watch more; then it gives them again"""
    subject.agent.stop()
    with UserNamespace() as users:
        users.set("max_inotify_watches", 8)
        subject.agent.start(users=users)
        some_files(subject, 120)
        subject.agent.expect_alive()
        users.set("max_inotify_watches", 1 << 20)
        subject.agent.until(lambda status: status["watch"]["directories_unwatched"] == 0, "all is watched again")
        some_files(subject)
        well(subject)
        subject.agent.stop()
    restart(subject)


def replace_program(folder, name):
    """As a package's upgrade does it: another inode takes the name."""
    path = os.path.join(folder, name)
    shutil.copy2(path, path + ".new")
    os.rename(path + ".new", path)


@fault(r"scanner_problem")
def programs_swapped(subject):
    """programs are replaced one by one while they run and end; one is not there for a while"""
    folder = agents.PROGRAMS
    names = [name for name in os.listdir(folder) if name.startswith("yagura-")]
    random.shuffle(names)
    for name in names:
        replace_program(folder, name)
        some_files(subject, 5)
    kill(child(subject, "yagura-scanner", last=True))
    kill(child(subject, "yagura-messeng"))
    well(subject)
    scanner = os.path.join(folder, "yagura-scanner")
    os.rename(scanner, scanner + ".away")
    try:
        kill(child(subject, "yagura-scanner"))
        some_files(subject, 40)
        subject.agent.expect_alive()
    finally:
        os.rename(scanner + ".away", scanner)
    well(subject)
    subject.agent.stop()
    restart(subject)


CLOCK_SAID = re.compile(r"clock_stepped")


@fault(CLOCK_SAID.pattern)
def clock_stepped(subject):
    """the agent's clock jumps a year ahead, two back, and is right again"""
    subject.needs_clock()
    for days in (365, -365, 0):
        subject.clock.set(days)
        subject.pair.until(lambda: subject.said(CLOCK_SAID), "the step is noticed")
        some_files(subject, 30)
        subject.agent.expect_alive()
        well(subject)
    subject.agent.stop()  # what it kept meanwhile is read again
    restart(subject)
