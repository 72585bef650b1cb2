"""Heartbeats with one event each, durable, beside the same HTTP server with an empty handler: the
same connections, requests, length of answers and processors. On SQLite and on PostgreSQL. Rounds are
interleaved and ratios are of medians, because other work on the machine comes and goes."""

import statistics
import subprocess

from machine import BenchError

from console.tools import BareServer, harness, program, resident_mb

CONNECTIONS = 1000
PATH = "/agent/v1/heartbeat"


def load(console, seconds, path, events, server=None):
    """One round: what console_load prints."""
    token = console.run("token", "create").stdout.strip()
    where = [str(server.process.pid), str(server.port)] if server else [str(console.process.pid)]
    done = subprocess.run(
        [program("console_load"), "closed", str(console.agents_port), console.authority, token,
         str(CONNECTIONS), str(seconds), path, str(events), *where],
        capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(done.stderr)
    names = ("rate", "errors", "p50", "p99", "worst", "server_us", "load_us")
    return dict(zip(names, (float(field) for field in done.stdout.splitlines()[-1].split())))


class Rounds(list):
    """Of one kind of request, in the order they were taken."""

    def median(self, name):
        return statistics.median(one[name] for one in self)

    def processor_us(self):
        """Of both sides."""
        return self.median("server_us") + self.median("load_us")

    def note(self):
        return (f"{self.median('rate'):,.0f}/s, {self.median('server_us'):.0f} us of the server's processor and"
                f" {self.median('load_us'):.0f} of the load's, p50 {self.median('p50'):.0f} ms, p99 {self.median('p99'):.0f} ms")


def take_rounds(bench, console, bare, postgres):
    empty, event, nothing_new, on_postgres = Rounds(), Rounds(), Rounds(), Rounds()
    seconds = bench.size(6, 2)
    for _ in range(bench.size(5, 1)):
        empty.append(load(console, seconds, "bare", 1, bare))
        event.append(load(console, seconds, PATH, 1))
        nothing_new.append(load(console, seconds, PATH, 0))
        if postgres:
            on_postgres.append(load(postgres, seconds, PATH, 1))
    return empty, event, nothing_new, on_postgres


def heartbeats(bench):
    postgres = None
    try:
        postgres = harness.Console(database=harness.postgres().database()).__enter__()
    except harness.unittest.SkipTest as reason:
        bench.skip("durable heartbeats on PostgreSQL / SQLite", reason)
    try:
        with harness.Console() as console, BareServer(console) as bare:
            empty, event, nothing_new, on_postgres = take_rounds(bench, console, bare, postgres)
            memory = resident_mb(console.process.pid)
    finally:
        if postgres:
            postgres.__exit__(None, None, None)
        harness.stop_postgres()
    bench.figure("durable heartbeats with an event / empty handler, by rate", event.median("rate") / empty.median("rate"), "x",
                 least=0.7, note=f"{event.note()}; empty: {empty.note()}")
    bench.figure("the same by processor time of both sides", empty.processor_us() / event.processor_us(), "x", least=0.7)
    bench.figure("heartbeats with nothing new / empty handler, by rate", nothing_new.median("rate") / empty.median("rate"), "x",
                 note=nothing_new.note())
    if postgres:
        bench.figure("durable heartbeats on PostgreSQL / SQLite, by rate", on_postgres.median("rate") / event.median("rate"), "x",
                     least=0.6, note=on_postgres.note())
    bench.figure("requests that failed", int(sum(one["errors"] for rounds in (empty, event, nothing_new, on_postgres)
                                                 for one in rounds)), "", most=0)
    bench.figure("memory of the console at most", memory, "MB", note=f"{CONNECTIONS:,} connections of each load")
