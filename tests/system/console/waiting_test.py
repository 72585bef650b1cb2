"""Requests that wait for news: what ends them, what bounds them."""

import contextlib
import http.client
import os
import resource
import shutil
import threading

import harness
from harness import Agent, Client, Console, ConsoleTest, until


def wait_path(told):
    names = {"policy": "policy_digest", "signatures": "signatures_digest", "group": "group_id"}
    return "/agent/v1/wait?" + "&".join(
        f"{name}={told.get(key, '')}" for name, key in names.items())


class Wait(threading.Thread):
    """A request of its own, over a connection of its own. Nothing ends it with 200 but news: after
    its time it is 204."""

    def __init__(self, agent, told=None, port=None):
        super().__init__(daemon=True)
        self.told = agent.heartbeat().json if told is None else told
        self.client = Client(agent.console, port or agent.console.agents_port,
                             certificate=agent.certificate)
        self.answer = None
        self.start()

    def run(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.answer = self.client.get(wait_path(self.told))
        self.client.close()

    def status(self):
        self.join(120)
        return self.answer.status if self.answer else 0  # 0: broken off


def metric(admin, name):
    for line in admin.get("/metrics", expect=200).body.decode().splitlines():
        if line.startswith("yagura_console_" + name + " "):
            return int(line.split()[1])
    raise AssertionError(name)


class WaitingTest(ConsoleTest):
    settings = 'heartbeat = "600s";\n'

    def waiting(self):
        return metric(self.admin, "agents_waiting")

    def wait(self, agent, **more):
        """One that is held."""
        before = self.waiting()
        wait = Wait(agent, **more)
        until(lambda: self.waiting() == before + 1 or wait.answer)
        self.assertIsNone(wait.answer)
        return wait

    def setUp(self):
        until(lambda: self.waiting() == 0)

    def command(self, agent):
        return self.admin.post(f"/api/v1/computers/{agent.id}/commands",
                               {"type": "scan_quick", "arguments": {}}, expect=201).json["id"]

    def test_a_command(self):
        agent, other = self.agent(), self.agent()
        wait, others = self.wait(agent), self.wait(other)
        self.command(agent)
        self.assertEqual(wait.status(), 200)
        self.assertEqual(wait.answer.json, {"news": True})
        self.assertEqual(len(agent.heartbeat().json["commands"]), 1)
        self.assertIsNone(others.answer)  # it is not meant
        self.assertEqual(self.waiting(), 1)
        self.command(other)
        self.assertEqual(others.status(), 200)

    def test_a_command_that_came_before(self):
        agent = self.agent()
        told = agent.heartbeat().json
        self.assertEqual(told["wait_seconds"], 50)
        self.command(agent)
        self.assertEqual(Wait(agent, told).status(), 200)
        agent.heartbeat()
        wait = self.wait(agent)  # delivered: it is news no more
        self.command(agent)
        self.assertEqual(wait.status(), 200)

    def put_policy(self, name, paths):
        text = f'watch = {{\n  paths = ["{paths}"];\n}};\n'
        known = self.admin.get(f"/api/v1/policies/{name}")
        headers = {"If_Match": known.headers["ETag"]} if known.status == 200 else \
            {"If_None_Match": "*"}
        answer = self.admin.put(f"/api/v1/policies/{name}", {"text": text}, **headers)
        self.assertIn(answer.status, (200, 201), answer)

    def test_a_policy(self):
        agent, other = self.agent(), self.agent()
        path = f"/api/v1/computers/{agent.id}"
        self.put_policy("waiting", "/srv/one")
        held = self.wait(other)
        wait = self.wait(agent)
        self.admin.patch(path, {"policy": "waiting"}, expect=200)
        self.assertEqual(wait.status(), 200)
        told = agent.heartbeat().json
        wait = self.wait(agent, told=told)
        self.put_policy("waiting", "/srv/two")
        self.assertEqual(wait.status(), 200)
        self.assertEqual(Wait(agent, told).status(), 200)  # what it knows is old
        group = self.admin.post("/api/v1/groups", {"name": "waiting"}, expect=201).json["id"]
        self.admin.patch(path, {"policy": "", "group": "waiting"}, expect=200)
        wait = self.wait(agent)
        self.admin.patch(f"/api/v1/groups/{group}", {"policy": "waiting"}, expect=204)
        self.assertEqual(wait.status(), 200)
        self.assertIsNone(held.answer)
        self.command(other)
        self.assertEqual(held.status(), 200)

    def test_signatures(self):
        agent = self.agent()
        wait = self.wait(agent)
        self.admin.put("/api/v1/signature-lists/waiting", {"type": "deny", "text": "a" * 64},
                       If_None_Match="*", expect=201)
        self.assertEqual(wait.status(), 200)
        wait = self.wait(agent)
        self.admin.delete("/api/v1/signature-lists/waiting", expect=204)
        self.assertEqual(wait.status(), 200)

    def put_list(self, name, group):
        path = f"/api/v1/signature-lists/{name}"
        known = self.admin.get(path)
        headers = {"If_Match": known.headers["ETag"]} if known.status == 200 else \
            {"If_None_Match": "*"}
        answer = self.admin.put(path, {"type": "deny", "text": "c" * 64, "group": group}, **headers)
        self.assertIn(answer.status, (200, 201), answer)

    def test_signatures_of_a_group(self):
        self.admin.put("/api/v1/signature-lists/of-all", {"type": "deny", "text": "d" * 64},
                       If_None_Match="*", expect=201)  # so that there is a set of all
        first, second, other = self.agent(), self.agent(), self.agent()
        for agent, group in ((first, "first"), (second, "second")):
            self.admin.post("/api/v1/groups", {"name": group}, expect=201)
            self.admin.patch(f"/api/v1/computers/{agent.id}", {"group": group}, expect=200)
        held = self.wait(other)
        wait = self.wait(first)
        self.put_list("of-a-group", "first")
        self.assertEqual(wait.status(), 200)
        left, got = self.wait(first), self.wait(second)
        self.put_list("of-a-group", "second")
        self.assertEqual(left.status(), 200)
        self.assertEqual(got.status(), 200)
        wait = self.wait(second)
        self.admin.delete("/api/v1/signature-lists/of-a-group", expect=204)
        self.assertEqual(wait.status(), 200)
        self.assertIsNone(held.answer)
        self.command(other)
        self.assertEqual(held.status(), 200)

    def test_the_end_of_service(self):
        agent, other, third = self.agent(), self.agent(), self.agent()
        wait, others, thirds = self.wait(agent), self.wait(other), self.wait(third)
        self.admin.post(f"/api/v1/computers/{agent.id}/deactivate", expect=200)
        self.assertEqual(wait.status(), 200)
        agent.heartbeat(expect=410)
        self.assertEqual(Wait(agent, {}).status(), 410)
        self.admin.delete(f"/api/v1/computers/{other.id}", expect=204)
        self.assertEqual(others.status(), 200)
        self.assertEqual(Wait(other, {}).status(), 401)
        third.client.post("/agent/v1/deactivate", expect=204)
        self.assertEqual(thirds.status(), 200)

    def test_one_of_a_computer(self):
        agent = self.agent()
        first = self.wait(agent)
        second = Wait(agent)
        self.assertEqual(first.status(), 409)
        self.assertEqual(first.answer.headers["Connection"], "close")
        self.assertEqual(self.waiting(), 1)
        self.assertIsNone(second.answer)
        self.command(agent)
        self.assertEqual(second.status(), 200)

    def test_one_that_asks_too_often(self):
        agent = self.agent()
        told = agent.heartbeat().json
        told["policy_digest"] = "0" * 64
        clients = [Client(self.console, self.console.agents_port, certificate=agent.certificate)
                   for _ in range(40)]
        for client in clients:
            client.connection.connect()  # this takes long, what follows does not
        answers = set()

        def is_refused():  # ten a second
            for client in clients:
                client.connection.request("GET", wait_path(told))
            answers.update(harness.Answer(client.connection.getresponse()).status
                           for client in clients)
            return 429 in answers

        until(is_refused)
        for client in clients:
            client.close()
        self.assertEqual(answers, {200, 429})

    def test_nonsense(self):
        agent = self.agent()
        for query in ("policy=" + "a" * 65, "group=%00", "policy=a&policy=b"):
            agent.client.get("/agent/v1/wait?" + query, expect=400)
        stranger = Client(self.console, self.console.agents_port)
        stranger.get("/agent/v1/wait", expect=401)
        stranger.close()


class BoundTest(ConsoleTest):
    settings = 'heartbeat = "600s";\n'
    agents = "waiting = 2; connections = 16;"

    def test_more_than_may_wait(self):
        several = [self.agent() for _ in range(3)]
        waits = [Wait(agent) for agent in several[:2]]
        until(lambda: metric(self.admin, "agents_waiting") == 2)
        refused = Wait(several[2])
        self.assertEqual(refused.status(), 429)
        self.assertEqual(refused.answer.headers["Connection"], "close")
        self.assertTrue(300 <= int(refused.answer.headers["Retry-After"]) <= 600)
        self.assertEqual(metric(self.admin, "agents_not_waiting_total"), 1)
        several[2].heartbeat()
        replacing = Wait(several[0])  # it has a place already
        self.assertEqual(waits[0].status(), 409)
        self.admin.post(f"/api/v1/computers/{several[1].id}/commands",
                        {"type": "heartbeat", "arguments": {}}, expect=201)
        self.assertEqual(waits[1].status(), 200)
        until(lambda: metric(self.admin, "agents_waiting") == 1)
        last = Wait(several[2])
        until(lambda: metric(self.admin, "agents_waiting") == 2)
        self.assertIsNone(last.answer)
        self.assertIsNone(replacing.answer)
        self.assertEqual(self.console.stop(), 0)  # with two that wait
        for wait in (last, replacing):
            self.assertIn(wait.status(), (503, 0))  # answered, unless the connection ends first
            if wait.answer:
                self.assertTrue(5 <= int(wait.answer.headers["Retry-After"]) <= 10)
        self.console.start()
        several[2].client = Client(self.console, self.console.agents_port,
                                   certificate=several[2].certificate)
        again = Wait(several[2])
        admin = self.console.api()
        admin.sign_in("admin", harness.PASSWORD)
        until(lambda: metric(admin, "agents_waiting") == 1)
        admin.post(f"/api/v1/computers/{several[2].id}/commands",
                   {"type": "heartbeat", "arguments": {}}, expect=201)
        self.assertEqual(again.status(), 200)


class DescriptorsTest(harness.unittest.TestCase):
    def test_as_many_as_are_to_connect(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 1024), hard))
        with Console(agents="waiting = 900; connections = 700;") as console:
            self.assertEqual(resource.prlimit(console.process.pid, resource.RLIMIT_NOFILE),
                             (min(900 + 700 + 256 + 256, hard), hard))


