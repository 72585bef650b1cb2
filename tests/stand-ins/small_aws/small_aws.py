"""S3 with versions, SQS and SNS in memory: as much of them as yagura-storage needs, and no more.

Requests must be signed; whether rightly is not looked at (that is done with moto). What S3 would do with a request that
stands here nowhere is not guessed: it gets 501. Queues hide and hand out again as SQS does, by the clock.
`python3 small_aws.py` makes a bucket, a queue of its events and a topic, prints what they are called and serves until its
standard input ends.
"""
import base64
import hashlib
import http.server
import json
import sys
import threading
import time
import urllib.parse
import uuid
from email.utils import formatdate
from xml.etree import ElementTree
from xml.sax.saxutils import escape

REGION = "eu-west-1"
ACCOUNT = "123456789012"
KEPT = ("content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires")


class Refusal(Exception):
    """An answer that is an error of the service."""

    def __init__(self, status, code):
        super().__init__(code)
        self.status, self.code = status, code


class Version:
    """Of an object; body None: a delete marker."""

    def __init__(self, body, headers=None, tags=None):
        self.id, self.body, self.tags = uuid.uuid4().hex, body, dict(tags or {})
        self.headers = dict(headers or {})
        self.etag = hashlib.md5(body).hexdigest() if body is not None else ""
        self.modified = formatdate(usegmt=True)


class Message:
    def __init__(self, body):
        self.id, self.body, self.received, self.visible_at = uuid.uuid4().hex, body, 0, 0.0
        self.receipt = None


