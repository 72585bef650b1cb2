"""A scale-out: so many instances start in the same moment, find their console in Parameter Store,
which answers 40 requests a second, and activate. Prints when they were protected by a console.

Real: the whole messenger from the first request to the identity, with its retries, delays and
signatures; HTTP; the console with its store, certificates and limits; the time. Not real: Parameter
Store (tests/stand-ins/ssm, a token bucket; moto checks the signatures elsewhere), one process for
all the messengers, and one machine for all of it.
"""
import json
import os
import statistics
import subprocess
import sys

from console.tools import SOURCE, harness, program

sys.path.insert(0, os.path.join(SOURCE, "tests/stand-ins/ssm"))
import ssm  # noqa: E402


def start(hosts, rate):
    """(what became of each host, the service, how many the console knows)."""
    with harness.Console() as console, ssm.Ssm(rate=rate) as service:
        admin = console.administrator()
        token = admin.post("/api/v1/tokens", {"name": "fleet"}, expect=201).json["token"]
        service.parameters = {
            "/yagura/activation-url": f"https://127.0.0.1:{console.agents_port}",
            "/yagura/token": token, "/yagura/ca-pin": console.pin}
        done = subprocess.run([program("scale_out"), str(hosts), service.url],
                              stdout=subprocess.PIPE, text=True, check=True)
        known = int(console.query("SELECT count(*) FROM computers")[0][0])
        return [json.loads(line) for line in done.stdout.splitlines()], service, known


def scale_out(bench):
    count, rate = bench.size(1000, 50), 40
    hosts, service, known = start(count, rate)
    seconds = sorted(host["seconds"] for host in hosts if host["seconds"] is not None)
    problems = sorted({host["problem"] for host in hosts if host["seconds"] is None})
    bench.figure(f"{count:,} instances at once, Parameter Store {rate} requests a second: not activated", count - min(len(seconds), known),
                 "", most=0, note="; ".join(problems[:5]))
    bench.figure("the last one activated after", seconds[-1] if seconds else float("inf"), "s", most=300,
                 note=f"half of them after {statistics.median(seconds or [float('inf')]):.0f} s; "
                 f"{service.answered + service.throttled} requests, {service.throttled} of them refused")
