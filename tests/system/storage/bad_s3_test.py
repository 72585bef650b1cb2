"""S3 misbehaves, objects change while they are scanned, AWS says no: nothing is lost, and nothing
is called clean that was not looked at."""
import hashlib
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import CLEAN, EICAR, ROOT, SECONDS, Storage, account, main, until  # noqa: E402
from stage import Stage  # noqa: E402

sys.path.insert(0, os.path.join(ROOT, "tests/stand-ins/bad_s3"))
from bad_s3 import BadS3  # noqa: E402


def behind(place, **settings):
    bad = BadS3(account().url)
    bad.__enter__()
    place.cleanups.insert(0, lambda: bad.__exit__(None))
    return bad, Storage(place, url=bad.url, notify=False, **settings)


def small(place, **settings):
    """The same, on a stage that needs no moto; nothing has an event yet."""
    stage = Stage(place, notify=False, **settings)
    bad = BadS3(stage.aws.url)
    bad.__enter__()
    place.cleanups.append(lambda: bad.__exit__(None))
    stage.values["AWS_ENDPOINT_URL_S3"] = bad.url
    return bad, stage


BODY = b"a".join(EICAR[:1] for _ in range(200000))


def scan(storage, key, body, **more):
    made = storage.put(key, body, **more)
    storage.send(storage.event(key, made["ETag"], made.get("VersionId"), len(body)))
    return made


def test_bodies_that_do_not_come_whole(place):
    bad, storage = behind(place)
    for key, behaviour, times in (("cut", "cut", 2), ("reset", "reset", 2), ("slow", "slow_down", 1),
                                  ("expired", "expired", 1), ("longer", "longer", 99)):
        bad.rule("GET", f"/{key}?versionId", times, behaviour)
    storage.start()
    for key in ("cut", "reset", "slow", "expired", "longer"):
        scan(storage, key, BODY)
    for key in ("cut", "reset", "slow", "expired"):
        result = storage.result(key, verdict="clean")
        assert result["sha256"] == hashlib.sha256(BODY).hexdigest(), (key, result)
    # Whatever a server calls the whole object: it is not what the event told of.
    until(lambda: "another length" in storage.said(), "a word about the length")
    assert not [one for one in storage.collect() if one["file_name"] == "longer"]
    assert storage.tags("longer") == {}
    assert {"cut", "reset", "slow_down", "expired"} <= set(bad.used), bad.used


def test_parts_that_do_not_come_whole(place):
    bad, storage = behind(place, range="1M", ranges=4)
    body = os.urandom(5 << 20)
    for key, behaviour in (("cut", "cut"), ("reset", "reset"), ("slow", "slow_down")):
        bad.rule("GET", f"/{key}?versionId", 2, behaviour)
    bad.rule("GET", "/whole?versionId", 1, "whole")
    storage.start()
    for key in ("cut", "reset", "slow", "whole"):
        scan(storage, key, body)
    for key in ("cut", "reset", "slow"):
        assert storage.result(key, verdict="clean")["sha256"] == hashlib.sha256(body).hexdigest()
    until(lambda: "object_later" in storage.said(), "the refused part")
    assert storage.tags("whole") == {}


def test_overwritten_while_it_is_scanned(place):
    """A bucket without versions: the verdict of what was there never stands on what is there."""
    bad, storage = behind(place, versions=False)
    def overwrite(key, body):
        return lambda: storage.put(key, body)
    # After the fetch, before the tags; between the tags and the last look.
    bad.rule("GET", "/before?tagging", 1, overwrite("before", EICAR))
    bad.rule("HEAD", "/after", 1, None)
    bad.rule("HEAD", "/after", 1, overwrite("after", EICAR))
    bad.rule("GET", "/deleted?tagging", 1, lambda: storage.cloud.s3.delete_object(
        Bucket=storage.bucket, Key="deleted"))
    process = storage.start()
    for key in ("before", "after", "deleted"):
        scan(storage, key, CLEAN)
    storage.until_done()
    # The verdict went, and what stands there now got its own: its event may have come before.
    for key in ("before", "after"):
        assert storage.tags(key)["yagura-scan-status"] == "infected", (key, storage.tags(key))
        assert [result["verdict"] for result in storage.collect()
                if result["file_name"] == key] == ["infected"]
    assert storage.said(process).count("verdict=superseded") == 3, storage.said(process)


