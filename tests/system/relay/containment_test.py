"""Whatever happens to an inspection costs that inspection and nothing else: the function goes on, the
extension never dies, and what was not inspected is told."""
import json
import os
import shutil
import signal
import subprocess
import time

from functions import (BAD, EXTENSION, FIXTURES, GOOD, QUEUE, Run, command_of, digest, free_port,
                       http_event, inspector_of, main, until)
from transparency_test import FIELDS, NEXT, Relay, Side, length

PYTHON = [shutil.which("python3"), "-B", os.path.join(FIXTURES, "loop.py")]


class Slow:
    """A relay with one runtime connection, and events given by hand."""

    def __init__(self, place, **environment):
        self.relay = Relay(place, **environment)

    def __enter__(self):
        self.relay.__enter__()
        self.client = self.relay.client()
        self.client.send(NEXT)
        self.server = self.relay.accept()
        return self

    def __exit__(self, *_):
        self.relay.__exit__()

    def inspector(self):
        def find():
            path = f"/proc/{self.relay.process.pid}/task/{self.relay.process.pid}/children"
            with open(path, encoding="ascii") as stream:
                found = [int(word) for word in stream.read().split()]
            # Connection threads start it anew: they are not the main thread.
            for task in os.listdir(f"/proc/{self.relay.process.pid}/task"):
                try:
                    with open(f"/proc/{self.relay.process.pid}/task/{task}/children",
                              encoding="ascii") as stream:
                        found += [int(word) for word in stream.read().split()]
                except OSError:
                    continue
            return [pid for pid in found if "--inspect" in command_of(pid)][:1]
        return until(find, "the inspecting process")[0]

    def give(self, event, deadline_ms=None):
        """True when the event reached the client; False when it was answered for it."""
        fields = FIELDS
        if deadline_ms is not None:
            fields += b"Lambda-Runtime-Deadline-Ms: %d\r\n" % (time.time() * 1000 + deadline_ms)
        assert self.server.head() == NEXT
        answer = b"HTTP/1.1 200 OK\r\n" + fields + length(event.encode())
        self.server.send(answer)
        until(lambda: self.waits(self.client) or self.waits(self.server), "what becomes of the event")
        if self.waits(self.client):
            assert self.client.body(len(answer)) == answer
            self.client.send(NEXT)
            return True
        head = self.server.head()
        assert b"/response HTTP/1.1" in head, head
        self.server.body(int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0]))
        self.server.send(b"HTTP/1.1 202 Accepted\r\n" + length(b"{}"))
        return False

    @staticmethod
    def waits(side):
        if side.buffered:
            return True
        side.connection.settimeout(0.01)
        try:
            piece = side.connection.recv(1 << 20)
            assert piece, "the connection ended"
            side.buffered += piece
            return True
        except TimeoutError:
            return False
        finally:
            side.connection.settimeout(120)


