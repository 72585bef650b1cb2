#!/usr/bin/env python3
"""Pages of events on a large database: every filter the API offers, first page and one deep in the
past, and the overview. Usage: pages_bench.py [BUILD] [EVENTS]; 5,000,000 events by default."""

import os
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "build/release-hardened")
EVENTS = int(sys.argv[2]) if len(sys.argv) > 2 else 5000000
ROUNDS = 40
os.environ["YAGURA_BIN"] = os.path.join(BUILD, "bin")
sys.path.insert(0, os.path.join(HERE, "../../system/console"))
sys.dont_write_bytecode = True

import harness  # noqa: E402

COMPUTERS = 1000
# Events over the last 90 days, severities and kinds as a fleet has them: most of them small.
FILL = """
WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {events})
INSERT INTO events SELECT
 ((({now} - 90 * 86400000 + i * (90 * 86400000 / {events})) - 1577836800000) << 22) + (i & 4095), 1,
 {first} + (i * 7919) % {computers}, printf('%08x-0000-7000-8000-%012x', i, i), 'epoch', i,
 {now} - 90 * 86400000 + i * (90 * 86400000 / {events}),
 CASE WHEN i % 50 = 0 THEN 'malware' WHEN i % 3 = 0 THEN 'watch' ELSE 'agent' END,
 CASE WHEN i % 50 = 0 THEN 'malware_found' WHEN i % 3 = 0 THEN 'watch_gap' ELSE 'heartbeat_late' END,
 CASE WHEN i % 5000 = 0 THEN 4 WHEN i % 50 = 0 THEN 3 WHEN i % 3 = 0 THEN 1 ELSE 0 END,
 '/srv/www/upload/' || i, '{{"size":68}}' FROM n
"""


def measure(client, path):
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        client.get(path, expect=200)
        times.append((time.perf_counter() - begun) * 1000)
    times.sort()
    return times


def main():
    with harness.Console() as console:
        client = console.administrator()
        token = console.run("token", "create").stdout.strip()
        agent = harness.Agent(console)
        agent.activate(token)
        console.stop()
        begun = time.monotonic()
        database = sqlite3.connect(console.data + "/console.db")
        first = database.execute("SELECT number FROM computers").fetchone()[0]
        database.execute("PRAGMA synchronous = OFF")
        database.execute(FILL.format(events=EVENTS, computers=COMPUTERS, first=first,
                                     now=int(time.time() * 1000)))
        database.commit()
        database.close()
        print(f"{EVENTS} events made in {time.monotonic() - begun:.0f} s,"
              f" {os.path.getsize(console.data + '/console.db') / 1e6:.0f} MB", flush=True)
        console.start()
        client = console.api()
        client.sign_in("admin", harness.PASSWORD)
        old = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 80 * 86400))
        filters = ["", "severity=critical", "severity=info,high", "module=watch",
                   "module=malware&severity=critical", "kind=malware_found",
                   f"computer={agent.id}", f"computer={agent.id}&severity=high,critical"]
        worst = 0
        for text in filters + [f"{text}&until={old}".lstrip("&") for text in filters]:
            times = measure(client, "/api/v1/events?" + text)
            worst = max(worst, times[-1])
            print(f"{text:60} p50 {times[len(times) // 2]:6.1f} ms  worst {times[-1]:6.1f} ms")
        times = measure(client, "/api/v1/overview")
        print(f"{'overview':60} p50 {times[len(times) // 2]:6.1f} ms  worst {times[-1]:6.1f} ms")
        print(f"worst page {worst:.1f} ms (bar: p99 50 ms)")


main()
