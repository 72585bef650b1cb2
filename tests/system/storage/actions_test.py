"""yagura-storage action and quarantine: what is done about published results, on moto's S3."""
import contextlib
import hashlib
import hmac
import http.server
import json
import subprocess
import threading
import time

import harness as h

PROGRAM = h.agents.PROGRAMS + "/yagura-storage"
KEYS = ("plain.txt", "a b+c%2F.txt", "日本/né.txt", "x//../y", "trailing/", "k" * 1024)


def result(bucket, key, put, body, verdict="infected", **more):
    findings = [{"malware": "Eicar-Test", "type": "Virus"}] if verdict == "infected" else []
    codes = [107] if verdict == "incomplete" else []
    return {"type": "scan-result", "timestamp": 1, "bucket": bucket, "file_name": key, "schema": "yagura/1",
            "file_attributes": {"etag": put["ETag"].strip('"')}, "version_id": put.get("VersionId", ""),
            "sha256": hashlib.sha256(body).hexdigest(), "scanner_status": -2 if codes else 0, "verdict": verdict,
            "scanning_result": {"TotalBytesOfFile": len(body), "Findings": findings, "Error": "", "Codes": codes}, **more}


class Stage:
    """A bucket, a quarantine, a queue of results and the program that takes them."""

    def __init__(self, name, versions=True, **settings):
        self.account = h.account()
        self.bucket = self.account.bucket(f"uploads-{name}", versions)
        self.quarantine = self.account.bucket(f"quarantine-{name}", True)
        self.queue = self.account.queue(f"results-{name}", VisibilityTimeout="1")
        self.settings = {"YAGURA_QUARANTINE_BUCKET": self.quarantine, "YAGURA_QUEUE_URL": self.queue,
                         "YAGURA_BUCKETS": self.bucket, "YAGURA_WAIT": "1s", **settings}
        self.s3 = self.account.s3
        self.lines = []

    def put(self, key, body, **more):
        return self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def send(self, message, wrapped=True):
        text = json.dumps(message)
        body = json.dumps({"Type": "Notification", "Message": text}) if wrapped else text
        self.account.sqs.send_message(QueueUrl=self.queue, MessageBody=body)

    @contextlib.contextmanager
    def running(self):
        """One program for a whole test: moto would hand a message to one that has gone."""
        process = subprocess.Popen([PROGRAM, "action"], env=self.account.environment(**self.settings),
                                   stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.lines = []
        reader = threading.Thread(target=lambda: self.lines.extend(process.stderr), daemon=True)
        reader.start()
        try:
            yield
        finally:
            process.terminate()
            code = process.wait(timeout=h.SECONDS)
            reader.join()
            process.stderr.close()
        assert code == 0, (code, self.lines)

    def act(self, *messages, wrapped=True):
        """Sends them and waits until all are done. Returns what was said meanwhile."""
        before = len(self.lines)
        for message in messages:
            self.send(message, wrapped)
        h.until(self.is_done, "messages done", on_wait=lambda: "".join(self.lines))
        return "".join(self.lines[before:])

    def says(self, what):
        h.until(lambda: what in "".join(self.lines), what, on_wait=lambda: "".join(self.lines))

    def is_done(self):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.account.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return all(found[name] == "0" for name in names)

    def run(self, *words, code=0):
        done = subprocess.run([PROGRAM, "quarantine", *words], env=self.account.environment(**self.settings),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=h.SECONDS, check=False)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def keys(self, bucket):
        return sorted(one["Key"] for one in self.s3.list_objects_v2(Bucket=bucket).get("Contents", []))

    def records(self):
        return {one["id"]: one["record"] for one in map(json.loads, self.run("list", "--json").splitlines())}


def acting(name, versions=True, **settings):
    """A test with a stage on which the program runs."""
    def take(test):
        def run():
            stage = Stage(name, versions, **settings)
            with stage.running():
                test(stage)
        return run
    return take


@acting("keys")
def test_quarantine_and_restore_of_every_key(stage):
    """Moved version by version, whatever the key is; metadata and others' tags come back."""
    for key in KEYS:
        body = h.EICAR + key.encode()
        put = stage.put(key, body, ContentType="text/x-own", Metadata={"who": "me"},
                        Tagging="team=red&yagura-scan-status=infected")
        stage.send(result(stage.bucket, key, put, body))
    stage.act()
    assert stage.keys(stage.bucket) == []
    records = stage.records()
    assert sorted(one["key"] for one in records.values()) == sorted(KEYS)
    for name, record in records.items():
        kept = stage.s3.get_object(Bucket=stage.quarantine, Key=f"quarantine/{name}")
        assert kept["Body"].read() == h.EICAR + record["key"].encode()
        assert record["tags"] == {"team": "red"} and record["malware"] == "Eicar-Test"
        assert "restored" in stage.run("restore", name)
        back = stage.s3.get_object(Bucket=stage.bucket, Key=record["key"])
        assert back["Body"].read() == h.EICAR + record["key"].encode()
        assert (back["ContentType"], back["Metadata"]) == ("text/x-own", {"who": "me"})
        tags = stage.s3.get_object_tagging(Bucket=stage.bucket, Key=record["key"])["TagSet"]
        assert tags == [{"Key": "team", "Value": "red"}], tags
    assert stage.records() == {}
    assert [key for key in stage.keys(stage.quarantine) if not key.startswith("allowed/")] == []


@acting("released")
def test_released_content_stays(stage):
    """What a person released is tagged so and not moved again, until that is taken back."""
    put = stage.put("tool.exe", h.EICAR)
    stage.act(result(stage.bucket, "tool.exe", put, h.EICAR))
    (name,) = stage.records()
    stage.run("restore", name)
    for place, moved in (("tool.exe", False), ("again.exe", False), ("third.exe", True)):
        if moved:
            stage.run("forbid", hashlib.sha256(h.EICAR).hexdigest())
        put = stage.put(place, h.EICAR, Tagging="yagura-scan-status=infected&yagura-scan-detail=Eicar&team=red")
        said = stage.act(result(stage.bucket, place, put, h.EICAR))
        assert ("action=quarantined" in said) == moved and ("action=allowed" in said) != moved, said
        if not moved:
            tags = {one["Key"]: one["Value"]
                    for one in stage.s3.get_object_tagging(Bucket=stage.bucket, Key=place)["TagSet"]}
            assert tags == {"yagura-scan-status": "clean", "yagura-scan-detail": "released by a person", "team": "red"}


def overwrite(stage):
    """Overwritten since, and a message that comes twice. Returns the newer one and what was said."""
    old = stage.put("file", h.EICAR)
    new = stage.put("file", b"newer and not scanned")
    message = result(stage.bucket, "file", old, h.EICAR)
    said = stage.act(message, message)
    assert stage.s3.get_object(Bucket=stage.bucket, Key="file")["Body"].read() == b"newer and not scanned"
    return new, said


@acting("pinned")
def test_only_the_scanned_version_is_moved(stage):
    new, said = overwrite(stage)
    assert said.count("action=gone") == 1 and said.count("action=quarantined") == 1, said
    assert stage.s3.head_object(Bucket=stage.bucket, Key="file")["VersionId"] == new["VersionId"]
    kept = stage.s3.list_object_versions(Bucket=stage.bucket)
    assert len(kept["Versions"]) == 1 and "DeleteMarkers" not in kept


@acting("unversioned", versions=False)
def test_only_the_scanned_content_is_moved(stage):
    _, said = overwrite(stage)
    assert said.count("action=gone") == 2, said


@acting("promote", YAGURA_PROMOTE_BUCKET="promoted", YAGURA_QUARANTINE_INCOMPLETE="leave")
def test_promotion(stage):
    """Clean objects are promoted with their tags; incomplete ones and forged clean ones never."""
    stage.account.bucket("promoted")
    body = b"harmless"
    messages = []
    for key, verdict, more in (("clean", "clean", {}), ("incomplete", "incomplete", {}), ("error", "error", {}),
                               ("forged", "infected", {"verdict": "clean"}), ("failed", "clean", {"scanner_status": -2}),
                               ("other-bytes", "clean", {"sha256": "0" * 64})):
        put = stage.put(key, body, Tagging="team=red")
        messages.append({**result(stage.bucket, key, put, body, verdict), **more})
    stage.act(*messages[:5], wrapped=False)
    assert stage.keys("promoted") == ["clean"]
    assert stage.s3.get_object_tagging(Bucket="promoted", Key="clean")["TagSet"] == [{"Key": "team", "Value": "red"}]
    assert stage.keys(stage.bucket) == ["error", "failed", "incomplete", "other-bytes"]
    stage.send(messages[5])
    stage.says("action=refused")
    assert "other-bytes" in stage.keys(stage.bucket) and stage.keys("promoted") == ["clean"]


@acting("incomplete", YAGURA_QUARANTINE_INCOMPLETE="quarantine")
def test_incomplete_by_policy(stage):
    put = stage.put("secret.zip", b"encrypted")
    stage.act(result(stage.bucket, "secret.zip", put, b"encrypted", "incomplete"))
    (record,) = stage.records().values()
    assert (record["verdict"], record["malware"]) == ("incomplete", "")


@acting("parts", YAGURA_PART="5M")
def test_parts(stage):
    """Larger than one copy takes: in parts, with the metadata that those do not take over by themselves."""
    body = h.EICAR + bytes(11 * 1024 * 1024)
    put = stage.put("large", body, ContentType="text/x-own", Metadata={"who": "me", "wide": "a  b"})
    stage.act(result(stage.bucket, "large", put, body))
    (name,) = stage.records()
    kept = stage.s3.get_object(Bucket=stage.quarantine, Key=f"quarantine/{name}")
    assert hashlib.sha256(kept["Body"].read()).digest() == hashlib.sha256(body).digest()
    assert (kept["ContentType"], kept["Metadata"]["who"]) == ("text/x-own", "me")
    assert kept["ETag"].strip('"').endswith("-3"), kept["ETag"]
    assert stage.s3.list_multipart_uploads(Bucket=stage.quarantine).get("Uploads", []) == []


@acting("missing", YAGURA_QUARANTINE_BUCKET="not-there")
def test_failures_bring_the_message_back(stage):
    """Without its bucket the quarantine fails, the object stays and the message too."""
    put = stage.put("file", h.EICAR)
    stage.send(result(stage.bucket, "file", put, h.EICAR))
    stage.says("action=failed")
    assert not stage.is_done()
    assert stage.keys(stage.bucket) == ["file"]


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):  # pylint: disable=invalid-name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.headers["X-Yagura-Timestamp"], self.headers["X-Yagura-Signature"], body))
        self.send_response(503 if len(self.server.got) == 1 else 200)
        self.end_headers()

    def log_message(self, *words):  # pylint: disable=arguments-differ
        pass


