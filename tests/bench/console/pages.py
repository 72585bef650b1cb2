"""Pages of events on a large database: every filter the API offers, the first page and one deep in
the past, for who sees all and for who sees a group only; and the overview. On SQLite and on
PostgreSQL. Latencies are the machine's, with whatever else it does; processor time is the console's
and the database's alone."""

import os
import sqlite3
import subprocess
import time

from console.tools import harness
from machine import cpu_seconds

EVENTS = 5000000
COMPUTERS = 1000
SMALL_GROUP = 10
ROUNDS = 100
BAR_MS = 50
DAY_MS = 86400000
COLUMNS = ("state, display_name, os, agent_version, address, instance_id, session,"
           " retired_session, blocked_session, session_ms, policy_id, tags, token_id,"
           " certificate_expires_ms, activated_ms, last_seen_ms, policy_digest, policy_revision,"
           " applied_digest, applied_problem, facts, org_id")
# Events over the last 90 days, severities and kinds as a fleet has them: most of them small.
FILL = {
    "series": ("WITH RECURSIVE n(i) AS (SELECT {from_} UNION ALL SELECT i + 1 FROM n"
               " WHERE i + 1 < {to})", "WITH n AS (SELECT generate_series({from_}::bigint,"
               " {to} - 1) AS i)"),
    # Computer i of the series: the first ten in the small group, every second in the large one, the
    # others in twenty more and in none.
    "computers": "{series} INSERT INTO computers (number, id, hostname, machine_id, certificate,"
                 " group_id, {columns}) SELECT {first} + i, 'computer-' || i, 'host-' || i,"
                 " 'machine-' || i, 'certificate-' || i, {group_of_i}, {columns} FROM n, computers"
                 " WHERE computers.number = {first}",
    "facets": "{series}, g(j, id) AS ({groups}), k(j, module, kind) AS ({kinds})"
              " INSERT INTO event_facets (id, group_id, module, kind, severity)"
              " SELECT g.j * 1000 + k.j * 5 + i + 1, g.id, k.module, k.kind, i FROM n, g, k",
    "events": "{series}, e AS (SELECT i, (i * 7919) % {computers} AS c,"
              " CASE WHEN i % 50 = 0 THEN 0 WHEN i % 3 = 0 THEN 1 ELSE 2 + i % 20 END AS k,"
              " CASE WHEN i % 5000 = 0 THEN 4 WHEN i % 50 = 0 THEN 3 WHEN i % 3 = 0 THEN 1"
              " ELSE 0 END AS s FROM n)"
              " INSERT INTO events (number, org_id, computer, id, epoch, agent_number,"
              " time_ms, module, kind, severity, subject, detail, facet) SELECT"
              " (({start} + i * {step} - 1577836800000) * 4194304) + i % 4096, 1,"
              " {first} + c, '00000000-0000-7000-8000-' || i, 'epoch', i, {start} + i * {step},"
              " CASE k WHEN 0 THEN 'malware' WHEN 1 THEN 'watch' ELSE 'agent' END,"
              " CASE k WHEN 0 THEN 'malware_found' WHEN 1 THEN 'watch_gap' ELSE 'kind_' || k END,"
              " s, '/srv/www/upload/' || i, '{{\"size\":68}}', {group_of_c} * 1000 + k * 5 + s + 1"
              " FROM e",
}
GROUPS = 23  # none, the small one, the large one, twenty others
KINDS = 22


def group_number(i):
    return (f"CASE WHEN {i} = 0 THEN 0 WHEN {i} <= {SMALL_GROUP} THEN 1 WHEN {i} % 2 = 0 THEN 2"
            f" WHEN {i} % 40 > 35 THEN 0 ELSE 3 + {i} % 20 END")


def execute(console, text):
    if console.database:
        subprocess.run([harness.postgres().bin + "/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1",
                        "-c", text, console.database], check=True, stdout=subprocess.DEVNULL)
        return
    with sqlite3.connect(console.data + "/console.db") as database:
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA cache_size = -1000000")  # the whole index: a fill in minutes
        database.execute(text)
    database.close()


