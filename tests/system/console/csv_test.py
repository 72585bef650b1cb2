"""Every list as CSV: the rows and values of its pages in JSON, under each filter that it takes."""

import csv
import io
import json
import tempfile
import urllib.parse

import contract
import harness
from harness import Agent, ConsoleTest, until
from sensors_test import Sensor


class CsvTest(ConsoleTest):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="yagura-folder-")
        cls.addClassCleanup(folder.cleanup)
        for name in ("one.ndb", "other.ndb"):
            with open(f"{folder.name}/{name}", "wb") as file:
                file.write(b"Own.One:0:*:616263\n")
        cls.settings = (f'mirror = {{ folder = "{folder.name}"; period = "1s"; unsigned = true; }};\n'
                        'signatures = { scanner = "/nonexistent/yagura-scanner"; };\n')
        super().setUpClass()
        cls.make_what_people_make()
        cls.make_what_agents_make()

    @classmethod
    def made(cls, path, body):
        return cls.admin.post("/api/v1/" + path, body, expect=201).json

    @classmethod
    def make_what_people_make(cls):
        for text in ("", "# other\n"):
            match = {"If_Match": '"1"'} if text else {"If_None_Match": "*"}
            cls.admin.put("/api/v1/policies/web", {"text": 'parent = "base";\n' + text}, **match)
            cls.admin.put(f"/api/v1/signature-lists/l{len(text)}", {"type": "allow", "text": "a" * 64},
                          If_None_Match="*", expect=201)
        for name in ("east", '"west", =1+1'):
            cls.made("groups", {"name": name, "policy": "web" if name == "east" else ""})
            cls.made("rules", {"name": name, "group": name, "when": {"regions": ["eu-central-1"]}})
            cls.made("users", {"name": name, "role": "reader", "password": harness.PASSWORD})
            cls.made("keys", {"name": name, "role": "reader"})
            cls.made("alert-rules", {"name": name, "severity": "low",
                                     "condition": {"type": "event", "kinds": ["gap"]}})
            cls.destination = cls.made("destinations", {
                "name": name, "type": "webhook", "settings": {"url": "https://127.0.0.1:1/"},
                "secret": {"key": "a key of sixteen bytes"}, "enabled": False})["id"]
        for number in (1, 2):
            cls.console.query("INSERT INTO dead_letters (number, destination, event, reason, time_ms)"
                              f" VALUES ({number}, '{cls.destination}', 7, 'no', 1700000000000)")

    @classmethod
    def make_what_agents_make(cls):
        cls.agents = []
        for name, tag in (("web-1", "prod"), ("web-2", "test"), ("other", "test")):
            agent = Agent(cls.console, hostname=name)
            agent.activate(cls.made("tokens", {"name": name, "tags": [tag], **(
                {"group": "east"} if tag == "prod" else {})})["token"])
            agent.heartbeat([agent.event(), agent.event("gap", "high", "watch")])
            cls.agents.append(agent)
        gone, ours = cls.agents[2].id, cls.agents[0].id
        cls.admin.post(f"/api/v1/computers/{gone}/deactivate", {}, expect=200)
        cls.admin.patch(f"/api/v1/computers/{cls.agents[1].id}", {"policy": "base"}, expect=200)
        for command in ("scan_full", "heartbeat"):
            cls.made(f"computers/{ours}/commands", {"type": command})
        for kind in ("storage", "application"):
            key = cls.made("sensor-keys", {"name": kind, "kind": kind, **(
                {"group": "east"} if kind == "storage" else {})})["key"]
            sensor = Sensor(cls.console, key, kind, "s-" + kind)
            cls.sensor = sensor.report([sensor.event("found", "low")]).json["sensor_id"]
        alerts = until(lambda: (found := cls.pages("/api/v1/alerts", "alerts"))[8:] and found)
        cls.admin.post(f"/api/v1/alerts/{alerts[0]['number']}/acknowledge", {}, expect=200)
        cls.rule = alerts[0]["rule_id"]
        until(lambda: len(cls.pages("/api/v1/signature-files", "files")) == 2)
        cls.console.stop()  # nothing is written behind any more
        cls.console.query(f"UPDATE sensors SET last_seen_ms = 1 WHERE id <> '{cls.sensor}'")
        cls.console.start()
        cls.admin = cls.console.api()
        cls.admin.sign_in("admin", harness.PASSWORD)

    @classmethod
    def pages(cls, path, name):
        rows, cursor = [], ""
        while True:
            answer = cls.admin.get(f"{path}{'&' if '?' in path else '?'}limit=2{cursor}", expect=200).json
            rows += answer[name]
            if answer["next"] is None:
                return rows
            cursor = "&cursor=" + urllib.parse.quote(answer["next"])

    def same(self, value, cell):
        """Texts, numbers, times as they are; what is more than that as JSON."""
        if isinstance(value, (list, dict)):
            return json.loads(cell) == value
        if isinstance(value, bool):
            return cell == str(int(value))
        if isinstance(value, str) and value[:1] in tuple("=+-@\t\r"):
            return cell == "'" + value
        return cell == ("" if value is None else str(value))

    def compare(self, path):
        """How many rows both have."""
        answer = self.admin.get(path, Accept="text/csv", expect=200)
        name = contract.list_of(contract.operation_of("GET", path.partition("?")[0]))
        listed = self.pages(path, name)
        rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
        self.assertEqual(len(rows), len(listed), path)
        self.assertEqual(answer.headers["Content-Disposition"], f'attachment; filename="{name}.csv"')
        for row, wanted in zip(rows, listed):
            for key, value in wanted.items():
                self.assertTrue(self.same(value, row[key]), (path, key, value, row[key]))
        return len(rows)

    def test_every_list(self):
        lists = {path: [parameter["name"] for parameter in map(contract.resolve, operations["get"]["parameters"])
                        if parameter["in"] == "query" and parameter["name"] not in ("cursor", "limit")]
                 for path, operations in contract.DOCUMENT["paths"].items()
                 if "get" in operations and contract.list_of(operations["get"])}
        self.assertGreater(len(lists), 15)
        middle = self.pages("/api/v1/events", "events")[3]["received"]
        values = {"computers": {"status": "deactivated", "group": "east", "policy": "base",
                                "effective_policy": "web", "hostname": "web", "tag": "prod"},
                  "events": {"computer": self.agents[0].id, "sensor": self.sensor, "module": "watch",
                             "kind": "gap", "severity": "high,low", "since": middle, "until": middle},
                  "sensors": {"kind": "storage", "group": "east", "status": "silent", "name": "s-a"},
                  "sensor-keys": {"kind": "storage"},
                  "alerts": {"state": "acknowledged", "rule": self.rule, "computer": self.agents[0].id}}
        for path, filters in lists.items():
            for hole, value in (("/computers/{id}/", self.agents[0].id), ("/destinations/{id}/", self.destination),
                                ("/policies/{name}/", "web")):
                path = path.replace(hole, hole.replace("{id}", value).replace("{name}", value))
            whole = self.compare(path)
            self.assertGreater(whole, 1, path)
            tried = values.get(path.rsplit("/", 1)[1], {})
            self.assertEqual(sorted(tried), sorted(filters), path)
            for name, value in tried.items():
                found = self.compare(f"{path}?{name}={urllib.parse.quote(value)}")
                self.assertTrue(0 < found < whole, (path, name, found))


if __name__ == "__main__":
    harness.main()