def test_notices():
    """The webhook is signed and asked again; Security Hub has a finding; clean objects are nobody's news."""
    import boto3  # pylint: disable=import-outside-toplevel
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.got = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    ssm = boto3.client("ssm", region_name=h.REGION, endpoint_url=h.account().url, aws_access_key_id="testing",
                       aws_secret_access_key="x")
    ssm.put_parameter(Name="/yagura/webhook", Type="SecureString", Value="swordfish")
    try:
        stage = Stage("notices", YAGURA_WEBHOOK_URL=f"http://127.0.0.1:{server.server_port}/hook",
                      YAGURA_WEBHOOK_SECRET_PARAMETER="/yagura/webhook", YAGURA_SECURITY_HUB="true",
                      YAGURA_ACCOUNT="123456789012")
        put = stage.put("bad \u202e.txt", h.EICAR)
        message = result(stage.bucket, "bad \u202e.txt", put, h.EICAR)
        stage.send(result(stage.bucket, "good", put, h.EICAR, "clean"), wrapped=False)
        stage.send(message, wrapped=False)
        with stage.running():
            stage.says("notice_failed")
            assert not stage.is_done()
            # It comes again by itself after a minute; a test does not wait for it.
            stage.send(message, wrapped=False)
            h.until(lambda: len(server.got) == 2, "the webhook", on_wait=lambda: "".join(stage.lines))
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    for when, signature, body in server.got:
        expected = hmac.new(b"swordfish", when.encode() + b"." + body, hashlib.sha256).hexdigest()
        assert signature == "v1=" + expected and abs(int(when) - time.time()) < 300
        assert json.loads(body)["file_name"] == "bad \u202e.txt"
    hub = boto3.client("securityhub", region_name=h.REGION, endpoint_url=h.account().url, aws_access_key_id="testing",
                       aws_secret_access_key="x")
    findings = hub.get_findings()["Findings"]
    assert len({one["Id"] for one in findings}) == 1, findings
    finding = findings[0]
    assert finding["Malware"][0]["Name"] == "Eicar-Test" and finding["AwsAccountId"] == "123456789012"
    assert finding["Resources"][0]["Id"] == f"arn:aws:s3:::{stage.bucket}/bad \u202e.txt"


def test_words():
    """What is wrong is said, and nothing is done."""
    stage = Stage("words")
    assert "hexadecimal" in stage.run("restore", "../../x", code=1)
    assert "64" in stage.run("forbid", "abc", code=1)
    assert "usage" in stage.run("restore", code=2)
    assert "usage" in stage.run("juggle", code=2)
    assert stage.run("list") == ""
    stage.settings["YAGURA_QUARANTINE_BUCKET"] = ""
    assert "YAGURA_QUARANTINE_BUCKET" in stage.run("list", code=1)
    done = subprocess.run([PROGRAM, "action"], env=stage.account.environment(YAGURA_QUEUE_URL=stage.queue),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=h.SECONDS, check=False)
    assert done.returncode == 1 and "quarantine.bucket" in done.stderr


if __name__ == "__main__":
    h.main()