class NobodyTest(ConsoleTest):
    agents = "waiting = 0;"

    def test_nobody_waits(self):
        agent = self.agent()
        self.assertNotIn("wait_seconds", agent.heartbeat().json)
        self.assertEqual(Wait(agent).status(), 404)
        self.assertEqual(metric(self.admin, "agents_waiting"), 0)


class NodesTest(harness.unittest.TestCase):
    def test_what_the_other_node_changes(self):
        url = harness.postgres().database()
        settings = 'heartbeat = "600s";\n'
        first, second = Console(settings, database=url), Console(settings, database=url)
        with first:
            os.mkdir(second.data)
            for name in ("authority.key", "authority.crt", "signing.key"):
                shutil.copy2(os.path.join(first.data, name), second.data)
            with second:
                self.watch(first.administrator(), second)

    def watch(self, admin, second):
        here = second.api()
        here.sign_in("admin", harness.PASSWORD)
        token = admin.post("/api/v1/tokens", {"name": "test"}, expect=201).json["token"]
        agent = Agent(second)
        agent.activate(token)
        computer = f"/api/v1/computers/{agent.id}"
        changes = (
            lambda: admin.post(computer + "/commands", {"type": "heartbeat", "arguments": {}},
                               expect=201),
            lambda: admin.put("/api/v1/signature-lists/other",
                              {"type": "deny", "text": "b" * 64}, If_None_Match="*", expect=201),
            lambda: admin.put("/api/v1/policies/base", {"text": ""},
                              If_Match=admin.get("/api/v1/policies/base").headers["ETag"],
                              expect=200),
            lambda: admin.post(computer + "/deactivate", expect=200),
        )
        for change in changes:
            wait = Wait(agent)
            until(lambda: metric(here, "agents_waiting") == 1 or wait.answer)
            self.assertIsNone(wait.answer)
            change()
            self.assertEqual(wait.status(), 200)
        agent.heartbeat(expect=410)


if __name__ == "__main__":
    harness.main()
