"""A real yagura-console in a folder of its own, on ports of its own, for one test program."""

import glob
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid

sys.path.append(os.path.dirname(os.path.abspath(__file__)))  # also for those who load this by its path
import contract  # noqa: E402

BIN = os.environ.get("YAGURA_BIN", "build/debug/bin")
PASSWORD = "correct horse battery"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def until(condition, seconds=60):
    """Asks again until it is so."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError("it did not come to be")
        time.sleep(0.05)
    return value


class Postgres:
    """A PostgreSQL server of this test's own, on a Unix socket. Skips the tests without the
    programs."""

    def __init__(self):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
        if not found:
            raise unittest.SkipTest("PostgreSQL's programs are not installed (postgresql)")
        self.bin = os.path.dirname(found[-1])
        self.folder = tempfile.mkdtemp(prefix="yagura-postgres-")
        self.as_user = []
        if os.getuid() == 0:  # the server refuses to be root
            try:
                user = pwd.getpwnam("postgres")
            except KeyError:
                raise unittest.SkipTest("there is no user postgres") from None
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            self.as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        data = self.folder + "/data"
        subprocess.run([*self.as_user, self.bin + "/initdb", "-A", "trust", "-U", "yagura", "-E",
                        "UTF8", "--locale=C", "-N", "-D", data], check=True, capture_output=True,
                       cwd=self.folder)
        self.process = subprocess.Popen(
            [*self.as_user, self.bin + "/postgres", "-D", data, "-k", self.folder, "-c",
             "listen_addresses=", "-c", "max_connections=60"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            cwd=self.folder)
        for line in self.process.stderr:
            if "ready to accept connections" in line:
                break
        self.reader = threading.Thread(target=self.process.stderr.read, daemon=True)
        self.reader.start()
        self.names = 0

    def database(self):
        """The URL of a new, empty database."""
        self.names += 1
        name = f"test{self.names}"
        subprocess.run([self.bin + "/createdb", "-h", self.folder, "-U", "yagura", name], check=True)
        return f"postgresql:///{name}?host={self.folder}&user=yagura"

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=60)
        self.reader.join()
        self.process.stderr.close()
        shutil.rmtree(self.folder)


_postgres = None


def postgres():
    """The one server of this program."""
    global _postgres
    if _postgres is None:
        _postgres = Postgres()
    return _postgres


def stop_postgres():
    global _postgres
    if _postgres:
        _postgres.stop()
        _postgres = None


class Console:
    """Starts on entering, stops on leaving. settings: more libconfig text; agents: more of the
    group of that name."""

    def __init__(self, settings="", password="first one-time password", database=None, agents="",
                 agents_address="127.0.0.1", environment=None):
        self.database = database
        self.agents = agents
        self.agents_address = agents_address
        if not database and os.environ.get("YAGURA_TEST_DATABASE") == "postgresql":
            self.database = postgres().database()
        self.folder = tempfile.mkdtemp(prefix="yagura-console-")
        self.password = password
        self.data = os.path.join(self.folder, "data")
        self.config = os.path.join(self.folder, "console.conf")
        self.settings = settings
        self.environment = environment or {}
        self.process = None
        self.log = []
        self.stdout = ""

    def __enter__(self):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(
                f'data = "{self.data}";\nnames = ("console.test");\n'
                f'agents = {{ address = "{self.agents_address}"; port = 0; {self.agents}}};\n'
                'people = { address = "127.0.0.1"; port = 0; };\n' + self.settings
            )
            if self.database:
                file.write(f'database = "{self.database}";\n')
        self.password_file = os.path.join(self.folder, "password")
        if self.password:
            with open(self.password_file, "w", encoding="utf-8") as file:
                file.write(self.password + "\n")
        self.start()
        return self

    def start(self):
        env = {"PATH": os.environ["PATH"]}
        if self.password:
            env["YAGURA_CONSOLE_PASSWORD_FILE"] = self.password_file
        env.update(self.environment)
        for name in os.environ:
            if name.startswith("AWS_") or name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"):
                env[name] = os.environ[name] + (":" + env[name] if name in env else "")
        self.process = subprocess.Popen(
            [os.path.join(BIN, "yagura-console"), "--config", self.config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
        )
        for line in self.process.stderr:
            self.log.append(line)
            if "console_ready" in line:
                found = dict(re.findall(r"(\w+)=(\S+)", line))
                self.agents_port = int(found["agents_port"])
                self.people_port = int(found["people_port"])
                self.pin = found["pin"].strip('"')
                break
        else:
            self.process.wait()
            raise RuntimeError("the console did not start:\n" + "".join(self.log))
        self.reader = threading.Thread(target=self._read_log, args=(self.process,), daemon=True)
        self.reader.start()

    def _read_log(self, process):
        for line in process.stderr:
            self.log.append(line)

    def stop(self, number=signal.SIGTERM):
        self.process.send_signal(number)
        code = self.process.wait(timeout=60)
        self.reader.join()
        self.stdout += self.process.stdout.read()
        self.process.stdout.close()
        self.process.stderr.close()
        return code

    def __exit__(self, kind, value, trace):
        code = 0
        if self.process and self.process.poll() is None:
            code = self.stop()
        if kind or code:
            sys.stderr.write("".join(self.log))
        shutil.rmtree(self.folder)
        if not kind and code:
            raise RuntimeError(f"the console ended with {code}")

    def run(self, *arguments):
        return subprocess.run(
            [os.path.join(BIN, "yagura-console"), "--config", self.config, *arguments],
            capture_output=True, text=True, check=False, timeout=120,
        )

    def query(self, text):
        """Rows of the console's database, every value as text."""
        if self.database:
            done = subprocess.run(
                [postgres().bin + "/psql", "-X", "-q", "-A", "-t", "-F", "\t", "-c", text,
                 self.database], capture_output=True, text=True, check=True)
            return [line.split("\t") for line in done.stdout.splitlines()]
        with sqlite3.connect(self.data + "/console.db", timeout=20) as database:
            rows = [[str(value) for value in row] for row in database.execute(text)]
        database.close()
        return rows

    def dump(self):
        """The whole content as text."""
        if self.database:
            return subprocess.run([postgres().bin + "/pg_dump", self.database],
                                  capture_output=True, text=True, check=True).stdout
        with sqlite3.connect(self.data + "/console.db") as database:
            text = "\n".join(database.iterdump())
        database.close()
        return text

    @property
    def authority(self):
        return os.path.join(self.data, "authority.crt")

    def context(self, certificate=None):
        context = ssl.create_default_context(cafile=self.authority)
        if certificate:
            context.load_cert_chain(*certificate)
        return context

    def raw(self, data, port=None, timeout=20, certificate=None):
        """Sends bytes, reads until the console closes or the answers stop; the whole text."""
        with socket.create_connection(("127.0.0.1", port or self.people_port), timeout) as plain:
            with self.context(certificate).wrap_socket(plain, server_hostname="127.0.0.1") as tls:
                tls.sendall(data)
                tls.settimeout(timeout)
                received = b""
                while True:
                    try:
                        chunk = tls.recv(65536)
                    except (ConnectionResetError, ssl.SSLEOFError):
                        break
                    if not chunk:
                        break
                    received += chunk
                return received

    def api(self, key=None, **arguments):
        return Client(self, self.people_port, key=key, **arguments)

    def administrator(self):
        """A signed-in client whose one-time password is changed."""
        client = self.api()
        client.sign_in("admin", "first one-time password")
        client.put("/api/v1/session/password",
                   {"old": "first one-time password", "new": PASSWORD}, expect=204)
        client.sign_in("admin", PASSWORD)
        return client


