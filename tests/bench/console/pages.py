"""Pages of events on a large database: every filter the API offers, the first page and one deep in
the past, for who sees all and for who sees a group only; and the overview. On SQLite and on
PostgreSQL. Latencies are the machine's, with whatever else it does; processor time is the console's
and the database's alone."""

import os
import sqlite3
import subprocess
import time

from tools import harness

EVENTS = 5000000
DATABASES = ("sqlite", "postgresql")
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


def fill(console, events, groups):
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
                                         for j, (m, k) in enumerate(kinds)), "first": first, "computers": COMPUTERS, "start": now - 90 * DAY_MS,
             "step": 90 * DAY_MS // events}

    def insert(what, start, end):
        series = FILL["series"][1 if console.database else 0].format(from_=start, to=end)
        execute(console, FILL[what].format(series=series, **facts))

    insert("computers", 1, COMPUTERS)
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


def processor_ms(console):
    """Of the console and, on PostgreSQL, of the server's processes."""
    pids = [console.process.pid]
    if console.database:
        server = harness.postgres().process.pid
        with open(f"/proc/{server}/task/{server}/children", encoding="ascii") as file:
            pids += [server, *map(int, file.read().split())]
    ticks = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks * 1000 / os.sysconf("SC_CLK_TCK")


def measure(console, client, path):
    times = []
    used = processor_ms(console)
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        client.get(path, expect=200)
        times.append((time.perf_counter() - begun) * 1000)
    times.sort()
    return times, (processor_ms(console) - used) / ROUNDS


def show(name, measured):
    times, used = measured
    p99 = times[len(times) * 99 // 100]
    print(f"  {name:66} p50 {times[len(times) // 2]:6.1f} ms  p99 {p99:6.1f} ms"
          f"  processor {used:5.1f} ms", flush=True)
    return p99


def pages(console, client, computer, who):
    old = time.strftime("%Y-%m-%dT00:00:00Z", time.gmtime(time.time() - 80 * 86400))
    filters = ["", "severity=critical", "severity=info,high", "module=watch",
               "module=malware&severity=critical", "kind=malware_found",
               f"computer={computer}", f"computer={computer}&severity=high,critical"]
    worst = 0
    for text in filters + [f"{text}&until={old}".lstrip("&") for text in filters]:
        measured = measure(console, client, "/api/v1/events?" + text)
        worst = max(worst, show(who + ": " + text.replace(computer, "ID"), measured))
    return worst


def run_on(name, database, events):
    with harness.Console(database=database) as console:
        admin = console.administrator()
        groups = [admin.post("/api/v1/groups", {"name": word}, expect=201).json["id"]
                  for word in ("small", "large")]
        token = console.run("token", "create").stdout.strip()
        agent = harness.Agent(console)
        agent.activate(token)
        begun = time.monotonic()
        console.stop()
        fill(console, events, groups)
        console.start()
        print(f"{name}: {events} events, {GROUPS * KINDS * 5} facets made in {time.monotonic() - begun:.0f} s", flush=True)
        client = console.api()
        client.sign_in("admin", harness.PASSWORD)
        worst = pages(console, client, agent.id, "all")
        counts = show("overview", measure(console, client, "/api/v1/overview"))
        print(f"{name}: worst p99 of a page {worst:.1f} ms, overview {counts:.1f} ms"
              f" (bar {BAR_MS} ms)")
        for group, word in zip(groups, ("small group", "large group")):
            key = client.post("/api/v1/keys", {"name": word, "role": "reader",
                                                   "groups": [group]}, expect=201).json["key"]
            limited = pages(console, console.api(key=key), agent.id, word)
            print(f"{name}: {word}: worst p99 of a page {limited:.1f} ms (bar {BAR_MS} ms)")


def run(events=EVENTS, databases=DATABASES):
    if "sqlite" in databases:
        run_on("SQLite", None, events)
    if "postgresql" not in databases:
        return
    try:
        url = harness.postgres().database()
    except harness.unittest.SkipTest as reason:
        print(f"PostgreSQL skipped: {reason}")
        return
    run_on("PostgreSQL", url, events)
