"""What logs say becomes events: once, in whatever way files are rotated and processes die."""
import contextlib
import grp
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading

import harness
from harness import PROGRAMS, SECONDS, Skip

POLICIES = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../policies"))
BAD_INSPECTOR = os.path.join(os.path.dirname(PROGRAMS), "tools", "bad-inspector")
JOURNALD = "/lib/systemd/systemd-journald"
FAILED = "2026-01-02T03:04:05+00:00 host sshd[77]: Failed password for {user} from {address} port 4 ssh2\n"

# Every line of it is told apart.
NUMBERED = {
    "log_inspection.decoders": [{"name": "numbered", "program": "numbered", "regex": "^line (?<number>\\d+)$"}],
    "log_inspection.rules": [{"id": 100001, "decoder": "numbered", "severity": "low", "group": "other",
                              "description": "A numbered line"}],
    "log_inspection.rate": 10000,
}


def agent_of(place, *files, journal=None, **policy):
    agent = place.agent()
    values = {"log_inspection.enabled": True, "log_inspection.journal": journal is not None,
              "log_inspection.files": list(files), **policy}
    agent.set_policy(**{key.replace(".", "__"): value for key, value in values.items()})
    config = {"policy_directory": POLICIES}
    if journal:
        config["journal_directory"] = journal
    agent.write_config(**config)
    return agent


def append(path, text):
    with open(path, "ab") as stream:
        stream.write(text.encode() if isinstance(text, str) else text)


def numbered(number):
    return f"2026-01-02T03:04:05+00:00 host numbered[1]: line {number}\n"


def told(agent, kind):
    return [json.loads(event["detail"]) if isinstance(event["detail"], str) else event["detail"]
            for event in agent.events(kind)]


def numbers(agent):
    """Of the lines that were told, with how often."""
    counts = {}
    for detail in told(agent, "log_other"):
        number = int(detail["fields"]["number"])
        counts[number] = counts.get(number, 0) + detail.get("count", 1)
    return counts


def expect_numbers(agent, most):
    agent.sync()
    counts = numbers(agent)
    missing = [number for number in range(most) if number not in counts]
    doubled = [number for number, count in counts.items() if count > 1]
    assert not missing and not doubled, (
        f"{len(missing)} lines are missing ({missing[:5]}), {len(doubled)} doubled ({doubled[:5]}); "
        f"{agent.status()['logs']}; {agent.log_end()}")


def inspector_of(agent):
    return agent.until(lambda status: status["logs"]["inspector_pid"] > 0, "an inspector")["logs"]["inspector_pid"]


# ---- what is told ----

def test_lines_become_events(place):
    log = os.path.join(place.folder("log"), "auth.log")
    append(log, FAILED.format(user="before", address="192.0.2.1"))
    agent = agent_of(place, log).start()
    agent.sync()
    assert not agent.events("log_authentication_failure"), "what stood there before is nobody's business"
    append(log, FAILED.format(user="root", address="203.0.113.5"))
    append(log, "2026-01-02T03:04:06+00:00 host useradd[9]: new user: name=toor, UID=0, GID=0, "
                "home=/root, shell=/bin/sh, from=none\n")
    agent.sync()
    detail, = told(agent, "log_authentication_failure")
    assert detail["fields"]["user"] == "root" and detail["fields"]["source_address"] == "203.0.113.5", detail
    assert detail["rule"] == 1001 and detail["log"] == log and detail["program"] == "sshd", detail
    assert detail["process"] == 77 and detail["description_ja"], detail
    event, = agent.events("log_account_changed")
    assert event["severity"] == "critical" and event["module"] == "log", event
    status = agent.status()
    assert status["logs"]["state"] == "watching" and status["logs"]["files"] == 1, status["logs"]
    metrics = agent.control("metrics")
    assert 'yagura_log_matches_total{outcome="told"} 2' in metrics, metrics
    agent.stop()


def test_brute_force_and_login_after_it(place):
    log = os.path.join(place.folder("log"), "auth.log")
    append(log, "")
    agent = agent_of(place, log).start()
    agent.sync()
    for number in range(8):
        append(log, FAILED.format(user=f"u{number}", address="203.0.113.5"))
    append(log, "2026-01-02T03:04:07+00:00 host sshd[7]: Accepted password for bob from 203.0.113.5 port 4 ssh2\n")
    agent.sync()
    event, = agent.events("log_brute_force")
    assert event["severity"] == "high", event
    detail, = told(agent, "log_brute_force")
    assert detail["lines"] == 8 and detail["fields"]["source_address"] == "203.0.113.5", detail
    assert len(agent.events("log_login_after_failures")) == 1
    agent.stop()


