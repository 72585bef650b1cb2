"""Consoles and networks that do what they should not: the agent waits as it is told, takes no harm,
and is there again afterwards."""
import base64
import email.utils
import os
import re
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, agents, SECONDS  # noqa: E402
from stand_in import Proxy, StandIn  # noqa: E402


def messenger_of(agent):
    pids = [pid for pid in agents.descendants(agent.process.pid)
            if agents.command_of(pid).startswith("yagura-messeng")]
    return pids[0] if pids else None


def activate(agent, place, console, accept=(0,), **options):
    path = agents.put(os.path.join(place.root, "token"), b"yt1.anything\n")
    given = {"url": f"https://127.0.0.1:{console.port}", "ca-pin": console.pin,
             "token-file": path, **options}
    return agent.control("activate", *[word for key, value in given.items()
                                       for word in ("--" + key, value)], accept=accept)


def joined(place, **options):
    console, agent = StandIn(place, **options), place.agent()
    agent.start()
    activate(agent, place, console)
    return console, agent


def until(holds, what, seconds=SECONDS):
    """The pace is the console's: heartbeats come once a second."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        threading.Event().wait(0.05)


def test_the_consoles_delays_are_obeyed(place):
    """503 and 429 with Retry-After, in seconds and as a date; malware does not hurry it either."""
    console, agent = joined(place)

    def date():
        return email.utils.formatdate(time.time() + 4, usegmt=True)
    for status, delay, least in ((503, lambda: "3", 3), (429, lambda: "2", 2), (503, date, 2)):
        refused = len(console.times)
        console.beats = lambda connection, beat, status=status, delay=delay: connection.answer(
            status, {"title": "busy"}, Retry_After=delay())
        until(lambda: len(console.times) > refused, "the refusal")
        console.beats = lambda connection, beat: connection.answer(200, console.reply(beat))
        agents.put(os.path.join(agent.watched, f"malware-{status}-{least}"), agents.EICAR)
        until(lambda: len(console.times) > refused + 1, "the next heartbeat")
        waited = console.times[refused + 1] - console.times[refused]
        assert waited >= least, (status, delay(), waited)
        agent.until(lambda status: status["console"]["state"] == "online", "it is back")
    numbers = [event["number"] for beat in console.bodies for event in beat["events"]]
    assert sorted(set(numbers)) == list(range(1, max(numbers) + 1)), numbers


def test_clocks_that_differ_are_told(place):
    """Once when they part, once when they agree again, whichever is ahead."""
    console, agent = joined(place)

    def told():
        with open(agent.log, encoding="utf-8", errors="replace") as stream:
            text = stream.read()
        return [re.search(r"host=\"?(\w+)", line).group(1) if "clocks_apart" in line else "agree"
                for line in text.splitlines() if "clocks_" in line]
    wanted = []
    for hours, host in ((-1, "ahead"), (2, "behind")):
        console.beats = lambda connection, beat, hours=hours: connection.answer(
            200, console.reply(beat, server_ms=int((time.time() + hours * 3600) * 1000)))
        seen = len(console.times)
        until(lambda: len(told()) > len(wanted) and len(console.times) > seen + 2, "they differ")
        console.beats = lambda connection, beat: connection.answer(200, console.reply(beat))
        until(lambda: len(told()) > len(wanted) + 1, "they agree")
        wanted += [host, "agree"]
        assert told() == wanted, told()


def test_answers_that_are_no_answers(place):
    """Each is told, none is obeyed, and the messenger that got it goes on."""
    console, agent = joined(place)

    def cut(connection, beat):  # TLS that ends in the middle of a body
        connection.tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{\"server_ms\":")
        connection.tls.shutdown(socket.SHUT_RDWR)
        raise OSError("cut")

    def endless(connection, beat):
        connection.tls.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.tls.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")

    hostile = [
        cut,
        endless,
        lambda connection, beat: connection.tls.sendall(b"\x00\xff" * 5000 + b"\r\n\r\n"),
        lambda connection, beat: connection.answer(200, b"[" * 100000),
        lambda connection, beat: connection.answer(200, b"{}"),
        lambda connection, beat: connection.answer(200, console.reply(beat, next_seconds="x")),
        lambda connection, beat: connection.answer(200, console.reply(beat, commands=[{}] * 17)),
        lambda connection, beat: connection.answer(301, b"", Location="https://127.0.0.1:1/"),
        lambda connection, beat: connection.answer(99, b""),
    ]
    console.beats = cut  # from here on nothing is acknowledged
    acknowledged = max((event["number"] for beat in console.bodies for event in beat["events"]),
                       default=0)
    for number, answer in enumerate(hostile):
        agent.control("deactivate")
        console.beats = answer
        activate(agent, place, console, accept=(2,), wait="0s")
        agent.until(lambda status: status["console"]["problem"] and status["console"]["agent_id"],
                    f"answer {number} is told")
        pid = messenger_of(agent)
        with open(f"/proc/{pid}/status", encoding="ascii") as stream:
            peak = [int(line.split()[1]) for line in stream if line.startswith("VmHWM")][0]
        assert peak < 200_000 or b"__asan_init" in program(), f"{number}: {peak} kB"
        assert not agent.events("messenger_ended"), number
    # An acknowledgement from nowhere makes nothing be forgotten.
    agent.control("deactivate")
    foreign = {"epoch": "01a20110-8b87-741b-b374-275c67b8f792", "number": 2 ** 62}
    console.beats = lambda connection, beat: connection.answer(
        200, console.reply(beat, acknowledged=foreign))
    console.bodies.clear()  # before: a beat that is taken now may get the good answer below
    activate(agent, place, console)
    console.beats = lambda connection, beat: connection.answer(200, console.reply(beat))
    path = agents.put(os.path.join(agent.watched, "last"), agents.EICAR)
    until(lambda: [event for beat in console.bodies for event in beat["events"]
                   if event["subject"] == path], "its detection")
    numbers = [event["number"] for beat in console.bodies for event in beat["events"]]
    assert sorted(set(numbers)) == list(range(min(numbers), max(numbers) + 1)), numbers
    assert min(numbers) <= acknowledged + 1, (acknowledged, numbers)


def program():
    with open(os.path.join(agents.PROGRAMS, "yagura-messenger"), "rb") as stream:
        return stream.read()


def test_a_console_that_says_nothing_stops_nobody(place):
    """It sends a byte now and then. The agent protects, answers, and can be told to leave."""
    console, agent = joined(place)
    ended = threading.Event()

    def slow(connection, beat):
        connection.tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not ended.wait(0.2):
            connection.tls.sendall(b" ")
    console.beats = slow
    before = len(console.times)
    until(lambda: len(console.times) > before, "it hangs")
    path = agents.put(os.path.join(agent.watched, "malware"), agents.EICAR)
    agent.sync()
    assert path in agent.subjects("malware_found")
    agent.control("deactivate")
    assert agent.status()["console"]["state"] == "none"
    until(lambda: messenger_of(agent) is None, "the messenger has ended", 20)
    ended.set()


def test_a_late_heartbeat_is_no_goodbye(place):
    """The heartbeat under way is answered, the goodbye after it is not: the console was not told."""
    console, agent = joined(place)
    answered, ended, held, left = (threading.Event() for _ in range(4))

    def late(connection, beat):
        held.set()
        answered.wait(SECONDS)
        connection.answer(200, console.reply(beat))

    def silent(connection):
        left.set()
        ended.wait(SECONDS)
    console.beats, console.leave = late, silent
    assert held.wait(SECONDS), "no heartbeat"
    with subprocess.Popen([os.path.join(agents.PROGRAMS, "yaguractl"), "--socket", agent.socket, "deactivate"],
                          stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as leaving:
        agent.until(lambda status: status["console"]["state"] == "none", "it has left")
        answered.set()
        said = leaving.communicate(timeout=SECONDS)[1]
    assert left.is_set(), "the console was not asked"
    assert "could not be told" in said and "within 8 seconds" in said, said
    ended.set()


def test_another_name(place):
    """The CA is the pinned one, the certificate is not for this address."""
    console, agent = StandIn(place, names="DNS:other.example"), place.agent()
    agent.start()
    activate(agent, place, console, accept=(2,), wait="20s")
    problem = agent.status()["console"]
    assert "not trusted" in problem["problem"], problem
    assert console.times == []


def test_no_tls_at_all(place):
    """A port that speaks something else, and one that closes at once: tried again, token unsent."""
    agent = place.agent()
    agent.start()
    got = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def serve():
            for answer in (b"HTTP/1.1 200 OK\r\n\r\n", b"\x15\x03\x03\x00\x02\x02\x28", b""):
                with listener.accept()[0] as plain:
                    got.append(plain.recv(65536))
                    plain.sendall(answer)
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()

        class Plain:
            port, pin = listener.getsockname()[1], "sha256//" + "A" * 43 + "="
        activate(agent, place, Plain, accept=(2,), wait="1s")
        status = agent.until(lambda status: status["console"]["problem"], "the problem")
        assert status["console"]["state"] in ("activating", "refused"), status["console"]
        assert got and b"yt1" not in b"".join(got)
        agent.control("deactivate")


def test_through_a_proxy(place):
    """With a password, which stands in no environment and no argument."""
    both = Pair(place)
    both.agent.start()
    secret = base64.b64encode(b"someone:proxypassword").decode()
    proxy = Proxy(place, authorization=secret)
    both.activate(accept=(2,), wait="2s", proxy=f"http://127.0.0.1:{proxy.port}")
    assert "407" in both.console_status()["problem"], both.console_status()
    both.activate(accept=(2,), proxy=f"http://a:b@127.0.0.1:{proxy.port}")
    path = agents.put(os.path.join(place.root, "proxy"),
                      f"http://someone:proxypassword@127.0.0.1:{proxy.port}\n".encode())
    both.activate(**{"proxy-file": path})
    assert both.console_status()["state"] == "online"
    assert proxy.heads[-1].startswith(f"CONNECT 127.0.0.1:{both.console.agents_port} "), proxy.heads
    assert "yt1" not in "".join(proxy.heads)
    for pid in [both.agent.process.pid, *agents.descendants(both.agent.process.pid)]:
        for part in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{part}", "rb") as stream:
                assert b"proxypassword" not in stream.read(), (pid, part)
    kept = os.path.join(both.agent.state, "console", "console.json")
    assert os.stat(kept).st_mode & 0o777 == 0o600
    assert "proxypassword" not in both.agent.control("--json", "status")
    proxy.listener.close()  # and the proxy can be taken away
    both.activate()
    count = len(proxy.heads)
    both.nudge()
    both.until(lambda: both.events("&kind=malware_found"), "the detection without a proxy")
    assert len(proxy.heads) == count


def test_ipv6_only(place):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as problem:
        raise agents.Skip(f"no IPv6 here: {problem}") from None
    both = Pair(place, agents_address="::1")
    both.agent.start()
    both.activate(url=f"https://[::1]:{both.console.agents_port}")
    path = both.nudge()
    both.until(lambda: [event for event in both.events("&kind=malware_found")
                        if event["subject"] == path], "the detection")


def test_a_host_without_a_machine_id(place):
    """As in images and containers: empty, or nothing at all."""
    agents.own_mounts()
    empty = agents.put(os.path.join(place.root, "empty"), b"")
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id", "/sys/class/dmi/id/product_uuid"):
        if os.path.exists(path):
            subprocess.run(["mount", "--bind", empty, path], check=True)
            place.cleanups.append(lambda path=path: subprocess.run(["umount", "-l", path],
                                                                   check=False))
    both = Pair(place)
    both.agent.start()
    both.activate()
    assert both.console_status()["state"] == "online"
    both.agent.stop()
    both.agent.start()
    path = both.nudge()
    both.until(lambda: [event for event in both.events("&kind=malware_found")
                        if event["subject"] == path], "the detection")
    assert len(both.admin.get("/api/v1/computers").json["computers"]) == 1


def inodes_of(*tables):
    found = set()
    for table in tables:
        if os.path.exists(f"/proc/net/{table}"):
            with open(f"/proc/net/{table}", encoding="ascii") as stream:
                found |= {line.split()[9] for line in stream.readlines()[1:]}
    return found


def descriptors(pid):
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            yield os.readlink(f"/proc/{pid}/fd/{name}")
        except OSError:
            pass  # it has been closed meanwhile


def test_who_has_what_open(place):
    """Only the messenger has the network, and it has nothing else."""
    console, agent = joined(place)
    seen_network = False
    for _ in range(5):
        before = len(console.times)
        until(lambda: len(console.times) > before, "a heartbeat")
        network = inodes_of("tcp", "tcp6", "udp", "udp6", "raw", "raw6")
        messenger = messenger_of(agent)
        for pid in [agent.process.pid, *agents.descendants(agent.process.pid)]:
            for target in descriptors(pid):
                is_network = target.startswith("socket:[") and target[8:-1] in network
                if pid != messenger:
                    assert not is_network, (agents.command_of(pid), target)
                    continue
                seen_network = seen_network or is_network
                assert (target.startswith(("socket:[", "pipe:[", "anon_inode:", "/memfd:",
                                           "/dev/null", agent.log))), target
    assert seen_network, "the messenger had no connection"


if __name__ == "__main__":
    agents.main()
