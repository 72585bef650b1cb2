"""Functions of each runtime, unchanged: benign requests are answered as before, an injection with
403 and without its handler, and what is no HTTP request arrives byte for byte."""
import json
import os
import shutil
import subprocess

from functions import BAD, FIXTURES, GOOD, INJECTION, QUEUE, Run, Skip, digest, http_event, main, shapes

FORBIDDEN = {"statusCode": 403, "headers": {"content-type": "application/json"},
             "body": '{"message":"Forbidden"}', "isBase64Encoded": False}


def program(name):
    path = shutil.which(name)
    if path is None:
        raise Skip(f"{name} is missing")
    return path


def check(place, runtime, raw=True):
    events = [GOOD, BAD, QUEUE, http_event("/after", body='{"note":"fine"}'),
              http_event("/form", body='{"id":"1\' UNION SELECT password FROM users -- "}')]
    before = Run(place, events, runtime, protected=False)
    after = Run(place, events, runtime)
    assert after.outcomes() == ["response"] * 5, (after.results, after.errors())
    for number in (0, 2, 3):
        assert after.answers()[number] == before.answers()[number]
    for number in (1, 4):
        assert json.loads(after.answers()[number]) == FORBIDDEN, after.results[number]
    if raw:
        assert after.ran() == [digest(events[number]) for number in (0, 2, 3)]
    else:
        assert after.ran() == [before.ran()[number] for number in (0, 2, 3)]
    assert after.kinds() == ["request_blocked"] * 2, after.lines
    detail = after.lines[0]["detail"]
    assert after.lines[0]["subject"] == "SQL Injection", after.lines[0]
    assert detail["request"]["path"] == "/bad" and detail["request"]["source_address"] == "192.0.2.1"
    assert detail["aws_request_id"] == after.results[1]["request_id"]
    assert detail["function"] == "sample" and detail["trace_id"].startswith("Root=1-")


def test_python(place):
    check(place, [program("python3"), "-B", os.path.join(FIXTURES, "loop.py")])


def test_node(place):
    check(place, [program("node"), os.path.join(FIXTURES, "loop.mjs")])


def test_java(place):
    java = program("java")
    if subprocess.run([java, "--version"], capture_output=True, check=False).returncode != 0:
        raise Skip("java does not run")
    check(place, [java, os.path.join(FIXTURES, "Loop.java")])


def test_ruby(place):
    check(place, [program("ruby"), os.path.join(FIXTURES, "loop.rb")])


def test_perl(place):
    """An OS-only function in a language that Lambda has no runtime for."""
    check(place, [program("perl"), os.path.join(FIXTURES, "loop.pl")])


def test_shell_and_curl(place):
    """An OS-only function: its bootstrap wrapped as the documentation says."""
    program("curl")
    wrapped = os.path.join(place, "bootstrap")
    shutil.copy(os.path.join(FIXTURES, "bootstrap.sh"), wrapped + ".wrapped")
    from functions import WRAPPER  # pylint: disable=import-outside-toplevel
    shutil.copy(WRAPPER, wrapped)
    run = Run(place, [GOOD, BAD, QUEUE], [wrapped], options=())
    assert run.outcomes() == ["response"] * 3, run.errors()
    assert run.status(1) == 403 and run.ran() == [digest(GOOD), digest(QUEUE)]


def test_every_recorded_shape_of_event(place):
    """Events that are no HTTP request arrive byte for byte; the others too, being harmless."""
    events = [json.dumps(shape["event"], separators=(",", ":")) for shape in shapes()]
    run = Run(place, events, [program("python3"), "-B", os.path.join(FIXTURES, "loop.py")])
    assert run.outcomes() == ["response"] * len(events)
    assert run.ran() == [digest(event) for event in events]
    assert "request_blocked" not in run.kinds(), run.lines


def test_an_authoriser_is_never_answered(place):
    event = json.dumps({"type": "REQUEST", "methodArn": "arn:aws:execute-api:eu-central-1:1:a/s/GET/",
                        "httpMethod": "GET", "path": "/", "queryStringParameters": {"id": "1' OR '1'='1' -- "},
                        "requestContext": {"identity": {"sourceIp": "192.0.2.1"}}})
    run = Run(place, [event], [program("python3"), "-B", os.path.join(FIXTURES, "loop.py")])
    assert run.ran() == [digest(event)] and run.status(0) == 200, run.results


def test_modes(place):
    runtime = [program("python3"), "-B", os.path.join(FIXTURES, "loop.py")]
    run = Run(place, [BAD], runtime, environment={"YAGURA_APPLICATION_MODE": "report"})
    assert run.status(0) == 200 and run.kinds() == ["request_reported"], run.lines
    run = Run(place, [BAD], runtime, environment={"YAGURA_APPLICATION_MODE": "off"})
    assert run.status(0) == 200 and run.kinds() == [], run.lines
    run = Run(place, [BAD], runtime, environment={"YAGURA_APPLICATION_MODE": "",
                                                  "TREND_AP_AGENT_ENABLED": "false"})
    assert run.status(0) == 200 and run.kinds() == [], run.lines


def test_without_the_extension_the_function_runs(place):
    """The wrapper alone: it says so, and starts what it was given."""
    from functions import WRAPPER  # pylint: disable=import-outside-toplevel
    runtime = [WRAPPER, program("python3"), "-B", os.path.join(FIXTURES, "loop.py")]
    run = Run(place, [BAD], runtime, protected=False)
    assert run.status(0) == 200 and "runs unprotected" in run.errors()


assert INJECTION in BAD
if __name__ == "__main__":
    main()