def test_secrets_are_hidden(place):
    log = os.path.join(place.folder("log"), "auth.log")
    append(log, "")
    agent = agent_of(place, log).start()
    agent.sync()
    append(log, "2026-01-02T03:04:06+00:00 host sudo:   bob : TTY=pts/0 ; PWD=/ ; USER=root ; "
                "COMMAND=/usr/bin/tool --password hunter2 --token=abcdef https://u:pw@example.net/\n")
    agent.sync()
    append(log, "2026-01-02T03:04:07+00:00 host sudo:   eve : TTY=pts/0 ; PWD=/ ; USER=root ; "
                "COMMAND=/usr/bin/curl -H Authorization: Basic dTpwdw== -u eve:swordfish https://example.net/\n")
    agent.sync()
    detail, given = told(agent, "log_privilege_use")
    shown = json.dumps(given)
    assert "dTpwdw" not in shown and "swordfish" not in shown and "/usr/bin/curl" in shown, given
    shown = json.dumps(detail)
    assert "hunter2" not in shown and "abcdef" not in shown and "u:pw" not in shown, detail
    assert "/usr/bin/tool" in detail["fields"]["command"] and "TTY=pts/0" in detail["line"], detail
    agent.stop()


def test_equal_lines_are_folded_and_rules_limited(place):
    """A flood is a few events, with its whole number."""
    log = os.path.join(place.folder("log"), "auth.log")
    append(log, "")
    agent = agent_of(place, log, **{"log_inspection.rate": 10, "log_inspection.fold": "1h"}).start()
    agent.sync()
    append(log, FAILED.format(user="same", address="203.0.113.5") * 5000)
    append(log, "".join(FAILED.format(user=f"user{number}", address="203.0.113.6") for number in range(5000)))
    agent.sync()
    logs = agent.status()["logs"]
    failures = agent.events("log_authentication_failure")
    # Ten at once, and one more each six seconds that reading takes.
    assert 10 <= len(failures) <= 40, f"{len(failures)} events; {logs}"
    assert logs["folded"] >= 4999 and logs["limited"] >= 4950, logs
    # A window ends when log inspection is switched off, too.
    agent.set_policy(log_inspection__enabled=False)
    agent.control("reload")
    agent.until(lambda status: status["logs"]["state"] == "off", "switched off")
    folded = [detail["count"] for detail in told(agent, "log_authentication_failure") if "count" in detail]
    limited = [detail for detail in told(agent, "log_rule_limited") if detail["rule"] == 1001]
    assert folded == [4999], folded
    assert len(limited) == 1 and limited[0]["count"] == 5000 - (len(failures) - 1), limited
    agent.stop()


def test_hostile_lines(place):
    log = os.path.join(place.folder("log"), "auth.log")
    append(log, "")
    agent = agent_of(place, log).start()
    agent.sync()
    append(log, b"\0" * 100000 + b"\n" + os.urandom(200000) + b"\n" + b"x" * 3000000 + b"\n\xff\xfe\n\r\n")
    append(log, FAILED.format(user="\x1b[31mred\xff\u202e", address="203.0.113.5").encode("utf-8", "replace"))
    append(log, FAILED.format(user="last", address="203.0.113.6"))
    agent.sync()
    details = told(agent, "log_authentication_failure")
    assert [detail["fields"]["user"] for detail in details][-1] == "last", details
    assert all(ord(letter) >= 32 and letter != "\u202e" for detail in details for letter in detail["line"]), details
    logs = agent.status()["logs"]
    assert logs["cut"] >= 2 and logs["restarts"] == 0, logs
    agent.stop()


