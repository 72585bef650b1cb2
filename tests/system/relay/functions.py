"""Functions under the stand-in for Lambda, with the extension and without."""
import gzip
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
FIXTURES = os.path.join(HERE, "fixtures")
PROGRAMS = os.environ.get("YAGURA_PROGRAMS", "")
TOOLS = os.environ.get("YAGURA_TOOLS", "")
EXTENSION = os.path.join(PROGRAMS, "yagura-application")
WRAPPER = os.path.join(PROGRAMS, "yagura-wrapper")
STAND_IN = os.path.join(TOOLS, "lambda-stand-in")
SHAPES = os.path.join(ROOT, "..", "shared", "data", "application", "aws-event-shapes.jsonl.gz")
SECONDS = 120
INJECTION = "id=1%27%20OR%20%271%27%3D%271%27%20--%20"


class Skip(Exception):
    """What a test needs is not here."""


def http_event(path="/good", query="id=5", body=None, **more):
    """Of an HTTP API, payload format 2.0."""
    event = {"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
             "headers": {"host": "shop.execute-api.eu-central-1.amazonaws.com"},
             "requestContext": {
                 "accountId": "123456789012", "apiId": "shop", "requestId": "gateway-1",
                 "domainName": "shop.execute-api.eu-central-1.amazonaws.com", "stage": "$default",
                 "http": {"method": "GET" if body is None else "POST", "path": path,
                          "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"}},
             "isBase64Encoded": False}
    if body is not None:
        event["headers"]["content-type"] = "application/json"
        event["body"] = body
    event.update(more)
    return json.dumps(event, separators=(",", ":"))


GOOD, BAD = http_event(), http_event("/bad", INJECTION)
QUEUE = json.dumps({"Records": [{"eventSource": "aws:sqs", "body": "1' OR '1'='1' -- "}]})


def shapes():
    if not os.path.exists(SHAPES):
        raise Skip("no recorded shapes of events: ../shared/data/application is missing")
    with gzip.open(SHAPES, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def digest(event):
    return hashlib.sha256(event.encode() if isinstance(event, str) else event).hexdigest()


class Run:
    """Events given to a runtime; what became of them."""

    def __init__(self, place, events, runtime, protected=True, options=(), environment=None,
                 start_only=False, extension=EXTENSION, wrapper=WRAPPER):
        self.folder = tempfile.mkdtemp(dir=place)
        self.ran_path = os.path.join(self.folder, "ran")
        with open(os.path.join(self.folder, "events"), "wb") as stream:
            for event in events:
                stream.write((event if isinstance(event, bytes) else event.encode()) + b"\n")
        self.port = free_port()
        variables = dict(os.environ, RAN=self.ran_path, YAGURA_APPLICATION_PORT=str(self.port),
                         YAGURA_APPLICATION_MODE="mitigate", YAGURA_APPLICATION_HOME=self.folder,
                         YAGURA_APPLICATION_BUDGET_MS="5000", AWS_LAMBDA_FUNCTION_NAME="sample")
        variables.update(environment or {})
        # A twentieth of it is the budget: enough for a busy machine.
        command = [STAND_IN, "--timeout", "60000", *options]
        if protected:
            command += ["--extension", extension]
        command += [os.path.join(self.folder, "events")]
        command += [wrapper, *runtime] if protected else list(runtime)
        self.log = open(os.path.join(self.folder, "log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.results, self.lines = [], []
        if not start_only:
            self.finish()

    def finish(self):
        try:
            said, _ = self.process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise AssertionError("the stand-in does not end: " + self.errors()) from None
        assert self.process.returncode == 0, self.errors()
        for line in said.splitlines():
            if not line.startswith("{"):
                continue  # a runtime's own words
            value = json.loads(line)
            (self.results if "outcome" in value else self.lines).append(value)

    def errors(self):
        self.log.seek(0)
        return self.log.read()

    def ran(self):
        """What the handler wrote, a line an invocation."""
        if not os.path.exists(self.ran_path):
            return []
        with open(self.ran_path, encoding="utf-8") as stream:
            return stream.read().splitlines()

    def outcomes(self):
        return [result["outcome"] for result in self.results]

    def answers(self):
        return [result["answer"] for result in self.results]

    def status(self, number):
        return json.loads(self.results[number]["answer"])["statusCode"]

    def kinds(self):
        return [line["kind"] for line in self.lines]


def until(condition, what, seconds=SECONDS):
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)


def children(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as stream:
            return [int(word) for word in stream.read().split()]
    except OSError:
        return []


def command_of(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            return stream.read().decode(errors="replace").split("\0")
    except OSError:
        return []


def inspector_of(run):
    """The inspecting process of a run, once it is there."""
    def find():
        for child in children(run.process.pid):
            for grandchild in children(child) if "yagura-application" in command_of(child)[0] else []:
                if "--inspect" in command_of(grandchild):
                    return grandchild
        return None
    return until(find, "the inspecting process")


def main():
    module = sys.modules["__main__"]
    cases = [(name, case) for name, case in vars(module).items()
             if name.startswith("test_") and callable(case)]
    wanted = sys.argv[1:]
    if not os.path.exists(EXTENSION) or not os.path.exists(STAND_IN):
        sys.exit("YAGURA_PROGRAMS and YAGURA_TOOLS must name the folders of the built programs")
    counts = {"ok": 0, "FAILED": 0, "SKIPPED": 0}
    for name, case in cases:
        if wanted and name not in wanted:
            continue
        place = tempfile.mkdtemp(prefix="yagura-application-")
        begin = time.monotonic()
        try:
            case(place)
            result, text = "ok", ""
        except Skip as reason:
            result, text = "SKIPPED", f": {reason}"
        except Exception:  # pylint: disable=broad-except
            result, text = "FAILED", "\n" + traceback.format_exc()
        finally:
            shutil.rmtree(place, ignore_errors=True)
        counts[result] += 1
        print(f"{result} {name} ({time.monotonic() - begin:.1f} s){text}", flush=True)
    print(f"{counts['ok']} passed, {counts['FAILED']} failed, {counts['SKIPPED']} skipped")
    sys.exit(1 if counts["FAILED"] else 0)
