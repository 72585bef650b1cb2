"""An object is written; its verdict comes as tags and as a message."""
import contextlib
import datetime
import hashlib
import io
import json
import os
import socket
import sys
import threading
import time
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import CLEAN, EICAR, SECONDS, Storage, account, agents, main, until  # noqa: E402


def test_clean_and_infected(place):
    storage = Storage(place)
    process = storage.start()
    storage.put("good.txt", CLEAN, Tagging="owner=me")
    storage.put("bad.com", EICAR)
    good, bad = storage.result("good.txt"), storage.result("bad.com")
    storage.until_done()
    assert good["scanner_status"] == 0 and good["verdict"] == "clean", good
    assert good["scanning_result"]["Findings"] == [], good
    assert good["scanning_result"]["TotalBytesOfFile"] == len(CLEAN)
    assert good["sha256"] == hashlib.sha256(CLEAN).hexdigest()
    assert good["attributes"]["type"] == "scan-result"
    assert good["attributes"]["verdict"] == "clean"
    assert bad["scanner_status"] == 0 and bad["verdict"] == "infected", bad
    assert "eicar" in bad["scanning_result"]["Findings"][0]["malware"].lower(), bad
    assert bad["file_url"] == f"https://{storage.bucket}.s3.eu-west-1.amazonaws.com/bad.com"
    assert "seccomp" in bad["sandbox"], bad
    tags = storage.tags("good.txt")
    assert tags["owner"] == "me" and tags["yagura-scan-status"] == "clean", tags
    assert tags["yagura-scan-signatures"] == good["signatures"], tags
    tags = storage.tags("bad.com")
    assert tags["yagura-scan-status"] == "infected", tags
    assert "eicar" in tags["yagura-scan-detail"].lower(), tags
    # By now it is known that S3 tells of tags: those that it tells of are kept.
    storage.put("tagged.txt", CLEAN, Tagging="owner=you")
    storage.result("tagged.txt", verdict="clean")
    tags = storage.tags("tagged.txt")
    assert tags["owner"] == "you" and tags["yagura-scan-status"] == "clean", tags
    storage.until_done()
    storage.stop(process)
    assert not any(files for _, _, files in os.walk(storage.folder))


KEYS = ["a b", "a+b", "100%", "櫓/\U0001f600.txt", "a//b", "a/../b", "folder/", "q?x=1&y#z",
        "<\"'>;:@=,!*()$", "k" * 1024, "null"]


def test_hostile_keys(place):
    """Through S3's own notifications, which encode them, and EventBridge, which does not."""
    storage = Storage(place, notify=False)
    storage.start()
    for key in KEYS:
        made = storage.put(key, EICAR if key != "folder/" else b"")
        storage.send(storage.event(key, made["ETag"], made["VersionId"], 68 if key != "folder/"
                                   else 0))
        storage.send({"version": "0", "detail-type": "Object Created", "source": "aws.s3",
                      "region": "eu-west-1", "detail": {
                          "bucket": {"name": storage.bucket}, "object": {
                              "key": key, "etag": made["ETag"].strip('"'),
                              "version-id": made["VersionId"], "sequencer": "0055"}}})
    for key in KEYS:
        verdict = "clean" if key == "folder/" else "infected"
        storage.result(key, 2, verdict=verdict)
        assert storage.tags(key)["yagura-scan-status"] == verdict
    storage.until_done()


