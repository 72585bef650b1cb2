"""GET /api/v1/stream: live changes over a real TLS connection."""

import json
import socket
import threading
import time
import uuid

import harness
from harness import PASSWORD, Agent, Console, ConsoleTest, Client
from sensors_test import Sensor


class Stream:
    """Messages of one stream, read as they come."""

    def __init__(self, client, query="", last=None, expect=200):
        self.client = Client.__new__(Client)
        self.client.__dict__.update(client.__dict__)
        connection = client.connection
        self.connection = harness.http.client.HTTPSConnection(
            connection.host, connection.port, context=connection._context, timeout=60)
        headers = dict(client.headers)
        if last:
            headers["Last-Event-ID"] = last
        self.connection.request("GET", "/api/v1/stream" + query, headers=headers)
        self.response = self.connection.getresponse()
        if self.response.status != expect:
            raise AssertionError(f"{self.response.status}: {self.response.read()}")
        self.id = None
        self.comments = 0
        self.deadline = time.monotonic() + 90

    def next(self):
        """(type, data) of the next message; None at the end."""
        kind, data = None, None
        while True:
            line = self.response.readline()
            if not line:
                return None
            line = line.decode().rstrip("\n")
            if time.monotonic() > self.deadline:
                raise AssertionError("nothing but comments and what was not waited for")
            if line.startswith(":"):
                self.comments += 1
            elif line.startswith("event: "):
                kind = line[7:]
            elif line.startswith("data: "):
                data = json.loads(line[6:])
            elif line.startswith("id: "):
                self.id = line[4:]
            elif not line and data is not None:
                return kind, data

    def until(self, kind, wanted=lambda data: True):
        """The first message of a kind that is wanted; those before it in seen."""
        self.seen = []
        while True:
            message = self.next()
            if message is None:
                raise AssertionError(f"the stream ended before {kind}; seen {self.seen}")
            if message[0] == kind and wanted(message[1]):
                return message[1]
            self.seen.append(message)

    def close(self):
        self.connection.close()


