"""Functions, by the platform's clock: signatures that load longer than its 10 s for a start, events that run out of their
time, answers that it does not take."""
import http.server
import json
import os
import signal
import stat
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import CLEAN, EICAR, ROOT, SECONDS, agents, main, until  # noqa: E402
from stage import Stage  # noqa: E402

sys.path.insert(0, os.path.join(ROOT, "tests/stand-ins/runtime_api"))
from runtime_api import RuntimeApi  # noqa: E402

START_SECONDS = 10.0  # of the platform, which then begins again from nothing
SLOW_SECONDS = 4.0
OUR_SECONDS = 8.5     # after which the first event is asked for


def runtime(place):
    api = RuntimeApi()
    api.__enter__()
    place.cleanups.insert(0, lambda: api.__exit__(None))
    return api


def function(place, mode="lambda", before=(), stage=None, **settings):
    stage = stage or Stage(place, notify=False)
    api = runtime(place)
    stage.values.update(AWS_LAMBDA_RUNTIME_API=api.address, AWS_LAMBDA_FUNCTION_NAME="scanner")
    return stage, api, stage.start(mode, before, **settings)


def batch(*bodies):
    return {"Records": [{"messageId": f"m{i}", "receiptHandle": "r", "eventSource": "aws:sqs", "attributes": {},
                         "body": json.dumps(body)} for i, body in enumerate(bodies)]}


class HeldScanner:
    """A yagura-scanner that loads for as long as the test wants."""

    def __init__(self, place):
        self.gate = place.root + "/gate"
        self.program = place.root + "/held-scanner"
        os.mkfifo(self.gate)
        with open(self.program, "w", encoding="ascii") as stream:
            stream.write(f"#!/bin/sh\n[ ! -p {self.gate} ] || read -r _ <{self.gate}\n"
                         f"exec {agents.PROGRAMS}/yagura-scanner\n")
        os.chmod(self.program, stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH)

    def release(self):
        with open(self.gate, "w", encoding="ascii") as stream:
            os.unlink(self.gate)
            stream.write("go\n")


class Lateness:
    """By how much this machine is late with a wait as long as the function's: what the function is late, too."""

    def __init__(self):
        self.begun, self.late = time.monotonic(), 0.0
        self.thread = threading.Thread(target=self.wait)
        self.thread.start()

    def wait(self):
        threading.Event().wait(OUR_SECONDS)
        self.late = time.monotonic() - self.begun - OUR_SECONDS

    def get(self):
        self.thread.join()
        return self.late


def gate_event(stage, key):
    return {"version": "2.0", "rawPath": "/object", "rawQueryString": f"bucket={stage.bucket}&key={key}",
            "requestContext": {"http": {"method": "GET"}, "authorizer": {"iam": {"userArn": "arn:aws:iam::1:user/x"}}}}


def object_event(stage, key):
    url = f"{stage.aws.url}/{stage.bucket}/{key}?X-Amz-Signature=x&X-Amz-SignedHeaders=host"
    return {"getObjectContext": {"inputS3Url": url, "outputRoute": "io-use1-001", "outputToken": "TOKEN"},
            "userRequest": {"url": f"https://x.s3-object-lambda.eu-west-1.amazonaws.com/{key}", "headers": {"Host": "x"}},
            "configuration": {"payload": json.dumps({"bucket": stage.bucket})}, "protocolVersion": "1.00"}


class Loading:
    """A function whose signatures load until the test lets them; its first event was asked for in the platform's time."""

    def __init__(self, place, mode, parameters=None, **settings):
        self.stage, self.held = Stage(place, notify=False), HeldScanner(place)
        self.stage.aws.put(self.stage.bucket, "bad", EICAR)
        if parameters:
            self.stage.values["AWS_ENDPOINT_URL_SSM"] = parameters
        began, lateness = time.monotonic(), Lateness()
        _, self.api, self.process = function(place, mode, stage=self.stage, scanner_program=self.held.program,
                                             buckets=self.stage.bucket, **settings)
        assert self.api.asked.wait(SECONDS), self.stage.said()
        took = self.api.asked_at - began
        assert took < START_SECONDS + max(0.0, lateness.get()), f"asked after {took:.1f} s"

    def waits(self, event):
        """It is taken, and not answered before the signatures are there; then the answer."""
        call = self.api.invoke(event)
        until(lambda: call.deadline, "the event's beginning")
        assert self.stage.aws.wait(lambda: self.stage.aws.count("s3", "GET"), SECONDS), self.stage.said()
        assert not call.ended.is_set() and self.stage.results() == []
        self.held.release()
        assert call.ended.wait(SECONDS) and call.status == "response", (call.status, self.stage.said())
        assert self.api.init_error is None
        return call.body

    def end(self):
        """What it said of the object."""
        result = self.stage.result("bad")
        assert (result["verdict"], len(self.stage.results())) == ("infected", 1), self.stage.results()
        self.stage.stop(self.process)
        return result


def test_signatures_that_load_long(place):
    loading = Loading(place, "lambda")
    assert loading.waits(batch(loading.stage.event("bad"))) == {"batchItemFailures": []}
    loading.end()


