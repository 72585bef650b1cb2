"""A console that answers as a test says: real TLS, real activation, then whatever is asked for."""
import base64
import contextlib
import json
import os
import socket
import ssl
import subprocess
import threading
import time
import uuid


def openssl(*arguments, **more):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True, **more)




class Connection:
    """One TLS connection, read by hand."""

    def __init__(self, plain, context):
        self.tls = context.wrap_socket(plain, server_side=True)
        self.data = b""

    def read_request(self):
        """Method, path and body; None at the end."""
        while b"\r\n\r\n" not in self.data:
            chunk = self.tls.recv(65536)
            if not chunk:
                return None
            self.data += chunk
        head, self.data = self.data.split(b"\r\n\r\n", 1)
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, value = line.split(b":", 1)
            if name.lower() == b"content-length":
                length = int(value)
        while len(self.data) < length:
            self.data += self.tls.recv(65536)
        body, self.data = self.data[:length], self.data[length:]
        method, path = head.split(b"\r\n")[0].decode().split(" ")[:2]
        return method, path, body

    def answer(self, status, body=b"", **headers):
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.tls.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def close(self):
        with contextlib.suppress(OSError):
            self.tls.shutdown(socket.SHUT_RDWR)
        self.tls.close()


class StandIn:
    """beats: called with a connection and a heartbeat's JSON; it answers, or does worse."""

    def __init__(self, place, names="IP:127.0.0.1", beats=None):
        self.folder = place.folder(f"stand-in-{uuid.uuid4().hex[:8]}")
        self.beats = beats or (lambda connection, beat: connection.answer(200, self.reply(beat)))
        self.leave = lambda connection: connection.answer(204)
        self.times, self.bodies, self.errors = [], [], []
        self.make_certificates(names)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.path("chain.pem"), self.path("server.key"))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.connections = []
        self.ending = False
        threading.Thread(target=self.serve, daemon=True).start()
        place.cleanups.append(self.end)

    def path(self, name):
        return os.path.join(self.folder, name)

    def make_certificates(self, names):
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", "-x509", *curve, "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"),
                "-subj", "/CN=stand-in", "-days", "2",
                "-addext", "keyUsage=critical,keyCertSign")
        openssl("req", *curve, "-keyout", self.path("server.key"), "-out", self.path("server.csr"),
                "-subj", "/CN=server")
        with open(self.path("extensions"), "w", encoding="ascii") as stream:
            stream.write(f"subjectAltName={names}\nextendedKeyUsage=serverAuth\n")
        self.sign("server.csr", "server.pem")
        with open(self.path("chain.pem"), "wb") as chain:
            for name in ("server.pem", "ca.pem"):
                with open(self.path(name), "rb") as stream:
                    chain.write(stream.read())
        openssl("pkey", "-in", self.path("ca.key"), "-pubout", "-outform", "DER", "-out",
                self.path("ca.der"))
        openssl("dgst", "-sha256", "-binary", "-out", self.path("pin"), self.path("ca.der"))
        with open(self.path("pin"), "rb") as stream:
            self.pin = "sha256//" + base64.b64encode(stream.read()).decode()
        openssl("genpkey", "-algorithm", "ed25519", "-out", self.path("signing.key"))
        openssl("pkey", "-in", self.path("signing.key"), "-pubout", "-outform", "DER", "-out",
                self.path("signing.der"))

    def sign(self, request, certificate):
        openssl("x509", "-req", "-in", self.path(request), "-CA", self.path("ca.pem"), "-CAkey",
                self.path("ca.key"), "-CAcreateserial", "-days", "2", "-out",
                self.path(certificate), "-extfile", self.path("extensions"))

    def activation(self, body):
        with open(self.path("agent.csr"), "w", encoding="ascii") as stream:
            stream.write(json.loads(body)["csr"])
        self.sign("agent.csr", "agent.pem")
        with open(self.path("signing.der"), "rb") as stream:
            key = base64.b64encode(stream.read()[-32:]).decode()
        with open(self.path("agent.pem"), encoding="ascii") as stream:
            certificate = stream.read()
        with open(self.path("ca.pem"), encoding="ascii") as stream:
            authority = stream.read()
        return {"agent_id": str(uuid.uuid4()), "certificate": certificate, "authority": authority,
                "signing_key": key, "tenant_id": "", "heartbeat_seconds": 1}

    @staticmethod
    def reply(beat, **changes):
        last = max([event["number"] for event in beat["events"]], default=0)
        return {"server_ms": int(time.time() * 1000), "next_seconds": 1, "policy_digest": "",
                "renew": False, "commands": [],
                "acknowledged": {"epoch": beat["store"]["epoch"], "number": last}, **changes}

    def serve(self):
        while not self.ending:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.talk, args=(plain,), daemon=True).start()

    def talk(self, plain):
        try:
            connection = Connection(plain, self.context)
        except (OSError, ssl.SSLError) as problem:
            self.errors.append(problem)
            plain.close()
            return
        self.connections.append(connection)
        try:
            while request := connection.read_request():
                self.take(connection, *request)
        except (OSError, ssl.SSLError, ValueError) as problem:
            self.errors.append(problem)
        finally:
            connection.close()

    def take(self, connection, method, path, body):
        if path == "/agent/v1/activate":
            connection.answer(201, self.activation(body))
        elif path == "/agent/v1/heartbeat":
            self.times.append(time.monotonic())
            self.bodies.append(json.loads(body))
            self.beats(connection, self.bodies[-1])
        elif path == "/agent/v1/deactivate":
            self.leave(connection)
        else:
            connection.answer(404, {})

    def end(self):
        self.ending = True
        self.listener.close()
        for connection in self.connections:
            connection.close()


class Proxy:
    """An HTTP proxy that knows CONNECT, and whom to let through."""

    def __init__(self, place, authorization=None):
        self.authorization = authorization
        self.heads = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()
        place.cleanups.append(self.listener.close)

    def serve(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.take, args=(near,), daemon=True).start()

    def take(self, near):
        head = b""
        while b"\r\n\r\n" not in head:
            chunk = near.recv(65536)
            if not chunk:
                return
            head += chunk
        text = head.decode()
        self.heads.append(text)
        wanted = f"Proxy-Authorization: Basic {self.authorization}\r\n"
        if self.authorization and wanted not in text:
            near.sendall(b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\n"
                         b"Content-Length: 0\r\n\r\n")
            near.close()
            return
        host, port = text.split(" ")[1].rsplit(":", 1)
        with socket.create_connection((host, int(port))) as far:
            near.sendall(b"HTTP/1.1 200 Go\r\n\r\n")
            back = threading.Thread(target=self.pump, args=(far, near), daemon=True)
            back.start()
            self.pump(near, far)
            back.join()
        near.close()

    @staticmethod
    def pump(source, target):
        try:
            while chunk := source.recv(65536):
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass
