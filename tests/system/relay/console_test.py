"""From a function to a real console: events, the function in the list, and the console's policy."""
import atexit
import importlib.util
import json
import os
import sys
import urllib.parse

from functions import BAD, FIXTURES, GOOD, HERE, PROGRAMS, Run, Skip, http_event, main

PYTHON = [sys.executable, "-B", os.path.join(FIXTURES, "loop.py")]
_spec = importlib.util.spec_from_file_location("console_harness", os.path.join(HERE, "../console/harness.py"))
consoles = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(consoles)


_console = []


def console():
    """One for all tests: it takes seconds to start."""
    if not _console:
        _console.append(consoles.Console())
        _console[0].__enter__()
        atexit.register(_console[0].__exit__, None, None, None)
    return _console[0]


class Protected:
    """The console with a sensor key, and functions that report to it."""

    def __init__(self, place):
        self.place = place
        self.console = console()
        self.home = os.path.join(place, "layer")
        os.makedirs(os.path.join(self.home, "bin"), exist_ok=True)
        os.symlink(os.path.join(PROGRAMS, "yagura-application-reporter"),
                   os.path.join(self.home, "bin", "yagura-application-reporter"))

    def __enter__(self):
        if not hasattr(self.console, "somebody"):
            self.console.somebody = self.console.administrator()
        self.admin = self.console.somebody
        self.key = self.admin.post("/api/v1/sensor-keys",
                                   {"name": os.path.basename(self.place), "kind": "application"},
                                   expect=201).json["key"]
        self.key_file = self.put("key", self.key)
        return self

    def __exit__(self, *_):
        pass

    def put(self, name, key):
        path = os.path.join(self.place, name)
        with open(path, "w", encoding="ascii", opener=lambda path, flags: os.open(path, flags, 0o600)) as stream:
            stream.write(key + "\n")
        return path

    def run(self, events, name="shop", runtime=None, **environment):
        given = {"YAGURA_APPLICATION_HOME": self.home, "AWS_LAMBDA_FUNCTION_NAME": name,
                 "AWS_REGION": "eu-central-1", "YAGURA_APPLICATION_MODE": "",
                 "YAGURA_CONSOLE_URL": f"https://127.0.0.1:{self.console.people_port}",
                 "YAGURA_CONSOLE_PIN": self.console.pin, "YAGURA_CONSOLE_KEY_FILE": self.key_file,
                 "YAGURA_APPLICATION_REPORT_MS": "30000", **environment}
        return Run(self.place, events, runtime or PYTHON, environment=given, options=["--timeout", "60000"])

    def set_policy(self, application):
        """The section that functions obey, in place of the one of the test before."""
        base = self.admin.get("/api/v1/policies/base")
        text = base.json["text"].partition("\napplication =")[0] + f"\napplication = {{ {application} }};\n"
        self.admin.put("/api/v1/policies/base", {"text": text}, If_Match=base.headers["ETag"])

    def sensor(self, name="shop"):
        return self.admin.get("/api/v1/sensors?name=" + name).json["sensors"]

    def events(self, name="shop"):
        sensor = self.sensor(name)[0]["id"]
        return self.admin.get("/api/v1/events?sensor=" + urllib.parse.quote(sensor)).json["events"]


def test_events_stand_in_the_console(place):
    with Protected(place) as protected:
        run = protected.run([GOOD, BAD, GOOD], YAGURA_APPLICATION_MODE="mitigate")
        assert run.outcomes() == ["response"] * 3 and run.status(1) == 403, run.errors()
        assert run.lines == [], (run.lines, run.errors())
        found = protected.events()
        assert [(event["kind"], event["module"], event["subject"]) for event in found] == \
            [("request_blocked", "application", "SQL Injection")], found
        detail = found[0]["detail"]
        detail = json.loads(detail) if isinstance(detail, str) else detail
        assert detail["request"]["path"] == "/bad" and detail["aws_request_id"] == run.results[1]["request_id"]
        listed = protected.sensor()[0]
        assert listed["kind"] == "application" and listed["region"] == "eu-central-1", listed
        assert listed["account"] == "123456789012" and "function:sample" in listed["arn"], listed


def test_the_consoles_policy_is_obeyed(place):
    """Nothing said: report. The console says mitigate: from the next invocation on."""
    with Protected(place) as protected:
        protected.set_policy('protection = { sql_injection = "mitigate"; };')
        run = protected.run([BAD, BAD, GOOD], "other", YAGURA_APPLICATION_INTERVAL_MS="0")
        assert [run.status(number) for number in range(3)] == [200, 403, 200], (run.results, run.errors())
        assert "policy_in_force" in run.errors()
        assert sorted(event["kind"] for event in protected.events("other")) == ["request_blocked", "request_reported"]


