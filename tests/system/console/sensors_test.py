"""Sensors that are not hosts: keys, reports, policy, what people see of them."""

import csv
import io
import os
import re
import subprocess
import time
import uuid

import harness
from harness import Agent, ConsoleTest

CLIENT = os.environ.get("YAGURA_SENSOR_CLIENT", "")


class Sensor:
    """What common/sensor_report does, by hand."""

    def __init__(self, console, key, kind="storage", name="scanner", **more):
        self.client = console.api(key)
        self.kind = kind
        self.sensor = {"name": name, "version": "1.0", "account": "111122223333",
                       "region": "eu-central-1", **more}
        self.epoch = str(uuid.uuid4())
        self.number = 0

    def event(self, kind="malware_found", severity="critical", **more):
        self.number += 1
        return {"number": self.number, "id": str(uuid.uuid4()),
                "time_ms": int(time.time() * 1000), "module": self.kind, "kind": kind,
                "severity": severity, "subject": f"bucket/{self.number}", "detail": {}, **more}

    def report(self, events=(), expect=200, **more):
        body = {"protocol": 1, "kind": self.kind, "sensor": self.sensor, "epoch": self.epoch,
                "dropped": 0, "facts": {"health": "good"}, "policy_digest": "",
                "events": list(events), **more}
        return self.client.post("/api/v1/sensor/report", body, expect=expect)


