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

from harness import PASSWORD, Agent, Console  # noqa: E402

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
    "store": {"waiting": 0, "acknowledged_number": 900, "dropped": 0, "problem": ""},
}
EVENTS = [("malware_found", "critical", "malware"), ("malware_held", "critical", "malware"),
          ("watch_gap", "medium", "watch"), ("scan_incomplete", "low", "scan"),
          ("agent_started", "info", "agent")]


class Fleet:
    def __init__(self, console):
        self.console = console
        self.admin = console.administrator()
        self.admin.post("/api/v1/groups", {"name": "web"}, expect=201)
        self.admin.put("/api/v1/policies/web", {"text": 'parent = "base";\n'}, expect=201,
                       If_None_Match="*")
        self.agents = []
        for i in range(12):
            self.add(f"web-{i + 1:02}.tokyo.example", group="web", tags=["prod"])
        self.add("<b>bold</b>")
        for i, agent in enumerate(self.agents):
            agent.heartbeat([agent.event(*EVENTS[(i + k) % len(EVENTS)],
                                         time_ms=int((time.time() - 3600 * k) * 1000))
                             for k in range(6)], facts=FACTS)
        first = self.agents[0]
        first.heartbeat([first.event(subject=subject, detail={"signature": subject})
                         for subject in HOSTILE])
        self.quarantined = str(uuid.uuid4())
        first.heartbeat([first.event("malware_quarantined", "medium", subject="/srv/report.pdf",
                                     detail={"signature": "Test.Pdf", "id": self.quarantined,
                                             "sha256": "a" * 64, "size": 4242})], facts=FACTS)
        self.administrator_password()

    def administrator_password(self):
        """A second administrator, who has to choose a password in the browser."""
        self.admin.post("/api/v1/users", {"name": "operator", "role": "administrator",
                                          "password": "one-time password 1"}, expect=201)

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
                        facts=FACTS)

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
    with Console(f'web = "{SOURCE}/console/web";\n') as console:
        failed = run_browser(Fleet(console), modules, pictures)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
