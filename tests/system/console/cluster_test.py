"""Two consoles on one PostgreSQL behind a TCP balancer: one is killed under load."""

import http.client
import os
import shutil
import signal
import socket
import ssl
import threading
import unittest

import harness
from harness import Agent, Console


class Balancer:
    """Gives each connection to the next node that takes it."""

    def __init__(self, ports):
        self.ports = ports
        self.turn = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            for _ in self.ports:
                self.turn += 1
                try:
                    node = socket.create_connection(
                        ("127.0.0.1", self.ports[self.turn % len(self.ports)]))
                except OSError:
                    continue
                for pair in ((client, node), (node, client)):
                    threading.Thread(target=self.copy, args=pair, daemon=True).start()
                break
            else:
                client.close()

    @staticmethod
    def copy(source, target):
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


class ClusterTest(unittest.TestCase):
    AGENTS = 6
    BATCHES = 40

    def test_a_killed_node_loses_and_doubles_nothing(self):
        url = harness.postgres().database()
        first, second = Console(database=url), Console(database=url)
        with first:
            os.mkdir(second.data)
            for name in ("authority.key", "authority.crt", "signing.key"):
                shutil.copy2(os.path.join(first.data, name), second.data)
            with second:
                self.run_load(first, second)

    def run_load(self, first, second):
        admin = first.administrator()
        self.assertEqual(second.pin, first.pin)
        balancer = Balancer([first.agents_port, second.agents_port])
        self.addCleanup(balancer.close)
        token = admin.post("/api/v1/tokens", {"name": "t"}, expect=201).json["token"]
        agents = []
        for _ in range(self.AGENTS):
            agent = Agent(first)
            agent.activate(token)
            agent.client.close()
            first.agents_port = balancer.port
            agent.use(harness.read(agent.certificate[0]))
            agents.append(agent)
        halfway = threading.Barrier(self.AGENTS + 1)
        killed = threading.Event()
        problems = []

        def load(agent):
            """Delivers every batch, however often it must be sent again."""
            try:
                for batch in range(self.BATCHES):
                    if batch == self.BATCHES // 2:
                        halfway.wait(60)
                    events = [agent.event() for _ in range(3)]
                    self.deliver(agent, events)
                    if batch == self.BATCHES // 2 + 5:
                        killed.wait(60)
            except Exception as error:  # told by the main thread
                problems.append(error)

        threads = [threading.Thread(target=load, args=(agent,)) for agent in agents]
        for thread in threads:
            thread.start()
        halfway.wait(60)
        first.stop(signal.SIGKILL)
        killed.set()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])
        for agent in agents:
            rows = second.query(
                "SELECT agent_number FROM events JOIN computers ON computers.number = computer"
                f" WHERE computers.id = '{agent.id}' AND module = 'malware' ORDER BY agent_number")
            self.assertEqual([int(row[0]) for row in rows],
                             list(range(1, 3 * self.BATCHES + 1)))
        online = second.query("SELECT count(*) FROM computers WHERE state = 'active'")
        self.assertEqual(online, [[str(self.AGENTS)]])
        self.assertEqual(second.run("verify-audit").returncode, 0)

    def deliver(self, agent, events):
        for _ in range(50):
            try:
                answer = agent.heartbeat(events, expect=None)
            except (OSError, ssl.SSLError, http.client.HTTPException):
                agent.client.close()
                continue
            self.assertEqual(answer.status, 200, answer)
            self.assertGreaterEqual(answer.json["acknowledged"]["number"], events[-1]["number"])
            return
        raise AssertionError("the console did not come back")


if __name__ == "__main__":
    harness.main()
