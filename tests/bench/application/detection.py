#!/usr/bin/env python3
"""The figures of application protection's detection: beside libmodsecurity with the same rules, in one
run. detection.py BUILD-FOLDER; tests/bench/run.sh --application builds first."""
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
    shapes = ["text {} of it", "{}", "someone{}@example.com", "2026-11-29", "/img/{}"]
    fields = {f"field_{i}": shapes[i % 5].format(i) for i in range(300)}
    noise = random.Random(1).randbytes(1 << 20)
    upload = (b'--b\r\nContent-Disposition: form-data; name="title"\r\n\r\nMy picture\r\n--b\r\n'
              b'Content-Disposition: form-data; name="f"; filename="a.png"\r\n'
              b"Content-Type: image/png\r\n\r\n\x89PNG" + noise + b"\r\n--b--\r\n")
    return [
        ("GET, small", event(query="q=hello+world&page=2&sort=price&lang=en")),
        ("POST JSON, small", event(json.dumps({"name": "Alice", "message": "two of them, please",
                                               "count": 2}), "application/json")),
        ("JSON, 300 fields, %d bytes" % len(json.dumps(fields)),
         event(json.dumps(fields), "application/json")),
        ("upload, 1 MB", event(base64.b64encode(upload).decode(),
                               "multipart/form-data; boundary=b", encoded=True)),
    ]


def print_cost(judges, build):
    """The median of 101 rounds of ours, of 11 of libmodsecurity."""
    print("\nthread CPU of judging one event, microseconds (event parsing is in ours alone)")
    for name, sample in samples():
        done = subprocess.run([os.path.join(build, "bench", "judge_cost"), judges.table],
                              input=json.dumps(sample) + "\n", capture_output=True, text=True,
                              check=True, timeout=300)
        ours = float(done.stdout)
        theirs = statistics.median(answer["us"] for answer in
                                   judges.libmodsecurity([sample] * 11, cpu=True))
        print(f"  {name:34} {ours:9.0f}   libmodsecurity {theirs:9.0f}   {theirs / ours:6.1f} times")
        if name.startswith("GET"):
            print(f"  {'opening table and policy':34} {done.stderr.split()[1]:>9}")


def print_exact(judges, rules, everything):
    count, same, _ = crs.compare(judges.exact(everything), judges.libmodsecurity(everything))
    print(f"\n--crs-exact: {same} of {count} verdicts as libmodsecurity's ({100 * same / count:.2f} %)")
    passed, kept = crs.regression(rules, judges.exact(rules, 4), judges.libmodsecurity(rules, 4))
    print(f"regression tests that libmodsecurity passes: {kept} of {passed} "
          f"({100 * kept / passed:.2f} %)")


def print_product(judges, parameters, legitimate):
    print("\nproduct mode: taken for attacks")
    sets = [("HttpParams attacks", [e for e in parameters if e["label"] == "bad"]),
            ("HttpParams normal", [e for e in parameters if e["label"] == "ok"]),
            ("legitimate, all", legitimate)]
    for kind in sorted({e["cat"] for e in legitimate}):
        sets.append(("  " + kind, [e for e in legitimate if e["cat"] == kind]))
    for name, events in sets:
        taken = crs.found(judges.ours(events))
        print(f"  {name:24} {taken:6} of {len(events):6}  {100 * taken / len(events):6.2f} %")
    print("\nwhere it deliberately differs from the rule set (rules concerned, reason)")
    print(subprocess.run([judges.inspect, "--rules", judges.table, "--differences"], check=True,
                         capture_output=True, text=True, timeout=60).stdout, end="")


def main():
    build = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="yagura-bench-") as folder:
        judges = crs.Judges(build, folder)
        rules, parameters = crs.load("crs-3.3.4-regression"), crs.load("httpparams-sample")
        legitimate = crs.load("legitimate-sample")
        print(judges.said)
        print_cost(judges, build)
        print_product(judges, parameters, legitimate)
        print_exact(judges, rules, rules + crs.load("aws-event-shapes") + parameters + legitimate)


if __name__ == "__main__":
    try:
        main()
    except crs.Skip as reason:
        sys.exit(f"skipped: {reason}")
