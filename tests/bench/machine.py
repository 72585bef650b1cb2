"""Processes, temporary folders and measurements. Owns every process and file of a run: whatever ends the
run, stop_all() ends what was started, by its id, and the temporary folder is removed."""

import ctypes
import json
import os
import platform
import shutil
import signal
import subprocess
import tempfile
import time

PR_SET_CHILD_SUBREAPER = 36
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """A benchmark that could not be carried out; the message says why."""


def read_file(path, default=""):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return default


def stat_fields(pid):
    """Fields of /proc/PID/stat after the name, the state being field 0; None when it is gone."""
    text = read_file(f"/proc/{pid}/stat")
    if ")" not in text:
        return None
    return text.rsplit(")", 1)[1].split()


def process_tree(root):
    """The process and all below it."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            fields = stat_fields(name)
            if fields and fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(name))
    tree = [root]
    for pid in tree:
        tree.extend(children.get(pid, []))
    return tree


def command_name(pid):
    return read_file(f"/proc/{pid}/comm").strip()


def cpu_seconds(pids):
    """User and system time of these processes, without their ended children."""
    total = 0
    for pid in pids:
        fields = stat_fields(pid)
        if fields:
            total += int(fields[11]) + int(fields[12])
    return total / CLOCK_TICKS


def wait_until(condition, seconds, what, pause=0.02):
    """Polls until condition() is true; its value is returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise BenchError(f"{what}: not within {seconds:g} s")
        time.sleep(pause)


def percentile(values, percent):
    ordered = sorted(values)
    if not ordered:
        return float("nan")
    rank = max(1, -(-len(ordered) * percent // 100))
    return ordered[int(rank) - 1]


class Machine:
    """The run's temporary folder, tools and processes."""

    def __init__(self, tools, cache, temporary=None, keep=False):
        self.tools = tools
        self.keep = keep
        self.processes = []
        self.folder = tempfile.mkdtemp(prefix="yagura-bench-", dir=temporary)
        os.chmod(self.folder, 0o711)  # daemons with users of their own must get through
        self.cache = cache or os.path.join(self.folder, "cache")
        os.makedirs(self.cache, exist_ok=True)
        self.serial = 0
        self.databases = {}
        # Children that a daemon leaves behind become ours and can be ended by their id.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)

    def new_folder(self, name, mode=0o711):
        self.serial += 1
        path = os.path.join(self.folder, f"{self.serial}-{name}")
        os.mkdir(path)
        os.chmod(path, mode)
        return path

    def tool(self, name):
        return os.path.join(self.tools, name)

    def run_tool(self, name, *arguments, timeout=900):
        result = subprocess.run([self.tool(name), *map(str, arguments)], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=timeout, check=False)
        if result.returncode != 0:
            raise BenchError(f"{name} {' '.join(map(str, arguments))}: {result.stderr.strip()}")
        return result.stdout

    def measure_tool(self, name, *arguments, timeout=900):
        return json.loads(self.run_tool(name, *arguments, timeout=timeout))

    def start(self, arguments, **options):
        """A process in a session of its own; ended by stop() or at the end of the run."""
        options.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(arguments, start_new_session=True, **options)
        self.processes.append(process)
        return process

    def stop(self, process, seconds=20):
        """SIGTERM, then SIGKILL for it and whatever it started."""
        if process is None:
            return
        tree = process_tree(process.pid) if process.poll() is None else []
        if process.poll() is None:
            process.send_signal(signal.SIGCONT)
            process.terminate()
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in tree[1:]:
            self.kill_left_over(pid)
        if process in self.processes:
            self.processes.remove(process)

    def kill_left_over(self, pid):
        """A descendant that outlived its daemon was adopted by us: only then may it be killed."""
        fields = stat_fields(pid)
        if fields is None or int(fields[1]) != os.getpid():
            return
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass

    def stop_all(self):
        for process in list(self.processes):
            self.stop(process, 5)
        for pid in process_tree(os.getpid())[1:]:
            self.kill_left_over(pid)
        if not self.keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    def pss(self, pid):
        return self.measure_tool("pss", pid)

    def start_pss_sampling(self, pid, every_ms=100):
        return self.start([self.tool("pss"), "--every", str(every_ms), str(pid)],
                          stdout=subprocess.PIPE, text=True)

    def end_pss_sampling(self, sampler):
        sampler.terminate()
        text, _ = sampler.communicate(timeout=60)
        self.processes.remove(sampler)
        return json.loads(text)

    # Databases and files to scan

    def cached_database(self, profile):
        """Generated once a cache folder."""
        path = os.path.join(self.cache, f"database-{profile}-1")
        if not os.path.isdir(path):
            unfinished = f"{path}.{os.getpid()}"
            self.run_tool("signature_generator", "--profile", profile, "--seed", 1, unfinished)
            os.rename(unfinished, path)
        return path

    def own_database(self, profile):
        """A folder that any user can read and that may be changed: links, so that it costs no space."""
        source = self.cached_database(profile)
        folder = self.new_folder(f"database-{profile}", 0o755)
        for name in os.listdir(source):
            try:
                os.link(os.path.join(source, name), os.path.join(folder, name))
            except OSError:  # another file system
                shutil.copyfile(os.path.join(source, name), os.path.join(folder, name))
        return folder

    def database(self, profile):
        """One that nobody changes, the same for all of this run."""
        if profile not in self.databases:
            self.databases[profile] = self.own_database(profile)
        return self.databases[profile]

    def corpus(self, files, directories, *more):
        """A generated tree and the list of its files."""
        folder = self.new_folder("corpus", 0o755)
        tree = os.path.join(folder, "tree")
        files_list = os.path.join(folder, "list")
        self.run_tool("corpus_generator", "--files", files, "--directories", directories,
                      "--list", files_list, *more, tree)
        os.sync()
        return tree, files_list


def drop_tree(path):
    shutil.rmtree(path, ignore_errors=True)


def command_version(*arguments):
    try:
        result = subprocess.run(arguments, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "absent"
    lines = (result.stdout + result.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"


def describe():
    """What the figures depend on."""
    model = [line.split(":", 1)[1].strip() for line in read_file("/proc/cpuinfo").splitlines()
             if line.startswith("model name")]
    memory = [int(line.split()[1]) // 1024 for line in read_file("/proc/meminfo").splitlines()
              if line.startswith("MemTotal")]
    mounts = [line.split() for line in read_file("/proc/mounts").splitlines()]
    here = os.path.realpath(tempfile.gettempdir())
    best = max((m for m in mounts if (here + "/").startswith(m[1].rstrip("/") + "/")),
               key=lambda m: len(m[1]), default=["", "", "unknown"])
    system = [line.split("=", 1)[1].strip('"') for line in read_file("/etc/os-release").splitlines()
              if line.startswith("PRETTY_NAME=")]
    return {
        "processor": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory_mb": memory[0] if memory else 0,
        "kernel": platform.release(),
        "system": system[0] if system else platform.system(),
        "file_system": best[2],
        "max_user_watches": read_file("/proc/sys/fs/inotify/max_user_watches").strip(),
        "clamav": command_version("clamd", "--version"),
        "load_before": os.getloadavg()[0],
    }
