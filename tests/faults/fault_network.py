"""The way to the console, and a console whose clock is wrong."""

import signal

from inflict import PATIENCE, fault, some_files, well


@fault(r"console_silent", quick=False)
def link_bad(subject):
    """packets are lost, late and out of order; then none passes; then all do"""
    link = subject.needs_link()
    link.behave(lost=0.1, late=0.5, late_s=0.3)
    some_files(subject, 60)
    path = subject.pair.nudge()
    subject.pair.until(lambda: [event for event in subject.pair.events("&kind=malware_found")
                                if event["subject"] == path], "events pass all the same", PATIENCE)
    link.behave(cut=True)
    subject.pair.until(lambda: subject.pair.console_status()["state"] != "online", "the cut is noticed", PATIENCE)
    some_files(subject, 60)
    link.behave()
    well(subject)


@fault(r"console_refuses", quick=False)
def console_clock_wrong(subject):
    """the console is started a year ahead, its certificate is of then, the agents' are long over; then it is set right"""
    subject.needs_clock()
    console = subject.pair.console
    console.stop(signal.SIGKILL)
    subject.console_clock.set(365)
    subject.pair.start_console()
    subject.agent.until(lambda status: "not yet valid" in status["console"]["problem"], "it is not trusted")
    some_files(subject, 40)
    console.stop(signal.SIGKILL)
    subject.console_clock.set(0)
    subject.pair.restart_console()
    some_files(subject, 40)
    well(subject)