def test_every_envelope(place):
    storage = Storage(place, notify=False)
    storage.start()
    made = {key: storage.put(key, EICAR) for key in ("sns", "lambda-sns", "job", "removed")}
    inner = json.dumps(storage.event("sns", made["sns"]["ETag"]))
    storage.send({"Type": "Notification", "MessageId": "m", "Message": inner})
    inner = json.dumps(storage.event("lambda-sns", made["lambda-sns"]["ETag"]))
    storage.send({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": inner}}]})
    storage.send({"schema": "yagura-scan-job/1", "objects": [
        {"bucket": storage.bucket, "key": "job"}]})
    storage.send({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": storage.bucket})
    storage.send(storage.event("removed", made["removed"]["ETag"], name="ObjectRemoved:Delete"))
    for key in ("sns", "lambda-sns", "job"):
        storage.result(key, verdict="infected")
    assert storage.result("job")["trigger"] == "full-scan"
    storage.until_done()
    assert not [result for result in storage.collect() if result["file_name"] == "removed"]


def test_formats_of_tags(place):
    for form, wanted in (
            ("merged", {"yagura-scan-status": "infected"}),
            ("fss", {"fss-scanned": "true", "fss-scan-result": "malicious",
                     "fss-scan-detail-code": "0", "fss-scan-type": "object created"}),
            ("none", {})):
        storage = Storage(place, tags_format=form)
        process = storage.start()
        storage.put("x", EICAR, Tagging="a=b&fss-scan-result=no issues found"
                    if form == "fss" else "a=b&yagura-scan-status=clean&yagura-scan-old=1"
                    if form == "merged" else "a=b")
        storage.result("x", verdict="infected")
        storage.until_done()
        tags = storage.tags("x")
        assert tags.pop("a") == "b"
        assert wanted.items() <= tags.items(), (form, tags)
        assert "yagura-scan-old" not in tags
        if form == "merged":
            assert "signatures=" in tags["yagura-scan"] and len(tags) == 2, tags
        if form == "none":
            assert tags == {}
        storage.stop(process)


def test_ten_tags_of_others(place):
    storage = Storage(place)
    storage.start()
    storage.put("full", EICAR, Tagging="&".join(f"k{i}=v" for i in range(10)))
    storage.put("nearly", CLEAN, Tagging="&".join(f"k{i}=v" for i in range(9)))
    result = storage.result("full", verdict="infected")
    assert not result["tagged"] and "ten tags" in result["tag_problem"], result
    assert len(storage.tags("full")) == 10
    storage.result("nearly", verdict="clean")
    assert storage.tags("nearly")["yagura-scan-status"] == "clean"
    storage.until_done()


def zipped(members, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def encrypted_zip():
    """A member that says it is encrypted; what is inside is noise."""
    content = bytearray(zipped({"secret": b"x" * 100}))
    for signature, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + place] |= 1
    return bytes(content)


def test_never_clean_beyond_a_limit(place):
    storage = Storage(place, maximum_object=1 << 20, scanner_max_scan_size="1M",
                      scanner_max_recursion=4, scanner_max_files=20)
    storage.start()
    nested = EICAR
    for _ in range(8):
        nested = zipped({"inner.zip": nested})
    made = {"large": (b"a" * ((1 << 20) + 1), [199], "object-size"),
            "encrypted.zip": (encrypted_zip(), [107], "encrypted"),
            "bomb.zip": (zipped({"zeros": bytes(50 << 20)}), None, None),
            "many.zip": (zipped({f"f{i}": b"x%d" % i for i in range(50)}), None, None),
            "nested.zip": (nested, None, None)}
    for key, (body, _, _) in made.items():
        storage.put(key, body)
    for key, (_, codes, reason) in made.items():
        result = storage.result(key)
        assert result["verdict"] == "incomplete", result
        assert result["scanner_status"] == -2, result
        assert result["scanning_result"]["Codes"] in ([codes] if codes else
                                                      [[code] for code in range(101, 200)]), result
        assert reason is None or result["reason"] == reason, result
        assert storage.tags(key)["yagura-scan-status"] == "incomplete"
    storage.until_done()


def test_superseded_and_deleted(place):
    """Of a bucket without versions, and of a version that is gone."""
    storage = Storage(place, versions=False, notify=False)
    process = storage.start()
    old = storage.put("x", CLEAN)
    storage.put("x", b"other " + CLEAN)
    storage.send(storage.event("x", old["ETag"]))
    gone = storage.put("gone", EICAR)
    storage.cloud.s3.delete_object(Bucket=storage.bucket, Key="gone")
    storage.send(storage.event("gone", gone["ETag"]))
    storage.until_done()
    assert storage.tags("x") == {} and storage.collect() == []
    said = storage.said(process)
    assert "verdict=superseded" in said and "verdict=deleted" in said, said


def test_duplicates_and_disorder(place):
    storage = Storage(place, notify=False)
    storage.start()
    first, second = storage.put("x", EICAR), storage.put("x", CLEAN)
    for made in (second, first, second, first):
        storage.send(storage.event("x", made["ETag"], made["VersionId"]))
    storage.result("x", 2, verdict="infected", version_id=first["VersionId"])
    storage.result("x", 2, verdict="clean", version_id=second["VersionId"])
    storage.until_done()
    assert storage.tags("x", first["VersionId"])["yagura-scan-status"] == "infected"
    assert storage.tags("x", second["VersionId"])["yagura-scan-status"] == "clean"


def test_trusted_tags_spare_a_scan(place):
    storage = Storage(place, notify=False, tags_trust="true")
    storage.start()
    made = storage.put("x", CLEAN)
    event = storage.event("x", made["ETag"], made["VersionId"])
    storage.send(event)
    assert not storage.result("x")["cached"]
    storage.send(event)
    assert storage.result("x", 2)["cached"]
    forged = storage.put("forged", EICAR, Tagging="yagura-scan-status=clean&"
                         "yagura-scan-signatures=2020-01-01T00:00:00Z/0123456789abcdef")
    storage.send(storage.event("forged", forged["ETag"], forged["VersionId"]))
    storage.result("forged", verdict="infected")


def test_large_objects_in_parts(place):
    storage = Storage(place, range="1M", ranges=4, memory_object="2M")
    storage.start()
    body = bytes(range(256)) * (5 << 12) + b"tail"
    storage.put("large", body)
    result = storage.result("large", verdict="clean")
    assert result["sha256"] == hashlib.sha256(body).hexdigest(), result
    storage.until_done()


def test_what_is_wanted(place):
    storage = Storage(place, prefixes="in/:up/", suffixes=".com", publish="findings")
    process = storage.start()
    for key in ("in/x.com", "out/x.com", "in/x.txt"):
        storage.put(key, EICAR)
    storage.put("up/good.com", CLEAN)
    storage.result("in/x.com", verdict="infected")
    storage.until_done()
    assert storage.tags("up/good.com")["yagura-scan-status"] == "clean"
    assert len(storage.collect()) == 1
    assert storage.tags("out/x.com") == {} and storage.tags("in/x.txt") == {}
    storage.stop(process)


def test_handed_back_at_the_end(place):
    """SIGTERM: what is not begun is there for others at once."""
    storage = Storage(place, notify=False, concurrency=1, scanner_workers=1)
    process = storage.start()
    until(lambda: "poller_ready" in storage.said(process), "readiness", on_wait=storage.said)
    body = zipped({f"f{i}": os.urandom(2000) for i in range(400)})
    for i in range(30):
        made = storage.put(f"x{i}", body)
        storage.send(storage.event(f"x{i}", made["ETag"], made["VersionId"]))
    until(lambda: storage.left()[0] < 30, "the first message taken")
    storage.stop(process)
    visible, hidden = storage.left()
    done = len(storage.collect())
    assert hidden == 0, (visible, hidden, storage.said(process)[-3000:])
    assert visible + done >= 30, (visible, done)
    storage.start()
    for i in range(30):
        storage.result(f"x{i}")
    storage.until_done()


def test_what_comes_during_the_end_is_handed_back(place):
    """The queue is being asked when the end comes: what it still sends is nobody else's until it is given back."""
    storage = Storage(place, notify=False, wait="20s")
    process = storage.start()
    storage.send(storage.event("first", storage.put("first", CLEAN)["ETag"]))
    storage.result("first")
    storage.until_done()
    process.terminate()
    until(lambda: "poller_ending" in storage.said(process), "the beginning of the end", on_wait=storage.said)
    storage.send(storage.event("late", storage.put("late", CLEAN)["ETag"]))
    assert process.wait(timeout=SECONDS) == 0
    assert storage.left() == (1, 0), (storage.left(), storage.said(process))
    storage.start()
    storage.result("late")
    storage.until_done()


class Road:
    """The way to the queue, which may end: nobody answers a connection any more, or a request."""

    def __init__(self, url):
        host, port = url.split("/")[2].split(":")
        self.target, self.gone, self.sockets = (host, int(port)), threading.Event(), []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(caller)
            if self.gone.is_set():
                continue
            server = socket.create_connection(self.target)
            self.sockets.append(server)
            for ends in (caller, server), (server, caller):
                threading.Thread(target=self.carry, args=ends, daemon=True).start()

    def carry(self, source, target):
        with contextlib.suppress(OSError):
            while (data := source.recv(65536)) and not self.gone.is_set():
                target.sendall(data)
            if not self.gone.is_set():
                target.shutdown(socket.SHUT_WR)

    def close(self):
        """Whoever calls is refused."""
        self.gone.set()
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for one in self.sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
                one.close()


def end_without_queue(place, **how):
    """It holds messages when the way to the queue ends."""
    road = Road(account().url)
    storage = Storage(place, notify=False, concurrency=1, scanner_workers=1, **how)
    storage.values["AWS_ENDPOINT_URL_SQS"] = road.url
    process = storage.start()
    until(lambda: "poller_ready" in storage.said(process), "readiness", on_wait=storage.said)
    body = zipped({f"f{i}": os.urandom(2000) for i in range(400)})
    for i in range(30):
        made = storage.put(f"x{i}", body)
        storage.send(storage.event(f"x{i}", made["ETag"], made["VersionId"]))
    until(lambda: storage.left()[1] >= 2, "messages taken", on_wait=storage.said)
    return road, storage, process


def expect_quick_end(storage, process):
    """Judged by its own word of when it was done with its messages: what the scanner's end takes is another matter.
    Nothing is lost."""
    begin = time.time()
    storage.stop(process)
    said = storage.said(process)
    ended, = (line.split()[0] for line in said.splitlines() if " poller_ended " in line)
    assert datetime.datetime.fromisoformat(ended).timestamp() - begin < 20, said[-3000:]
    assert sum(storage.left()) + len(storage.collect()) >= 30, storage.left()


def test_an_end_without_a_queue_that_answers(place):
    road, storage, process = end_without_queue(place, wait="1s")
    road.gone.set()
    expect_quick_end(storage, process)
    road.close()


def test_an_end_without_a_queue_that_can_be_reached(place):
    road, storage, process = end_without_queue(place, wait="20s")
    road.close()
    expect_quick_end(storage, process)


def test_what_is_not_understood_stays(place):
    """For the dead-letter queue; there it is told."""
    storage = Storage(place, notify=False)
    process = storage.start()
    storage.send("{not json")
    until(lambda: "message_not_understood" in storage.said(process), "a word about it")
    for key in ("a", "b", "c", "d"):
        storage.send(storage.event(key, storage.put(key, CLEAN)["ETag"]))
        storage.result(key)
    # It did not come round with each of them: it stays away, longer each time.
    assert storage.said(process).count("message_not_understood") <= 2, storage.said(process)
    storage.stop(process)
    assert sum(storage.left()) == 1
    storage.cloud.sqs.purge_queue(QueueUrl=storage.queue)
    dead = storage.cloud.queue(storage.bucket + "-dead")
    storage.send("{not json", dead)
    storage.send(storage.event("lost", "0" * 32), dead)
    reporter = storage.start("dead-letter", queue_url=dead)
    lost = storage.result("lost", verdict="error")
    assert lost["scanner_status"] == -4, lost
    assert lost["scanner_status_message"] == "unsuccessful scanner invocation"
    until(lambda: storage.cloud.sqs.get_queue_attributes(
        QueueUrl=dead, AttributeNames=["All"])["Attributes"][
            "ApproximateNumberOfMessagesNotVisible"] == "0", "an empty queue")
    storage.stop(reporter)


def test_new_signatures_are_used(place):
    """Without a restart; the object is scanned again and its tags say by what."""
    folder = place.folder("signatures")
    agents.put(folder + "/first.hdb", b"00000000000000000000000000000000:1:Nothing\n")
    storage = Storage(place, notify=False, scanner_databases=folder)
    storage.start()
    made = storage.put("x", EICAR)
    event = storage.event("x", made["ETag"], made["VersionId"])
    storage.send(event)
    before = storage.result("x", verdict="clean")
    digest = hashlib.md5(EICAR).hexdigest()
    agents.put(folder + "/second.hdb", f"{digest}:{len(EICAR)}:Now-Known\n".encode())
    def again():
        storage.send(event)
        return [r for r in storage.collect() if r["verdict"] == "infected"]
    after = until(again, "the new signature", on_wait=storage.said)[0]
    assert after["signatures"] != before["signatures"]
    assert storage.tags("x")["yagura-scan-status"] == "infected"


def test_no_queue_is_told(place):
    storage = Storage(place)
    process = storage.start(queue_url=storage.queue + "-nobody")
    assert process.wait(timeout=60) == 1
    assert "queue_not_read" in storage.said(process)
    assert account().url


if __name__ == "__main__":
    main()
