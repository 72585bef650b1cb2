"""What is found comes to a real console, also what was found while it was away."""
import http.client
import importlib.util
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import CLEAN, EICAR, ROOT, Storage, agents, main, until  # noqa: E402
from stage import Stage  # noqa: E402

spec = importlib.util.spec_from_file_location(
    "console_harness", os.path.join(ROOT, "tests/system/console/harness.py"))
consoles = importlib.util.module_from_spec(spec)
os.environ.setdefault("YAGURA_BIN", agents.PROGRAMS)
spec.loader.exec_module(consoles)


def test_findings_are_events(place):
    console = consoles.Console()
    console.__enter__()
    place.cleanups.insert(0, lambda: console.__exit__(None, None, None))
    admin = console.administrator()
    made = admin.post("/api/v1/sensor-keys", {"name": "for storage", "kind": "storage"},
                      expect=201).json
    key = agents.put(place.root + "/key", made["key"].encode() + b"\n")
    storage = Storage(place, name="scanner of a test", console_key_file=key,
                      console_pin=console.pin,
                      console_url=f"https://127.0.0.1:{console.people_port}")
    process = storage.start()
    storage.put("bad.com", EICAR)
    storage.put("good.txt", CLEAN)

    def events():
        return admin.get("/api/v1/events?module=storage", expect=200).json["events"]

    (event,) = until(events, "an event", on_wait=storage.said)
    assert event["kind"] == "malware_found" and event["severity"] == "critical", event
    assert event["subject"] == storage.bucket + "/bad.com", event
    assert "eicar" in event["detail"]["signature"].lower(), event
    assert event["hostname"] == "scanner of a test", event
    storage.until_done()
    storage.stop(process)
    (sensor,) = admin.get("/api/v1/sensors", expect=200).json["sensors"]
    facts = sensor["facts"]
    assert (facts["clean"], facts["infected"]) == (1, 1), facts
    assert "seccomp" in facts["sandbox"] and facts["signature_count"] > 0, facts
    read(storage, key, storage.put("new.com", EICAR)["VersionId"])
    found = until(lambda: [one for one in events() if one["subject"].endswith("/new.com")], "an event of the gate",
                  on_wait=storage.said)
    assert found[0]["kind"] == "malware_found" and found[0]["detail"]["trigger"] == "object-read", found


