"""Consoles under load, killed: what was acknowledged is stored, once. The load is console_load:
many agents, each sending the next heartbeat as soon as the last is answered."""

import json
import os
import signal
import socket
import sqlite3
import struct
import subprocess
import threading
import time
import unittest

import harness
from harness import BIN, Agent, FixedConsole

DEADLINE = 90


class Load:
    def __init__(self, console, port, agents, events):
        token = console.run("token", "create", "--uses", str(agents)).stdout.strip()
        self.process = subprocess.Popen(
            [os.path.join(BIN, "../bench/console_load"), "closed", str(port), console.authority,
             token, str(agents), "3600", "/agent/v1/heartbeat", str(events),
             str(console.process.pid)],
            stdout=subprocess.PIPE, text=True)
        self.answered = 0
        self.agents = {}
        self.said = threading.Condition()
        assert self.process.stdout.readline() == "begun\n"
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            words = line.split()
            with self.said:
                if words[0] == "sums":
                    self.answered = int(words[1])
                elif words[0] == "agent":
                    self.agents[words[1]] = int(words[2])
                self.said.notify_all()

    def wait_for_more(self, count):
        """Until so many more heartbeats were answered."""
        with self.said:
            wanted = self.answered + count
            end = time.monotonic() + DEADLINE
            while self.answered < wanted:
                self.process.send_signal(signal.SIGUSR2)
                self.said.wait(0.2)
                if time.monotonic() > end or self.process.poll() is not None:
                    raise AssertionError(f"the load stands still at {self.answered}")

    def stop(self):
        """What was acknowledged, by epoch."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=DEADLINE)
        self.reader.join()
        self.process.stdout.close()
        if code:
            raise AssertionError(f"console_load ended with {code}")
        return self.agents

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class LoadTest(unittest.TestCase):
    def assert_exact(self, console, acknowledged):
        """Every acknowledged number is there, none twice, and none beyond what was in flight."""
        rows = console.query("SELECT epoch, count(*), count(DISTINCT agent_number),"
                             " min(agent_number), max(agent_number) FROM events"
                             " WHERE module = 'malware' GROUP BY epoch")
        stored = {row[0]: [int(field) for field in row[1:]] for row in rows}
        self.assertEqual(set(stored), {epoch for epoch, number in acknowledged.items() if number} |
                         set(stored))
        for epoch, number in acknowledged.items():
            count, distinct, first, last = stored.get(epoch, [0, 0, 1, 0])
            self.assertEqual([count, first], [distinct, 1], "doubled")
            self.assertEqual(count, last, "a hole")
            self.assertGreaterEqual(last, number, "lost")
            self.assertLessEqual(last, number + self.EVENTS, "never sent")
        counted = console.query("SELECT sum(count) FROM event_counts WHERE module = 'malware'")
        self.assertEqual(int(counted[0][0]), sum(row[0] for row in stored.values()))


class KillTest(LoadTest):
    EVENTS = 3

    def test_kill_again_and_again(self):
        with FixedConsole() as console, Load(console, console.agents_port, 40, self.EVENTS) as load:
            for _ in range(6):
                load.wait_for_more(150)
                console.stop(signal.SIGKILL)
                console.start()
            load.wait_for_more(150)
            acknowledged = load.stop()
            console.stop()  # what was in flight is stored or not, but not halfway
            self.assert_exact(console, acknowledged)


class StopTest(LoadTest):
    EVENTS = 3

    def test_stop_again_and_again(self):
        """SIGTERM while heartbeats are in the writer; what is written behind is written by then."""
        with FixedConsole() as console, Load(console, console.agents_port, 40, self.EVENTS) as load:
            for _ in range(4):
                load.wait_for_more(150)
                self.assertEqual(console.stop(), 0)
                console.start()
            begun_ms = int(time.time() * 1000)
            load.wait_for_more(300)
            self.assertEqual(console.stop(), 0)
            self.assert_exact(console, load.stop())
            seen = console.query("SELECT max(last_seen_ms) FROM computers")
            self.assertGreaterEqual(int(seen[0][0]), begun_ms)


class Lock:
    """Keeps the console's writer waiting."""

    def __init__(self, console):
        self.psql = self.sqlite = None
        if console.database:
            self.psql = subprocess.Popen(
                [harness.postgres().bin + "/psql", "-X", "-q", "-A", "-t", console.database],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            self.psql.stdin.write("BEGIN; LOCK TABLE deliveries; SELECT 'locked';\n")
            self.psql.stdin.flush()
            assert self.psql.stdout.readline() == "locked\n"
        else:
            self.sqlite = sqlite3.connect(console.data + "/console.db", isolation_level=None)
            self.sqlite.execute("BEGIN IMMEDIATE")

    def release(self):
        if self.psql:
            self.psql.communicate("ROLLBACK;\n", timeout=DEADLINE)
        else:
            self.sqlite.execute("ROLLBACK")
            self.sqlite.close()


class QueueTest(unittest.TestCase):
    """When the database does not keep up, heartbeats are sent away instead of piling up."""

    def test_a_long_queue_answers_503(self):
        with FixedConsole() as console:
            text = harness.read(console.config)
            console.stop()
            with open(console.config, "w", encoding="utf-8") as file:
                file.write(text.replace("activations_per_second", "queue = 2; activations_per_second"))
            console.start()
            token = console.run("token", "create", "--uses", "12").stdout.strip()
            agents = [Agent(console) for _ in range(12)]
            for agent in agents:
                agent.activate(token)
                agent.heartbeat()
            answers = self.send_while_locked(console, agents)
            refused = [answer for answer in answers.values() if answer.status == 503]
            self.assertGreaterEqual(len(refused), 12 - 2 - 2 - 1)
            for answer in refused:
                self.assertEqual(answer.json["code"], "busy")
                self.assertIn(int(answer.headers["Retry-After"]), range(5, 30))
            for agent in agents:  # the others were stored; those come again
                if answers[agent].status == 503:
                    agent.number -= 1
                    agent.heartbeat([agent.event()])
            stored = console.query("SELECT count(*) FROM events WHERE module = 'malware'")
            self.assertEqual(stored, [["12"]])

    def send_while_locked(self, console, agents):
        answers = {}
        enough = threading.Semaphore(0)

        def send(agent):
            answers[agent] = agent.heartbeat([agent.event()], expect=None)
            enough.release()

        database = Lock(console)
        threads = [threading.Thread(target=send, args=(agent,)) for agent in agents]
        for thread in threads:
            thread.start()
        for _ in range(12 - 2 - 2 - 1):  # one batch may be with the writer, one in the queue
            self.assertTrue(enough.acquire(timeout=DEADLINE))
        database.release()
        for thread in threads:
            thread.join()
        return answers


class LeaveTest(unittest.TestCase):
    """Agents that break off while their heartbeat is being stored."""

    ROUNDS = 60

    def break_off(self, agent, body, pause):
        context = agent.console.context(agent.certificate)
        address = ("127.0.0.1", agent.console.agents_port)
        with socket.create_connection(address) as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with context.wrap_socket(plain, server_hostname="localhost") as connection:
                connection.sendall(b"POST /agent/v1/heartbeat HTTP/1.1\r\nHost: localhost\r\n"
                                   b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                                   % (len(body), body))
                time.sleep(pause)

    def test_each_event_is_stored_once(self):
        with FixedConsole() as console:
            token = console.run("token", "create").stdout.strip()
            agent = Agent(console)
            agent.activate(token)
            agent.heartbeat()
            events = []
            for i in range(self.ROUNDS):
                if i % 20 == 19:  # once long enough that the loop does not wait for it
                    database = Lock(console)
                events.append(agent.event())
                self.break_off(agent, json.dumps(agent.body(events)).encode(), i % 6 * 0.0004)
                if i % 20 == 19:
                    database.release()
            agent.heartbeat(events)
            stored = console.query("SELECT count(*), count(DISTINCT agent_number) FROM events"
                                   " WHERE module = 'malware'")
            self.assertEqual(stored, [[str(self.ROUNDS)] * 2])


if __name__ == "__main__":
    harness.main()
