"""Where the built programs are, and the console that the benchmarks run."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(os.environ.get("YAGURA_BUILD_DIR") or
                        os.path.join(HERE, "../../../build/release-hardened"))
os.environ["YAGURA_BIN"] = os.path.join(BUILD, "bin")
sys.path.insert(0, os.path.join(HERE, "../../system/console"))

import harness  # noqa: E402
from harness import FixedConsole  # noqa: E402


def program(name):
    return os.path.join(BUILD, "bench", name)


def resident_mb(pid, field="VmHWM"):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(file.read().split(field + ":")[1].split()[0]) / 1024


class BareServer:
    """The console's HTTP server with an empty handler, in a console's name."""

    def __init__(self, console):
        self.process = subprocess.Popen([program("bare_server"), console.data],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


__all__ = ["BareServer", "FixedConsole", "harness", "program", "resident_mb"]
