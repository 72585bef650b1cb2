"""Processes that end or stand still."""

import os
import random
import signal

from inflict import PATIENCE, agents, child, fault, kill, policy, restart, some_files, well

@fault(r"agent_died")
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


@fault(r"scanner_timed_out", quick=False)
def worker_hung(subject):
    """SIGSTOP of all scanning processes, which then stand still with their files"""
    some_files(subject, random.randrange(5, 40))
    loader = child(subject, "yagura-scanner")
    for pid in agents.descendants(loader):
        kill(pid, signal.SIGSTOP)
    subject.agent.until(lambda status: status["scanner"]["timed_out"] > 0, "one is given up")
    some_files(subject)
    well(subject)


@fault(r"prevention_(ended|degraded)")
def guard_killed(subject):
    """kill -9 of the process for which opens wait"""
    with policy(subject, prevention__enabled=True, prevention__paths=[subject.agent.watched]):
        subject.pair.nudge()
        subject.agent.until(lambda status: status["prevention"]["state"] == "working", "the guard works")
        some_files(subject, random.randrange(5, 40))
        before = child(subject, "yagura-guard")
        kill(before)
        some_files(subject)
        subject.agent.until(lambda status: status["prevention"]["state"] == "working"
                            and before not in agents.descendants(subject.agent.process.pid), "another guard works")
    subject.agent.until(lambda status: status["prevention"]["state"] != "working", "no guard is wanted")
    well(subject)


@fault(r"inspector_died", quick=False)
def inspector_killed(subject):
    """kill -9 of the process that reads package databases and texts"""
    folder = subject.place.folder("monitored")
    text = agents.put(os.path.join(folder, "text"), b"one\n")

    def told():
        return [event for event in subject.agent.events("integrity_updated") if event["subject"] == text]
    with policy(subject, integrity__enabled=True, integrity__paths=[folder], integrity__diff=[folder],
                integrity__interval="0s"):
        subject.pair.nudge()
        subject.agent.until(lambda status: status["integrity"]["state"] == "watching", "the baseline stands")
        before = len(told())
        agents.put(text, b"one\ntwo\n")
        subject.pair.until(lambda: len(told()) > before, "the first change is told")
        kill(child(subject, "yagura-inspecto"))
        agents.put(text, b"one\ntwo\nthree\n")
        subject.pair.until(lambda: len(told()) > before + 1, "the second change is told")
    well(subject)


@fault(r"agent_died", quick=False)
def all_killed(subject):
    """kill -9 of every process of agent and console, in random order"""
    some_files(subject, random.randrange(5, 40))
    pids = [subject.agent.process.pid, *agents.descendants(subject.agent.process.pid)]
    pids.append(subject.pair.console.process.pid)
    random.shuffle(pids)
    for pid in pids:
        kill(pid)
    subject.agent.process.wait(timeout=PATIENCE)
    subject.pair.console.stop(signal.SIGKILL)
    some_files(subject)
    subject.pair.restart_console()
    restart(subject)