def test_a_match_that_is_too_long(place):
    """It is told with fewer fields, and costs no other line."""
    log = os.path.join(place.folder("log"), "auth.log")
    append(log, "")
    names = [f"field_{number}" for number in range(12)]
    decoder = {"name": "wide", "program": "wide", "regex": "^" + " ".join(f"(?<{name}>[^ ]+)" for name in names) + "$"}
    agent = agent_of(place, log, **{
        **NUMBERED, "log_inspection.decoders": NUMBERED["log_inspection.decoders"] + [decoder],
        "log_inspection.rules": NUMBERED["log_inspection.rules"] +
        [{"id": 100002, "decoder": "wide", "severity": "low", "group": "service_failed", "description": "A wide line"}]})
    agent.start()
    agent.sync()
    wide = "2026-01-02T03:04:05+00:00 host wide[1]: " + " ".join(["\x01" * 256] * len(names)) + "\n"
    append(log, numbered(0) + wide + numbered(1))
    expect_numbers(agent, 2)
    assert not agent.events("log_skipped")
    detail, = (detail for detail in told(agent, "log_service_failed") if detail["rule"] == 100002)
    assert detail["fields_cut"] and 8 <= len(detail["fields"]) < len(names), detail
    assert detail["fields"]["field_0"] == "\\x01" * 256, detail
    assert agent.status()["logs"]["restarts"] == 0, agent.status()["logs"]
    agent.stop()


def test_wrong_rules_are_refused(place):
    log = os.path.join(place.folder("log"), "auth.log")
    append(log, "")
    agent = agent_of(place, log, **NUMBERED).start()
    agent.sync()
    agent.set_policy(log_inspection__rules=[{"id": 7, "decoder": "numbered", "severity": "low", "description": "x"}])
    refused = subprocess.run([os.path.join(PROGRAMS, "yaguractl"), "--socket", agent.socket, "reload"],
                             capture_output=True, text=True, timeout=SECONDS, check=False)
    assert refused.returncode == 2 and "log_inspection.rules[0].id: must be a number from 100000" in refused.stderr, refused
    append(log, numbered(0))
    expect_numbers(agent, 1)
    # What only the whole shows: a decoder that nobody has. Ours go on.
    agent.set_policy(log_inspection__rules=[{"id": 100007, "decoder": "nobody", "severity": "low", "description": "x"}])
    agent.control("reload")
    agent.sync()
    assert "there is no decoder" in agent.status()["logs"]["problem"], agent.status()["logs"]
    append(log, FAILED.format(user="root", address="203.0.113.5"))
    agent.sync()
    assert len(agent.events("log_authentication_failure")) == 1
    agent.stop()


def test_rules_can_be_tried(place):
    agent = agent_of(place, **NUMBERED)
    lines = (numbered(5) + FAILED.format(user="root", address="203.0.113.5") + "nothing\n").encode()
    result = subprocess.run([os.path.join(PROGRAMS, "yaguractl"), "--config", agent.config, "--json", "logs", "test"],
                            input=lines, capture_output=True, timeout=SECONDS, check=False)
    assert result.returncode == 1, result
    first, second, third = map(json.loads, result.stdout.splitlines())
    assert first["decoder"] == "numbered" and first["rules"][0]["id"] == 100001, first
    assert second["fields"]["user"] == "root" and second["rules"][0]["id"] == 1001, second
    assert "decoder" not in third, third


# ---- rotation ----

def test_renamed_files(place):
    folder = place.folder("log")
    log = os.path.join(folder, "app.log")
    append(log, "")
    agent = agent_of(place, log, **NUMBERED).start()
    agent.sync()
    append(log, numbered(0))
    os.rename(log, log + ".1")
    append(log + ".1", numbered(1))  # its writer was not told yet
    append(log, numbered(2))
    expect_numbers(agent, 3)
    append(log + ".1", numbered(3))
    # Twice between two looks.
    for number in range(4, 40):
        os.rename(log + ".1", log + f".{number}")
        os.rename(log, log + ".1")
        append(log, numbered(number))
    expect_numbers(agent, 40)
    agent.stop()


def test_copied_and_emptied_files(place):
    folder = place.folder("log")
    log = os.path.join(folder, "app.log")
    append(log, "")
    agent = agent_of(place, log, **NUMBERED).start()
    agent.sync()
    append(log, "".join(map(numbered, range(10))))
    agent.sync()
    append(log, numbered(10))
    with open(log, "rb") as stream:
        append(log + ".1", stream.read())
    os.truncate(log, 0)
    append(log, numbered(11))
    expect_numbers(agent, 12)
    assert not agent.events("log_emptied")
    os.truncate(log, 0)
    agent.sync()
    event, = agent.events("log_emptied")
    assert event["severity"] == "medium", event
    agent.stop()


