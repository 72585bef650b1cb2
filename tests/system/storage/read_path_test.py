"""An object is read: what was not scanned is scanned, what is malicious is refused, moved and brought back."""
import http.client
import json
import os
import queue
import re
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import CLEAN, EICAR, SECONDS, Storage, account, agents, main, until  # noqa: E402
import subprocess  # noqa: E402

PROGRAM = os.path.join(agents.PROGRAMS, "yagura-storage")
OLD = {"yagura-scan-status": "clean", "yagura-scan-date": "2020-01-01T00:00:00.000Z",
       "yagura-scan-signatures": "2020-01-01T00:00:00Z/0000000000000000"}


def as_tags(tags):
    return "&".join(f"{key}={value}" for key, value in tags.items())


class Gate:
    """The HTTP service on a bucket of its own."""

    def __init__(self, place, notify=False, **settings):
        self.storage = Storage(place, notify=notify)
        self.secret = f"{place.folder('secret')}/secret"
        with open(self.secret, "w", encoding="ascii") as file:
            file.write("swordfish\n")
        self.settings = {"gate_listen": "127.0.0.1:0", "gate_secret_file": self.secret, "buckets": self.storage.bucket,
                         "tags_trust": "true", **settings}
        self.process = self.storage.start("gate", **self.settings)
        said = until(lambda: re.search(r"gate_ready .*port=(\d+)", self.storage.said(self.process)), "the gate",
                     on_wait=self.storage.said)
        self.port = int(said.group(1))
        until(lambda: self.ask("/health")[2]["problem"] == "", "signatures")

    def ask(self, target, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        connection.request(method, target)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, answer.headers, json.loads(body) if body else None

    def link(self, key, *words):
        done = subprocess.run([PROGRAM, "gate-link", f"s3://{self.storage.bucket}/{key}", *words], text=True,
                              env={**self.storage.values, "YAGURA_GATE_SECRET_FILE": self.secret},
                              capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def read(self, key, method="GET"):
        return self.ask(self.link(key), method)


def fetch(url):
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        return answer.read()


KEYS = ["plain", "a b+c%2F&d=e", "櫓/né", "x//../y", "k" * 1024]


def test_clean_is_given_out(place):
    """By a link to that version, for a minute, whatever the key; the verdict stays for the next reader."""
    gate = Gate(place)
    for key in KEYS:
        version = gate.storage.put(key, CLEAN + key.encode())["VersionId"]
        status, headers, said = gate.read(key)
        assert (status, said["verdict"]) == (302, "clean"), (key, status, said, gate.storage.said()[-3000:])
        assert f"versionId={version}" in headers["Location"] and "X-Amz-Expires=60&" in headers["Location"]
        assert headers["Cache-Control"] == "no-store"
        gate.storage.put(key, EICAR)  # another version, and the link is not to it
        if "/../" not in key:  # which urllib itself would walk
            assert fetch(headers["Location"]) == CLEAN + key.encode()
        assert gate.storage.tags(key, version)["yagura-scan-status"] == "clean"
    scans = gate.storage.said().count("object_scanned")
    status, headers, _ = gate.ask(gate.link("plain", "--version", gate.storage.cloud.s3.list_object_versions(
        Bucket=gate.storage.bucket, Prefix="plain")["Versions"][-1]["VersionId"]), "HEAD")
    assert status == 302 and gate.storage.said().count("object_scanned") == scans


def test_malware_is_refused_and_told(place):
    """Not scanned before, or called clean by older signatures: it is caught when read, tagged and published."""
    gate = Gate(place)
    gate.storage.put("new", EICAR)
    gate.storage.put("old", EICAR, Tagging=as_tags({**OLD, "team": "red"}))
    for key in ("new", "old"):
        status, headers, said = gate.read(key)
        assert (status, said["verdict"]) == (403, "infected") and "Location" not in headers, (key, status, said)
        assert gate.storage.result(key)["verdict"] == "infected"
        assert gate.storage.tags(key)["yagura-scan-status"] == "infected"
    assert gate.storage.tags("old")["team"] == "red"
    scans = gate.storage.said().count("object_scanned")
    assert gate.read("new")[0] == 403 and gate.storage.said().count("object_scanned") == scans


def test_tags_of_strangers(place):
    """Without tags.trust a verdict that anyone may have written is none."""
    gate = Gate(place, tags_trust="false")
    young = {**OLD, "yagura-scan-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    gate.storage.put("forged", EICAR, Tagging=as_tags(young))
    assert gate.read("forged")[0] == 403
    assert gate.storage.result("forged")["verdict"] == "infected"


def test_large_ones_wait(place):
    """The queue is asked once, whoever asks how often; then the verdict is there."""
    gate = Gate(place, gate_scan_size="10")
    gate.storage.put("large", CLEAN)
    for _ in range(3):
        status, headers, said = gate.read("large")
        assert (status, said["verdict"]) == (202, "") and int(headers["Retry-After"]) > 0
    assert gate.storage.left() == (1, 0)
    gate.storage.start()
    gate.storage.result("large", verdict="clean")
    gate.storage.until_done()
    assert gate.read("large")[0] == 302


def test_others_are_refused(place):
    gate = Gate(place)
    bucket = gate.storage.bucket
    gate.storage.put("file", CLEAN)
    link = gate.link("file")
    target = f"/object?bucket={bucket}&key=file"
    other = gate.storage.cloud.bucket(bucket + "-other")
    for wrong, status in ((target, 403), (link[:-1] + ("0" if link[-1] != "0" else "1"), 403), (link + "&key=x", 400),
                          (link.replace("key=file", "key=else"), 403), ("/object", 400), ("/", 404), ("/object/x", 404),
                          (re.sub(r"expires=\d+", "expires=1", link), 403), (gate.link("missing"), 404),
                          (gate.link("file", "--version", "not-there"), 404),
                          (gate.link("file").replace(bucket, other), 403)):
        answer = gate.ask(wrong)
        assert answer[0] == status and "Location" not in answer[1], (wrong, answer)
    assert gate.ask(link, "POST")[0] == 405 and gate.ask(link, "DELETE")[0] == 405
    assert gate.ask(link)[0] == 302
    gate.storage.stop(gate.process)


def test_what_the_gate_needs(place):
    storage = Storage(place, notify=False)
    for settings, word in (({}, "buckets"), ({"buckets": "x"}, "gate.secret_file"),
                           ({"buckets": "x", "gate_secret_file": "/nonexistent"}, "/nonexistent")):
        process = storage.start("gate", gate_listen="127.0.0.1:0", **settings)
        assert process.wait(timeout=SECONDS) == 1 and word in storage.said(process), storage.said(process)


class Runtime(ThreadingHTTPServer):
    """As much of Lambda as one function at a time needs."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), RuntimeHandler)
        self.events, self.answers, self.closing = queue.Queue(), queue.Queue(), False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def invoke(self, event):
        self.events.put(json.dumps(event).encode())
        return self.answers.get(timeout=SECONDS)

    def close(self):
        self.closing = True
        self.shutdown()
        self.server_close()


class RuntimeHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):  # pylint: disable=invalid-name
        while True:
            try:
                event = self.server.events.get(timeout=0.2)
                break
            except queue.Empty:
                if self.server.closing:
                    return
        self.send_response(200)
        self.send_header("Lambda-Runtime-Aws-Request-Id", "1-2-3")
        self.send_header("Lambda-Runtime-Deadline-Ms", str(int(time.time() * 1000) + 50000))
        self.send_header("Content-Length", str(len(event)))
        self.end_headers()
        self.wfile.write(event)

    def do_POST(self):  # pylint: disable=invalid-name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.answers.put((self.path.rsplit("/", 1)[-1], json.loads(body)))

    def log_message(self, *words):  # pylint: disable=arguments-differ
        pass


def start_function(place, storage, mode, **settings):
    """A mode as a function; the runtime ends with the test."""
    runtime = Runtime()
    storage.values["AWS_LAMBDA_RUNTIME_API"] = f"127.0.0.1:{runtime.server_port}"
    storage.start(mode, **settings)
    place.cleanups.append(runtime.close)
    return runtime


def test_gate_as_a_function(place):
    """Behind its URL, which says who asks."""
    storage = Storage(place, notify=False)
    runtime = start_function(place, storage, "gate", buckets=storage.bucket)
    storage.put("good +", CLEAN)
    storage.put("bad", EICAR)

    def ask(key, who="arn:aws:iam::1:user/x", method="GET"):
        iam = {"authorizer": {"iam": {"userArn": who}}} if who else {}
        event = {"version": "2.0", "rawPath": "/object", "rawQueryString": f"bucket={storage.bucket}&key={key}",
                 "requestContext": {"http": {"method": method}, **iam}}
        kind, answer = runtime.invoke(event)
        assert kind == "response", answer
        return answer["statusCode"], answer["headers"], json.loads(answer["body"])
    until(lambda: ask("good+%2B")[0] == 302, "signatures", on_wait=storage.said)
    assert fetch(ask("good+%2B")[1]["location"]) == CLEAN
    assert ask("bad")[0] == 403 and ask("bad")[2]["verdict"] == "infected"
    assert ask("good+%2B", who=None)[0] == 403
    assert ask("good+%2B", method="PUT")[0] == 405


def test_actions_as_a_function(place):
    storage = Storage(place, notify=False)
    quarantine = storage.cloud.bucket(storage.bucket + "-quarantine", True)
    runtime = start_function(place, storage, "action", quarantine_bucket=quarantine, buckets=storage.bucket)
    put = storage.put("bad", EICAR)
    result = {"type": "scan-result", "bucket": storage.bucket, "file_name": "bad", "version_id": put["VersionId"],
              "scanner_status": 0, "scanning_result": {"Findings": [{"malware": "x"}]}}
    kind, answer = runtime.invoke({"Records": [{"messageId": "1", "body": json.dumps(result)},
                                               {"messageId": "2", "body": "broken"}]})
    assert (kind, answer) == ("response", {"batchItemFailures": [{"itemIdentifier": "2"}]}), answer
    assert len(storage.cloud.s3.list_objects_v2(Bucket=quarantine, Prefix="quarantine/")["Contents"]) == 1
    assert runtime.invoke({"no": "batch"})[0] == "error"


class Reader(BaseHTTPRequestHandler):
    """Takes what WriteGetObjectResponse sends to the one who reads."""

    def do_POST(self):  # pylint: disable=invalid-name
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.answers.put((self.path, dict(self.headers), body))

    def log_message(self, *words):  # pylint: disable=arguments-differ
        pass


class ObjectLambda:
    """The function, S3's side of it, and what readers get."""

    def __init__(self, place):
        self.storage = Storage(place, notify=False)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Reader)
        self.server.answers = queue.Queue()
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        place.cleanups.append(self.stop)
        moto = self.storage.values["AWS_ENDPOINT_URL"]
        self.storage.values.update(AWS_ENDPOINT_URL=f"http://127.0.0.1:{self.server.server_port}",
                                   AWS_ENDPOINT_URL_S3=moto, AWS_ENDPOINT_URL_SNS=moto)
        self.runtime = start_function(place, self.storage, "object-lambda", memory_object="100000")

    def stop(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def event(self, key, call="get_object", headers=None, **more):
        url = self.storage.cloud.s3.generate_presigned_url(
            call, Params={"Bucket": self.storage.bucket, "Key": key}, ExpiresIn=60)
        if "X-Amz-SignedHeaders" not in url:  # botocore's older form of links
            url += "&X-Amz-SignedHeaders=host"
        user = "https://x.s3-object-lambda.eu-west-1.amazonaws.com/" + urllib.request.quote(key)
        context = {"inputS3Url": url, "outputRoute": "io-use1-001", "outputToken": "TOKEN", **more}
        return {"headObjectContext" if call == "head_object" else "getObjectContext": context,
                "userRequest": {"url": user, "headers": {"Host": "x", **(headers or {})}},
                "configuration": {"payload": json.dumps({"bucket": self.storage.bucket})}, "protocolVersion": "1.00"}

    def read(self, key, **more):
        assert self.runtime.invoke(self.event(key, **more)) == ("response", {})
        path, headers, body = self.server.answers.get(timeout=SECONDS)
        headers = {name.lower(): value for name, value in headers.items()}
        assert path == "/WriteGetObjectResponse" and headers["x-amz-request-token"] == "TOKEN"
        assert headers["x-amz-request-route"] == "io-use1-001" and "/s3-object-lambda/" in headers["authorization"]
        return headers["x-amz-fwd-status"], headers, body


def test_object_lambda(place):
    """Clean objects and ranges of them go on, malicious ones do not; errors stay what they are."""
    function = ObjectLambda(place)
    storage, read = function.storage, function.read
    large = CLEAN + bytes(300000)
    for key, body in (("good +", CLEAN), ("bad", EICAR), ("empty", b""), ("large", large)):
        storage.put(key, body, ContentType="text/x-own", CacheControl="max-age=5")
    until(lambda: read("good +")[0] == "200", "signatures", on_wait=storage.said)
    status, headers, body = read("good +")
    assert (status, body, headers["x-amz-fwd-header-content-type"]) == ("200", CLEAN, "text/x-own")
    assert headers["x-amz-fwd-header-cache-control"] == "max-age=5" and headers["x-amz-fwd-header-etag"]
    assert read("empty")[::2] == ("200", b"")
    size = len(large)
    for text, part in (("bytes=1-3", large[1:4]), ("bytes=300000-", large[300000:]), ("bytes=-5", large[-5:])):
        status, headers, body = read("large", headers={"range": text})
        assert (status, body) == ("206", part), (text, status, len(body))
        assert headers["x-amz-fwd-header-content-range"].endswith(f"/{size}")
    assert read("large", headers={"Range": f"bytes={size}-"})[0] == "416"
    status, headers, body = read("bad", headers={"Range": "bytes=0-3"})
    assert (status, headers["x-amz-fwd-error-code"], body) == ("403", "MalwareFound", b"")
    assert storage.result("bad")["verdict"] == "infected"
    status, headers, _ = read("missing")
    assert (status, headers["x-amz-fwd-error-code"]) == ("404", "NoSuchKey")


def test_object_lambda_head_and_strange_events(place):
    function = ObjectLambda(place)
    storage, read = function.storage, function.read
    storage.put("good", CLEAN)
    kind, answer = function.runtime.invoke(function.event("good", "head_object"))
    assert (kind, answer["statusCode"]) == ("response", 200) and answer["headers"]["Content-Length"] == str(len(CLEAN))
    assert function.runtime.invoke(function.event("missing", "head_object"))[1]["statusCode"] == 404
    # Not to wherever an event may point; not a part alone.
    assert read("good", inputS3Url="http://127.0.0.1:1/x?X-Amz-SignedHeaders=host")[0] == "503"
    signed = function.event("good")["getObjectContext"]["inputS3Url"].replace("X-Amz-SignedHeaders=host",
                                                                              "X-Amz-SignedHeaders=host%3Brange")
    assert read("good", headers={"Range": "bytes=1-2"}, inputS3Url=signed)[0] == "403"
    assert function.runtime.invoke({"no": "event"})[0] == "error"


def test_the_whole_way(place):
    """Written, tagged, published, moved; brought back and released; read and blocked, read and given out."""
    gate = Gate(place, notify=True)
    storage, s3 = gate.storage, gate.storage.cloud.s3
    quarantine = storage.cloud.bucket(storage.bucket + "-quarantine", True)
    actions = storage.cloud.queue(storage.bucket + "-actions")
    storage.cloud.sns.subscribe(TopicArn=storage.topic, Protocol="sqs",
                                Endpoint=f"arn:aws:sqs:eu-west-1:123456789012:{storage.bucket}-actions")
    settings = {"quarantine_bucket": quarantine, "queue_url": actions, "buckets": storage.bucket}
    storage.start()
    storage.put("good.txt", CLEAN)
    storage.put("bad.com", EICAR, Metadata={"who": "me"}, Tagging="team=red")
    assert storage.result("bad.com")["verdict"] == "infected"
    assert storage.tags("bad.com")["yagura-scan-status"] == "infected"
    assert gate.read("bad.com")[0] == 403
    storage.start("action", **settings)
    until(lambda: "action=quarantined" in storage.said(), "quarantine", on_wait=storage.said)
    assert gate.read("bad.com")[0] == 404

    def run(*words):
        done = subprocess.run([PROGRAM, "quarantine", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env={**storage.values, "YAGURA_QUARANTINE_BUCKET": quarantine}, timeout=SECONDS, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout
    assert "bad.com" in run("list") and "good.txt" not in run("list")
    run("restore", run("list").split()[0])
    # It is written anew, found malicious anew, and left alone, because a person said so.
    until(lambda: "action=allowed" in storage.said(), "release", on_wait=storage.said)
    found = s3.get_object(Bucket=storage.bucket, Key="bad.com")
    assert found["Body"].read() == EICAR and found["Metadata"] == {"who": "me"}
    tags = storage.tags("bad.com")
    assert tags["yagura-scan-status"] == "clean" and tags["team"] == "red", tags
    for key, body in (("bad.com", EICAR), ("good.txt", CLEAN)):
        status, headers, _ = gate.read(key)
        assert status == 302 and fetch(headers["Location"]) == body


if __name__ == "__main__":
    main()
