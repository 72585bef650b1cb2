"""Debian's clamd, clamdscan and clamonacc, run privately: own configuration, socket and log in a temporary
folder, the given database, Debian's limits. The system's own daemon is not touched."""

import os
import pwd
import re
import resource
import shutil
import socket
import subprocess
import threading
import time

from machine import BenchError, percentile, wait_until

# clamd.conf as Debian's clamav-daemon 1.4 writes it, without what a private run must set itself.
DEBIAN_DEFAULTS = """
FixStaleSocket true
ScanMail true
ScanArchive true
ArchiveBlockEncrypted false
MaxDirectoryRecursion 15
FollowDirectorySymlinks false
FollowFileSymlinks false
ReadTimeout 180
MaxThreads 12
MaxConnectionQueueLength 15
LogSyslog false
LogClean false
LogVerbose false
OfficialDatabaseOnly false
Debug false
ScanPE true
MaxEmbeddedPE 10M
ScanOLE2 true
ScanPDF true
ScanHTML true
MaxHTMLNormalize 10M
MaxHTMLNoTags 2M
MaxScriptNormalize 5M
MaxZipTypeRcg 1M
ScanSWF true
ExitOnOOM false
AlgorithmicDetection true
ScanELF true
IdleTimeout 30
CrossFilesystems true
PhishingSignatures true
PhishingScanURLs true
DetectPUA false
HeuristicScanPrecedence false
CommandReadTimeout 30
SendBufTimeout 200
MaxQueue 100
AllowAllMatchScan true
ForceToDisk false
MaxScanTime 120000
MaxScanSize 100M
MaxFileSize 25M
MaxRecursion 16
MaxFiles 10000
MaxPartitions 50
MaxIconsPE 100
PCREMatchLimit 10000
PCRERecMatchLimit 5000
PCREMaxFileSize 25M
ScanXMLDOCS true
ScanHWP3 true
MaxRecHWP3 16
StreamMaxLength 25M
Bytecode true
BytecodeSecurity TrustSigned
BytecodeTimeout 60000
OnAccessMaxFileSize 5M
OnAccessExcludeRootUID false
"""



def missing():
    """The programs of the peer that are not installed."""
    return [name for name in ("clamd", "clamdscan", "clamonacc") if shutil.which(name) is None]


def allow_open_files():
    """As many as allowed, not systemd's 1,024, at which clamonacc loses files: the peer at its best."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Clamd:
    """clamd on a socket of its own."""

    def __init__(self, machine, database, settings=()):
        self.machine = machine
        self.process = None
        self.folder = machine.new_folder("clamd", 0o755)
        self.socket = os.path.join(self.folder, "clamd.sock")
        self.config = os.path.join(self.folder, "clamd.conf")
        self.log = os.path.join(self.folder, "clamd.log")
        self.database = database
        lines = [DEBIAN_DEFAULTS, f"LocalSocket {self.socket}", "LocalSocketMode 666",
                 f"DatabaseDirectory {database}", "Foreground true", "SelfCheck 86400",
                 f"TemporaryDirectory {machine.new_folder('clamd-tmp', 0o777)}"]
        try:
            account = pwd.getpwnam("clamav")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
            lines.append("User clamav")
        except KeyError:
            pass
        with open(self.config, "w", encoding="utf-8") as stream:
            stream.write("\n".join([*lines, *settings]) + "\n")

    def start(self):
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = self.machine.start(["clamd", "--config-file", self.config], stdout=log,
                                              stderr=log)
        begin = time.monotonic()
        wait_until(self.answers, 180, f"clamd (see {self.log})")
        return time.monotonic() - begin

    def command(self, text, seconds=180):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            connection.connect(self.socket)
            connection.sendall(f"z{text}\0".encode())
            answer = b""
            while not answer.endswith(b"\0"):
                part = connection.recv(4096)
                if not part:
                    break
                answer += part
        return answer.rstrip(b"\0").decode()

    def answers(self):
        if self.process.poll() is not None:
            raise BenchError(f"clamd ended: {open(self.log, encoding='utf-8').read()[-400:]}")
        try:
            return self.command("PING", 5) == "PONG"
        except OSError:
            return False

    def scan(self, path, seconds=1800):
        """clamdscan --multiscan --fdpass over a tree: wall time and the summary's infected files."""
        begin = time.monotonic()
        result = subprocess.run(["clamdscan", "--config-file", self.config, "--multiscan", "--fdpass",
                                 path], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                                errors="replace", timeout=seconds, check=False)
        wall = time.monotonic() - begin
        infected = re.search(r"Infected files: (\d+)", result.stdout)
        if result.returncode not in (0, 1) or infected is None:
            raise BenchError(f"clamdscan: exit {result.returncode}: {result.stderr[-400:]}")
        errors = re.search(r"Total errors: (\d+)", result.stdout)
        return {"wall_s": wall, "infected": int(infected.group(1)),
                "errors": int(errors.group(1)) if errors else 0}

    def stop(self):
        self.machine.stop(self.process)
        self.process = None