def test_rotated_while_the_agent_does_not_run(place):
    folder = place.folder("log")
    log = os.path.join(folder, "app.log")
    append(log, "")
    agent = agent_of(place, log, **NUMBERED).start()
    agent.sync()
    append(log, numbered(0))
    agent.sync()
    agent.stop()
    append(log, numbered(1))
    os.rename(log, log + ".2")
    append(log + ".1", numbered(2))
    append(log, numbered(3))
    agent.start()
    expect_numbers(agent, 4)
    assert not agent.events("log_gap")
    agent.stop()
    append(log, numbered(4))
    subprocess.run(["gzip", log], check=True)
    append(log, numbered(5))
    agent.start()
    agent.sync()
    assert 5 in numbers(agent) and 4 not in numbers(agent), numbers(agent)
    assert len(agent.events("log_gap")) == 1, agent.events("log_gap")
    agent.stop()


def test_a_file_that_appears_later(place):
    log = os.path.join(place.folder("log"), "later.log")
    agent = agent_of(place, log, **NUMBERED).start()
    agent.sync()
    append(log, numbered(0) + numbered(1))
    expect_numbers(agent, 2)
    agent.stop()


def test_a_file_that_is_put_back(place):
    """What was written while the policy did not name it is nobody's business."""
    folder = place.folder("log")
    log, other = os.path.join(folder, "app.log"), os.path.join(folder, "other.log")
    append(log, "")
    append(other, "")
    agent = agent_of(place, log, other, **NUMBERED).start()
    agent.sync()
    append(log, numbered(0))
    append(other, numbered(1))
    expect_numbers(agent, 2)
    agent.set_policy(log_inspection__files=[log])
    agent.control("reload")
    agent.sync()
    append(other, numbered(99))
    agent.set_policy(log_inspection__files=[log, other])
    agent.control("reload")
    agent.sync()
    append(log, numbered(2))
    append(other, numbered(3))
    expect_numbers(agent, 4)
    assert 99 not in numbers(agent), numbers(agent)
    agent.stop()


# ---- processes that die ----

class Writer(threading.Thread):
    """Writes numbered lines and rotates, until it is told to end."""

    def __init__(self, log):
        super().__init__(daemon=True)
        self.log, self.ended, self.count, self.rotations = log, threading.Event(), 0, 0
        self.stream = open(log, "ab", buffering=0)

    def run(self):
        while not self.ended.is_set() and self.count < 8000:
            self.stream.write("".join(numbered(self.count + number) for number in range(10)).encode())
            self.count += 10
            if self.count % 1000 == 0:
                self.rotate()
            self.ended.wait(0.005)
        self.stream.close()

    def rotate(self):
        for number in range(self.rotations, 0, -1):
            os.rename(f"{self.log}.{number}", f"{self.log}.{number + 1}")
        os.rename(self.log, f"{self.log}.1")
        self.rotations += 1
        self.stream.close()
        self.stream = open(self.log, "ab", buffering=0)

    def finish(self):
        self.ended.set()
        self.join(SECONDS)
        return self.count


def test_killed_inspector_and_agent(place):
    """Neither loses a line nor tells one twice."""
    log = os.path.join(place.folder("log"), "app.log")
    append(log, "")
    agent = agent_of(place, log, **NUMBERED).start()
    agent.sync()
    writer = Writer(log)
    writer.start()
    for _ in range(3):
        for _ in range(3):
            with contextlib.suppress(ProcessLookupError):
                os.kill(inspector_of(agent), signal.SIGKILL)
            agent.sync()
        agent.kill()
        agent.start()
    count = writer.finish()
    assert count > 0
    expect_numbers(agent, count)
    agent.stop()


def programs_with(place, inspector):
    """A folder of the agent's helpers with another inspector."""
    folder = place.folder("programs")
    for name in ("yagura-scanner", "yagura-messenger", "yagura-guard"):
        shutil.copy(os.path.join(PROGRAMS, name), folder)
    shutil.copy(inspector, os.path.join(folder, "yagura-inspector"))
    return folder


def bad_inspector(place):
    if not os.path.exists(BAD_INSPECTOR):
        raise Skip(f"{BAD_INSPECTOR} is missing: no inspector can be made to fail")
    return programs_with(place, BAD_INSPECTOR)


