"""A console with a fleet that reports to it, for journeys.js, which drives the browser."""

import json
import os
import subprocess
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.abspath(os.path.join(HERE, "../../.."))
sys.path.insert(0, os.path.join(SOURCE, "tests/system/console"))
sys.path.insert(0, os.path.join(SOURCE, "tests/system/delivery"))
os.environ.setdefault("YAGURA_PROGRAMS", os.environ["YAGURA_BIN"])
os.environ.setdefault("YAGURA_SIGNATURES", os.path.join(SOURCE, "installer/demo-signatures"))

from harness import PASSWORD, Agent, Console  # noqa: E402
from pair import agents  # noqa: E402
from sensors_test import Sensor  # noqa: E402

HOSTILE = ["<img src=x onerror=alert(1)>", "invoice\u202egnp.exe", "line\\nbreak\u0007bell",
           "/srv/" + "x" * 4000]
FACTS = {
    "state": "protected", "problems": [],
    "agent": {"version": "0.1.0", "uptime": 90321},
    "policy": {"name": "base", "action": "quarantine"},
    "watch": {"state": "watching", "complete": True, "directories_watched": 12873,
              "coverage": 1.0, "lag_ns": 0, "overflows": 0, "gaps_open": 0},
    "scanner": {"state": "ready", "signatures": 8707231, "engine": "1.4.6", "sandbox": "full",
                "signatures_time": "2026-11-21T09:00:00Z", "crashed": 0},
    "scan": {"backlog_files": 0, "scanned": 81234, "cached": 61000, "infected": 12,
             "incomplete": 3, "errors": 0},
    "integrity": {"state": "watching", "problem": "", "entries": 4122, "changed": 3, "waiting": 0,
                  "tampered": False},
    "health": {"self_test": "passed", "places": 2, "silent": 0, "unscanned": 0, "restarts": 0},
    "store": {"waiting": 0, "acknowledged_number": 900, "dropped": 0, "problem": ""},
}
PROTECTED = {**FACTS, "protected": True}
EVENTS = [("malware_found", "critical", "malware"), ("malware_held", "critical", "malware"),
          ("watch_gap", "medium", "watch"), ("scan_incomplete", "low", "scan"),
          ("agent_started", "info", "agent")]