class Detections:
    """Lines of a stamped report, each giving a path; the first time a path is seen is kept."""

    def __init__(self, stream, path_of):
        self.first = {}
        self.duplicates = 0
        self.lines = 0
        self.changed = threading.Condition()
        self.stream = stream
        self.path_of = path_of
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.stream:
            stamp, _, text = line.partition(b"\t")
            found = self.path_of(text)
            if found is None or not stamp.isdigit():
                continue
            path, when = found
            with self.changed:
                self.lines += 1
                if path in self.first:
                    self.duplicates += 1
                else:
                    self.first[path] = when or int(stamp)
                self.changed.notify_all()

    def wait_for(self, path, seconds):
        """The time the path was reported, or None."""
        with self.changed:
            self.changed.wait_for(lambda: path in self.first, seconds)
            return self.first.get(path)

    def wait_for_count(self, count, quiet_seconds, seconds):
        """Until this many paths are known, nothing came for quiet_seconds, or the time is over."""
        deadline = time.monotonic() + seconds
        with self.changed:
            seen = -1
            last = time.monotonic()
            while len(self.first) < count and time.monotonic() < deadline:
                if self.lines != seen:
                    seen = self.lines
                    last = time.monotonic()
                if time.monotonic() - last > quiet_seconds:
                    return
                self.changed.wait(0.2)


class Clamonacc:
    """clamonacc over one directory, its reports stamped on arrival."""

    def __init__(self, machine, clamd, root, extra_scanning=True):
        self.machine = machine
        self.folder = machine.new_folder("clamonacc", 0o755)
        self.config = os.path.join(self.folder, "clamonacc.conf")
        self.errors = os.path.join(self.folder, "errors")
        with open(clamd.config, encoding="utf-8") as stream:
            text = stream.read()
        with open(self.config, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.write(f"OnAccessIncludePath {root}\n")
            stream.write("OnAccessExcludeUname clamav\n")
            stream.write(f"OnAccessExtraScanning {'true' if extra_scanning else 'false'}\n")
        self.process = None
        self.stamp = None
        self.detections = None

    @staticmethod
    def path_of(text):
        match = re.match(rb"(.*): \S+ FOUND$", text.rstrip(b"\n"))
        return (match.group(1), None) if match else None

    def start(self):
        with open(self.errors, "wb") as errors:
            self.process = self.machine.start(
                ["clamonacc", "--foreground", "--fdpass", "--config-file", self.config],
                stdout=subprocess.PIPE, stderr=errors, preexec_fn=allow_open_files)
        self.stamp = self.machine.start([self.machine.tool("stamp")], stdin=self.process.stdout,
                                        stdout=subprocess.PIPE)
        self.process.stdout.close()
        self.detections = Detections(self.stamp.stdout, self.path_of)

    def error_text(self):
        with open(self.errors, encoding="utf-8", errors="replace") as stream:
            return stream.read()

    def stop(self):
        self.machine.stop(self.process)
        self.machine.stop(self.stamp, 5)


def read_log(path):
    """A workload log: path -> (realtime ns, is infected)."""
    files = {}
    with open(path, "rb") as stream:
        for line in stream:
            name, realtime, _, kind = line.rstrip(b"\n").split(b"\t")
            files[name] = (int(realtime), kind == b"eicar")
    return files


def join_latencies(files, detections):
    """Milliseconds from the completing call to the report, and the infected paths without one."""
    latencies = []
    missed = []
    for path, (written, infected) in files.items():
        if not infected:
            continue
        seen = detections.first.get(path)
        if seen is None:
            missed.append(path)
        else:
            latencies.append((seen - written) / 1e6)
    return latencies, missed


def summary(latencies):
    return {"p50_ms": percentile(latencies, 50), "p99_ms": percentile(latencies, 99),
            "last_ms": max(latencies, default=float("nan"))}
