"""Alerts: rules, one open alert for a rule and a subject, acknowledging, resolving by itself."""

import time

import harness
from harness import Agent, ConsoleTest


class AlertTest(ConsoleTest):
    settings = 'heartbeat = "4s";\n'  # the computers are looked at every quarter of it

    def alerts(self, query="", client=None):
        return (client or self.admin).get("/api/v1/alerts?" + query, expect=200).json["alerts"]

    def wait(self, query, wanted=lambda alerts: alerts, client=None):
        """The alerts of a list once they are as wanted."""
        deadline = time.monotonic() + 60
        while True:
            alerts = self.alerts(query, client)
            if wanted(alerts):
                return alerts
            self.assertLess(time.monotonic(), deadline, f"{query}: {alerts}")
            time.sleep(0.1)

    def rule(self, name, condition, **more):
        return self.admin.post("/api/v1/alert-rules", {
            "name": name, "severity": "medium", "condition": condition, **more},
            expect=201).json["id"]

    def test_malware_is_one_alert_of_a_computer(self):
        agent = self.agent(hostname="infected")
        query = "computer=" + agent.id
        agent.heartbeat([agent.event(detail={"signature": "Eicar"}) for _ in range(3)])
        alert = self.wait(query)[0]
        self.assertEqual((alert["rule"], alert["severity"], alert["state"], alert["hostname"]),
                         ("Malware found", "critical", "open", "infected"))
        agent.heartbeat([agent.event(), agent.event(severity="low")])
        self.wait(query, lambda alerts: alerts[0]["count"] == 4)
        self.assertEqual(len(self.alerts(query)), 1)
        path = f"/api/v1/alerts/{alert['number']}"
        shown = self.admin.post(path + "/acknowledge", {"note": "looking"}, expect=200).json
        self.assertEqual((shown["state"], shown["acknowledged_by"], shown["note"]),
                         ("acknowledged", "user:admin", "looking"))
        self.admin.post(path + "/acknowledge", {}, expect=409)
        agent.heartbeat([agent.event()])  # it is counted there all the same
        self.wait(query, lambda alerts: alerts[0]["count"] == 5)
        shown = self.admin.post(path + "/resolve", {}, expect=200).json
        self.assertEqual((shown["state"], shown["resolved_by"], shown["note"]),
                         ("resolved", "user:admin", "looking"))
        self.admin.post(path + "/resolve", {}, expect=409)
        self.assertEqual(self.alerts(query + "&state=unresolved"), [])
        agent.heartbeat([agent.event()])
        again = self.wait(query + "&state=open")[0]
        self.assertNotEqual(again["number"], alert["number"])
        actions = [e["action"] for e in self.admin.get("/api/v1/audit").json["entries"]]
        self.assertIn("alert_acknowledged", actions)
        metrics = self.admin.get("/metrics").body.decode()
        self.assertIn("\nyagura_console_alerts_open ", metrics)

    def test_by_signature(self):
        rule = self.rule("Outbreak", {"type": "event", "by": "signature", "kinds": ["outbreak"]})
        agents = [self.agent(hostname=f"outbreak-{i}") for i in range(2)]
        for agent in agents:
            agent.heartbeat([agent.event("outbreak", detail={"signature": "Worm.A"}),
                             agent.event("outbreak", detail={"signature": "Worm.B"})])
        alerts = self.wait("rule=" + rule,
                           lambda alerts: sorted(a["count"] for a in alerts) == [2, 2])
        self.assertEqual({a["subject"] for a in alerts}, {"Worm.A", "Worm.B"})

    def test_what_an_agent_says_of_itself(self):
        agent = self.agent(hostname="unwell")
        query = "state=unresolved&computer=" + agent.id
        problem = {"module": "scanner", "problem": "no signatures", "cure": "update them"}
        agent.heartbeat(facts={"state": "degraded", "problems": [problem],
                               "scanner": {"signatures_age": 400000}})
        alerts = self.wait(query, lambda alerts: len(alerts) == 2)
        found = {alert["rule"]: alert["detail"] for alert in alerts}
        self.assertEqual(found, {"Agent degraded": problem,
                                 "Signatures old": {"signatures_age": 400000}})
        agent.heartbeat(facts={"state": "protecting", "scanner": {"signatures_age": 5}})
        self.wait(query, lambda alerts: not alerts)
        closed = self.alerts("state=resolved&computer=" + agent.id)
        self.assertEqual({alert["resolved_by"] for alert in closed}, {"console"})

    def test_rules(self):
        rules = self.admin.get("/api/v1/alert-rules").json["rules"]
        self.assertLessEqual({"Malware found", "Computer offline", "Agent degraded",
                              "Signatures old", "Sensor error", "Malware in a bucket",
                              "Object not scanned", "Attack on a function"}, {rule["name"] for rule in rules})
        made = self.rule("Gaps", {"type": "event", "kinds": ["gap_rule"]})
        path = "/api/v1/alert-rules/" + made
        agent = self.agent(hostname="ruled")
        agent.heartbeat([agent.event("gap_rule", "info", "watch")])
        self.wait("rule=" + made)
        self.admin.patch(path, {"enabled": False}, expect=204)
        agent.heartbeat([agent.event("gap_rule", "info", "watch")])
        agent.heartbeat([agent.event()])  # the cursor passed it when this one is there
        self.wait("computer=" + agent.id, lambda alerts: len(alerts) == 2)
        self.assertEqual(self.alerts("rule=" + made)[0]["count"], 1)
        self.admin.delete(path, expect=204)
        self.admin.delete(path, expect=404)
        for condition, said in (({}, "type"), ({"type": "storm"}, "type"),
                                ({"type": "offline"}, "seconds"),
                                ({"type": "event", "modules": [""]}, "modules"),
                                ({"type": "event", "unknown": 1}, "unknown")):
            answer = self.admin.post("/api/v1/alert-rules", {
                "name": "bad", "severity": "low", "condition": condition}, expect=400)
            self.assertIn(said, answer.json["detail"])

    def test_groups_are_fences(self):
        group = self.admin.post("/api/v1/groups", {"name": "fenced"}, expect=201).json["id"]
        inside = Agent(self.console, hostname="inside")
        inside.activate(self.token(group="fenced"))
        outside = self.agent(hostname="outside")
        for agent in (inside, outside):
            agent.heartbeat([agent.event()])
        number = self.wait("computer=" + outside.id)[0]["number"]
        key = self.admin.post("/api/v1/keys", {"name": "fenced", "role": "operator",
                                               "groups": [group]}, expect=201).json["key"]
        client = self.console.api(key)
        alerts = self.wait("", client=client)
        self.assertEqual({alert["hostname"] for alert in alerts}, {"inside"})
        client.get(f"/api/v1/alerts/{number}", expect=404)
        client.post(f"/api/v1/alerts/{number}/resolve", {}, expect=404)
        client.post(f"/api/v1/alerts/{alerts[0]['number']}/acknowledge", {}, expect=200)
        client.post("/api/v1/alert-rules", {"name": "x", "severity": "low",
                                            "condition": {"type": "degraded"}}, expect=403)


if __name__ == "__main__":
    harness.main()
