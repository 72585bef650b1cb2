"""What all faults share. Each (fault_*.py) breaks one thing, puts right only what an operator or the service manager would
(a full disk gets room, a dead service is started), and returns when the service says it is well."""

import contextlib
import os
import re
import signal

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
    """One that may just be starting again."""
    found = subject.pair.until(lambda: [pid for pid in agents.descendants(subject.agent.process.pid)
                                        if agents.command_of(pid).startswith(name)], f"there is a {name}")
    return found[-1 if last else 0]


def kill(pid, number=signal.SIGKILL):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def restart(subject):
    """As the service manager would."""
    subject.agent.start()
    well(subject)


@contextlib.contextmanager
def policy(subject, **changes):
    """The console gives another policy meanwhile."""
    pair = subject.pair
    pair.put_policy("test", pair.policy_text(**changes))
    try:
        yield
    finally:
        pair.put_policy("test", pair.policy_text())
        pair.nudge()