class StreamTest(ConsoleTest):
    def listen(self, client=None, query="", **more):
        stream = Stream(client or self.admin, query, **more)
        self.addCleanup(stream.close)
        if more.get("expect", 200) == 200:
            self.assertEqual(stream.response.headers["Content-Type"], "text/event-stream")
            self.assertEqual(stream.next(), ("ready", {}))
        return stream

    def key(self, role, groups=()):
        made = self.admin.post("/api/v1/keys", {"name": str(uuid.uuid4()), "role": role,
                                                "groups": list(groups)}, expect=201).json
        return made["id"], self.console.api(made["key"])

    def test_an_event_comes_as_its_list_shows_it(self):
        agent = self.agent(hostname="live")
        stream = self.listen(query="?topics=events")
        agent.heartbeat([agent.event(subject="/srv/\n\u202e<b>", detail={"signature": "X"})])
        message = stream.until("event", lambda data: data["kind"] == "malware_found")
        listed = self.admin.get("/api/v1/events?computer=" + agent.id).json["events"][0]
        self.assertEqual(message, listed)
        agent.heartbeat([agent.event(detail={"long": "x" * 5000})])
        message = stream.until("event", lambda data: data["subject"] == "/srv/2")
        self.assertEqual(message["detail"], {"cut": True})

    def test_commands_and_computers(self):
        stream = self.listen(query="?topics=computers,commands")
        agent = self.agent(hostname="steered")
        shown = stream.until("computer", lambda data: data.get("hostname") == "steered")
        self.assertEqual((shown["id"], shown["status"]), (agent.id, "Managed (Online)"))
        self.assertNotIn("facts", shown)
        path = f"/api/v1/computers/{agent.id}"
        made = self.admin.post(path + "/commands", {"type": "scan_full"}, expect=201).json["id"]
        states = []
        def mine(data):
            if data["id"] == made:
                states.append(data["state"])
            return data["id"] == made and data["state"] == wanted
        wanted = "queued"
        self.assertEqual(stream.until("command", mine)["hostname"], "steered")
        agent.heartbeat()
        wanted = "delivered"
        stream.until("command", mine)
        agent.heartbeat(results=[{"command_id": made, "good": True, "output": "all clean"}])
        wanted = "done"
        self.assertEqual(stream.until("command", mine)["output"], "all clean")
        self.assertEqual(sorted(set(states), key=states.index), ["queued", "delivered", "done"])
        self.admin.patch(path, {"display_name": "renamed"}, expect=200)
        stream.until("computer", lambda data: data.get("display_name") == "renamed")
        self.set_offline(agent)
        stream.until("computer", lambda data: (data["id"], data.get("status")) ==
                     (agent.id, "Managed (Offline)"))  # by time alone
        self.admin.delete(path, expect=204)
        stream.until("computer", lambda data: data == {"id": agent.id, "deleted": True})

    def test_sensors(self):
        group = self.admin.post("/api/v1/groups", {"name": "buckets"}, expect=201).json["id"]
        _, fenced_key = self.key("reader", [group])
        made = self.admin.post("/api/v1/sensor-keys", {"name": "k", "kind": "storage"},
                               expect=201).json
        stream = self.listen(query="?topics=sensors")
        fenced = self.listen(fenced_key, query="?topics=sensors")
        sensor = Sensor(self.console, made["key"], name="live-scanner")
        sensor.report()
        shown = stream.until("sensor", lambda data: data.get("name") == "live-scanner")
        self.assertEqual(shown["status"], "reporting")
        self.assertNotIn("facts", shown)
        sensor.sensor["version"] = "2.0"
        sensor.report()
        stream.until("sensor", lambda data: data.get("version") == "2.0")
        sensor.report(facts={"health": "good", "scanned": 7})  # what its page shows
        stream.until("sensor", lambda data: data.get("id") == shown["id"])
        self.admin.delete("/api/v1/sensors/" + shown["id"], expect=204)
        stream.until("sensor", lambda data: data == {"id": shown["id"], "deleted": True})
        inside = self.admin.post("/api/v1/sensor-keys", {"name": "in", "kind": "storage",
                                                         "group": "buckets"}, expect=201).json
        Sensor(self.console, inside["key"], name="of-the-group").report()
        fenced.until("sensor", lambda data: data.get("name") == "of-the-group")
        self.assertNotIn(shown["id"], json.dumps(fenced.seen))

    def test_groups_are_fences_here_too(self):
        groups = {name: self.admin.post("/api/v1/groups", {"name": name}, expect=201).json["id"]
                  for name in ("east", "west")}
        _, key = self.key("reader", [groups["east"]])
        stream = self.listen(key)
        agents = {}
        for name in ("west", "east"):
            agents[name] = Agent(self.console, hostname=name)
            agents[name].activate(self.token(group=name))
            agents[name].heartbeat([agents[name].event()])
        self.admin.post(f"/api/v1/computers/{agents['west'].id}/commands", {"type": "scan_full"},
                        expect=201)
        self.admin.post(f"/api/v1/computers/{agents['east'].id}/commands", {"type": "scan_full"},
                        expect=201)
        seen, kinds = [], set()
        while not kinds >= {"event", "computer", "command"}:
            seen.append(stream.next())
            if agents["east"].id in seen[-1][1].values():
                kinds.add(seen[-1][0])
        self.assertNotIn(agents["west"].id, json.dumps(seen))
        self.admin.patch("/api/v1/computers/" + agents["east"].id, {"group": "west"}, expect=200)
        stream.until("computer", lambda data: data == {"id": agents["east"].id, "deleted": True})

    def test_one_computer(self):
        one, other = self.agent(hostname="one"), self.agent(hostname="other")
        stream = self.listen(query=f"?topics=events&computer={one.id}")
        other.heartbeat([other.event()])
        one.heartbeat([one.event()])
        stream.until("event", lambda data: data["computer"] == one.id)
        self.assertEqual([message for message in stream.seen
                          if message[1].get("computer") != one.id], [])

    def test_coming_back(self):
        agent = self.agent(hostname="missed")
        stream = self.listen(query="?topics=events")
        agent.heartbeat([agent.event(kind="first")])
        stream.until("event", lambda data: data["kind"] == "first")
        stream.close()
        agent.heartbeat([agent.event(kind="missed")])
        stream = self.listen(query="?topics=events", last=stream.id)
        stream.until("event", lambda data: data["kind"] == "missed")
        self.assertNotIn("resync", [message[0] for message in stream.seen])
        stream = self.listen(query="?topics=events,commands", last="1")
        self.assertEqual(stream.next(), ("resync", {"topics": ["events", "commands"]}))
        stream = self.listen(last="nonsense")
        stream.until("resync")

    def test_it_ends_with_the_rights(self):
        made, key = self.key("reader")
        stream = self.listen(key)
        self.admin.delete("/api/v1/keys/" + made, expect=204)
        while stream.next() is not None:
            pass
        self.admin.post("/api/v1/users", {"name": "leaver", "role": "reader",
                                          "password": "given by someone"}, expect=201)
        client = self.console.api()
        client.sign_in("leaver", "given by someone")
        Stream(client, expect=403)
        client.put("/api/v1/session/password", {"old": "given by someone", "new": PASSWORD},
                   expect=204)
        client.sign_in("leaver", PASSWORD)
        stream = self.listen(client)
        client.delete("/api/v1/session", expect=204)
        while stream.next() is not None:
            pass
        Stream(client, expect=401)

    def test_bad_wishes(self):
        for query in ("?topics=", "?topics=events,nothing", "?topics=events,", "?computer=x",
                      "?x=1", "?topics=events&topics=events"):
            stream = Stream(self.admin, query, expect=400)
            self.assertEqual(json.loads(stream.response.read())["code"], "bad_filter")

    def test_many_listen(self):
        """Each of many clients gets the event; too many of one are refused, and places come back."""
        keys = [self.key("reader")[1] for _ in range(3)]
        streams = [self.listen(key, "?topics=events") for key in keys for _ in range(10)]
        agent = self.agent(hostname="many")
        agent.heartbeat([agent.event(kind="to_all")])
        for stream in streams:
            stream.until("event", lambda data: data["kind"] == "to_all")
        metrics = self.admin.get("/metrics").body.decode()
        listening = int(metrics.split("\nyagura_console_stream_clients ")[1].split("\n")[0])
        self.assertGreaterEqual(listening, 30)
        more = [Stream(keys[0], "?topics=events") for _ in range(6)]
        refused = Stream(keys[0], "?topics=events", expect=429)
        self.assertIn("Retry-After", refused.response.headers)
        for stream in more:
            stream.close()

    def test_a_flood_becomes_a_resync_and_stopping_ends_it(self):
        with Console() as console:
            admin = console.administrator()
            stream = Stream(admin, "?topics=events")
            self.assertEqual(stream.next(), ("ready", {}))
            agent = Agent(console)
            agent.activate(admin.post("/api/v1/tokens", {"name": "t"}, expect=201).json["token"])
            agent.heartbeat([agent.event() for _ in range(450)])
            self.assertEqual(stream.until("resync"), {"topics": ["events"]})
            stopper = threading.Thread(target=console.stop)
            stopper.start()
            while stream.next() is not None:
                pass
            stopper.join()
            self.assertEqual(console.process.returncode, 0)

    def test_the_place_of_one_who_left_is_free(self):
        key = self.key("reader")[1]
        for i in range(20):
            deadline = time.monotonic() + 60
            while True:
                try:
                    stream = Stream(key, "?topics=commands")
                    break
                except AssertionError as refused:  # 16 at once; the first of them are gone soon
                    self.assertIn("too_many_streams", str(refused))
                    self.assertGreater(i, 15)
                    self.assertLess(time.monotonic(), deadline)
                    time.sleep(0.05)
            if i % 2:
                stream.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                                  b"\1\0\0\0\0\0\0\0")
            stream.close()
            stream.response.close()


if __name__ == "__main__":
    harness.main()