def fill(console, events, computers, groups):
    first = int(console.query("SELECT number FROM computers")[0][0])
    now = int(time.time() * 1000)
    names = ["", *groups, *(f"group-{j}" for j in range(3, GROUPS))]
    kinds = [("malware", "malware_found"), ("watch", "watch_gap"),
             *(("agent", f"kind_{j}") for j in range(2, KINDS))]
    groups_by_number = " ".join(f"WHEN {j} THEN '{name}'" for j, name in enumerate(names) if j)
    facts = {"columns": COLUMNS,
             "group_of_i": f"CASE {group_number('i')} {groups_by_number} END",
             "group_of_c": f"({group_number('c')})",
             "groups": " UNION ALL ".join(f"SELECT {j}, '{n}'" for j, n in enumerate(names)),
             "kinds": " UNION ALL ".join(f"SELECT {j}, '{m}', '{k}'"
                                         for j, (m, k) in enumerate(kinds)), "first": first, "computers": computers,
             "start": now - 90 * DAY_MS, "step": 90 * DAY_MS // events}

    def insert(what, start, end):
        series = FILL["series"][1 if console.database else 0].format(from_=start, to=end)
        execute(console, FILL[what].format(series=series, **facts))

    insert("computers", 1, computers)
    execute(console, "DELETE FROM event_facets")
    insert("facets", 0, 5)
    for start in range(0, events, 500000):
        insert("events", start, min(start + 500000, events))
    if not console.database:  # as the console fills it, see console/events/computer_index.h
        execute(console, "INSERT INTO index_events (computer, severity, number) SELECT computer,"
                         " severity, number FROM events WHERE true"
                         " ORDER BY computer, severity, number ON CONFLICT DO NOTHING")
        execute(console, "UPDATE index_filled SET number = (SELECT max(number) FROM events)")
    execute(console, "ANALYZE")


class FilledConsole:
    """A console that knows so many computers and events, in two groups of this bench's and others."""

    def __init__(self, events, computers, extra="", database=None):
        self.facts = events, computers
        self.console = harness.Console(extra, database=database)

    def __enter__(self):
        console = self.console.__enter__()
        try:
            admin = console.administrator()
            self.groups = [admin.post("/api/v1/groups", {"name": word}, expect=201).json["id"] for word in ("small", "large")]
            self.agent = harness.Agent(console)
            self.agent.activate(console.run("token", "create").stdout.strip())
            console.stop()
            fill(console, *self.facts, self.groups)
            console.start()
        except BaseException:
            self.console.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind, value, trace):
        self.console.__exit__(kind, value, trace)


def processor_ms(console):
    """Of the console and, on PostgreSQL, of the server's processes."""
    pids = [console.process.pid]
    if console.database:
        server = harness.postgres().process.pid
        with open(f"/proc/{server}/task/{server}/children", encoding="ascii") as file:
            pids += [server, *map(int, file.read().split())]
    return cpu_seconds(pids) * 1000


class Series:
    """One address so many times: milliseconds of each, and of the processor in the mean."""

    def __init__(self, console, client, path):
        self.path = path
        self.times = []
        used = processor_ms(console)
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            client.get(path, expect=200)
            self.times.append((time.perf_counter() - begun) * 1000)
        self.times.sort()
        self.processor = (processor_ms(console) - used) / ROUNDS

    def p99(self):
        return self.times[len(self.times) * 99 // 100]

    def note(self):
        return f"p50 {self.times[len(self.times) // 2]:.1f} ms, {self.processor:.1f} ms of the processor"


def pages(console, client, computer):
    """Every filter, the first page and one deep in the past."""
    old = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 80 * 86400))
    filters = ["", "severity=critical", "severity=info,high", "module=watch",
               "module=malware&severity=critical", "kind=malware_found",
               f"computer={computer}", f"computer={computer}&severity=high,critical"]
    return [Series(console, client, "/api/v1/events?" + text)
            for text in filters + [f"{text}&until={old}".lstrip("&") for text in filters]]


def figure_of_pages(bench, who, events, all_series, computer):
    worst = max(all_series, key=Series.p99)
    bench.figure(f"{who}: worst p99 of {len(all_series)} pages", worst.p99(), "ms", most=BAR_MS,
                 note=f"{worst.path.replace(computer, 'ID')}: {worst.note()}; of {events:,} events the median page took"
                 f" {sorted(one.times[ROUNDS // 2] for one in all_series)[len(all_series) // 2]:.1f} ms,"
                 f" at most {max(one.processor for one in all_series):.1f} ms of the processor")


def on(bench, database):
    events = bench.size(EVENTS, 100000)
    with FilledConsole(events, COMPUTERS, database=database) as filled:
        console, computer = filled.console, filled.agent.id
        client = console.api()
        client.sign_in("admin", harness.PASSWORD)
        figure_of_pages(bench, "sees all", events, pages(console, client, computer), computer)
        for group, word in zip(filled.groups, ("a small group", "a large group")):
            key = client.post("/api/v1/keys", {"name": word, "role": "reader", "groups": [group]}, expect=201).json["key"]
            figure_of_pages(bench, f"sees {word}", events, pages(console, console.api(key=key), computer), computer)
        counts = Series(console, client, "/api/v1/overview")
        bench.figure("overview: p99", counts.p99(), "ms", most=BAR_MS, note=counts.note())


def on_sqlite(bench):
    on(bench, None)


def on_postgresql(bench):
    try:
        on(bench, harness.postgres().database())
    finally:
        harness.stop_postgres()
