#!/usr/bin/env python3
"""Figures of the console: heartbeats with one event each, durable, beside the same server's bare
answer over the same TLS connections, on SQLite and on PostgreSQL. The generator runs on the same
processors. Usage: console_bench.py [BUILD] [SECONDS]; BUILD is build/release-hardened by default."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/release-hardened")
SECONDS = sys.argv[2] if len(sys.argv) > 2 else "10"
os.environ["YAGURA_BIN"] = os.path.join(BUILD, "bin")
sys.path.insert(0, os.path.join(HERE, "../../system/console"))
sys.dont_write_bytecode = True

import harness  # noqa: E402

CONNECTIONS = "64"


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(file.read().split("VmHWM:")[1].split()[0]) / 1024


def load(console, path, events):
    token = console.run("token", "create").stdout.strip()
    before = processor_seconds(console.process.pid)
    done = subprocess.run(
        [os.path.join(BUILD, "bench/heartbeat_load"), str(console.agents_port), console.authority,
         token, CONNECTIONS, SECONDS, path, str(events)],
        capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    rate, errors, median, p99, worst = (float(field) for field in done.stdout.split())
    used = processor_seconds(console.process.pid) - before
    return {"rate": rate, "errors": errors, "p50": median, "p99": p99, "worst": worst,
            "us": used / (rate * float(SECONDS)) * 1e6}


def show(name, result):
    print(f"{name:34} {result['rate']:8.0f}/s  {result['us']:6.0f} us CPU  p50 {result['p50']:6.1f} ms"
          f"  p99 {result['p99']:6.1f} ms  {result['errors']:.0f} errors", flush=True)


def main():
    results = {}
    stores = [("SQLite", None)]
    try:
        stores.append(("PostgreSQL", harness.postgres().database()))
    except harness.unittest.SkipTest as reason:
        print(f"PostgreSQL skipped: {reason}")
    for name, url in stores:
        with harness.Console(database=url) as console:
            results[name, "bare"] = load(console, "/health", 0)
            show(f"{name}: bare answer", results[name, "bare"])
            results[name, "event"] = load(console, "/agent/v1/heartbeat", 1)
            show(f"{name}: heartbeat, one event", results[name, "event"])
            results[name, "empty"] = load(console, "/agent/v1/heartbeat", 0)
            show(f"{name}: heartbeat, nothing new", results[name, "empty"])
            print(f"{name}: {memory_mb(console.process.pid):.0f} MB at most")
    ratio = results["SQLite", "event"]["rate"] / results["SQLite", "bare"]["rate"]
    print(f"durable heartbeat / bare answer: {ratio:.2f} (bar 0.70)")
    if len(stores) > 1:
        ratio = results["PostgreSQL", "event"]["rate"] / results["SQLite", "event"]["rate"]
        print(f"PostgreSQL / SQLite: {ratio:.2f} (bar 0.60)")


try:
    main()
finally:
    if harness._postgres and harness._postgres.process.poll() is None:
        harness._postgres.stop()