def test_what_a_function_opens_stands_in_the_console(place):
    """The policy of the console decides about that too, from the next invocation on."""
    events = [http_event("/read", "v=" + "../" * 12 + "etc/hostname")] * 2 + [http_event("/page", "v=/access.py")]
    with Protected(place) as protected:
        library = os.path.join(os.path.dirname(PROGRAMS), "lib")
        if not os.path.exists(os.path.join(library, "yagura-preload.so")):
            raise Skip("there is no preload object in this build")
        os.symlink(library, os.path.join(protected.home, "lib"))
        protected.set_policy('detection = { threshold = 1000; }; protection = { illegal_file_access = "mitigate"; };'
                             ' runtime = { files = ( "deny:*/access.py" ); };')
        run = protected.run(events, "files", YAGURA_APPLICATION_INTERVAL_MS="0",
                            YAGURA_APPLICATION_RUNTIME="policy", YAGURA_APPLICATION_BUDGET_MS="10000",
                            runtime=["/usr/bin/python3", "-B", os.path.join(FIXTURES, "access.py")])
        said = [json.loads(answer)["body"] for answer in run.answers()]
        assert said == ["read True", "PermissionError", "PermissionError"], (said, run.errors())
        kinds = sorted(event["kind"] for event in protected.events("files") if event["kind"].startswith("runtime"))
        assert kinds == ["runtime_blocked", "runtime_blocked", "runtime_reported"], (kinds, run.errors())


def test_the_key_comes_from_parameter_store(place):
    """With the role's signature, which moto checks, and no more than ssm:GetParameter; a role without it
    keeps its events in the log."""
    sys.path.insert(0, os.path.join(HERE, "../aws"))
    import cloud  # pylint: disable=import-outside-toplevel
    try:
        account = cloud.Account()
    except cloud.agents.Skip as reason:
        raise Skip(str(reason)) from None
    atexit.register(account.stop)
    allowed = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["ssm:GetParameter"], "Resource": "*"}]}
    denied = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["ssm:PutParameter"], "Resource": "*"}]}
    with Protected(place) as protected:
        account.put(values={"/yagura/sensor-key": protected.key})
        for policy, name in (allowed, "allowed"), (denied, "denied"):
            key, secret, token = account.role_keys(policy)
            account.guard(True)
            run = protected.run([BAD, GOOD], name, YAGURA_APPLICATION_MODE="mitigate",
                                YAGURA_CONSOLE_KEY_FILE="", YAGURA_CONSOLE_KEY_PARAMETER="/yagura/sensor-key",
                                AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret, AWS_SESSION_TOKEN=token,
                                AWS_REGION=cloud.REGION, AWS_ENDPOINT_URL_SSM=account.url)
            assert run.status(0) == 403 and run.status(1) == 200, run.errors()
            if policy is allowed:
                assert run.lines == [] and len(protected.events(name)) == 1, (run.lines, run.errors())
            else:
                assert run.kinds() == ["request_blocked"] and "/yagura/sensor-key" in run.errors(), run.errors()
            assert protected.key not in run.errors() and secret not in run.errors()


def test_without_a_console_the_events_are_lines(place):
    with Protected(place) as protected:
        for change in ({"YAGURA_CONSOLE_URL": "https://127.0.0.1:1"},
                       {"YAGURA_CONSOLE_KEY_FILE": protected.put("unknown", "ysk1_" + "0" * 43)},
                       {"YAGURA_CONSOLE_KEY_FILE": ""},
                       {"YAGURA_CONSOLE_PIN": "sha256//" + "A" * 43 + "="}):
            run = protected.run([BAD, GOOD], YAGURA_APPLICATION_MODE="mitigate",
                                YAGURA_APPLICATION_REPORT_MS="2000", **change)
            assert run.status(0) == 403 and run.status(1) == 200, run.errors()
            assert run.kinds() == ["request_blocked"], (change, run.lines, run.errors())
            assert run.errors().count("console_not_reached") == 1, run.errors()


def test_a_reporter_that_dies_loses_nothing(place):
    with Protected(place) as protected:
        os.unlink(os.path.join(protected.home, "bin", "yagura-application-reporter"))
        os.symlink("/bin/false", os.path.join(protected.home, "bin", "yagura-application-reporter"))
        run = protected.run([BAD, http_event("/x"), BAD], YAGURA_APPLICATION_MODE="mitigate")
        assert run.kinds() == ["request_blocked"] * 2, (run.lines, run.errors())
        assert "reporter_ended" in run.errors()


if __name__ == "__main__":
    if not os.path.exists(os.path.join(PROGRAMS, "yagura-console")):
        raise Skip("no yagura-console")
    main()