def ended(slow):
    """Ends the relay in order, and returns the events that it told."""
    relay = slow.relay
    relay.own.send(b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{"eventType":"SHUTDOWN"}')
    said, _ = relay.process.communicate(timeout=120)
    assert relay.process.returncode == 0
    relay.own.close()
    for side in relay.kept:
        side.close()
    relay.listener.close()
    return [json.loads(line) for line in said.splitlines() if line.startswith(b"{")]


def reasons(events):
    return [event["detail"]["reason"] for event in events if event["kind"] == "request_uninspected"]


def opened(place, **environment):
    slow = Slow(place, **environment)
    slow.__enter__()
    return slow


def has_died(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
        return stream.read().rpartition(")")[2].split()[0] == "Z"


def test_a_crash_between_events_costs_nothing(place):
    slow = opened(place)
    assert not slow.give(BAD)
    first = slow.inspector()
    os.kill(first, signal.SIGSEGV)
    until(lambda: has_died(first), "its death")
    assert not slow.give(BAD), "a new process inspects"
    assert reasons(ended(slow)) == []


def test_a_crash_in_the_middle(place):
    """The process dies while it has the event: it passes, and that is told."""
    slow = opened(place)
    assert slow.give(GOOD)
    first = slow.inspector()
    os.kill(first, signal.SIGSTOP)
    killer = subprocess.Popen(["sh", "-c", f"sleep 0.3; kill -SEGV {first}; kill -CONT {first}"])
    assert slow.give(BAD), "fails open"
    killer.wait(timeout=60)
    assert slow.inspector() != first
    assert not slow.give(BAD), "and the next one is inspected"
    assert reasons(ended(slow)) == ["crashed"]


def test_a_hang_costs_the_budget_and_no_more(place):
    slow = opened(place, YAGURA_APPLICATION_BUDGET_MS="300")
    assert slow.give(GOOD)
    first = slow.inspector()
    os.kill(first, signal.SIGSTOP)
    begin = time.monotonic()
    assert slow.give(BAD), "fails open"
    assert time.monotonic() - begin < 5
    assert slow.inspector() != first
    until(lambda: not slow.give(BAD), "an inspection by the new process")
    assert reasons(ended(slow))[:1] == ["late"]


def test_never_more_than_a_twentieth_of_the_deadline(place):
    slow = opened(place, YAGURA_APPLICATION_BUDGET_MS="60000")
    assert slow.give(GOOD)
    os.kill(slow.inspector(), signal.SIGSTOP)
    begin = time.monotonic()
    assert slow.give(BAD, deadline_ms=6000), "fails open"
    assert time.monotonic() - begin < 5, "6 s leave 0.3 s"
    assert reasons(ended(slow)) == ["late"]


def test_failing_closed(place):
    """What was not inspected is refused, when it is HTTP; a queue's messages are never lost so."""
    slow = opened(place, YAGURA_APPLICATION_FAIL="closed", YAGURA_APPLICATION_BUDGET_MS="300")
    assert slow.give(GOOD)
    os.kill(slow.inspector(), signal.SIGSTOP)
    assert not slow.give(GOOD)
    os.kill(slow.inspector(), signal.SIGSTOP)
    assert slow.give(QUEUE)
    events = ended(slow)
    assert events[0]["kind"] == "request_blocked" and events[0]["detail"]["reason"] == "late", events


def test_failing_closed_when_only_a_part_was_inspected(place):
    """A request beyond the limits is refused, and told once; by default it passes, and is told."""
    wide = http_event("/", body=json.dumps([f"v{i}" for i in range(20000)]))
    slow = opened(place, YAGURA_APPLICATION_FAIL="closed")
    assert slow.give(GOOD)
    assert not slow.give(wide)
    assert not slow.give(BAD)
    events = ended(slow)
    assert events[0]["kind"] == "request_blocked" and events[0]["detail"]["reason"] == "budget", events
    slow = opened(place)
    assert slow.give(wide)
    assert reasons(ended(slow)) == ["budget"]


def test_huge_deep_and_malformed_events(place):
    """They arrive as they are, and the extension is there for the next one."""
    deep = '{"requestContext":{"http":{}},"rawPath":"/","body":' + "[" * 100000 + "]" * 100000 + "}"
    wide = http_event("/", body=json.dumps({f"k{i}": "v" for i in range(20000)}))
    events = [deep, wide, "{" * 100000, '"', "\\", "null", '{"rawPath":"' + "\\u0000" * 50000,
              http_event("/", "&".join(f"a{i}=%27" for i in range(20000))),
              http_event("/", body="A" * (5 << 20)), http_event("/", body="\\" * 300000), GOOD, BAD]
    run = Run(place, events, PYTHON)
    assert run.outcomes() == ["response"] * len(events), (run.outcomes(), run.errors())
    assert run.status(len(events) - 1) == 403
    ran = run.ran()
    for number, event in enumerate(events[:-1]):
        if run.status(number) == 200:
            assert ran.pop(0) == digest(event), number
    assert ran == [] and run.status(len(events) - 2) == 200
    assert "it crashed" not in run.errors(), run.errors()


def test_the_inspecting_process_is_confined(place):
    run = Run(place, [GOOD, http_event("/sleep")], PYTHON, options=["--timeout", "3000"], start_only=True)
    pid = inspector_of(run)

    def status():
        with open(f"/proc/{pid}/status", encoding="ascii") as stream:
            return dict(line.split(":\t", 1) for line in stream.read().splitlines() if ":\t" in line)
    if os.environ.get("YAGURA_SANITIZED") != "1":
        until(lambda: status()["Seccomp"] == "2", "seccomp")
        assert status()["NoNewPrivs"] == "1"
    with open(f"/proc/{pid}/environ", "rb") as stream:
        assert b"AWS" not in stream.read(), "it knows nothing of the function"
    run.finish()


def test_a_deadline_ends_the_sandbox_and_the_next_one_is_protected(place):
    run = Run(place, [http_event("/sleep"), BAD, GOOD], PYTHON, options=["--timeout", "2000"])
    assert run.outcomes() == ["timeout", "response", "response"], run.results
    assert run.status(1) == 403 and run.status(2) == 200


def test_a_runtime_that_exits(place):
    run = Run(place, [http_event("/exit"), BAD, GOOD], PYTHON)
    assert run.outcomes() == ["runtime_exit", "response", "response"], (run.results, run.errors())
    assert "Extension.Crash" not in run.errors()


def test_concurrent_invocations(place):
    """As on Managed Instances: many at once, and no news of each for the extension."""
    events = [BAD if number % 5 == 0 else http_event(f"/{number}") for number in range(200)]
    run = Run(place, events, PYTHON + ["8"], options=["--concurrency", "8"],
              environment={"AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances"})
    assert run.outcomes() == ["response"] * 200, run.errors()
    assert [run.status(number) for number in range(200)] == \
        [403 if number % 5 == 0 else 200 for number in range(200)]
    assert sorted(run.ran()) == sorted(digest(event) for event in events if event != BAD)
    assert run.kinds().count("request_blocked") == 40


def test_a_big_answer(place):
    run = Run(place, [http_event("/big"), GOOD], PYTHON)
    assert run.outcomes() == ["response"] * 2 and len(run.answers()[0]) > 6 << 20


def test_an_open_redirect(place):
    """The handler ran, and its answer is not handed on; one to the own host is."""
    events = [http_event("/redirect", "to=https%3A%2F%2Fevil.example.net%2Flogin"), http_event("/redirect", "id=5"),
              GOOD]
    run = Run(place, events, PYTHON)
    assert [run.status(number) for number in range(3)] == [403, 302, 200], (run.results, run.errors())
    assert [line["subject"] for line in run.lines] == ["Open Redirect"], run.lines
    assert run.lines[0]["detail"]["request"]["path"] == "/redirect"
    assert len(run.ran()) == 3


def test_broken_rules_are_told(place):
    with open(os.path.join(place, "rules.bin"), "wb") as stream:
        stream.write(b"\0" * 1000)
    run = Run(place, [BAD], PYTHON, environment={"YAGURA_APPLICATION_HOME": place})
    assert run.status(0) == 403, "what needs no rules is still looked for"
    assert "only the checks that need no rules" in run.errors(), run.errors()


def test_the_port_is_taken(place):
    """Somebody else listens there: the function runs, unprotected, and both sides say so."""
    port = free_port()
    other = subprocess.Popen([shutil.which("python3"), "-m", "http.server", "--bind", "127.0.0.1", str(port)],
                             cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: listens(port), "the other one's port")
        run = Run(place, [BAD], PYTHON, environment={"YAGURA_APPLICATION_PORT": str(port)})
    finally:
        other.terminate()
        other.wait(timeout=60)
    assert run.status(0) == 200
    assert "relay_does_not_start" in run.errors() and "relay_absent" in run.errors(), run.errors()


def listens(port):
    try:
        Side(__import__("socket").create_connection(("127.0.0.1", port), timeout=1)).close()
        return True
    except OSError:
        return False


def test_a_broken_policy_is_told(place):
    with open(os.path.join(place, "application.conf"), "wb") as stream:
        stream.write(b"protection = {\n")
    run = Run(place, [GOOD], PYTHON, environment={"YAGURA_APPLICATION_HOME": place})
    assert run.status(0) == 200
    assert "the default policy is in force" in run.errors(), run.errors()


def test_by_hand_it_says_what_it_is(place):
    said = subprocess.run([EXTENSION, "--help"], capture_output=True, text=True, check=True)
    assert "Lambda" in said.stdout
    said = subprocess.run([EXTENSION], capture_output=True, text=True, check=False, cwd=place,
                          env={"PATH": os.environ["PATH"]})
    assert said.returncode == 1 and "AWS_LAMBDA_RUNTIME_API is not set" in said.stderr


if __name__ == "__main__":
    main()
