"""The whole way on tests/stand-ins/small_aws, which every machine has: an object is written, tagged, published,
quarantined, brought back, and read or blocked; two pollers share a queue; what is published is what others expect."""
import http.client
import json
import os
import re
import signal
import sys
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import encrypted_files as encrypted  # noqa: E402
from harness import CLEAN, EICAR, ROOT, SECONDS, agents, main, until  # noqa: E402
from stage import Stage  # noqa: E402


class Gate:
    def __init__(self, stage):
        self.stage, self.secret = stage, agents.put(stage.place.root + "/secret", b"swordfish\n")
        self.process = stage.start("gate", gate_listen="127.0.0.1:0", gate_secret_file=self.secret, buckets=stage.bucket,
                                   tags_trust="true")
        self.port = int(until(lambda: re.search(r"gate_ready .*port=(\d+)", stage.said(self.process)), "the gate",
                              on_wait=stage.said)[1])
        until(lambda: self.ask("/health")[1]["problem"] == "", "signatures", on_wait=stage.said)

    def ask(self, target):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        connection.request("GET", target)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, json.loads(body) if body else None, answer.headers.get("Location")

    def read(self, key):
        """(status, the object when it is given out)"""
        link = self.stage.run("gate-link", f"s3://{self.stage.bucket}/{key}", gate_secret_file=self.secret).strip()
        status, _, location = self.ask(link)
        if location is None:
            return status, None
        with urllib.request.urlopen(location, timeout=SECONDS) as given:
            return status, given.read()


def test_the_whole_way(place):
    """Written, tagged, published, moved; brought back and released; read and blocked, read and given out."""
    stage = Stage(place)
    vault = stage.aws.bucket("vault")
    actions = stage.aws.queue("actions")
    stage.aws.topic("topic", "results", "actions")
    stage.start()
    gate = Gate(stage)
    stage.aws.put(stage.bucket, "good.txt", CLEAN)
    bad = stage.aws.put(stage.bucket, "bad.com", EICAR, {"team": "red"}, content_type="x/y", x_amz_meta_who="me")
    good = stage.result("good.txt")
    result = stage.result("bad.com")
    assert (good["verdict"], result["verdict"]) == ("clean", "infected"), (good, result)
    assert (result["version_id"], result["tagged"]) == (bad.id, True), result
    assert (bad.tags["yagura-scan-status"], bad.tags["team"]) == ("infected", "red"), bad.tags
    assert gate.read("bad.com")[0] == 403 and gate.read("good.txt") == (302, CLEAN)
    stage.until_acknowledged()

    stage.start("action", quarantine_bucket=vault, queue_url=actions, buckets=stage.bucket)
    assert stage.aws.wait(lambda: not stage.aws.buckets[stage.bucket]["bad.com"], SECONDS), stage.said()
    assert gate.read("bad.com")[0] == 404
    (moved,) = [key for key in stage.aws.buckets[vault] if key.startswith("quarantine/")]
    assert stage.aws.latest(vault, moved).body == EICAR

    listed = stage.run("quarantine", "list", quarantine_bucket=vault)
    assert "bad.com" in listed and "good.txt" not in listed, listed
    stage.run("quarantine", "restore", listed.split()[0], quarantine_bucket=vault)
    # It is written anew, found malicious anew, and left alone, because a person said so.
    until(lambda: "action=allowed" in stage.said(), "release", on_wait=stage.said)
    back = stage.aws.latest(stage.bucket, "bad.com")
    assert back.id != bad.id and back.body == EICAR, back.headers
    assert (back.headers["content-type"], back.headers["x-amz-meta-who"]) == ("x/y", "me"), back.headers
    assert (back.tags["yagura-scan-status"], back.tags["team"]) == ("clean", "red"), back.tags
    assert gate.read("bad.com") == (302, EICAR)
    assert [one["verdict"] for one in stage.results("bad.com")] == ["infected"] * 2


# ---- two pollers ----

