"""What is found comes to a real console, also what was found while it was away."""
import importlib.util
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import CLEAN, EICAR, ROOT, Storage, agents, main, until  # noqa: E402

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


if __name__ == "__main__":
    main()
