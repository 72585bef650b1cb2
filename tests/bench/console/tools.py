"""Where the built programs are, and the console that the benchmarks run."""

import os
import subprocess
import sys

from machine import cpu_seconds

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.abspath(os.path.join(HERE, "../../.."))
BUILD = os.environ["YAGURA_BUILD_DIR"]
os.environ["YAGURA_BIN"] = os.path.join(BUILD, "bin")
sys.path.insert(0, os.path.join(SOURCE, "tests/system/console"))

import harness  # noqa: E402
from harness import FixedConsole  # noqa: E402


def program(name):
    return os.path.join(BUILD, "bench", name)


def resident_mb(pid, field="VmHWM"):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(file.read().split(field + ":")[1].split()[0]) / 1024


def processor_seconds(process):
    return cpu_seconds([process.pid])


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


__all__ = ["BUILD", "SOURCE", "BareServer", "FixedConsole", "harness", "processor_seconds", "program", "resident_mb"]
