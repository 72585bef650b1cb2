"""Forwarding of events: syslog over TLS, webhook, Amazon SNS, against small servers of this test."""

import hmac
import http.server
import json
import os
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
import time
import urllib.parse

import harness
from harness import Agent, ConsoleTest

KEY = "a key of at least sixteen bytes"


def run(*command):
    subprocess.run(command, check=True, capture_output=True)


class Authority:
    """Certificates for 127.0.0.1 and for a client, made once."""

    def __init__(self, folder):
        self.folder = folder
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "30", "-subj", "/CN=Test CA", "-keyout", self.path("ca.key"),
            "-out", self.path("ca.pem"))
        for name, san in (("server", "IP:127.0.0.1"), ("client", "DNS:client.test"),
                          ("other", "DNS:other.test")):
            with open(self.path(name + ".ext"), "w", encoding="ascii") as file:
                file.write(f"subjectAltName={san}\n")
            run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", f"/CN={name}", "-keyout", self.path(name + ".key"), "-out",
                self.path(name + ".csr"))
            run("openssl", "x509", "-req", "-in", self.path(name + ".csr"), "-CA",
                self.path("ca.pem"), "-CAkey", self.path("ca.key"), "-CAcreateserial", "-days",
                "30", "-extfile", self.path(name + ".ext"), "-out", self.path(name + ".pem"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def text(self, name):
        return harness.read(self.path(name))

    def context(self, name="server", client=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(name + ".pem"), self.path(name + ".key"))
        if client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.path("ca.pem"))
        return context


class Received:
    """What came, in order; wait() until something is there."""

    def __init__(self):
        self.items = []
        self.changed = threading.Condition()

    def add(self, item):
        with self.changed:
            self.items.append(item)
            self.changed.notify_all()

    def wait(self, enough, seconds=60):
        deadline = time.monotonic() + seconds
        with self.changed:
            while not enough(self.items):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not enough came: {self.items[-5:]}")
                self.changed.wait(left)
            return list(self.items)


class Syslog(Received):
    """Octet counting over TLS."""

    def __init__(self, context, port=0):
        super().__init__()
        self.open = []
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                outer.open.append(self.request.dup())
                try:
                    tls = context.wrap_socket(self.request, server_side=True)
                    data = b""
                    while chunk := tls.recv(65536):
                        data += chunk
                        while b" " in data:
                            length, rest = data.split(b" ", 1)
                            if len(rest) < int(length):
                                break
                            outer.add(rest[:int(length)].decode())
                            data = rest[int(length):]
                except OSError:
                    pass

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in self.open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            connection.close()


class Web(Received):
    """An HTTP server that answers what the test says, 200 by default."""

    def __init__(self, context=None):
        super().__init__()
        self.answers = []  # (status, headers, body) of the next ones
        self.refuse = None  # a text: what holds it is answered 422
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, headers, answer = 200, {}, b""
                if outer.refuse and outer.refuse in body:
                    status = 422
                elif outer.answers:
                    status, headers, answer = outer.answers.pop(0)
                outer.add((status, dict(self.headers), body, self.path))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class ForwardTest(ConsoleTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="yagura-forward-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.authority = Authority(cls.folder.name)
        cls.sns = Web()
        cls.addClassCleanup(cls.sns.close)
        os.environ.update({"AWS_ENDPOINT_URL_SNS": f"http://127.0.0.1:{cls.sns.port}",
                           "AWS_EC2_METADATA_DISABLED": "true"})
        super().setUpClass()
        token = cls.admin.post("/api/v1/tokens", {"name": "t"}, expect=201).json["token"]
        cls.agent = Agent(cls.console, hostname="forwarded")
        cls.agent.activate(token)

    def make(self, name, kind, settings, secret=None, expect=201, **more):
        body = {"name": name, "type": kind, "settings": settings, **more}
        if secret is not None:
            body["secret"] = secret
        made = self.admin.post("/api/v1/destinations", body, expect=expect).json
        if expect == 201:
            self.addCleanup(lambda: self.admin.delete("/api/v1/destinations/" + made["id"]))
        return made.get("id", made)

    def shown(self, made):
        found = self.admin.get("/api/v1/destinations", expect=200).json["destinations"]
        return [one for one in found if one["id"] == made][0]

    def wait_for(self, made, wanted):
        deadline = time.monotonic() + 60
        while not wanted(self.shown(made)):
            self.assertLess(time.monotonic(), deadline, self.shown(made))
            time.sleep(0.1)
        return self.shown(made)

    def kinds(self, messages):
        return [json.loads(message[message.index("{"):])["kind"] for message in messages]

    def test_syslog(self):
        """In order, well formed, with a client certificate; a receiver that was away gets all."""
        receiver = Syslog(self.authority.context(client=True))
        made = self.make("syslog", "syslog",
                         {"host": "127.0.0.1", "port": receiver.port,
                          "authority": self.authority.text("ca.pem")},
                         {"certificate": self.authority.text("client.pem"),
                          "key": self.authority.text("client.key")},
                         filter={"modules": ["syslogged"]})
        self.admin.post(f"/api/v1/destinations/{made}/test", expect=200)
        self.assertEqual(self.kinds(receiver.wait(lambda items: items)), ["test"])
        self.agent.heartbeat([self.agent.event("one", module="syslogged", severity="high",
                                               detail={"text": "日本"}),
                              self.agent.event("none", module="other")])
        message = receiver.wait(lambda items: len(items) == 2)[1]
        head, event = message[:message.index("{")], json.loads(message[message.index("{"):])
        self.assertRegex(head, r"^<131>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z forwarded yagura - "
                               r"one - $")
        self.assertEqual(event["detail"], {"text": "日本"})
        self.assertEqual(event["computer"], self.agent.id)
        receiver.close()
        self.agent.heartbeat([self.agent.event(f"kind{i}", module="syslogged")
                              for i in range(150)])
        self.wait_for(made, lambda one: one["state"] == "failing")
        self.assertTrue(self.shown(made)["problem"])
        self.console.stop()
        self.console.start()
        type(self).admin = self.console.api()
        self.admin.sign_in("admin", harness.PASSWORD)
        self.agent.use(harness.read(self.agent.certificate[0]))
        again = Syslog(self.authority.context(client=True), receiver.port)
        self.addCleanup(again.close)
        wanted = [f"kind{i}" for i in range(150)]
        found = []
        for kind in self.kinds(again.wait(lambda items: len(set(items)) >= 150)):
            if kind not in found:  # at least once
                found.append(kind)
        self.assertEqual(found, wanted)
        one = self.wait_for(made, lambda one: one["state"] == "working" and one["sent"] >= 151)
        self.assertEqual((one["dead"], one["problem"], one["has_secret"]), (0, "", True))
        self.assertNotIn("PRIVATE", json.dumps(one))

    def test_whom_syslog_trusts(self):
        receiver = Syslog(self.authority.context("other"))
        self.addCleanup(receiver.close)
        settings = {"host": "127.0.0.1", "port": receiver.port}
        made = self.make("untrusted", "syslog", settings, enabled=False)
        for more in ({}, {"authority": self.authority.text("ca.pem")}):  # and the wrong name
            self.admin.patch("/api/v1/destinations/" + made, {"settings": {**settings, **more}},
                             expect=204)
            answer = self.admin.post(f"/api/v1/destinations/{made}/test", expect=502)
            self.assertIn("not trusted", answer.json["detail"])
        self.assertEqual(receiver.items, [])
        forbidden = self.make("metadata", "syslog", {"host": "169.254.169.254", "port": 80},
                              enabled=False)
        answer = self.admin.post(f"/api/v1/destinations/{forbidden}/test", expect=502)
        self.assertIn("may not be sent to", answer.json["detail"])

    def test_webhook(self):
        receiver = Web(self.authority.context())
        self.addCleanup(receiver.close)
        made = self.make("hook", "webhook", {"url": f"https://127.0.0.1:{receiver.port}/in?a=b",
                                             "authority": self.authority.text("ca.pem")},
                         {"key": KEY}, filter={"modules": ["hooked"]})
        receiver.answers = [(503, {"Retry-After": "1"}, b""), (307, {"Location": "https://x/"}, b"")]
        receiver.refuse = b'"poison"'
        self.agent.heartbeat([self.agent.event(kind, module="hooked")
                              for kind in ("a", "b", "poison", "c")])
        taken = lambda items: [event["kind"] for status, _, body, _ in items if status == 200
                               for event in json.loads(body)["events"]]
        items = receiver.wait(lambda items: "c" in taken(items))
        self.assertEqual(sorted(set(taken(items))), ["a", "b", "c"])
        for status, headers, body, path in items:
            self.assertEqual(path, "/in?a=b")
            self.assertNotIn("x", headers["Host"])
            mac = hmac.digest(KEY.encode(), headers["X-Yagura-Timestamp"].encode() + b"." + body,
                              "sha256").hex()
            self.assertEqual(headers["X-Yagura-Signature"], "v1=" + mac)
            self.assertLess(abs(time.time() - int(headers["X-Yagura-Timestamp"])), 120)
        one = self.wait_for(made, lambda one: one["sent"] == 3)
        self.assertEqual((one["dead"], one["state"]), (1, "working"))
        letters = self.admin.get(f"/api/v1/destinations/{made}/dead-letters").json["dead_letters"]
        poison = self.admin.get("/api/v1/events?kind=poison").json["events"][0]["number"]
        self.assertEqual([(l["event"], l["reason"]) for l in letters],
                         [(poison, "it answered 422")])
        metrics = self.admin.get("/metrics").body.decode()
        self.assertIn(f'yagura_console_forward_sent_total{{destination="{made}"}} 3', metrics)
        self.assertNotIn(KEY, self.console.dump())
        self.admin.patch("/api/v1/destinations/" + made, {"enabled": False}, expect=204)
        self.assertEqual(self.shown(made)["state"], "disabled")
        for url in ("https://169.254.169.254/latest", "https://[::ffff:169.254.169.254]/",
                    "https://[fe80::1]/"):
            self.admin.patch("/api/v1/destinations/" + made, {"settings": {"url": url}}, expect=204)
            self.admin.post(f"/api/v1/destinations/{made}/test", expect=502)

    def test_sns(self):
        answer = (b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">'
                  b"<PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>")
        arn = "arn:aws:sns:eu-west-1:123456789012:yagura"
        self.sns.answers = [(200, {"Content-Type": "text/xml"}, answer)] * 9
        made = self.make("topic", "sns", {"topic_arn": arn},
                         {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "secret"},
                         filter={"modules": ["published"]})
        self.agent.heartbeat([self.agent.event(kind, module="published") for kind in ("p", "q")])
        items = self.sns.wait(lambda items: len(items) == 2)
        self.wait_for(made, lambda one: one["sent"] == 2)
        for (status, headers, body, _), kind in zip(items, ("p", "q")):
            fields = dict(urllib.parse.parse_qsl(body.decode()))
            self.assertEqual((fields["Action"], fields["TopicArn"]), ("Publish", arn))
            self.assertEqual(json.loads(fields["Message"])["kind"], kind)
            self.assertIn("/eu-west-1/sns/aws4_request", headers["Authorization"])
            self.assertTrue(headers["Authorization"].startswith(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"))
            self.assertIn("severity", fields.values())

    def test_bad_destinations(self):
        for kind, settings, secret, said in (
                ("mail", {}, {}, "type"), ("syslog", {}, {}, "host"),
                ("webhook", {"url": "http://x"}, {"key": KEY}, "url"),
                ("webhook", {"url": "https://x"}, {}, "key"),
                ("sns", {"topic_arn": "x"}, {}, "topic_arn"),
                ("syslog", {"host": "x", "extra": 1}, {}, "extra")):
            answer = self.make("bad", kind, settings, secret, expect=400)
            self.assertIn(said, answer["detail"])
        made = self.admin.post("/api/v1/keys", {"name": "op", "role": "operator"}, expect=201)
        client = self.console.api(made.json["key"])
        client.get("/api/v1/destinations", expect=403)
        self.assertEqual(self.make("x", "syslog", {"host": "x"}, filter={"x": 1}, expect=400)["code"],
                         "bad_body")


if __name__ == "__main__":
    harness.main()