def stop_scanner(process):
    """Its scanner's processes stand still: whatever is scanned takes as long as the test wants."""
    pids = []
    while new := [pid for pid in agents.descendants(process.pid)
                  if agents.command_of(pid).startswith("yagura-scanner") and pid not in pids]:
        for pid in new:
            os.kill(pid, signal.SIGSTOP)
        pids += new
    return pids


def test_a_long_scan_is_nobody_elses(place):
    """What is worked on stays hidden for as long as that takes, however short the time is that a message is hidden."""
    stage = Stage(place, visibility="10s")
    first = stage.start()
    until(lambda: "poller_ready" in stage.said(first), "a poller", on_wait=stage.said)
    held = stop_scanner(first)
    stage.aws.put(stage.bucket, "x", EICAR)
    (message,) = stage.aws.queues["events"]
    assert stage.aws.wait(lambda: message.received, SECONDS), stage.said()
    second = stage.start()
    until(lambda: "poller_ready" in stage.said(second), "another poller", on_wait=stage.said)
    # Hidden for 10 s and renewed each 5: after three of them a message that nobody renewed had been visible.
    assert stage.aws.wait(lambda: stage.aws.count("sqs", "ChangeMessageVisibilityBatch") >= 3 or message.received > 1,
                          SECONDS), stage.said()
    assert message.received == 1 and stage.results() == [], (message.received, stage.results())
    for pid in held:
        os.kill(pid, signal.SIGCONT)
    assert stage.result("x")["verdict"] == "infected"
    stage.until_acknowledged()
    stage.stop(first)
    stage.stop(second)
    assert message.received == 1 and len(stage.results()) == 1, (message.received, stage.results())
    assert "object_scanned" not in stage.said(second), stage.said(second)


# ---- what others make of a result ----

with open(ROOT + "/tests/fixtures/fss_result.json", encoding="utf-8") as stream:
    FSS_RESULT = json.load(stream)


def lacking(ours, theirs, path=""):
    """What of their message ours does not have, or has as another type."""
    if type(ours) is not type(theirs) and not (isinstance(ours, (int, float)) and isinstance(theirs, (int, float))):
        return [path]
    found = []
    if isinstance(theirs, dict):
        for name, value in theirs.items():
            found += lacking(ours[name], value, f"{path}.{name}") if name in ours else [f"{path}.{name}"]
    elif isinstance(theirs, list) and theirs:
        found += [place for one in ours for place in lacking(one, theirs[0], path + "[]")]
    return found


def fss_plugin(message):
    """What File Storage Security's plugin of promotion and quarantine does: nothing about what was not scanned, and then
    it looks at findings alone (aws-python-promote-or-quarantine/handler.py)."""
    if message["scanner_status"] != 0:
        return "nothing"
    return "quarantine" if message["scanning_result"].get("Findings") else "promote"


def test_plugins_of_file_storage_security_understand_it(place):
    """Each of its fields is there, of its type; and its plugin promotes only what is clean."""
    stage = Stage(place, maximum_object="5000")
    assert fss_plugin(FSS_RESULT) == "quarantine"
    wanted = {"clean": (CLEAN, "promote"), "infected": (EICAR, "quarantine"),
              "encrypted": (encrypted.aes_zip(EICAR), "nothing"), "large": (bytes(6000), "nothing")}
    process = stage.start()
    for key, (body, _) in wanted.items():
        stage.aws.put(stage.bucket, key, body, content_type="x/y")
    for key, (_, action) in wanted.items():
        result = stage.result(key)
        assert lacking(result, FSS_RESULT) == [], (key, lacking(result, FSS_RESULT), result)
        assert fss_plugin(result) == action, (key, result)
    stage.until_acknowledged()
    stage.stop(process)
    stage.aws.put(stage.bucket, "given up", CLEAN)
    stage.start("dead-letter")
    result = stage.result("given up")
    assert (result["verdict"], fss_plugin(result), lacking(result, FSS_RESULT)) == ("error", "nothing", []), result
    # Its Findings are not empty only where something was found, and each names what.
    for one in stage.results():
        findings = one["scanning_result"]["Findings"]
        assert bool(findings) == (one["verdict"] == "infected") and all(found["malware"] for found in findings), one


if __name__ == "__main__":
    main()
