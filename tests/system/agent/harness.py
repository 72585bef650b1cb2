"""Runs the real yagura-agent on directories of its own and asks it through yaguractl.

A test file defines functions whose names begin with test_, and ends with harness.main(). Nothing here
sleeps: `sync` says when all that was done has a committed verdict, readiness comes by sd_notify, and
single events are read from `events --follow`.
"""
import contextlib
import ctypes
import inspect
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback

PROGRAMS = os.environ.get("YAGURA_PROGRAMS", "")
SIGNATURES = os.environ.get("YAGURA_SIGNATURES", "")
SECONDS = float(os.environ.get("YAGURA_TEST_SECONDS", "60"))

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
CLEAN = b"nothing to see here\n"


class Skip(Exception):
    """This machine cannot run the test; the text says why."""


def escaped(path):
    """A path as events show it: common/text's text_escape for the bytes our tests use."""
    shown = []
    for character in os.fsencode(path).decode("utf-8", "surrogateescape"):
        code = ord(character)
        hidden = (code < 32 or 0x7F <= code < 0xA0 or character == "\\" or 0xDC80 <= code <= 0xDCFF
                  or 0x200B <= code <= 0x200F or 0x202A <= code <= 0x202E or 0x2028 <= code <= 0x2029
                  or 0x2060 <= code <= 0x206F or code in (0x61C, 0xFEFF, 0xAD))
        if hidden:
            raw = character.encode("utf-8", "surrogateescape")
            shown.append("".join(f"\\x{byte:02x}" for byte in raw))
        else:
            shown.append(character)
    return "".join(shown)