def test_actions_are_events(place):
    """Quarantined, failed and restored, each where the finding is."""
    console = consoles.Console()
    console.__enter__()
    place.cleanups.insert(0, lambda: console.__exit__(None, None, None))
    admin = console.administrator()
    made = admin.post("/api/v1/sensor-keys", {"name": "for storage", "kind": "storage"}, expect=201).json
    key = agents.put(place.root + "/key", made["key"].encode() + b"\n")
    storage = Storage(place, name="scanner of a test", console_key_file=key, console_pin=console.pin,
                      console_url=f"https://127.0.0.1:{console.people_port}")
    vault = storage.cloud.bucket(storage.bucket + "-vault", versions=True)
    settings = {"buckets": storage.bucket, "name": "keeper of a test"}
    # Each program has a queue of its own: moto hands messages to one that has gone, too.
    second, third = (storage.cloud.queue(storage.bucket + one) for one in ("-second", "-third"))
    for queue in (second, third):
        storage.cloud.sns.subscribe(TopicArn=storage.topic, Protocol="sqs", Endpoint=queue.replace(
            storage.cloud.url + "/", "arn:aws:sqs:eu-west-1:").replace("/", ":"))
    scanner = storage.start()
    failing = storage.start("action", queue_url=storage.results_queue, quarantine_bucket=vault + "-nobody", **settings)
    storage.put("bad.com", EICAR)

    def events(kind):
        return [one for one in admin.get("/api/v1/events?module=storage", expect=200).json["events"]
                if one["kind"] == kind]

    failed = until(lambda: events("object_action_failed"), "the failure", on_wait=storage.said)[0]
    assert failed["severity"] == "high" and "bucket" in failed["detail"]["problem"], failed
    storage.stop(failing)
    # A message that was received before fails again, which is logged, and no event more.
    until(lambda: storage.cloud.sqs.receive_message(QueueUrl=third, VisibilityTimeout=0).get("Messages"), "the message",
          on_wait=storage.said)
    failing = storage.start("action", queue_url=third, quarantine_bucket=vault + "-nobody", **settings)
    until(lambda: "action=failed" in storage.said(failing), "the failure", on_wait=storage.said)
    storage.stop(failing)
    assert len(events("object_action_failed")) == 1, events("object_action_failed")
    keeper = storage.start("action", queue_url=second, quarantine_bucket=vault, **settings)
    (moved,) = until(lambda: events("object_quarantined"), "the action", on_wait=storage.said)
    assert moved["subject"] == storage.bucket + "/bad.com" and moved["hostname"] == "keeper of a test", moved
    assert moved["detail"]["action"] == "quarantined" and "eicar" in moved["detail"]["signature"].lower(), moved
    subprocess.run([os.path.join(agents.PROGRAMS, "yagura-storage"), "quarantine", "restore",
                    moved["detail"]["quarantine_id"]], env={**storage.values, "YAGURA_QUARANTINE_BUCKET": vault},
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    (restored,) = until(lambda: events("object_restored"), "the restoring", on_wait=storage.said)
    assert restored["subject"] == storage.bucket + "/bad.com", restored
    storage.stop(scanner)
    storage.stop(keeper)


def read(storage, secret, version):
    """Asks a read gate until it has looked at that version."""
    process = storage.start("gate", gate_listen="127.0.0.1:0", gate_secret_file=secret, buckets=storage.bucket)
    port = until(lambda: re.search(r"gate_ready .*port=(\d+)", storage.said(process)), "the gate").group(1)
    link = subprocess.run([os.path.join(agents.PROGRAMS, "yagura-storage"), "gate-link", "--version", version,
                           f"s3://{storage.bucket}/new.com"], env={**storage.values, "YAGURA_GATE_SECRET_FILE": secret},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout.strip()

    def is_refused():
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
        connection.request("GET", link)
        status = connection.getresponse().status
        connection.close()
        return status == 403
    until(is_refused, "a refusal", on_wait=storage.said)


def test_a_key_that_cannot_be_read(place):
    storage = Storage(place, console_url="https://127.0.0.1:1",
                      console_key_file=place.root + "/none")
    process = storage.start()
    assert process.wait(timeout=60) == 1
    assert "sensor_key_not_read" in storage.said(process)


def test_a_console_that_is_away(place):
    """Objects are scanned all the same."""
    key = agents.put(place.root + "/key", b"ysk1_" + b"a" * 43 + b"\n")
    storage = Storage(place, console_url="https://127.0.0.1:1", console_key_file=key)
    process = storage.start()
    storage.put("bad.com", EICAR)
    storage.result("bad.com", verdict="infected")
    until(lambda: "console_not_told" in storage.said(process), "a word about it")
    storage.stop(process)


def test_a_console_that_comes_back(place):
    """What was found while it was away comes then, each once and none more, however often it goes."""
    console = consoles.FixedConsole()
    console.__enter__()
    place.cleanups.insert(0, lambda: console.__exit__(None, None, None))
    made = console.administrator().post("/api/v1/sensor-keys", {"name": "for storage", "kind": "storage"}, expect=201).json
    key = agents.put(place.root + "/key", made["key"].encode() + b"\n")
    stage = Stage(place, console_key_file=key, console_pin=console.pin, console_url=f"https://127.0.0.1:{console.people_port}")
    assert console.stop() == 0
    process = stage.start()

    def subjects():
        return sorted(one["subject"] for one in client.get("/api/v1/events?module=storage", expect=200).json["events"])

    for round_number in (1, 2):
        for i in range(4):
            name = f"bad{round_number}{i}.com"
            stage.aws.put(stage.bucket, name, EICAR)
            assert stage.result(name)["verdict"] == "infected"
        until(lambda count=round_number: stage.said(process).count("console_not_told") >= count, "a word about it",
              on_wait=stage.said)
        console.start()
        client = console.api()
        client.sign_in("admin", consoles.PASSWORD)
        wanted = sorted(f"{stage.bucket}/bad{one}{i}.com" for one in range(1, round_number + 1) for i in range(4))
        until(lambda: len(subjects()) >= len(wanted), "the events", on_wait=stage.said)
        assert subjects() == wanted, subjects()
        if round_number == 1:
            assert console.stop() == 0
    stage.stop(process)  # and what it says at its end makes them no more
    assert subjects() == wanted, subjects()


if __name__ == "__main__":
    main()
