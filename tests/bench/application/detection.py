"""Application protection's judging beside libmodsecurity with the same rules, in one run."""

import base64
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "system",
                                "application"))
import crs  # noqa: E402
import own_traffic_test  # noqa: E402


def event(body=None, kind=None, query="", encoded=False):
    headers = {"accept": "application/json, text/plain, */*", "host": "api.example.com",
               "accept-language": "en-US,en;q=0.9", "x-forwarded-for": "203.0.113.9",
               "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"}
    if kind:
        headers["content-type"] = kind
    made = {"version": "2.0", "routeKey": "$default", "rawPath": "/search",
            "rawQueryString": query, "headers": headers, "isBase64Encoded": encoded,
            "requestContext": {"http": {"method": "POST" if body else "GET", "path": "/search",
                                        "protocol": "HTTP/1.1", "sourceIp": "203.0.113.9"}}}
    if body:
        made["body"] = body
    return {"id": kind or "GET", "event": made}


def samples():
    """(name, event, most microseconds of CPU, least times cheaper than libmodsecurity)."""
    shapes = ["text {} of it", "{}", "someone{}@example.com", "2026-11-29", "/img/{}"]
    fields = {f"field_{i}": shapes[i % 5].format(i) for i in range(300)}
    noise = random.Random(1).randbytes(1 << 20)
    upload = (b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nMy picture\r\n--b\r\n'
              b'Content-Disposition: form-data; name="f"; filename="a.png"\r\n'
              b"Content-Type: image/png\r\n\r\n\x89PNG" + noise + b"\r\n--b--\r\n")
    return [
        ("GET, small", event(query="q=hello+world&page=2&sort=price&lang=en"), None, 20),
        ("POST JSON, small", event(json.dumps({"name": "Alice", "message": "two of them, please", "count": 2}),
                                   "application/json"), None, 20),
        ("JSON, 300 fields, %d bytes" % len(json.dumps(fields)), event(json.dumps(fields), "application/json"), 2000, None),
        ("upload, 1 MB", event(base64.b64encode(upload).decode(), "multipart/form-data; boundary=b", encoded=True), 2000,
         None),
    ]


def cost(bench, judges):
    """The median of 101 rounds of ours, of 11 of libmodsecurity; event parsing is in ours alone."""
    for name, sample, most, least in samples():
        done = subprocess.run([os.path.join(bench.build, "bench", "judge_cost"), judges.table],
                              input=json.dumps(sample) + "\n", capture_output=True, text=True,
                              check=True, timeout=300)
        ours = float(done.stdout)
        theirs = statistics.median(answer["us"] for answer in
                                   judges.libmodsecurity([sample] * 11, cpu=True))
        bench.figure(f"{name}: CPU of judging", ours, "us", most=most,
                     beside={"unit": "us", "kind": "latency", "values": {"Yagura": ours, "libmodsecurity": theirs}})
        bench.figure(f"{name}: libmodsecurity's CPU, same rules / ours", theirs / ours, "x", least=least, note=f"{theirs:,.0f} us")
        if name.startswith("GET"):
            bench.figure("opening table and policy, CPU", float(done.stderr.split()[1]), "us")


def exact(bench, judges, rules, everything):
    count, same, _ = crs.compare(judges.exact(everything), judges.libmodsecurity(everything))
    bench.figure("--crs-exact: verdicts as libmodsecurity's", 100 * same / count, "%", least=99.5, note=f"{same} of {count}")
    passed, kept = crs.regression(rules, judges.exact(rules, 4), judges.libmodsecurity(rules, 4))
    bench.figure("regression tests that libmodsecurity passes", 100 * kept / passed, "%", least=98, note=f"{kept} of {passed}")


def product(bench, judges, parameters, legitimate):
    sets = [("HttpParams attacks", [e for e in parameters if e["label"] == "bad"], None, 98),
            ("HttpParams normal", [e for e in parameters if e["label"] == "ok"], 0, None),
            ("legitimate, all", legitimate, 0.7, None)]
    bars = {"webhooks": 1, "graphql": 0}
    for kind in sorted({e["cat"] for e in legitimate}):
        sets.append(("legitimate, " + kind, [e for e in legitimate if e["cat"] == kind], bars.get(kind), None))
    for name, events, most, least in sets:
        taken = crs.found(judges.ours(events))
        bench.figure("taken for attacks: " + name, 100 * taken / len(events), "%",
                     most=most, least=least, note=f"{taken} of {len(events)}")


def own(bench, judges):
    """A figure of each set, and of each kind in it that is below its bar; the worst kind stands in the note."""
    kinds = {}
    for name, key, taken, of, bar, attack in own_traffic_test.measure(judges):
        limit = {"least": 100 * bar} if attack else {"most": 100 * bar if bar < 1 else None}
        kinds.setdefault((name, attack), {})[key] = (100 * taken / of, limit, f"{taken} of {of}")
    for (name, attack), rows in kinds.items():
        what = f"taken for attacks: {name}, {'attacks' if attack else 'ordinary'}"
        percent, limit, note = rows.pop("all")
        worst = (min if attack else max)(rows, key=lambda key, of=rows: of[key][0])
        bench.figure(what, percent, "%", note=f"{note}; {'least' if attack else 'most'} of {worst}: {rows[worst][2]}", **limit)
        for key, (percent, limit, note) in rows.items():
            if percent < limit.get("least", 0) or percent > (limit.get("most") or 100):
                bench.figure(f"{what}, {key}", percent, "%", note=note, **limit)


def detection(bench):
    with tempfile.TemporaryDirectory(prefix="yagura-bench-") as folder:
        judges = crs.Judges(bench.build, folder)
        rules, parameters = crs.load("crs-3.3.4-regression"), crs.load("httpparams-sample")
        legitimate = crs.load("legitimate-sample")
        cost(bench, judges)
        product(bench, judges, parameters, legitimate)
        own(bench, judges)
        exact(bench, judges, rules, rules + crs.load("aws-event-shapes") + parameters + legitimate)
        differences = subprocess.run([judges.inspect, "--rules", judges.table, "--differences"], check=True,
                                     capture_output=True, text=True, timeout=60).stdout
    bench.say("where product mode deliberately differs from the rule set (rules concerned, reason)\n" + differences.rstrip())
