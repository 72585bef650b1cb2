"""S3, SQS and SNS in memory, as fast as Python is: for measuring what stands before them.

Objects are given out whole; tags are taken and forgotten; each event is handed out once and the
moment is noted, as is that of its result.
"""
import hashlib
import json
import socket
import threading
import time
import urllib.parse

REGION = "eu-west-1"


class FastAws:
    """Use it with `with`. objects: {key: bytes}."""

    def __init__(self, objects, bucket="bench"):
        self.objects, self.bucket = objects, bucket
        self.etags = {key: hashlib.md5(body).hexdigest() for key, body in objects.items()}
        self.events, self.at_once = [], 10
        self.handed, self.told = {}, {}
        self.deleted = 0
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

    def message(self, key):
        body = json.dumps({"Records": [{
            "eventSource": "aws:s3", "awsRegion": REGION, "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": self.bucket}, "object": {
                "key": urllib.parse.quote_plus(key), "eTag": self.etags[key], "versionId": "v1",
                "size": len(self.objects[key])}}}]})
        return {"MessageId": key, "ReceiptHandle": key, "Body": body,
                "Attributes": {"ApproximateReceiveCount": "1"}}

    def receive(self, request):
        most = min(request.get("MaxNumberOfMessages", 1), self.at_once)
        with self.changed:
            self.changed.wait_for(lambda: self.events or self.over, request["WaitTimeSeconds"])
            taken, self.events = self.events[:most], self.events[most:]
            now = time.monotonic()
            for key in taken:
                self.handed[key] = now
        return {"Messages": [self.message(key) for key in taken]}

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
            now = time.monotonic()
            key = json.loads(urllib.parse.parse_qs(body.decode())["Message"][0])["file_name"]
            with self.changed:
                self.told[key] = now
                self.changed.notify_all()
            return "", b"<PublishResponse/>"
        if "tagging" in target:
            return "", b"<Tagging><TagSet></TagSet></Tagging>"
        key = urllib.parse.unquote(target.split("?")[0]).split("/", 2)[2]
        return f'ETag: "{self.etags[key]}"\r\nx-amz-version-id: v1\r\n', self.objects[key]

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
                lines, content = self.answer(first[0], first[1], headers, body)
                head = f"HTTP/1.1 200 OK\r\n{lines}Content-Length: {len(content)}\r\n\r\n".encode()
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