class FixedConsole(Console):
    """Comes back on its ports, and lets any number activate at once."""

    def start(self):
        if not self.process:
            with socket.create_server(("127.0.0.1", 0)) as one, \
                    socket.create_server(("127.0.0.1", 0)) as other:
                ports = [one.getsockname()[1], other.getsockname()[1]]
            with open(self.config, encoding="utf-8") as file:
                text = file.read()
            text = text.replace("port = 0;",
                                f"port = {ports[0]}; activations_per_second = 100000;", 1)
            text = text.replace("port = 0;", f"port = {ports[1]};", 1)
            with open(self.config, "w", encoding="utf-8") as file:
                file.write(text)
        super().start()


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"


class Client:
    """One keep-alive connection."""

    def __init__(self, console, port, key=None, certificate=None):
        self.connection = http.client.HTTPSConnection(
            "127.0.0.1", port, context=console.context(certificate), timeout=60)
        self.headers = {"Authorization": "Bearer " + key} if key else {}

    def request(self, method, path, body=None, expect=None, **headers):
        fields = dict(self.headers)
        fields.update({name.replace("_", "-"): value for name, value in headers.items()})
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            fields.setdefault("Content-Type", "application/json")
        elif method in ("POST", "PUT", "PATCH"):
            data = b""
        try:
            self.connection.request(method, path, data, fields)
            answer = Answer(self.connection.getresponse())
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError,
                ssl.SSLEOFError):
            self.connection.close()
            self.connection.request(method, path, data, fields)
            answer = Answer(self.connection.getresponse())
        if expect is not None and answer.status != expect:
            raise AssertionError(f"{method} {path}: {answer!r}, not {expect}")
        contract.check(method, path, data, answer)
        return answer

    def get(self, path, **more):
        return self.request("GET", path, None, **more)

    def post(self, path, body=None, **more):
        return self.request("POST", path, body, **more)

    def put(self, path, body=None, **more):
        return self.request("PUT", path, body, **more)

    def patch(self, path, body=None, **more):
        return self.request("PATCH", path, body, **more)

    def delete(self, path, **more):
        return self.request("DELETE", path, None, **more)

    def sign_in(self, name, password):
        self.headers = {}
        answer = self.post("/api/v1/session", {"name": name, "password": password}, expect=201)
        cookie = answer.headers["Set-Cookie"].split(";")[0]
        self.headers = {"Cookie": cookie, "X-CSRF-Token": answer.json["csrf_token"]}
        return answer

    def close(self):
        self.connection.close()