def test_a_line_that_kills_the_inspector(place):
    """Its place is left out and told, once; what stands around it is told."""
    programs = bad_inspector(place)
    log = os.path.join(place.folder("log"), "app.log")
    append(log, "")
    agent = agent_of(place, log, **NUMBERED)
    agent.write_config(policy_directory=POLICIES, program_directory=programs)
    agent.start()
    agent.sync()
    # Far enough from either that the piece which is left out ends within filling.
    filling = "filling\n" * 2000
    append(log, "".join(map(numbered, range(20))) + filling + "a poisonous line\n" + filling +
           "".join(map(numbered, range(20, 40))))
    expect_numbers(agent, 40)
    skipped, = agent.events("log_skipped")
    assert skipped["severity"] == "high" and skipped["subject"] == log, skipped
    append(log, numbered(40))
    expect_numbers(agent, 41)
    assert len(agent.events("log_skipped")) == 1
    logs = agent.status()["logs"]
    # Twice a large piece, three times the small one that it is in: each costs one inspector.
    assert logs["lost"] == 1 and logs["restarts"] <= 5, logs
    agent.stop()


def test_a_log_that_cannot_be_read(place):
    """As on a disk with a bad place: it costs that place, no process, and no line of another log."""
    programs = bad_inspector(place)
    folder = place.folder("log")
    broken, log = os.path.join(folder, "broken.log"), os.path.join(folder, "app.log")
    append(broken, "")
    append(log, "")
    agent = agent_of(place, broken, log, **NUMBERED)
    agent.write_config(policy_directory=POLICIES, program_directory=programs)
    agent.start()
    agent.sync()
    filling = "filling\n" * 2000
    append(log, numbered(0))
    append(broken, numbered(1) + filling + "an unreadable line\n" + filling + numbered(2))
    expect_numbers(agent, 3)
    skipped, = agent.events("log_skipped")
    assert skipped["subject"] == broken and "Input/output error" in json.dumps(skipped["detail"]), skipped
    assert agent.status()["logs"]["restarts"] == 0, agent.status()["logs"]
    agent.stop()


def test_switched_off_has_no_process(place):
    log = os.path.join(place.folder("log"), "app.log")
    append(log, "")
    agent = agent_of(place, log, **NUMBERED).start()
    agent.sync()
    pid = inspector_of(agent)
    agent.set_policy(log_inspection__enabled=False)
    agent.control("reload")
    agent.until(lambda status: status["logs"]["state"] == "off", "switched off")
    assert pid not in harness.descendants(agent.process.pid)
    append(log, numbered(0))
    agent.set_policy(log_inspection__enabled=True)
    agent.control("reload")
    expect_numbers(agent, 1)
    agent.stop()


# ---- the journal ----

