"""S3, SQS and SNS in memory, as fast as Python is: for measuring what stands before them.

Objects are given out whole; tags are taken and forgotten; each event is handed out once and the
moment is noted, as is that of its result. With acts, results come into a second queue too
("/1/actions"), objects are copied into other buckets, and the moment of their end is noted.
"""
import base64
import hashlib
import json
import socket
import threading
import time
import urllib.parse

REGION = "eu-west-1"


class FastAws:
    """Use it with `with`. objects: {key: bytes}."""

    def __init__(self, objects, bucket="bench", acts=False):
        self.objects, self.bucket = objects, bucket
        self.etags = {key: hashlib.md5(body).hexdigest() for key, body in objects.items()}
        self.events, self.at_once = [], 10
        self.handed, self.told, self.ended = {}, {}, {}
        self.acts, self.results, self.copies, self.tags = acts, [], {}, {}
        self.deleted = self.published = 0
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.over = False
        self.connections = set()

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        with self.changed:
            self.over = True
            self.changed.notify_all()
        self.listener.close()
        for connection in list(self.connections):
            connection.close()

    def accept(self):
        while not self.over:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def put_events(self, keys):
        with self.changed:
            for key in keys:
                self.events.append(key)
            self.changed.notify_all()

    def wait_told(self, count, seconds):
        with self.changed:
            return self.changed.wait_for(lambda: len(self.told) >= count, seconds)

    def wait_ended(self, count, seconds):
        with self.changed:
            return self.changed.wait_for(lambda: len(self.ended) >= count, seconds)

    def message(self, key):
        body = json.dumps({"Records": [{
            "eventSource": "aws:s3", "awsRegion": REGION, "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": self.bucket}, "object": {
                "key": urllib.parse.quote_plus(key), "eTag": self.etags[key], "versionId": "v1",
                "size": len(self.objects[key])}}}]})
        return {"MessageId": key, "ReceiptHandle": key, "Body": body,
                "Attributes": {"ApproximateReceiveCount": "1"}}

    def receive_results(self, request):
        with self.changed:
            self.changed.wait_for(lambda: self.results or self.over, request["WaitTimeSeconds"])
            taken, self.results = self.results[:1], self.results[1:]
        return {"Messages": [{"MessageId": "r", "ReceiptHandle": "r", "Body": body,
                              "Attributes": {"ApproximateReceiveCount": "1"}} for body in taken]}

    def receive(self, request):
        if request["QueueUrl"].endswith("/actions"):
            return self.receive_results(request)
        most = min(request.get("MaxNumberOfMessages", 1), self.at_once)
        with self.changed:
            self.changed.wait_for(lambda: self.events or self.over, request["WaitTimeSeconds"])
            taken, self.events = self.events[:most], self.events[most:]
            now = time.monotonic()
            for key in taken:
                self.handed[key] = now
        return {"Messages": [self.message(key) for key in taken]}

    def publish(self, form):
        now = time.monotonic()
        entries = "PublishBatchRequestEntries.member."
        texts = {form[name[:-len("Message")] + "Id"][0]: form[name][0] for name in form
                 if name.startswith(entries) and name.endswith(".Message")}
        with self.changed:
            for text in texts.values() or form["Message"]:
                self.told[json.loads(text)["file_name"]] = now
                if self.acts:
                    self.results.append(text)
            self.published += 1
            self.changed.notify_all()
        if not texts:
            return b"<PublishResponse/>"
        members = "".join(f"<member><Id>{name}</Id><MessageId>m</MessageId></member>" for name in texts)
        return (f"<PublishBatchResponse><PublishBatchResult><Failed/><Successful>{members}</Successful>"
                "</PublishBatchResult></PublishBatchResponse>").encode()

    def answer(self, method, target, headers, body):
        """(head lines, body)"""
        action = headers.get("x-amz-target", "")
        if action.endswith(".ReceiveMessage"):
            return "", json.dumps(self.receive(json.loads(body))).encode()
        if action:
            entries = json.loads(body)["Entries"]
            if ".Delete" in action:
                with self.changed:
                    self.deleted += len(entries)
                    self.changed.notify_all()
            return "", json.dumps({"Successful": [{"Id": entry["Id"]} for entry in entries],
                                   "Failed": []}).encode()
        if method == "POST":
            return "", self.publish(urllib.parse.parse_qs(body.decode()))
        if "tagging" in target:
            if method == "PUT":
                self.tags[target.split("?")[0]] = body.count(b"<Tag>")
            return "", b"<Tagging><TagSet></TagSet></Tagging>"
        bucket, key = urllib.parse.unquote(target.split("?")[0]).split("/", 2)[1:]
        if method == "PUT" and "x-amz-copy-source" in headers:
            return "", self.copy(bucket, key, headers["x-amz-copy-source"])
        if method == "PUT":
            return "", b""
        if method == "DELETE":
            with self.changed:
                self.ended[key] = time.monotonic()
                self.changed.notify_all()
            return "", b""
        if bucket != self.bucket:
            copied = self.copies.get((bucket, key))
            return ('ETag: "%s"\r\n' % hashlib.md5(copied).hexdigest(), copied) if copied is not None else None
        lines = f'ETag: "{self.etags[key]}"\r\nx-amz-version-id: v1\r\n'
        if target.split("?")[0] in self.tags:
            lines += f"x-amz-tagging-count: {self.tags[target.split('?')[0]]}\r\n"
        if headers.get("range") == "bytes=0-0":
            return lines + f"Content-Range: bytes 0-0/{len(self.objects[key])}\r\n", self.objects[key][:1]
        return lines, self.objects[key]

    def copy(self, bucket, key, source):
        body = self.objects[urllib.parse.unquote(source.split("?")[0]).split("/", 2)[2]]
        self.copies[bucket, key] = body
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        return (f"<CopyObjectResult><ETag>{hashlib.md5(body).hexdigest()}</ETag>"
                f"<ChecksumSHA256>{digest}</ChecksumSHA256></CopyObjectResult>").encode()

    def serve(self, connection):
        stream = connection.makefile("rb", 65536)
        try:
            while True:
                first = stream.readline().decode().split()
                if len(first) < 3:
                    return
                headers = {}
                for line in iter(stream.readline, b"\r\n"):
                    name, value = line.decode("latin-1").split(":", 1)
                    headers[name.lower()] = value.strip()
                body = stream.read(int(headers.get("content-length", 0)))
                answer = self.answer(first[0], first[1], headers, body)
                lines, content = answer if answer else ("", b"")
                head = (f"HTTP/1.1 {'200 OK' if answer else '404 Not Found'}\r\n{lines}"
                        f"Content-Length: {len(content)}\r\n\r\n").encode()
                if first[0] == "HEAD":
                    content = b""
                if len(content) < 65536:
                    connection.sendall(head + content)
                else:
                    connection.sendall(head)
                    connection.sendall(content)
        except (OSError, ValueError):
            pass
        finally:
            self.connections.discard(connection)
            connection.close()