class SlowParameters(http.server.BaseHTTPRequestHandler):
    """A Parameter Store that takes its time."""

    def do_POST(self):  # pylint: disable=invalid-name
        self.rfile.read(int(self.headers["Content-Length"]))
        threading.Event().wait(SLOW_SECONDS)
        body = json.dumps({"Parameter": {"Name": "/key", "Value": "ysk1_" + "a" * 43}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_all_of_a_start_is_within_that_time(place):
    """Not the loading alone: also what the sensor key takes to come."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowParameters)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place.cleanups.insert(0, lambda: (server.shutdown(), server.server_close()))
    loading = Loading(place, "lambda", f"http://127.0.0.1:{server.server_port}", console_url="https://127.0.0.1:1",
                      console_key_parameter="/key")
    assert loading.waits(batch(loading.stage.event("bad"))) == {"batchItemFailures": []}
    loading.end()


def test_object_lambda_whose_signatures_load_long(place):
    loading = Loading(place, "object-lambda")
    assert loading.waits(object_event(loading.stage, "bad")) == {}
    ((headers, body),) = loading.stage.aws.given
    assert (headers["x-amz-fwd-status"], body) == ("403", b""), headers
    result = loading.end()
    assert "seccomp" in result["sandbox"] and result["engine_version"], result


def test_a_gate_whose_signatures_load_long(place):
    """Its readers are asked to come again, and get nothing before."""
    loading = Loading(place, "gate")
    stage, api = loading.stage, loading.api
    done = api.call(gate_event(stage, "bad"))
    assert (done.status, done.body["statusCode"]) == ("response", 202), (done.body, stage.said())
    assert len(stage.aws.queues["events"]) == 1 and stage.results() == []
    loading.held.release()
    until(lambda: api.call(gate_event(stage, "bad")).body["statusCode"] == 403, "a refusal", on_wait=stage.said)
    loading.end()


# ---- time that runs out ----

def held_workers(stage, process):
    """Its scanner's processes stand still."""
    def found():
        return [pid for pid in agents.descendants(process.pid) if agents.command_of(pid).startswith("yagura-scanner")]
    until(lambda: "scanner_ready" in stage.said(process), "signatures", on_wait=stage.said)
    pids = []
    while new := [pid for pid in found() if pid not in pids]:
        for pid in new:
            os.kill(pid, signal.SIGSTOP)
        pids += new
    return pids


def test_a_scan_that_outlasts_the_event(place):
    """It is given back before the platform ends us; nothing is said of the object until it was looked at."""
    stage, api, process = function(place)
    stage.aws.put(stage.bucket, "x", CLEAN)
    held = held_workers(stage, process)
    done = api.call(batch(stage.event("x")), seconds=5)
    assert done.status == "response", (done.status, stage.said())
    assert done.body == {"batchItemFailures": [{"itemIdentifier": "m0"}]}, done.body
    assert stage.results() == [] and stage.aws.latest(stage.bucket, "x").tags == {}
    for pid in held:
        os.kill(pid, signal.SIGCONT)
    assert api.call(batch(stage.event("x"))).body == {"batchItemFailures": []}
    assert [one["verdict"] for one in stage.results()] == ["clean"]
    assert process.poll() is None
    stage.stop(process)


def test_ended_by_the_platform_in_the_middle(place):
    """As by its deadline: what was half done was not done, and comes again to the next one."""
    stage, api, process = function(place)
    stage.aws.put(stage.bucket, "x", EICAR)
    held = held_workers(stage, process)
    api.kill = process.kill
    call = api.invoke(batch(stage.event("x")), seconds=8)
    assert stage.aws.wait(lambda: stage.aws.count("s3", "GET"), SECONDS), stage.said()
    os.kill(process.pid, signal.SIGSTOP)  # not even the time that it keeps for its end helps it
    assert call.ended.wait(SECONDS) and call.status == "killed"
    assert process.wait(timeout=SECONDS) == -signal.SIGKILL
    assert stage.results() == [] and stage.aws.latest(stage.bucket, "x").tags == {}
    for pid in held:
        until(lambda pid=pid: agents.state_of(pid) in "ZX", "the end of its scanner")
    _, again, process = function(place, stage=stage)
    assert again.call(batch(stage.event("x"))).body == {"batchItemFailures": []}
    assert [one["verdict"] for one in stage.results()] == ["infected"]
    stage.stop(process)


def test_an_answer_that_is_too_long(place):
    """413: the event failed, and comes again; the function lives and takes the next one."""
    stage, api, process = function(place)
    stage.aws.put(stage.bucket, "x", CLEAN)
    api.most_response = 10
    done = api.call(batch(stage.event("x")))
    assert (done.status, done.error_type) == ("error", "Function.ResponseSizeTooLarge"), done.body
    api.most_response = 1 << 20
    assert api.call(batch(stage.event("x"))).body == {"batchItemFailures": []}
    assert "lambda_answer_refused" in stage.said(process) and process.poll() is None
    stage.stop(process)


if __name__ == "__main__":
    main()
