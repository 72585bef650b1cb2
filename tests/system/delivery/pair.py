"""A console and agents joined to it, from the two harnesses."""
import importlib.util
import os
import time

HERE = os.path.dirname(os.path.abspath(__file__))


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, os.path.join(HERE, path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


agents = load("agent_harness", "../agent/harness.py")
consoles = load("console_harness", "../console/harness.py")
SECONDS = agents.SECONDS


class Pair:
    """The console's policy for the agent watches the test's folder and nothing else."""

    def __init__(self, place, agent=None, heartbeat="1s", settings="", **console):
        self.place = place
        self.console = consoles.Console(f'heartbeat = "{heartbeat}";\n' + settings, **console)
        self.console.__enter__()
        place.cleanups.append(self.end)
        self.admin = self.console.administrator()
        self.agent = agent or place.agent()
        self.watched = self.agent.watched
        self.identity = ""
        self.put_policy("base", agents.policy_text(self.agent.values))
        self.put_policy("test", self.policy_text(), If_None_Match="*")

    def end(self):
        if self.console.process.poll() is None:
            self.console.stop()
        agents.shutil.rmtree(self.console.folder)

    def policy_text(self, **changes):
        values = {**self.agent.values,
                  **{key.replace("__", "."): value for key, value in changes.items()}}
        return agents.policy_text(values)

    def put_policy(self, name, text, expect=(200, 201), **headers):
        if not headers:
            tag = self.admin.get(f"/api/v1/policies/{name}").headers["ETag"]
            headers = {"If_Match": tag}
        answer = self.admin.put(f"/api/v1/policies/{name}", {"text": text}, **headers)
        assert answer.status in expect, f"policy {name}: {answer!r}"

    @property
    def url(self):
        return f"https://127.0.0.1:{self.console.agents_port}"

    def token(self, **more):
        return self.admin.post("/api/v1/tokens", {"name": "test", "policy": "test", **more},
                               expect=201).json["token"]

    def activate(self, token=None, accept=(0,), agent=None, **options):
        agent = agent or self.agent
        path = agents.put(os.path.join(self.place.root, "token"),
                          (token or self.token()).encode() + b"\n")
        given = {"url": self.url, "ca-pin": self.console.pin, "token-file": path, **options}
        arguments = [word for key, value in given.items() if value
                     for word in ("--" + key, value)]
        said = agent.control("activate", *arguments, accept=accept)
        os.unlink(path)
        return said

    def console_status(self):
        return self.agent.status()["console"]

    def computer(self):
        found = self.admin.get("/api/v1/computers").json["computers"]
        wanted = self.console_status()["agent_id"]
        return self.admin.get(f"/api/v1/computers/{wanted}").json if found else None

    def events(self, query=""):
        """Of all pages, oldest first."""
        events, cursor = [], ""
        while True:
            answer = self.admin.get(f"/api/v1/events?limit=200{query}{cursor}", expect=200).json
            events += answer["events"]
            if not answer.get("next"):
                return events[::-1]
            cursor = "&cursor=" + answer["next"]

    def until(self, value, what, seconds=SECONDS):
        """Asks the console until it holds; its answer paces the loop."""
        deadline = time.monotonic() + seconds
        while True:
            found = value()
            if found:
                return found
            assert time.monotonic() < deadline, (
                f"not within {seconds} s: {what}; agent: {self.agent.log_end()}"
                f"\nconsole: {''.join(self.console.log[-20:])}")

    def start_console(self):
        """On the agents' port that it had."""
        with open(self.console.config, encoding="utf-8") as stream:
            text = stream.read()
        address = f'agents = {{ address = "{self.console.agents_address}"; port = '
        text = text.replace(address + "0;", address + f"{self.console.agents_port};")
        with open(self.console.config, "w", encoding="utf-8") as stream:
            stream.write(text)
        self.console.start()

    def restart_console(self):
        self.start_console()
        self.admin = self.console.api()
        self.admin.sign_in("admin", consoles.PASSWORD)

    def nudge(self):
        """Malware, which the agent tells of at once: a heartbeat soon."""
        path = os.path.join(self.watched, f"nudge-{time.monotonic_ns()}")
        agents.put(path, agents.EICAR)
        return path

    @property
    def commands_path(self):
        """Of the agent's last identity: a deactivation's result is asked for when it has none."""
        self.identity = self.console_status()["agent_id"] or self.identity
        return f"/api/v1/computers/{self.identity}/commands"

    def send(self, kind, **arguments):
        """Queued, and fetched soon: its id."""
        identifier = self.admin.post(self.commands_path, {"type": kind, "arguments": arguments},
                                     expect=201).json["id"]
        self.nudge()
        return identifier

    def shown(self, identifier):
        return [command for command in self.admin.get(self.commands_path).json["commands"]
                if command["id"] == identifier][0]

    def result(self, identifier, what="a result", seconds=SECONDS):
        def ended():
            command = self.shown(identifier)
            return command if command["state"] in ("done", "failed", "expired") else None
        return self.until(ended, what, seconds)

    def command(self, kind, **arguments):
        """Queued, delivered, its result awaited."""
        return self.result(self.send(kind, **arguments), f"a result of {kind}")