class SensorsTest(ConsoleTest):
    def key(self, kind="storage", **more):
        made = self.admin.post("/api/v1/sensor-keys", {"name": "for " + kind, "kind": kind, **more},
                               expect=201).json
        self.assertTrue(made["key"].startswith("ysk1_"))
        return made

    def sensor(self, kind="storage", name=None, **more):
        return Sensor(self.console, self.key(kind, **more)["key"], kind,
                      name or "s-" + uuid.uuid4().hex[:8])

    def listed(self, name):
        found = self.admin.get("/api/v1/sensors?name=" + name, expect=200).json["sensors"]
        return found[0] if found else None

    def test_a_report_is_stored_once_and_shown(self):
        sensor = self.sensor()
        events = [sensor.event(), sensor.event("scanned", "info")]
        answer = sensor.report(events).json
        self.assertEqual(answer["acknowledged"], {"epoch": sensor.epoch, "number": 2})
        again = sensor.report(events + [sensor.event()]).json  # the answer was lost
        self.assertEqual(again["acknowledged"]["number"], 3)
        self.assertEqual(again["sensor_id"], answer["sensor_id"])
        shown = self.admin.get("/api/v1/events?sensor=" + answer["sensor_id"]).json["events"]
        self.assertEqual([event["subject"] for event in shown], ["bucket/3", "bucket/2", "bucket/1"])
        self.assertEqual({(event["computer"], event["hostname"], event["sensor"], event["module"])
                          for event in shown},
                         {(None, sensor.sensor["name"], answer["sensor_id"], "storage")})
        self.assertEqual(self.admin.get(f"/api/v1/events/{shown[0]['number']}").json, shown[0])
        listed = self.listed(sensor.sensor["name"])
        self.assertEqual(self.admin.get("/api/v1/sensors/" + listed["id"], expect=200).json, listed)
        self.assertEqual((listed["id"], listed["kind"], listed["status"], listed["facts"]),
                         (answer["sensor_id"], "storage", "reporting", {"health": "good"}))
        rows = list(csv.DictReader(io.StringIO(
            self.admin.get("/api/v1/sensors", Accept="text/csv").body.decode())))
        self.assertIn(sensor.sensor["name"], [row["name"] for row in rows])
        with_module = self.admin.get("/api/v1/events?module=storage&limit=200").json["events"]
        self.assertTrue({event["id"] for event in events} <= {e["id"] for e in with_module})

    def test_new_runs_and_lost_events(self):
        sensor = self.sensor("application", name="fn-" + uuid.uuid4().hex[:8])
        sensor.report([sensor.event()])
        sensor.epoch, sensor.number = str(uuid.uuid4()), 0
        sensor.report([sensor.event()], dropped=5)
        sensor.report([], dropped=5)
        own = self.listed(sensor.sensor["name"])["id"]
        kinds = [e["kind"] for e in self.admin.get("/api/v1/events?sensor=" + own).json["events"]]
        self.assertEqual(sorted(kinds), ["events_lost", "malware_found", "malware_found"])

    def test_what_is_refused(self):
        sensor = self.sensor()
        for broken in ({"kind": "host"}, {"epoch": "x"}, {"protocol": 2}, {"sensor": {}},
                       {"events": [{**sensor.event(), "module": "malware"}]},
                       {"events": [{**sensor.event(), "number": 0}]}, {"facts": []}):
            answer = sensor.report(expect=400, **broken)
            self.assertEqual(answer.json["code"], "bad_report", broken)
        self.assertEqual(sensor.client.post("/api/v1/sensor/report", b"{", expect=400)
                         .json["code"], "bad_report")
        sensor = self.sensor()
        sensor.kind = "application"
        self.assertEqual(sensor.report(expect=403).json["code"], "wrong_kind")
        for key in ("ysk1_" + "A" * 43, "ysk1_" + "A" * 400, "yk1.x", "nothing"):
            sensor.client.headers = {"Authorization": "Bearer " + key}
            self.assertEqual(sensor.report(expect=401).json["code"], "key_refused")
        sensor.client.headers = {}
        sensor.report(expect=401)
        sensor.client.get("/api/v1/sensor/key", expect=401)

    def test_keys(self):
        made = self.key("application", days=1)
        sensor = Sensor(self.console, made["key"], "application", "fn")
        sensor.report()
        sensor.client.get("/api/v1/computers", expect=401)  # it opens nothing else
        sensor.client.get("/api/v1/sensors", expect=401)
        self.assertNotIn(made["key"], self.console.dump())
        row = [k for k in self.admin.get("/api/v1/sensor-keys?kind=application").json["sensor_keys"]
               if k["id"] == made["id"]][0]
        self.assertEqual((row["sensors"], row["revoked"]), (1, None))
        self.admin.delete("/api/v1/sensor-keys/" + made["id"], expect=204)
        self.admin.delete("/api/v1/sensor-keys/" + made["id"], expect=404)
        self.assertEqual(sensor.report(expect=401).json["code"], "key_refused")
        for wrong in ({"name": "x", "kind": "host"}, {"name": " ", "kind": "storage"},
                      {"name": "x", "kind": "storage", "days": 0}, {"kind": "storage"}):
            self.admin.post("/api/v1/sensor-keys", wrong, expect=400)
        actions = [e["action"] for e in self.admin.get("/api/v1/audit").json["entries"]]
        self.assertIn("sensor_key_created", actions)
        self.assertIn("sensor_key_revoked", actions)

    def test_a_renewed_key_goes_on_with_the_record(self):
        one, two = self.key(), self.key()
        first = Sensor(self.console, one["key"], name="renewed")
        first.report()
        second = Sensor(self.console, two["key"], name="renewed")
        self.assertEqual(second.report().json["sensor_id"], first.report().json["sensor_id"])

    def test_command_line(self):
        done = self.console.run("sensor-key", "create", "storage", "--name", "by hand")
        self.assertEqual(done.returncode, 0, done.stderr)
        key = done.stdout.strip()
        Sensor(self.console, key, name="from-cli").report()
        listing = self.console.run("sensor-key", "list").stdout
        self.assertIn("by hand\tstorage", listing)
        self.assertNotIn(key, listing)
        row = [line.split("\t") for line in listing.splitlines() if "by hand" in line][0]
        self.assertEqual(self.console.run("sensor-key", "revoke", row[0]).returncode, 0)
        Sensor(self.console, key, name="from-cli").report(expect=401)
        self.assertEqual(self.console.run("sensor-key", "create", "host").returncode, 2)

    def test_groups_are_fences(self):
        names = ("red-" + uuid.uuid4().hex[:6], "blue-" + uuid.uuid4().hex[:6])
        groups = {}
        for name in names:
            groups[name] = self.admin.post("/api/v1/groups", {"name": name},
                                           expect=201).json["id"]
        red, blue = (self.sensor(name="same", group=name) for name in names)
        ids = [sensor.report([sensor.event()]).json["sensor_id"] for sensor in (red, blue)]
        self.assertNotEqual(*ids)  # a key speaks for its group's sensors only
        red.client.get("/api/v1/sensor/policy?sensor=" + ids[1], expect=404)
        made = self.admin.post("/api/v1/keys", {"name": "limited", "role": "operator",
                                                "groups": [groups[names[0]]]}, expect=201).json
        limited = self.console.api(made["key"])
        self.assertEqual([s["id"] for s in limited.get("/api/v1/sensors").json["sensors"]],
                         ids[:1])
        limited.get("/api/v1/sensors/" + ids[1], expect=404)
        limited.patch("/api/v1/sensors/" + ids[1], {"policy": ""}, expect=404)
        limited.delete("/api/v1/sensors/" + ids[1], expect=404)
        events = limited.get("/api/v1/events?module=storage").json["events"]
        self.assertEqual({event["sensor"] for event in events}, {ids[0]})
        self.assertEqual(limited.get("/api/v1/events?sensor=" + ids[1]).json["events"], [])
        limited.post("/api/v1/sensor-keys", {"name": "x", "kind": "storage"}, expect=404)
        limited.post("/api/v1/sensor-keys", {"name": "x", "kind": "storage", "group": names[0]},
                     expect=201)
        keys = limited.get("/api/v1/sensor-keys").json["sensor_keys"]
        self.assertEqual({key["group"] for key in keys}, {names[0]})
        self.admin.delete("/api/v1/groups/" + groups[names[0]], expect=409)
        limited.delete("/api/v1/sensors/" + ids[0], expect=204)
        limited.get("/api/v1/sensors/" + ids[0], expect=404)
        reader = self.admin.post("/api/v1/keys", {"name": "r", "role": "reader"}, expect=201).json
        reader = self.console.api(reader["key"])
        reader.get("/api/v1/sensors", expect=200)
        reader.get("/api/v1/sensor-keys", expect=403)
        reader.delete("/api/v1/sensors/" + ids[1], expect=403)

    def test_alerts_and_computers_stay_apart(self):
        sensor = self.sensor()
        sensor.report([sensor.event()])
        agent = Agent(self.console)
        agent.activate(self.token())
        agent.heartbeat([agent.event()])
        names = [c["hostname"] for c in self.admin.get("/api/v1/computers").json["computers"]]
        self.assertNotIn(sensor.sensor["name"], names)
        alert = harness.until(lambda: [a for a in self.admin.get("/api/v1/alerts").json["alerts"]
                                       if a["hostname"] == sensor.sensor["name"]])
        self.assertEqual(alert[0]["computer"], None)

    def put_policy(self, name, text):
        done = self.admin.get("/api/v1/policies/" + name)
        headers = {"If_Match": done.headers["ETag"]} if done.status == 200 else \
            {"If_None_Match": "*"}
        self.assertIn(self.admin.put("/api/v1/policies/" + name, {"text": text}, **headers).status,
                      (200, 201, 204))

    def test_policy_by_hand(self):
        name = "functions-" + uuid.uuid4().hex[:6]
        self.put_policy(name, 'parent = "base";\nscan = { workers = 3; };\n')
        sensor = self.sensor(policy=name)
        answer = sensor.report().json
        path = "/api/v1/sensor/policy?sensor=" + answer["sensor_id"]
        signed = sensor.client.get(path, expect=200)
        self.assertIn(answer["policy_digest"], signed.json["document"])
        tag = signed.headers["ETag"]
        self.assertEqual(sensor.client.get(path, expect=304, If_None_Match=tag).body, b"")
        sensor.report(policy_digest=answer["policy_digest"])
        self.assertTrue(self.listed(sensor.sensor["name"])["policy_in_force"])
        self.put_policy(name, 'parent = "base";\nscan = { workers = 4; };\n')
        changed = sensor.report(policy_digest=answer["policy_digest"]).json
        self.assertNotEqual(changed["policy_digest"], answer["policy_digest"])
        sensor.client.get(path, expect=200, If_None_Match=tag)
        self.admin.delete("/api/v1/policies/" + name, expect=409)
        self.admin.patch("/api/v1/sensors/" + answer["sensor_id"], {"policy": "base"}, expect=204)
        sensor.client.get("/api/v1/sensor/policy?sensor=x", expect=400)
        key = sensor.client.get("/api/v1/sensor/key", expect=200).json
        self.assertEqual(key["key_id"], self.admin.get("/api/v1/signing-key").json["id"])

    def run_client(self, key, *arguments):
        done = subprocess.run(
            [CLIENT, f"https://127.0.0.1:{self.console.people_port}/", key, self.console.pin,
             *arguments], capture_output=True, text=True, check=True, timeout=120)
        return dict(re.findall(r"(\w+)=(\S+)", done.stdout))

    def test_the_c_client(self):
        name = "clients-" + uuid.uuid4().hex[:6]
        self.put_policy(name, 'parent = "base";\nagent = { log_level = "debug"; };\n')
        key = self.key(policy=name)["key"]
        said = self.run_client(key, "storage", "c-client", "1203", "agent.log_level")
        self.assertEqual((said["result"], said["sent"], said["waiting"], said["policy"],
                          said["value"]), ("0", "1203", "0", "1", "debug"))
        number = self.console.query("SELECT number FROM sensors WHERE name = 'c-client'")[0][0]
        stored = self.console.query("SELECT count(*), count(DISTINCT agent_number) FROM events"
                                    f" WHERE computer = {number}")
        self.assertEqual(stored, [["1203", "1203"]])
        listed = self.listed("c-client")
        self.assertTrue(listed["policy_in_force"])
        self.assertEqual(listed["facts"]["scanned"], 7)
        refused = self.run_client("ysk1_" + "B" * 43, "storage", "c-client", "1")
        self.assertEqual((refused["result"], refused["waiting"]), ("EACCES", "1"))


if __name__ == "__main__":
    harness.main()
