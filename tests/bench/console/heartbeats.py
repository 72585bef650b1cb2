"""Heartbeats with one event each, durable, beside the same HTTP server with an empty handler: the
same connections, requests, length of answers and processors. On SQLite and on PostgreSQL. Rounds are
interleaved and ratios are of medians, because other work on the machine comes and goes."""

import statistics
import subprocess

from tools import BareServer, harness, program, resident_mb

CONNECTIONS = 1000
BAR = 0.7
BAR_POSTGRES = 0.6


def load(console, seconds, path, events, server=None):
    """One round: what console_load prints."""
    token = console.run("token", "create").stdout.strip()
    where = [str(server.process.pid), str(server.port)] if server else [str(console.process.pid)]
    done = subprocess.run(
        [program("console_load"), "closed", str(console.agents_port), console.authority, token,
         str(CONNECTIONS), str(seconds), path, str(events), *where],
        capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    names = ("rate", "errors", "p50", "p99", "worst", "server_us", "load_us")
    return dict(zip(names, (float(field) for field in done.stdout.splitlines()[-1].split())))


def median(rounds, name):
    return statistics.median(one[name] for one in rounds)


def show(name, rounds):
    print(f"{name:34} {median(rounds, 'rate'):7.0f}/s  {median(rounds, 'server_us'):5.0f} us CPU"
          f" (+{median(rounds, 'load_us'):.0f} load)  p50 {median(rounds, 'p50'):6.1f} ms"
          f"  p99 {median(rounds, 'p99'):6.1f} ms  {sum(one['errors'] for one in rounds):.0f} errors",
          flush=True)


def processor(rounds):
    return median(rounds, "server_us") + median(rounds, "load_us")


def run(seconds=6, rounds=5):
    kinds = {"empty handler": [], "SQLite, one event": [], "SQLite, nothing new": []}
    try:
        url = harness.postgres().database()
        kinds["PostgreSQL, one event"] = []
    except harness.unittest.SkipTest as reason:
        url = None
        print(f"PostgreSQL skipped: {reason}")
    with harness.Console() as console, BareServer(console) as bare:
        postgres = harness.Console(database=url).__enter__() if url else None
        try:
            for _ in range(rounds):
                kinds["empty handler"].append(load(console, seconds, "bare", 1, bare))
                kinds["SQLite, one event"].append(
                    load(console, seconds, "/agent/v1/heartbeat", 1))
                kinds["SQLite, nothing new"].append(
                    load(console, seconds, "/agent/v1/heartbeat", 0))
                if postgres:
                    kinds["PostgreSQL, one event"].append(
                        load(postgres, seconds, "/agent/v1/heartbeat", 1))
            memory = resident_mb(console.process.pid)
        finally:
            if postgres:
                postgres.__exit__(None, None, None)
    for name, measured in kinds.items():
        show(name, measured)
    empty, event = kinds["empty handler"], kinds["SQLite, one event"]
    print(f"memory of the console: {memory:.0f} MB at most")
    print(f"durable heartbeat / empty handler: {median(event, 'rate') / median(empty, 'rate'):.2f}"
          f" (bar {BAR}); by processor time {processor(empty) / processor(event):.2f}")
    if url:
        ratio = median(kinds["PostgreSQL, one event"], "rate") / median(event, "rate")
        print(f"PostgreSQL / SQLite: {ratio:.2f} (bar {BAR_POSTGRES})")
