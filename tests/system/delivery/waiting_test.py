"""What the console changes reaches an agent soon: no heartbeat is due for ten minutes."""
import json
import os
import signal
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, agents  # noqa: E402
from stand_in import StandIn  # noqa: E402

SOON = 30  # far below the heartbeat


def metric(both, name):
    for line in both.admin.get("/metrics", expect=200).body.decode().splitlines():
        if line.startswith("yagura_console_" + name + " "):
            return int(line.split()[1])
    raise AssertionError(name)


def until_waiting(both, count=1, seconds=agents.SECONDS):
    both.until(lambda: metric(both, "agents_waiting") == count, f"{count} wait", seconds)


def joined(place, **more):
    both = Pair(place, heartbeat="600s", **more)
    both.agent.start()
    both.activate()
    both.until(lambda: both.computer()["policy_in_force"], "the first policy")
    until_waiting(both)
    return both


def queue(both, kind, **arguments):
    return both.admin.post(both.commands_path, {"type": kind, "arguments": arguments},
                           expect=201).json["id"]


def test_commands_begin_soon(place):
    both = joined(place)
    other = place.folder("other")
    path = agents.put(os.path.join(other, "eicar"), agents.EICAR)
    scan = both.result(queue(both, "scan", path=other), "the scan", SOON)
    assert json.loads(scan["output"])["infected"] == 1, scan
    until_waiting(both)
    listed = both.result(queue(both, "quarantine_list"), "the list", SOON)
    entry = [item for item in json.loads(listed["output"]) if item["path"] == path][0]
    until_waiting(both)
    restored = both.result(queue(both, "quarantine_restore", id=entry["id"]), "the restore", SOON)
    assert restored["state"] == "done" and os.path.exists(path)
    until_waiting(both)
    both.result(queue(both, "deactivate"), "the end", SOON)
    until_waiting(both, 0)


def test_policies_and_lists_are_in_force_soon(place):
    both = joined(place)
    second = place.folder("second")
    both.put_policy("test", both.policy_text(watch__paths=[both.watched, second]))
    both.until(lambda: second in both.agent.control("policy", "show"), "the policy", SOON)
    until_waiting(both)
    text = "a bad file of this test\n".encode()
    import hashlib
    both.admin.put("/api/v1/signature-lists/denied",
                   {"type": "deny", "text": hashlib.sha256(text).hexdigest()},
                   If_None_Match="*", expect=201)
    deadline = time.monotonic() + SOON
    for number in range(10000):
        path = agents.put(os.path.join(both.watched, f"bad-{number}"), text)
        both.agent.sync()
        if path in both.agent.subjects("malware_found"):
            return
        assert time.monotonic() < deadline, both.agent.log_end()


def test_a_console_that_comes_back(place):
    both = joined(place)
    both.console.stop(signal.SIGKILL)
    both.restart_console()
    until_waiting(both)
    both.result(queue(both, "quarantine_list"), "the list", SOON)
    assert both.agent.log_end().count("wait") == 0
    both.agent.stop()
    both.admin.patch(f"/api/v1/computers/{both.identity}", {"policy": "base"}, expect=200)
    until_waiting(both, 0, SOON)  # found as nobody's when it is woken


def test_an_agent_that_is_not_to_wait_has_heartbeats(place):
    both = Pair(place, agents="waiting = 0; ")
    both.agent.start()
    both.activate()
    both.until(lambda: both.computer()["policy_in_force"], "the first policy")
    assert both.result(queue(both, "quarantine_list"))["state"] == "done"


class Waits(StandIn):
    """Answers waits as said; counts them."""

    def __init__(self, place, wait):
        self.wait, self.waits = wait, []
        super().__init__(place, beats=lambda connection, beat: connection.answer(
            200, self.reply(beat, wait_seconds=50, next_seconds=1)))

    def take(self, connection, method, path, body):
        if not path.startswith("/agent/v1/wait?"):
            super().take(connection, method, path, body)
            return
        self.waits.append(path)
        self.wait(connection)


def activated(place, stand_in):
    agent = place.agent()
    agent.start()
    token = agents.put(os.path.join(place.root, "token"), b"yt1\n")
    agent.control("activate", "--url", f"https://127.0.0.1:{stand_in.port}", "--ca-pin",
                  stand_in.pin, "--token-file", token)
    return agent


def more_beats(stand_in, count):
    """That many heartbeats from now on."""
    wanted = len(stand_in.bodies) + count
    deadline = time.monotonic() + agents.SECONDS
    while len(stand_in.bodies) < wanted:
        assert time.monotonic() < deadline, f"{len(stand_in.bodies)} of {wanted} heartbeats"
        time.sleep(0.05)


def test_consoles_where_waiting_fails(place):
    """Each is asked ever more rarely, and heartbeats go on."""
    answers = (
        lambda connection: connection.answer(404, {"title": "Not found"}),
        lambda connection: connection.answer(429, Retry_After="3600"),
        lambda connection: connection.answer(409),
        lambda connection: connection.answer(204),  # much too soon
        lambda connection: connection.answer(500, b"x" * 100000),
        lambda connection: connection.close(),
    )
    for answer in answers:
        stand_in = Waits(place, answer)
        agent = activated(place, stand_in)
        more_beats(stand_in, 5)
        assert 1 <= len(stand_in.waits) <= 5, stand_in.waits
        assert agent.status()["console"]["state"] == "online", agent.status()["console"]
        assert agent.log_end().count("wait") == 0, agent.log_end()
        agent.stop()


def test_news_without_end_are_no_storm(place):
    stand_in = Waits(place, lambda connection: connection.answer(200, {"news": True}))
    agent = activated(place, stand_in)
    more_beats(stand_in, 16)
    # four at once, then ever more rarely, from half of 30 s on
    assert 1 < len(stand_in.waits) <= len(stand_in.bodies) / 2, stand_in.waits
    agent.stop()


def test_a_wait_delays_no_heartbeat_and_ends_with_the_agent(place):
    ended = threading.Event()

    def hold(connection):
        connection.tls.settimeout(agents.SECONDS)
        try:
            assert connection.tls.recv(1) == b""
        finally:
            ended.set()
        raise OSError("the agent has left")

    stand_in = Waits(place, hold)
    agent = activated(place, stand_in)
    more_beats(stand_in, 10)
    assert len(stand_in.waits) == 1, stand_in.waits
    agent.control("deactivate")
    assert ended.wait(agents.SECONDS)
    agent.stop()


if __name__ == "__main__":
    agents.main()