def test_overwritten_between_two_parts(place):
    bad, storage = behind(place, versions=False, range="1M", ranges=2)
    first, second = os.urandom(4 << 20), os.urandom(4 << 20)
    made = storage.put("x", first)
    bad.rule("GET", "/x", 2, None)
    bad.rule("GET", "/x", 1, lambda: storage.put("x", second))
    process = storage.start()
    storage.send(storage.event("x", made["ETag"], None, len(first)))
    storage.until_done()
    assert "verdict=superseded" in storage.said(process), storage.said(process)
    assert storage.collect() == [] and storage.tags("x") == {}


def test_tags_that_fail(place):
    bad, storage = behind(place)
    bad.rule("PUT", "/later?tagging", 10, "slow_down")
    bad.rule("PUT", "/never?tagging", 10, "denied")
    storage.start()
    scan(storage, "later", EICAR)
    scan(storage, "never", CLEAN)
    # Malware is told although its tags are not written yet; the event comes again.
    assert not storage.result("later", verdict="infected")["tagged"]
    never = storage.result("never", verdict="clean")
    assert not never["tagged"] and "AccessDenied" in never["tag_problem"], never
    until(lambda: storage.left() == (0, 1), "one message that comes again")


def test_archived_and_denied(place):
    bad, storage = behind(place)
    bad.rule("GET", "/cold?versionId", 1, "archived")
    bad.rule("GET", "/denied?versionId", 1, "denied")
    storage.start()
    scan(storage, "cold", CLEAN)
    result = storage.result("cold", verdict="incomplete")
    assert result["reason"] == "archived" and result["scanning_result"]["Codes"] == [199], result
    scan(storage, "denied", CLEAN)
    until(lambda: "object_later" in storage.said(), "a try that failed")
    until(lambda: sum(storage.left()) == 1, "the first acknowledged, the other not")


def test_errors_in_good_answers(place):
    """200, and an error in it: of a body, also where nobody said how long that is, and of tags."""
    bad, stage = small(place)
    for method, target in (("GET", "/known?versionId"), ("GET", "/unknown?versionId"), ("PUT", "/tagged?tagging")):
        bad.rule(method, target, 1, "error_200")
    process = stage.start()
    for key in ("known", "unknown", "tagged"):
        stage.aws.put(stage.bucket, key, CLEAN)
        event = stage.event(key)
        if key == "unknown":
            del event["Records"][0]["s3"]["object"]["size"]
        stage.aws.send("events", event)
    for key in ("known", "unknown", "tagged"):
        result = stage.result(key)
        assert (result["verdict"], result["tagged"]) == ("clean", True), result
        assert result["sha256"] == hashlib.sha256(CLEAN).hexdigest(), result
        assert stage.aws.latest(stage.bucket, key).tags["yagura-scan-status"] == "clean"
    stage.until_acknowledged()
    assert bad.used == ["error_200"] * 3 and len(stage.results()) == 3, (bad.used, stage.results())
    said = stage.said(process)
    assert said.count("step=fetch") == 2 and said.count("step=tag") == 1, said


def test_a_body_that_stands_still(place):
    """It is given up and fetched anew, and holds up nothing else meanwhile."""
    bad, stage = small(place, concurrency=2)
    bad.rule("GET", "/still?versionId", 1, "stall")
    stage.start()
    for key, body in (("still", BODY), ("other", CLEAN)):
        stage.aws.put(stage.bucket, key, body)
        stage.aws.send("events", stage.event(key))
        assert stage.aws.wait(lambda: stage.aws.queues["events"][-1].received, SECONDS), stage.said()
    assert stage.result("other")["verdict"] == "clean" and stage.results("still") == []
    result = stage.result("still")
    assert (result["verdict"], result["sha256"]) == ("clean", hashlib.sha256(BODY).hexdigest()), result
    stage.until_acknowledged()
    assert bad.used == ["stall"] and len(stage.results("still")) == 1


def test_no_topic_for_a_while(place):
    """What cannot be published is not acknowledged."""
    bad, storage = behind(place)
    real, storage.values["YAGURA_TOPIC_ARN"] = storage.topic, storage.topic + "-nobody"
    process = storage.start()
    scan(storage, "x", EICAR)
    until(lambda: "step=publish" in storage.said(process), "a try that failed")
    storage.stop(process)
    assert sum(storage.left()) == 1
    storage.values["YAGURA_TOPIC_ARN"] = real
    storage.start()
    made = storage.cloud.s3.head_object(Bucket=storage.bucket, Key="x")
    storage.send(storage.event("x", made["ETag"], made["VersionId"]))
    storage.result("x", verdict="infected")
    assert bad.requests


if __name__ == "__main__":
    main()
