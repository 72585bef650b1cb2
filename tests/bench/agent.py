"""The product, driven only as its users drive it: yagura-agent with a configuration file, and yaguractl."""

import json
import os
import pwd
import signal
import subprocess
import time

from machine import BenchError, command_name, process_tree, read_file, wait_until
from peers import Detections


class Product:
    """Where the built programs are."""

    def __init__(self, machine, build):
        self.machine = machine
        self.programs = os.path.join(build, "bin")

    def program(self, name):
        path = os.path.join(self.programs, name)
        if not os.access(path, os.X_OK):
            raise BenchError(f"{path} is not built")
        return path

    def version(self):
        try:
            result = subprocess.run([self.program("yaguractl"), "--version"], capture_output=True,
                                    text=True, timeout=10, check=False)
        except (BenchError, OSError):
            return "not built"
        return result.stdout.strip() or "unknown"

    def agent(self, database, watched, **policy):
        return Agent(self, database, watched, policy)


def unprivileged_user():
    """The scanner's own user where the product is installed, any other that owns nothing of the run elsewhere."""
    for name in ("yagura-scanner", "clamav", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise BenchError("no user for the scanner: want yagura-scanner, clamav or nobody")


def policy_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "( " + ", ".join(json.dumps(str(item)) for item in value) + " )"
    return json.dumps(value)


def policy_text(values):
    """libconfig text: {"watch.paths": [...]} becomes watch : { paths = ( ... ); };"""
    groups = {}
    for key, value in values.items():
        group, name = key.split(".")
        groups.setdefault(group, []).append(f"    {name} = {policy_value(value)};")
    return "".join(f"{group} :\n{{\n" + "\n".join(lines) + "\n};\n" for group, lines in
                   sorted(groups.items()))


class Agent:
    """One agent with state of its own."""

    # What every benchmark wants unless it says otherwise: nothing held back, nothing in the background.
    POLICY = {
        "watch.crawl_interval": "0s",
        "scan.workers": 2,
        "scan.rescan_on_update": False,
        "scan.max_file_size": "25M",
        "scan.max_scan_size": "100M",
        "scan.max_recursion": 16,
        "scan.max_time": "120s",
        "scan.reload": "overlap",
        "respond.action": "pass",
        "respond.brake_actions": 0,
        "respond.hold_package_files": False,
        "agent.scanner_nice": 0,
    }

    def __init__(self, product, database, watched, policy):
        self.product = product
        self.machine = product.machine
        self.folder = self.machine.new_folder("agent")
        self.socket = os.path.join(self.folder, "control.sock")
        self.config = os.path.join(self.folder, "agent.conf")
        self.log = os.path.join(self.folder, "log")
        self.process = None
        self.follower = None
        self.stamp = None
        self.detections = None
        values = dict(self.POLICY)
        values["watch.paths"] = watched
        for key, value in policy.items():
            values[key.replace("__", ".")] = value
        self.write_configuration(database, values)

    def write_configuration(self, database, values):
        policy = os.path.join(self.folder, "bench.conf")
        with open(policy, "w", encoding="utf-8") as stream:
            stream.write(policy_text(values))
        state = os.path.join(self.folder, "state")
        settings = {
            "state_directory": os.path.join(self.folder, "state"),
            "runtime_directory": os.path.join(self.folder, "run"),
            "control_socket": self.socket,
            "policy": policy,
            "program_directory": self.product.programs,
            "database_directories": [database],
            "scanner_user": unprivileged_user(),
            "log_level": "warning",
        }
        with open(self.config, "w", encoding="utf-8") as stream:
            stream.writelines(f"{key} = {policy_value(value)};\n" for key, value in settings.items())

    def start(self, wrapper=(), seconds=240):
        """Until the engine is loaded and the directories are watched; answers the seconds it took."""
        begin = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = self.machine.start(
                [*wrapper, self.product.program("yagura-agent"), "--config", self.config,
                 "--foreground"], stdout=log, stderr=log)
        wait_until(self.is_ready, seconds, "yagura-agent's engine and watches", 0.1)
        return time.monotonic() - begin

    def start_watching(self, seconds=240):
        """Until the first walk is done, as the agent itself says it: `sync` answers then. Seconds from exec."""
        begin = time.monotonic()
        with open(self.log, "ab") as log:
            self.process = self.machine.start(
                [self.product.program("yagura-agent"), "--config", self.config, "--foreground"],
                stdout=log, stderr=log)
        wait_until(lambda: os.path.exists(self.socket), seconds, "yagura-agent's socket", 0.005)
        self.control("sync")
        took = time.monotonic() - begin
        wait_until(self.is_ready, seconds, "yagura-agent's engine and watches", 0.1)
        return took

    def log_end(self):
        return read_file(self.log)[-600:].strip()

    def is_ready(self):
        if self.process.poll() is not None:
            raise BenchError(f"yagura-agent ended with {self.process.returncode}: {self.log_end()}")
        status = self.status()
        return status is not None and self.engine_ready(status) and self.watch_ready(status)

    @staticmethod
    def engine_ready(status):
        return status.get("scanner", {}).get("state") == "ready"

    @staticmethod
    def watch_ready(status):
        return status.get("watch", {}).get("state") == "watching"

    def control(self, *arguments, seconds=600, accept=(0,)):
        result = subprocess.run([self.product.program("yaguractl"), "--socket", self.socket,
                                 *map(str, arguments)], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, errors="replace", timeout=seconds,
                                check=False)
        if result.returncode not in accept:
            raise BenchError(f"yaguractl {' '.join(map(str, arguments))}: exit {result.returncode}: "
                             f"{result.stderr.strip()[-300:]}")
        return result.stdout

    def status(self):
        try:
            return json.loads(self.control("status", "--json", seconds=30, accept=(0, 1)))
        except (BenchError, ValueError):
            return None

    def sync(self, seconds=300):
        """Until everything that happened before has a verdict; answers the seconds it took."""
        begin = time.monotonic()
        try:
            self.control("sync", seconds=seconds)
        except subprocess.TimeoutExpired as error:
            raise BenchError(f"yaguractl sync: not within {seconds} s") from error
        return time.monotonic() - begin

    def events(self, *filters):
        output = self.control("events", "--json", *filters)
        return [json.loads(line) for line in output.splitlines() if line]

    def scan(self, path, *options, seconds=1800):
        begin = time.monotonic()
        output = self.control("scan", "--json", *options, path, seconds=seconds, accept=(0, 1, 2))
        wall = time.monotonic() - begin
        return wall, json.loads(output.splitlines()[-1])["totals"]

    def follow(self, kinds=("malware_found",)):
        """Stamps every event of these kinds as it becomes readable, that is, once it is committed."""
        wanted = set(kinds)

        def path_of(text):
            try:
                event = json.loads(text)
            except ValueError:
                return None
            if event.get("kind") not in wanted:
                return None
            return event["subject"].encode(), None

        self.follower = self.machine.start(
            [self.product.program("yaguractl"), "--socket", self.socket, "events", "--json",
             "--follow"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.stamp = self.machine.start([self.machine.tool("stamp")], stdin=self.follower.stdout,
                                        stdout=subprocess.PIPE)
        self.follower.stdout.close()
        self.detections = Detections(self.stamp.stdout, path_of)

    def pids(self):
        return process_tree(self.process.pid)

    def scanner_pids(self):
        return [pid for pid in self.pids() if command_name(pid).startswith("yagura-scanner")]

    def pause(self):
        """The root process stops reading: what the kernel cannot queue is lost to it."""
        os.kill(self.root_pid(), signal.SIGSTOP)

    def resume(self):
        os.kill(self.root_pid(), signal.SIGCONT)

    def root_pid(self):
        for pid in self.pids():
            if command_name(pid) == "yagura-agent":
                return pid
        raise BenchError("yagura-agent is gone")

    def stop(self):
        self.machine.stop(self.follower, 5)
        self.machine.stop(self.stamp, 5)
        self.machine.stop(self.process)
        self.process = None