class Journal:
    """A journald of our own, with a /run of our own."""

    def __init__(self, place, started=True):
        if not os.path.exists(JOURNALD):
            raise Skip(f"{JOURNALD} is missing: the journal is not tried")
        harness.own_mounts()
        harness.mount_tmpfs(place, "/run")
        os.makedirs("/run/systemd/journal")
        # As systemd-tmpfiles makes it: what stands there is read by this group.
        try:
            group = grp.getgrnam("systemd-journal").gr_gid
        except KeyError as error:
            raise Skip("there is no group systemd-journal: the journal is not tried") from error
        os.makedirs("/run/log/journal")
        os.chown("/run/log/journal", 0, group)
        os.chmod("/run/log/journal", 0o2755)
        self.directory = "/run/log/journal"
        self.log = os.path.join(place.root, "journald.log")
        self.process = None
        place.cleanups.append(self.end)
        if started:
            self.start()

    def start(self):
        with open(self.log, "ab") as stream:
            self.process = subprocess.Popen([JOURNALD], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
        self.say("journald is there")
        self.flush()

    def end(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(SECONDS)
            self.process = None

    def say(self, message, identifier="test", **fields):
        text = "".join(f"{key}={value}\n" for key, value in
                       {"MESSAGE": message, "SYSLOG_IDENTIFIER": identifier, **fields}.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            deadline = threading.Event()
            for _ in range(int(SECONDS * 10)):
                try:
                    sender.sendto(text.encode(), "/run/systemd/journal/socket")
                    return
                except (FileNotFoundError, ConnectionRefusedError):
                    assert self.process.poll() is None, open(self.log, "rb").read()[-500:]
                    deadline.wait(0.1)
        raise AssertionError("journald takes no message")

    def ask(self, *arguments):
        result = subprocess.run(["journalctl", "-D", self.directory, "-q", *arguments], capture_output=True,
                                timeout=SECONDS, check=False)
        return result.stdout.decode("utf-8", "replace")

    def until(self, *match):
        """Until there is an entry of it."""
        for _ in range(int(SECONDS * 10)):
            if self.ask("-o", "cat", *match):
                return
            threading.Event().wait(0.1)
        raise AssertionError(f"the journal has nothing of {match}")

    def flush(self):
        """Until journald has written what was said so far."""
        self.marks = getattr(self, "marks", 0) + 1
        mark = f"mark {self.marks} of {os.getpid()}"
        self.say(mark)
        for _ in range(int(SECONDS * 10)):
            if mark in self.ask("-o", "cat", "-n", "50"):
                return
            threading.Event().wait(0.1)
        raise AssertionError("journald wrote nothing: " + open(self.log).read()[-500:])

    def rotate(self):
        before = set(os.listdir(self.machine()))
        self.process.send_signal(signal.SIGUSR2)
        for _ in range(int(SECONDS * 10)):
            if set(os.listdir(self.machine())) != before:
                return
            threading.Event().wait(0.1)
        raise AssertionError("journald rotated nothing")

    def machine(self):
        name, = os.listdir(self.directory)
        return os.path.join(self.directory, name)


def test_journal(place):
    journal = Journal(place)
    journal.say("line 99", "numbered")
    journal.flush()
    agent = agent_of(place, journal="", **NUMBERED).start()
    agent.sync()
    assert agent.status()["logs"]["journal"], agent.status()["logs"]
    assert not numbers(agent), "what stood there before is nobody's business"
    journal.say("line 0", "numbered")
    journal.say("Failed password for root from 203.0.113.5 port 4 ssh2", "sshd")
    journal.flush()
    agent.sync()
    detail, = told(agent, "log_authentication_failure")
    assert detail["log"] == "journal" and detail["fields"]["user"] == "root", detail
    journal.rotate()
    journal.say("line 1", "numbered")
    journal.flush()
    expect_numbers(agent, 2)
    os.kill(inspector_of(agent), signal.SIGKILL)
    journal.say("line 2", "numbered")
    journal.flush()
    expect_numbers(agent, 3)
    agent.kill()
    journal.say("line 3", "numbered")
    journal.flush()
    agent.start()
    expect_numbers(agent, 4)
    agent.stop()
    journal.end()


def test_journal_that_comes_later(place):
    """Looking for one costs nothing of what rules counted."""
    journal = Journal(place, started=False)
    log = os.path.join(place.folder("log"), "auth.log")
    append(log, "")
    agent = agent_of(place, log, journal="").start()
    agent.sync()
    assert not agent.status()["logs"]["journal"], agent.status()["logs"]
    for number in range(7):
        append(log, FAILED.format(user=f"u{number}", address="203.0.113.5"))
    agent.sync()
    journal.start()
    agent.until(lambda status: status["logs"]["journal"], "the journal")
    append(log, FAILED.format(user="u7", address="203.0.113.5"))
    agent.sync()
    assert len(agent.events("log_brute_force")) == 1, agent.status()["logs"]
    assert agent.status()["logs"]["restarts"] == 0, agent.status()["logs"]
    agent.stop()
    journal.end()


def test_journal_that_was_vacuumed(place):
    journal = Journal(place)
    # What journald says first in a file.
    decoder = {"name": "size", "program": "systemd-journald", "regex": "^(?<which>Runtime|System) Journal"}
    agent = agent_of(place, journal="", **{
        **NUMBERED, "log_inspection.decoders": NUMBERED["log_inspection.decoders"] + [decoder],
        "log_inspection.rules": NUMBERED["log_inspection.rules"] +
        [{"id": 100002, "decoder": "size", "severity": "low", "group": "service_failed", "description": "First"}]})
    agent.start()
    agent.sync()
    journal.say("line 0", "numbered")
    journal.flush()
    agent.sync()
    agent.stop()
    journal.say("line 1", "numbered")
    journal.flush()
    journal.rotate()
    journal.say("line 2", "numbered")
    journal.flush()
    for name in os.listdir(journal.machine()):
        if "@" in name:
            os.unlink(os.path.join(journal.machine(), name))
    agent.start()
    agent.sync()
    assert sorted(numbers(agent)) == [0, 2], (numbers(agent), agent.status()["logs"])
    assert len(agent.events("log_gap")) == 1
    first = [detail["rule"] for detail in told(agent, "log_service_failed")]
    assert first == [100002], "the first entry that is left is read, too"
    agent.stop()
    journal.end()


def test_journal_that_begins_anew(place):
    """With a clock that was set back: nothing stands behind the place where reading stood."""
    journal = Journal(place)
    agent = agent_of(place, journal="", **NUMBERED).start()
    agent.sync()
    journal.say("line 0", "numbered")
    journal.flush()
    agent.sync()
    agent.stop()
    ahead = ";".join(f"{name}={value}" for name, value in
                     (("s", "1" * 32), ("i", "1"), ("b", "1" * 32), ("m", "1"), ("t", "7" + "0" * 14), ("x", "1")))
    with contextlib.closing(sqlite3.connect(os.path.join(agent.state, "events.db"))) as database, database:
        changed = database.execute("UPDATE log_position SET position = ? WHERE source = 'journal'", (ahead,))
        assert changed.rowcount == 1
    agent.start()
    agent.sync()
    journal.say("line 1", "numbered")
    journal.flush()
    expect_numbers(agent, 2)
    assert len(agent.events("log_gap")) == 1
    agent.stop()
    journal.end()


def test_programs_that_people_run(place):
    """A program of the system says what its user wants, unless it has rights that they have not."""
    journal = Journal(place)
    harness.mount_tmpfs(place, "/usr/src")  # in the mount namespace of the journal's
    name, program = "talker", "/usr/src/talker"
    shutil.copy(os.path.realpath(sys.executable), program)
    agent = agent_of(place, journal="", **{
        "log_inspection.decoders": [{"name": "person", "program": name, "regex": "^I am (?<who>\\w+)$"}],
        "log_inspection.rules": [{"id": 100001, "decoder": "person", "severity": "low", "group": "other",
                                  "description": "x"}]}).start()
    agent.sync()
    # Real and effective user; su is of the person and has root's rights.
    for real, effective, who in ((65534, 65534, "nobody"), (1000, 1000, "person"), (33, 33, "service"), (0, 0, "root"),
                                 (1000, 0, "su")):
        said = (f"import os,socket; os.setresuid({real}, {effective}, {effective}); "
                "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto("
                f"b'MESSAGE=I am {who}\\nSYSLOG_IDENTIFIER={name}\\n', '/run/systemd/journal/socket'); input()")
        with subprocess.Popen([program, "-c", said], stdin=subprocess.PIPE,
                              env={**os.environ, "PYTHONHOME": sys.base_prefix}) as sender:
            try:
                journal.until(f"MESSAGE=I am {who}")
            finally:
                sender.communicate(b"\n", timeout=SECONDS)
    journal.flush()
    agent.sync()
    assert sorted(detail["fields"]["who"] for detail in told(agent, "log_other")) == [
        "root", "service", "su"], told(agent, "log_other")
    agent.stop()
    journal.end()


def test_forged_senders(place):
    """logger -t sshd is not sshd."""
    journal = Journal(place)
    agent = agent_of(place, journal="").start()
    agent.sync()
    forged = ("import os,socket; os.setgid(65534); os.setuid(65534); "
              "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto("
              "b'MESSAGE=Failed password for forged from 203.0.113.9 port 4 ssh2\\nSYSLOG_IDENTIFIER=sshd\\n', "
              "'/run/systemd/journal/socket')")
    subprocess.run(["python3", "-c", forged], check=True, timeout=SECONDS)
    # Neither is a program of that name that anybody may have written. It waits until it was looked at.
    program = os.path.join(place.folder("bin"), "sshd")
    shutil.copy(os.path.realpath(sys.executable), program)
    with subprocess.Popen([program, "-c", forged + "; input()"], stdin=subprocess.PIPE,
                          env={**os.environ, "PYTHONHOME": sys.base_prefix}) as sender:
        try:
            journal.until("_EXE=" + program)
            assert "forged" in journal.ask("-o", "cat", "_EXE=" + program)
        finally:
            sender.communicate(b"\n", timeout=SECONDS)
    journal.say("Failed password for real from 203.0.113.5 port 4 ssh2", "sshd")
    journal.flush()
    agent.sync()
    users = [detail["fields"]["user"] for detail in told(agent, "log_authentication_failure")]
    assert users == ["real"], users
    agent.stop()
    journal.end()


if __name__ == "__main__":
    sys.exit(harness.main())