def libconfig(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dict):
        return "{ " + " ".join(f"{key} = {libconfig(item)};" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "( " + ", ".join(libconfig(item) for item in value) + " )"
    text = os.fsdecode(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def policy_text(values):
    groups = {}
    for key, value in values.items():
        group, name = key.split(".")
        groups.setdefault(group, []).append(f"    {name} = {libconfig(value)};\n")
    return "".join(f"{group} :\n{{\n{''.join(lines)}}};\n" for group, lines in groups.items())


class Place:
    """Folders of one test, removed at its end."""

    def __init__(self):
        # Not below /tmp of the harness' user only: the scanner's user must reach nothing here.
        self.root = tempfile.mkdtemp(prefix="yagura-system-")
        os.chmod(self.root, 0o755)
        self.agents = []
        self.cleanups = []

    def folder(self, name):
        path = os.path.join(self.root, name)
        os.makedirs(path, exist_ok=True)
        return path

    def agent(self, **options):
        agent = Agent(self, **options)
        self.agents.append(agent)
        return agent

    def remove(self):
        for agent in reversed(self.agents):
            agent.end()
        for cleanup in reversed(self.cleanups):
            cleanup()
        shutil.rmtree(self.root, ignore_errors=True)
        if os.path.exists(self.root):
            subprocess.run(["rm", "-rf", "--one-file-system", self.root], check=False)


class Agent:
    """One agent with state of its own, watching one folder."""

    def __init__(self, place, name="agent", databases=None, **policy):
        self.place = place
        self.home = place.folder(name)
        self.state = os.path.join(self.home, "state")
        self.run = os.path.join(self.home, "run")
        self.socket = os.path.join(self.run, "control.sock")
        self.config = os.path.join(self.home, "agent.conf")
        self.policy = os.path.join(self.home, "policy.conf")
        self.log = os.path.join(self.home, "log")
        self.watched = place.folder("watched")
        self.databases = [SIGNATURES] if databases is None else databases
        self.process = None
        self.held = []
        self.environment = {}
        self.values = {
            "watch.paths": [self.watched],
            "watch.crawl_interval": "0s",
            "health.interval": "0s",
            "protection.check_interval": "0s",
            "scan.workers": 2,
            "respond.brake_actions": 0,
            "respond.hold_package_files": False,
        }
        self.set_policy(**policy)
        self.write_config()

    # ---- files it reads ----

    def write_config(self, **changes):
        settings = {
            "state_directory": self.state,
            "runtime_directory": self.run,
            "policy": self.policy,
            "program_directory": PROGRAMS,
            "database_directories": self.databases,
            "scanner_user": "nobody",
        }
        settings.update(changes)
        with open(self.config, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.writelines(f"{key} = {libconfig(value)};\n" for key, value in settings.items())

    def set_policy(self, **changes):
        self.values.update({key.replace("__", "."): value for key, value in changes.items()})
        with open(self.policy, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(policy_text(self.values))

    # ---- its life ----

    def start(self, ready=True, **arguments):
        notify = os.path.join(self.home, "notify")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(notify)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(notify)
            told.settimeout(0.2)
            with open(self.log, "ab") as log:
                self.process = subprocess.Popen(
                    [os.path.join(PROGRAMS, "yagura-agent"), "--config", self.config,
                     "--foreground"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    env={**os.environ, **self.environment, "NOTIFY_SOCKET": notify}, **arguments)
            deadline = time.monotonic() + SECONDS
            while ready:
                self.expect_alive()
                assert time.monotonic() < deadline, f"the agent is not ready: {self.log_end()}"
                with contextlib.suppress(TimeoutError):
                    if b"READY=1" in told.recv(4096):
                        break
        return self

    def expect_alive(self):
        """Otherwise how it ended, and its last words."""
        status = self.process.poll()
        assert status is None, f"the agent ended with {how_it_ended(status)}: {self.log_end(8000)}"

    def wait(self):
        """For its own end: the exit status."""
        return self.process.wait(timeout=SECONDS)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=SECONDS)
        assert status == 0, f"the agent ended with {how_it_ended(status)}: {self.log_end(8000)}"

    def kill(self):
        self.process.kill()
        self.process.wait(timeout=SECONDS)
        self.end_held()

    def end_held(self):
        """A scanner that stands still does not see that its agent is gone."""
        for pid in self.held:
            if command_of(pid).startswith("yagura-scanner") and state_of(pid) == "T":
                os.kill(pid, signal.SIGKILL)
        self.held = []

    def end(self):
        """Whatever state it is in; its children end with it."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.end_held()

    def log_end(self, most=2000):
        with open(self.log, "rb") as stream:
            return stream.read()[-most:].decode("utf-8", "replace")

    def scanner_pids(self):
        """Loader first, then the workers."""
        children = descendants(self.process.pid)
        return [pid for pid in children if command_of(pid).startswith("yagura-scanner")]

    def hold_scanner(self):
        """All its processes stand still, also one that was just being made. Returns them."""
        held = []
        while new := [pid for pid in self.scanner_pids() if pid not in held]:
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
            while any(state_of(pid) not in "TZ" for pid in new):
                os.sched_yield()
            held += new
        self.held += held
        return held

    # ---- asking it ----

    def control(self, *arguments, accept=(0,), seconds=SECONDS):
        result = subprocess.run([os.path.join(PROGRAMS, "yaguractl"), "--socket", self.socket,
                                 *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                                timeout=seconds, check=False)
        assert result.returncode in accept, (
            f"yaguractl {arguments}: exit {result.returncode}: {result.stderr.decode()}"
            f"\n{result.stdout.decode()[-500:]}\nagent: {self.log_end()}")
        return result.stdout.decode("utf-8", "surrogateescape")

    def status(self):
        return json.loads(self.control("--json", "status", accept=(0, 1)))

    def metric(self, name):
        """Without our prefix; with its labels."""
        values = [line.rsplit(" ", 1)[1] for line in self.control("metrics").splitlines() if line.startswith(f"yagura_{name} ")]
        assert len(values) == 1, f"{name}: {values}"
        return float(values[0])

    def sync(self, seconds=SECONDS):
        self.control("sync", "--timeout", f"{int(seconds)}s", seconds=seconds + 5)

    def events(self, kind=None):
        lines = self.control("--json", "events").splitlines()
        events = [json.loads(line) for line in lines]
        return [event for event in events if kind is None or event["kind"] == kind]

    def subjects(self, kind):
        return [event["subject"] for event in self.events(kind)]

    def scan(self, *paths, options=()):
        """Exit status, results and totals of an on-demand scan."""
        result = subprocess.run([os.path.join(PROGRAMS, "yaguractl"), "--socket", self.socket,
                                 "--json", "scan", *options, *paths], stdin=subprocess.DEVNULL,
                                capture_output=True, timeout=SECONDS, check=False)
        lines = [json.loads(line) for line in result.stdout.decode().splitlines()]
        totals = lines[-1].get("totals") if lines else None
        assert totals is not None or result.returncode == 2, (
            f"no totals: exit {result.returncode}, {result.stdout}, {result.stderr}, {self.log_end()}")
        if result.returncode == 2:
            lines.append({"stderr": result.stderr.decode("utf-8", "replace")})
        return result.returncode, lines, totals or {}

    @contextlib.contextmanager
    def following(self):
        follower = subprocess.Popen(
            [os.path.join(PROGRAMS, "yaguractl"), "--socket", self.socket, "--json", "events",
             "--follow"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            yield Follower(follower)
        finally:
            follower.kill()
            follower.wait()
            follower.stdout.close()

    def until(self, holds, what):
        """Asks the status until it holds; the agent's answer paces the loop."""
        deadline = time.monotonic() + SECONDS
        while True:
            status = self.status()
            if holds(status):
                return status
            assert time.monotonic() < deadline, f"not within {SECONDS} s: {what}: {status}"

    # ---- what the tests expect ----

    def expect_found(self, *paths):
        """Every path was reported as malware, exactly these."""
        found = sorted(set(self.subjects("malware_found")))
        wanted = sorted(escaped(path) for path in paths)
        assert found == wanted, f"found {found}, not {wanted}"

    def expect_gone(self, *paths):
        left = [path for path in paths if os.path.lexists(path)]
        assert not left, f"still there: {left}; agent: {self.log_end()}"


class Follower:
    """Reads events as they are committed."""

    def __init__(self, process):
        self.stream = process.stdout
        os.set_blocking(self.stream.fileno(), False)
        self.text = b""

    def wait(self, kind, subject=None):
        import select
        deadline = time.monotonic() + SECONDS
        while True:
            while b"\n" in self.text:
                line, self.text = self.text.split(b"\n", 1)
                event = json.loads(line)
                if event["kind"] == kind and subject in (None, event["subject"]):
                    return event
            left = deadline - time.monotonic()
            assert left > 0, f"no event {kind} {subject or ''} within {SECONDS} s"
            if select.select([self.stream], [], [], left)[0]:
                data = self.stream.read()
                assert data != b"", "the follower ended"
                self.text += data or b""


# ---- processes ----

def command_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="utf-8") as stream:
            return stream.read().strip()
    except OSError:
        return ""


def how_it_ended(status):
    """Of a Popen's returncode."""
    if status >= 0:
        return f"status {status}"
    with contextlib.suppress(ValueError):
        return signal.Signals(-status).name
    return f"signal {-status}"


def state_of(pid):
    """T stopped, Z ended; the kernel's letter."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:
        return stream.read().rpartition(")")[2].split()[0]
    return "Z"


def privileges_of(pid):
    """The lines of /proc/PID/status."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as stream:
        return dict(line.rstrip("\n").split(":\t", 1) for line in stream if ":\t" in line)


def is_sanitized():
    """Then the programs make system calls of their own, and have no filter."""
    with open(os.path.join(PROGRAMS, "yagura-agent"), "rb") as stream:
        program = stream.read()
    return b"__asan_init" in program or b"__tsan_init" in program


def descendants(pid):
    found = []
    for task in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
        with open(f"/proc/{pid}/task/{task}/children", encoding="utf-8") as stream:
            for child in map(int, stream.read().split()):
                found.append(child)
                with contextlib.suppress(OSError):
                    found += descendants(child)
    return found


def own_mounts():
    """From here on this process and its children have mounts of their own."""
    libc = ctypes.CDLL(None, use_errno=True)
    new_namespace = 0x00020000
    if libc.unshare(new_namespace) != 0:
        raise Skip(f"no mount namespace of our own: {os.strerror(ctypes.get_errno())}")
    result = subprocess.run(["mount", "--make-rprivate", "/"], check=False, capture_output=True)
    if result.returncode != 0:
        raise Skip(f"mounts cannot be made private: {result.stderr.decode().strip()}")


def mount_tmpfs(place, path, *options):
    os.makedirs(path, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join(options) or "rw", "tmpfs", path],
                   check=True)
    place.cleanups.append(lambda: subprocess.run(["umount", "-l", path], check=False))


def mount_overlay(place, path, lower=None):
    """Its layers on a file system of their own; lower: what it shows at first."""
    parts = tempfile.mkdtemp(prefix="parts-", dir=place.root)
    mount_tmpfs(place, parts)
    for name in ("lower", "upper", "work"):
        os.mkdir(os.path.join(parts, name))
    os.makedirs(path, exist_ok=True)
    options = f"lowerdir={lower or parts + '/lower'},upperdir={parts}/upper,workdir={parts}/work"
    if subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", path], check=False).returncode:
        raise Skip("no overlayfs here")
    place.cleanups.append(lambda: subprocess.run(["umount", "-l", path], check=False))


# ---- containers ----

CONTAINER = "0123456789abcdef" * 4
LOGIN = 65534

# Does something as a process of a container and of a login, and lives on until it has been looked at.
CONTAINED = """
import sys
group, login, script = sys.argv[1:4]
arguments = sys.argv[4:]
with open(group, "w") as stream:
    stream.write("0")
problem = ""
try:
    with open("/proc/self/loginuid", "w") as stream:
        stream.write(login)
except OSError as error:
    problem = str(error)
exec(script)
print(problem, flush=True)
sys.stdin.read()
"""


def group_hierarchy():
    """Where groups of processes can be made: of version 2, or the one that systemd would use of version 1."""
    found = {}
    with open("/proc/self/mountinfo", encoding="utf-8") as stream:
        for line in stream:
            before, after = line.split(" - ")
            kind = after.split()[0]
            if kind == "cgroup2" or kind == "cgroup" and "name=" in after:
                found[kind] = before.split()[4]
    if not found:
        raise Skip("no control groups are mounted")
    return found.get("cgroup2") or found["cgroup"]


def remove_groups(*folders):
    """What has just ended is still in them."""
    deadline = time.monotonic() + SECONDS
    for folder in folders:
        while True:
            try:
                os.rmdir(folder)
                break
            except OSError:
                assert time.monotonic() < deadline, f"{folder} cannot be removed"
                os.sched_yield()


@contextlib.contextmanager
def contained(script, *arguments):
    """A process of CONTAINER and LOGIN that has run the script. Gives why its login could not be set, or ""."""
    parent = os.path.join(group_hierarchy(), f"yagura-test-{os.getpid()}")
    group = os.path.join(parent, f"docker-{CONTAINER}.scope")
    try:
        os.makedirs(group)
    except OSError as error:
        raise Skip(f"no control group can be made: {error}") from error
    child = subprocess.Popen([sys.executable, "-c", CONTAINED, os.path.join(group, "cgroup.procs"), str(LOGIN), script, *arguments],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        said = child.stdout.readline().decode()
        assert said.endswith("\n"), "the contained process ended"
        yield said.strip()
    finally:
        child.communicate()
        remove_groups(group, parent)
    assert child.returncode == 0, child.returncode


def expect_contained(process, problem):
    """What is told of it. problem: contained() gave it."""
    assert process["container"] == CONTAINER, process
    if problem:
        assert "login_uid" not in process or process["login_uid"] != LOGIN, process
        raise Skip(f"the container is told, but no login can be set here: {problem}")
    assert process["login_uid"] == LOGIN and process["login_user"] == "nobody", process


# ---- time ----

class Clock:
    """The wall clock of an agent, by a library that is preloaded (tests/system/console/fake_clock.c)."""

    def __init__(self, place, agent):
        library = os.environ.get("YAGURA_FAKE_CLOCK")
        if not library:
            raise Skip("YAGURA_FAKE_CLOCK is not set")
        self.path = put(os.path.join(place.root, "clock"), bytes(16))
        agent.environment = {"LD_PRELOAD": library, "YAGURA_TEST_CLOCK": self.path,
                             "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def set_ahead(self, seconds):
        with open(self.path, "r+b") as stream:
            stream.write(struct.pack("=qq", seconds * 10**9, 0))


# ---- files ----

def put(path, content):
    with open(path, "wb") as stream:
        stream.write(content)
    return path


# ---- running ----

def run_case(case):
    place = Place()
    try:
        case(*([place] if inspect.signature(case).parameters else []))
    finally:
        place.remove()


def main():
    module = sys.modules["__main__"]
    cases = [(name, case) for name, case in vars(module).items()
             if name.startswith("test_") and callable(case)]
    wanted = sys.argv[1:]
    if not PROGRAMS or not os.path.exists(os.path.join(PROGRAMS, "yagura-agent")):
        sys.exit("YAGURA_PROGRAMS must name the folder of yagura-agent")
    if os.geteuid() != 0:
        print("SKIPPED: needs root (the agent's own privileges)", flush=True)
        print(f"0 passed, 0 failed, {len(cases)} skipped")
        sys.exit(77)
    counts = {"ok": 0, "FAILED": 0, "SKIPPED": 0}
    for name, case in cases:
        if wanted and name not in wanted:
            continue
        begin = time.monotonic()
        try:
            run_case(case)
            result, text = "ok", ""
        except Skip as reason:
            result, text = "SKIPPED", f": {reason}"
        except Exception:  # pylint: disable=broad-except
            result, text = "FAILED", "\n" + traceback.format_exc()
        counts[result] += 1
        print(f"{result} {name} ({time.monotonic() - begin:.1f} s){text}", flush=True)
    print(f"{counts['ok']} passed, {counts['FAILED']} failed, {counts['SKIPPED']} skipped")
    sys.exit(1 if counts["FAILED"] else 0)