class Fleet:
    def __init__(self, console, place):
        self.console = console
        self.place = place
        self.admin = console.administrator()
        web = self.admin.post("/api/v1/groups", {"name": "web"}, expect=201).json["id"]
        self.admin.put("/api/v1/policies/web", {"text": 'parent = "base";\n'}, expect=201,
                       If_None_Match="*")
        self.agents = []
        for i in range(12):
            self.add(f"web-{i + 1:02}.tokyo.example", group="web", tags=["prod"])
        self.add("<b>bold</b>")
        for i, agent in enumerate(self.agents):
            agent.heartbeat([agent.event(*EVENTS[(i + k) % len(EVENTS)],
                                         time_ms=int((time.time() - 3600 * k) * 1000))
                             for k in range(6)], facts=PROTECTED if i == 1 else FACTS)
        first = self.agents[0]
        first.heartbeat([first.event(subject=subject, detail={"signature": subject})
                         for subject in HOSTILE])
        self.quarantined = str(uuid.uuid4())
        first.heartbeat([first.event("malware_quarantined", "medium", subject="/srv/report.pdf",
                                     detail={"signature": "Test.Pdf", "id": self.quarantined,
                                             "sha256": "a" * 64, "size": 4242})], facts=FACTS)
        self.sensors()
        self.people(web)

    def sensor(self, kind, name, group="", **more):
        key = self.admin.post("/api/v1/sensor-keys", {"name": "for " + name, "kind": kind,
                                                      "group": group}, expect=201).json["key"]
        return Sensor(self.console, key, kind, name, **more)

    def sensors(self):
        """Scanners of buckets and functions, as they report."""
        uploads = self.sensor("storage", "uploads-scanner", "web")
        uploads.report([
            uploads.event(subject="uploads/2026/11/invoice.zip", detail={
                "bucket": "uploads", "key": "2026/11/invoice.zip", "version_id": "3sL4kqtJ",
                "size": 183022, "sha256": "b" * 64, "signature": "Win.Test.EICAR_HDB-1",
                "verdict": "infected", "action": "quarantine"}),
            uploads.event("object_quarantined", "medium", subject="uploads/2026/11/invoice.zip",
                          detail={"bucket": "uploads", "to": "quarantine-bucket"}),
            uploads.event("object_incomplete", "medium", subject="uploads/" + HOSTILE[0],
                          detail={"bucket": "uploads", "reason": "encrypted archive"})],
            facts={"health": "good", "scanned": 1203388, "infected": 41, "incomplete": 12,
                   "errors": 0, "signatures": 8707231})
        self.sensor("storage", "archive-scanner").report(
            facts={"health": "degraded", "problem": "signatures are 4 days old", "scanned": 7})
        shop = self.sensor("application", "shop-checkout", "web", runtime="nodejs22.x",
                           arn="arn:aws:lambda:eu-central-1:111122223333:function:shop-checkout")
        shop.report([
            shop.event("request_blocked", "high", subject="SQL Injection", detail={
                "action": "block", "score": 5, "function": "shop-checkout",
                "aws_request_id": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
                "request": {"method": "POST", "path": "/login", "source_address": "192.0.2.7"},
                "findings": [{"protection": "SQL Injection", "rule": 942100, "score": 5,
                              "matched": "ARGS:user", "excerpt": "' OR 1=1 --",
                              "action": "block"}]}),
            shop.event("request_reported", "medium", subject="Malicious Payload", detail={
                "action": "report", "score": 5,
                "findings": [{"protection": "Malicious Payload", "excerpt": HOSTILE[0]}]})],
            facts={"health": "good", "requests": 48211, "blocked": 17, "reported": 92})

    def people(self, web):
        """A second administrator, and one who is limited to a group; they choose their passwords in
        the browser."""
        for person in ({"name": "operator", "role": "administrator"},
                       {"name": "webmaster", "role": "reader", "groups": [web]}):
            self.admin.post("/api/v1/users", {**person, "password": "one-time password 1"},
                            expect=201)

    def add(self, hostname, **token):
        agent = Agent(self.console, hostname=hostname)
        created = self.admin.post("/api/v1/tokens", {"name": "fleet", **token}, expect=201)
        agent.activate(created.json["token"])
        self.agents.append(agent)
        return agent

    # --- what journeys.js asks for

    def detection(self, name):
        agent = self.agents[1]
        agent.heartbeat([agent.event(subject=f"/srv/{name}", detail={"signature": "Eicar"})],
                        facts=PROTECTED)

    def report(self, kind, key):
        sensor = Sensor(self.console, key, kind, "newcomer-" + kind)
        sensor.report([sensor.event(subject="first/object")])

    def policy_of(self, group):
        """What the functions of a group would get."""
        groups = self.admin.get("/api/v1/groups").json["groups"]
        name = [each for each in groups if each["name"] == group][0]["policy"]
        values = self.admin.get(f"/api/v1/policies/{name}/effective", expect=200).json["values"]
        return {value["key"]: value["value"] for value in values} | {"policy": name}

    # --- a real agent on a real disk

    def real(self):
        """Starts one that watches a folder of its own, and joins it: where that is. null: it needs
        root."""
        if os.geteuid() != 0:
            return None
        agent = self.place.agent()
        self.admin.put("/api/v1/policies/real", {"text": agents.policy_text(agent.values)},
                       expect=201, If_None_Match="*")
        token = self.admin.post("/api/v1/tokens", {"name": "real", "policy": "real"},
                                expect=201).json["token"]
        agent.start()
        path = agents.put(os.path.join(self.place.root, "token"), token.encode() + b"\n")
        agent.control("activate", "--url", f"https://127.0.0.1:{self.console.agents_port}",
                      "--ca-pin", self.console.pin, "--token-file", path)
        agent.until(lambda status: agent.events("policy_applied"), "the console's policy")
        return agent.watched

    def infect(self, name, blanks="0"):
        """A heartbeat soon, too: malware is told of at once. blanks: more content, another hash."""
        agents.put(os.path.join(self.place.agents[0].watched, name),
                   agents.EICAR + b" " * int(blanks))

    def lies_there(self, name):
        """Whether the file is back in its place, with what it held."""
        try:
            with open(os.path.join(self.place.agents[0].watched, name), "rb") as file:
                return file.read() == agents.EICAR
        except FileNotFoundError:
            return False

    def activation(self, token):
        agent = Agent(self.console, hostname="newcomer.example")
        agent.activate(token)
        agent.heartbeat(facts=FACTS)
        self.agents.append(agent)

    def commands(self, number):
        """Delivers the first agent's orders, obeys them, and says which they were."""
        agent = self.agents[int(number)]
        signed = agent.heartbeat(facts=FACTS).json.get("commands", [])
        orders = [json.loads(each["document"]) for each in signed]
        results = [{"command_id": order["id"], "good": True, "output": "done"} for order in orders]
        events = [agent.event("quarantine_restored", "medium", module="quarantine",
                              subject="/srv/report.pdf", detail={"id": self.quarantined})
                  for order in orders if order["type"] == "quarantine_restore"]
        agent.heartbeat(events, results=results, facts=FACTS)
        return [{"type": order["type"], "arguments": order["arguments"]} for order in orders]

    def flood(self, count):
        agent = self.agents[6]
        for begin in range(0, int(count), 100):
            agent.heartbeat([agent.event("integrity_updated", "low", module="integrity",
                                         subject=f"/etc/{begin + i:03}.conf")
                             for i in range(100)], facts=FACTS)

    def trouble(self, days):
        """A computer whose signatures are old."""
        problem = {"module": "scanner", "problem": f"the newest signatures are {days} days old",
                   "cure": "update them, for example with freshclam"}
        self.agents[2].heartbeat(facts={**FACTS, "state": "degraded", "problems": [problem]})

    def begin(self, number):
        """The agent has begun a scan, and says how far it is."""
        agent = self.agents[int(number)]
        signed = agent.heartbeat(facts=FACTS).json.get("commands", [])
        orders = [json.loads(each["document"]) for each in signed]
        self.begun = [(agent, order["id"]) for order in orders]
        agent.heartbeat(results=[{"command_id": order["id"], "good": True, "running": True,
                                  "output": '{"ended":"no","files":1234,"infected":0}'}
                                 for order in orders], facts=FACTS)
        return agent.id

    def end(self):
        for agent, order in self.begun:
            agent.heartbeat(results=[{"command_id": order, "good": True,
                                      "output": '{"ended":"complete","files":5678}'}], facts=FACTS)

    def restart(self):
        """On the same ports, so that the open page finds it again."""
        with open(self.console.config, encoding="utf-8") as file:
            settings = file.read()
        for port in (self.console.agents_port, self.console.people_port):
            settings = settings.replace("port = 0;", f"port = {port};", 1)
        with open(self.console.config, "w", encoding="utf-8") as file:
            file.write(settings)
        self.console.stop()
        for agent in self.agents:
            agent.client.close()  # opens again by itself
        self.console.start()
        return self.console.people_port


def run_browser(fleet, modules, pictures):
    node = subprocess.Popen(
        ["node", os.path.join(HERE, "journeys.js"), modules, pictures],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "YAGURA_PAGE": f"https://127.0.0.1:{fleet.console.people_port}/",
             "YAGURA_PAGE_PASSWORD": PASSWORD})
    failed = False
    for line in node.stdout:
        if line.startswith("do "):
            name, *arguments = line.split()[1:]
            answer = getattr(fleet, name)(*arguments)
            node.stdin.write(json.dumps(answer) + "\n")
            node.stdin.flush()
        else:
            failed = failed or line.startswith("not ok")
            print(line, end="", flush=True)
    node.stdin.close()
    node.stdout.close()
    return node.wait() != 0 or failed


def main():
    modules, pictures = sys.argv[1:3]
    os.makedirs(pictures, exist_ok=True)
    place = agents.Place()
    try:
        # nobody calls by itself: who has called once is online throughout, on a slow machine, too
        with Console(f'web = "{SOURCE}/console/web";\nheartbeat = "10m";\n') as console:
            failed = run_browser(Fleet(console, place), modules, pictures)
    finally:
        place.remove()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