class Agent:
    """What a yagura-messenger does, by hand."""

    def __init__(self, console, machine=None, hostname="host.test"):
        self.console = console
        self.folder = tempfile.mkdtemp(prefix="agent-", dir=console.folder)
        self.machine = machine or uuid.uuid4().hex
        self.hostname = hostname
        self.instance = ""
        self.session = str(uuid.uuid4())
        self.epoch = str(uuid.uuid4())
        self.certificate = None
        self.client = None
        self.number = 0
        self.heard_ms = 0
        self.id = None

    def path(self, name):
        return os.path.join(self.folder, name)

    def make_request(self, name="key.pem", algorithm=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        subprocess.run(
            ["openssl", "req", "-new", "-newkey", *algorithm, "-nodes", "-keyout", self.path(name),
             "-subj", "/CN=whatever", "-out", self.path("request.pem")],
            check=True, capture_output=True)
        with open(self.path("request.pem"), encoding="ascii") as file:
            return file.read()

    def host(self):
        host = {"hostname": self.hostname, "machine_id": self.machine, "boot_id": "boot",
                "os": "Test 1", "agent_version": "0.1.0"}
        if self.instance:
            host["instance_id"] = self.instance
        return host

    def activate(self, token, expect=201, csr=None, **more):
        client = Client(self.console, self.console.agents_port, certificate=self.certificate)
        csr = csr or self.make_request("new.pem")
        answer = client.post("/agent/v1/activate", {
            "protocol": 1, "token": token, "csr": csr, "session": self.session,
            "host": self.host(), **more}, expect=expect)
        client.close()
        if answer.status == 201:
            os.rename(self.path("new.pem"), self.path("key.pem"))
            self.use(answer.json["certificate"])
            self.id = answer.json["agent_id"]
        return answer

    def use(self, certificate):
        with open(self.path("certificate.pem"), "w", encoding="ascii") as file:
            file.write(certificate)
        self.certificate = (self.path("certificate.pem"), self.path("key.pem"))
        if self.client:
            self.client.close()
        self.client = Client(self.console, self.console.agents_port, certificate=self.certificate)

    def event(self, kind="malware_found", severity="critical", module="malware", **more):
        self.number += 1
        return {"number": self.number, "id": str(uuid.uuid4()),
                "time_ms": int(time.time() * 1000), "module": module, "kind": kind,
                "severity": severity, "subject": f"/srv/{self.number}", "detail": {}, **more}

    def body(self, events=(), results=(), dropped=0, **more):
        return {"protocol": 1, "session": self.session, "host": self.host(),
                "policy": {"digest": "", "problem": ""},
                "store": {"epoch": self.epoch, "dropped": dropped},
                "facts": {}, "events": list(events), "results": list(results), **more}

    def heartbeat(self, events=(), expect=200, **more):
        self.heard_ms = int(time.time() * 1000)
        return self.client.post("/agent/v1/heartbeat", self.body(events, **more), expect=expect)


class ConsoleTest(unittest.TestCase):
    """One console for all tests of a class."""

    settings = agents = ""

    @classmethod
    def setUpClass(cls):
        cls.console = Console(cls.settings, agents=cls.agents)
        cls.console.__enter__()
        cls.addClassCleanup(cls.console.__exit__, None, None, None)
        cls.admin = cls.console.administrator()

    def token(self, **more):
        return self.admin.post("/api/v1/tokens", {"name": "test", **more}, expect=201).json["token"]

    def agent(self, **more):
        agent = Agent(self.console, **more)
        agent.activate(self.token())
        return agent

    def set_last_seen(self, agent, ms):
        """When it was last seen is written behind: not over this."""
        of = f"FROM computers WHERE id = '{agent.id}'"
        until(lambda: int(self.console.query(f"SELECT last_seen_ms {of}")[0][0]) >= agent.heard_ms)
        self.console.query(f"UPDATE computers SET last_seen_ms = {ms} WHERE id = '{agent.id}'")
        agent.heard_ms = 0

    def set_offline(self, agent):
        """As if it had been silent for long."""
        self.set_last_seen(agent, 1)


def main():
    program = unittest.main(exit=False, verbosity=2, warnings="ignore")
    result = program.result
    stop_postgres()
    failed = len(result.failures) + len(result.errors)
    skipped = len(result.skipped)
    print(f"{result.testsRun - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)