class SmallAws:
    """Use it with `with`."""

    def __init__(self):
        self.buckets, self.queues, self.topics, self.notified = {}, {}, {}, {}
        self.requests = []  # (service, action or method, what)
        self.deleted = {}   # by queue
        self.given = []     # (headers, body) of WriteGetObjectResponse
        self.changed = threading.Condition()
        self.over = False

    # ---- a test's own side ----

    def bucket(self, name, queue=None):
        self.buckets[name] = {}
        if queue:
            self.notified[name] = queue
        return name

    def queue(self, name):
        self.queues[name] = []
        return f"{self.url}/{ACCOUNT}/{name}"

    def topic(self, name, *queues):
        self.topics[name] = queues
        return f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"

    def put(self, bucket, key, body, tags=None, **headers):
        return self.store(bucket, key, Version(body, {name.replace("_", "-"): value for name, value in headers.items()},
                                               tags))

    def send(self, queue, body):
        with self.changed:
            self.queues[queue].append(Message(body if isinstance(body, str) else json.dumps(body)))
            self.changed.notify_all()

    def latest(self, bucket, key):
        """None: not there, or deleted."""
        with self.changed:
            versions = self.buckets[bucket].get(key)
            return versions[-1] if versions and versions[-1].body is not None else None

    def wait(self, holds, seconds):
        """What holds says, once it is true; it may not call back."""
        with self.changed:
            return self.changed.wait_for(holds, seconds)

    def note(self, *request):
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()

    def count(self, service, action):
        return sum(request[:2] == (service, action) for request in self.requests)

    def environment(self):
        return {"AWS_ENDPOINT_URL": self.url, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "x", "AWS_CONFIG_FILE": "/nonexistent",
                "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}

    # ---- S3 ----

    def store(self, bucket, key, version):
        with self.changed:
            self.buckets[bucket].setdefault(key, []).append(version)
            if bucket in self.notified:
                self.queues[self.notified[bucket]].append(Message(json.dumps(self.event(bucket, key, version))))
            self.changed.notify_all()
        return version

    @staticmethod
    def event(bucket, key, version):
        return {"Records": [{
            "eventVersion": "2.6", "eventSource": "aws:s3", "awsRegion": REGION, "eventName": "ObjectCreated:Put",
            "responseElements": {"x-amz-request-id": "REQUEST"},
            "s3": {"configurationId": "c", "bucket": {"name": bucket}, "object": {
                "key": urllib.parse.quote_plus(key, safe="/"), "eTag": version.etag, "versionId": version.id,
                "size": len(version.body), "sequencer": "0055AED6DCD90281E5"}}}]}

    def find(self, bucket, key, version):
        with self.changed:
            if bucket not in self.buckets:
                raise Refusal(404, "NoSuchBucket")
            versions = self.buckets[bucket].get(key, [])
            if version:
                found = next((one for one in versions if one.id == version), None)
                if found is None:
                    raise Refusal(404, "NoSuchVersion")
            else:
                found = versions[-1] if versions else None
            if found is None or found.body is None:
                raise Refusal(404, "NoSuchKey")
            return found

    def answer_object(self, method, bucket, key, query, headers, body):
        """(status, headers, body)"""
        wanted = query.get("versionId", [None])[0]
        if "tagging" in query:
            return self.answer_tags(method, self.find(bucket, key, wanted), body)
        if method in ("GET", "HEAD"):
            return self.give(self.find(bucket, key, wanted), headers)
        if method == "PUT":
            return self.take(bucket, key, headers, body)
        if method == "DELETE":
            return self.delete(bucket, key, wanted)
        raise Refusal(501, "NotImplemented")

    def give(self, version, headers):
        if headers.get("if-match", version.etag).strip('"') != version.etag:
            raise Refusal(412, "PreconditionFailed")
        given = {**version.headers, "ETag": f'"{version.etag}"', "x-amz-version-id": version.id,
                 "Last-Modified": version.modified}
        if version.tags:
            given["x-amz-tagging-count"] = str(len(version.tags))
        if "range" not in headers:
            return 200, given, version.body
        first, last = (int(text) for text in headers["range"].split("=")[1].split("-"))
        if first >= len(version.body):
            raise Refusal(416, "InvalidRange")
        part = version.body[first:last + 1]
        given["Content-Range"] = f"bytes {first}-{first + len(part) - 1}/{len(version.body)}"
        return 206, given, part

    def take(self, bucket, key, headers, body):
        if bucket not in self.buckets:
            raise Refusal(404, "NoSuchBucket")
        if headers.get("if-none-match") == "*" and self.latest(bucket, key):
            raise Refusal(412, "PreconditionFailed")
        source = headers.get("x-amz-copy-source")
        tags = dict(urllib.parse.parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True))
        if source is None:
            kept = {name: value for name, value in headers.items()
                    if name in KEPT or name.startswith("x-amz-meta-")}
            made = self.store(bucket, key, Version(body, kept, tags))
            return 200, {"ETag": f'"{made.etag}"', "x-amz-version-id": made.id}, b""
        path, _, text = source.partition("?versionId=")
        of_bucket, of_key = urllib.parse.unquote(path).lstrip("/").split("/", 1)
        original = self.find(of_bucket, of_key, urllib.parse.unquote(text))
        if headers.get("x-amz-copy-source-if-match", original.etag).strip('"') != original.etag:
            raise Refusal(412, "PreconditionFailed")
        if headers.get("x-amz-metadata-directive", "COPY") != "COPY":
            raise Refusal(501, "NotImplemented")
        replaced = headers.get("x-amz-tagging-directive") == "REPLACE"
        made = self.store(bucket, key, Version(original.body, original.headers, tags if replaced else original.tags))
        digest = base64.b64encode(hashlib.sha256(made.body).digest()).decode()
        return 200, {"x-amz-version-id": made.id}, (
            f"<CopyObjectResult><ETag>&quot;{made.etag}&quot;</ETag><ChecksumSHA256>{digest}</ChecksumSHA256>"
            "</CopyObjectResult>").encode()

    def delete(self, bucket, key, version):
        with self.changed:
            if bucket not in self.buckets:
                raise Refusal(404, "NoSuchBucket")
            versions = self.buckets[bucket].get(key, [])
            if version:
                versions[:] = [one for one in versions if one.id != version]
            elif versions:
                versions.append(Version(None))
            self.changed.notify_all()
        return 204, {}, b""

    def answer_tags(self, method, version, body):
        if method == "PUT":
            root = ElementTree.fromstring(body)
            space = root.tag[:root.tag.find("}") + 1]
            tags = {tag.findtext(space + "Key"): tag.findtext(space + "Value") or "" for tag in root.iter(space + "Tag")}
            if len(tags) > 10:
                raise Refusal(400, "BadRequest")
            with self.changed:
                version.tags = tags
                self.changed.notify_all()
            return 200, {"x-amz-version-id": version.id}, b""
        if method != "GET":
            raise Refusal(501, "NotImplemented")
        members = "".join(f"<Tag><Key>{escape(key)}</Key><Value>{escape(value)}</Value></Tag>"
                          for key, value in version.tags.items())
        return 200, {"x-amz-version-id": version.id}, f"<Tagging><TagSet>{members}</TagSet></Tagging>".encode()

    def list(self, bucket, query):
        if bucket not in self.buckets:
            raise Refusal(404, "NoSuchBucket")
        prefix = query.get("prefix", [""])[0]
        with self.changed:
            found = [(key, versions[-1]) for key, versions in sorted(self.buckets[bucket].items())
                     if key.startswith(prefix) and versions and versions[-1].body is not None]
        entries = "".join(
            f"<Contents><Key>{urllib.parse.quote_plus(key)}</Key><ETag>&quot;{version.etag}&quot;</ETag>"
            f"<Size>{len(version.body)}</Size><StorageClass>STANDARD</StorageClass></Contents>" for key, version in found)
        return 200, {}, (f"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>{entries}"
                         "</ListBucketResult>").encode()

    def answer_s3(self, method, target, headers, body):
        path, _, text = target.partition("?")
        query = urllib.parse.parse_qs(text, keep_blank_values=True)
        if "authorization" not in headers and "X-Amz-Signature" not in query:
            raise Refusal(403, "AccessDenied")
        bucket, _, key = urllib.parse.unquote(path).lstrip("/").partition("/")
        self.note("s3", method + (" tags" if "tagging" in query else ""), key)
        if key:
            return self.answer_object(method, bucket, key, query, headers, body)
        if method == "GET" and query.get("list-type") == ["2"]:
            return self.list(bucket, query)
        raise Refusal(501, "NotImplemented")

    # ---- SQS ----

    def receive(self, queue, request):
        most, seconds = request.get("MaxNumberOfMessages", 1), request.get("WaitTimeSeconds", 0)
        end = time.monotonic() + seconds
        with self.changed:
            while True:
                now = time.monotonic()
                taken = [message for message in queue if message.visible_at <= now][:most]
                if taken or now >= end or self.over:
                    break
                times = [message.visible_at for message in queue] + [end]
                self.changed.wait(max(min(times) - now, 0.001))
            for message in taken:
                message.received += 1
                message.receipt = uuid.uuid4().hex
                message.visible_at = now + request.get("VisibilityTimeout", 30)
            self.changed.notify_all()
            return {"Messages": [
                {"MessageId": message.id, "ReceiptHandle": message.receipt, "Body": message.body,
                 "MD5OfBody": hashlib.md5(message.body.encode()).hexdigest(),
                 "Attributes": {"ApproximateReceiveCount": str(message.received)}} for message in taken]}

    def change(self, action, name, queue, request):
        good, bad = [], []
        with self.changed:
            for entry in request["Entries"]:
                if action == "SendMessageBatch":
                    queue.append(Message(entry["MessageBody"]))
                    good.append({"Id": entry["Id"]})
                    continue
                message = next((one for one in queue if one.receipt == entry["ReceiptHandle"]), None)
                if message is None:
                    bad.append({"Id": entry["Id"], "Code": "ReceiptHandleIsInvalid", "SenderFault": True})
                    continue
                if action == "DeleteMessageBatch":
                    queue.remove(message)
                    self.deleted[name] = self.deleted.get(name, 0) + 1
                else:
                    message.visible_at = time.monotonic() + entry["VisibilityTimeout"]
                good.append({"Id": entry["Id"]})
            self.changed.notify_all()
        return {"Successful": good, "Failed": bad}

    def answer_sqs(self, action, request):
        name = request["QueueUrl"].rsplit("/", 1)[-1]
        self.note("sqs", action, name)
        if name not in self.queues:
            raise Refusal(400, "QueueDoesNotExist")
        queue = self.queues[name]
        if action == "ReceiveMessage":
            said = self.receive(queue, request)
        elif action in ("DeleteMessageBatch", "ChangeMessageVisibilityBatch", "SendMessageBatch"):
            said = self.change(action, name, queue, request)
        elif action == "GetQueueAttributes":
            hidden = sum(message.visible_at > time.monotonic() for message in queue)
            said = {"Attributes": {"ApproximateNumberOfMessages": str(len(queue) - hidden),
                                   "ApproximateNumberOfMessagesNotVisible": str(hidden),
                                   "ApproximateNumberOfMessagesDelayed": "0"}}
        else:
            raise Refusal(501, "NotImplemented")
        return 200, {"Content-Type": "application/x-amz-json-1.0"}, json.dumps(said).encode()

    # ---- SNS ----

    def answer_sns(self, form):
        topic = form["TopicArn"].rsplit(":", 1)[-1]
        self.note("sns", form["Action"], topic)
        if topic not in self.topics:
            raise Refusal(404, "NotFound")
        start = "PublishBatchRequestEntries.member."
        texts = [form["Message"]] if form["Action"] == "Publish" else \
            [form[name] for name in form if name.startswith(start) and name.endswith(".Message")]
        for text in texts:
            for queue in self.topics[topic]:
                self.send(queue, {"Type": "Notification", "Message": text})
        if form["Action"] == "Publish":
            return 200, {}, b"<PublishResponse><MessageId>m</MessageId></PublishResponse>"
        ids = [form[name] for name in form if name.startswith(start) and name.endswith(".Id")]
        members = "".join(f"<member><Id>{one}</Id><MessageId>m</MessageId></member>" for one in ids)
        return 200, {}, (f"<PublishBatchResponse><PublishBatchResult><Failed/><Successful>{members}</Successful>"
                         "</PublishBatchResult></PublishBatchResponse>").encode()

    # ---- HTTP ----

    def answer(self, method, target, headers, body):
        action = headers.get("x-amz-target", "")
        json_protocol = action.startswith("AmazonSQS.")
        try:
            if json_protocol:
                return self.answer_sqs(action.split(".")[1], json.loads(body))
            if method == "POST" and target == "/":
                return self.answer_sns(dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True)))
            if target == "/WriteGetObjectResponse":
                with self.changed:
                    self.given.append((headers, body))
                    self.changed.notify_all()
                return 200, {}, b""
            return self.answer_s3(method, target, headers, body)
        except Refusal as refusal:
            if json_protocol:
                text = json.dumps({"__type": "com.amazonaws.sqs#" + refusal.code, "message": "x"})
            else:
                text = f"<Error><Code>{refusal.code}</Code><Message>x</Message></Error>"
            return refusal.status, {}, text.encode()

    def __enter__(self):
        aws = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = -1

            def log_message(self, *_):
                pass

            def chunks(self):
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            def serve(self):
                body = self.chunks() if self.headers.get("Transfer-Encoding") == "chunked" else \
                    self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, given, content = aws.answer(self.command, self.path, headers, body)
                self.send_response(status)
                for name, value in given.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = serve

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_):
                pass  # a program that ended while it waited

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        with self.changed:
            self.over = True
            self.changed.notify_all()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def main():
    with SmallAws() as aws:
        print(aws.url, aws.queue("events"), aws.bucket("uploads", "events"), aws.topic("results"), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
