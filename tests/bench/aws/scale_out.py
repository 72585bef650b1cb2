#!/usr/bin/env python3
"""A scale-out: so many instances start in the same moment, find their console in Parameter Store,
which answers 40 requests a second, and activate. Prints when they were protected by a console.

    tests/bench/aws/scale_out.py [--hosts 1000] [--rate 40] [--build build/debug]

Real: the whole messenger from the first request to the identity, with its retries, delays and
signatures; HTTP; the console with its store, certificates and limits; the time. Not real: Parameter
Store (tests/stand-ins/ssm, a token bucket; moto checks the signatures elsewhere), one process for
all the messengers, and one machine for all of it.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))


def run(hosts, rate, build):
    os.environ["YAGURA_BIN"] = os.path.join(build, "bin")
    sys.path[:0] = [os.path.join(ROOT, "tests/system/console"),
                    os.path.join(ROOT, "tests/stand-ins/ssm")]
    import harness  # pylint: disable=import-outside-toplevel
    import ssm  # pylint: disable=import-outside-toplevel
    with harness.Console() as console, ssm.Ssm(rate=rate) as service:
        admin = console.administrator()
        token = admin.post("/api/v1/tokens", {"name": "fleet"}, expect=201).json["token"]
        service.parameters = {
            "/yagura/activation-url": f"https://127.0.0.1:{console.agents_port}",
            "/yagura/token": token, "/yagura/ca-pin": console.pin}
        done = subprocess.run([os.path.join(build, "bench", "scale_out"), str(hosts), service.url],
                              stdout=subprocess.PIPE, text=True, check=True)
        known = int(console.query("SELECT count(*) FROM computers")[0][0])
        return [json.loads(line) for line in done.stdout.splitlines()], service, known


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--hosts", type=int, default=1000)
    options.add_argument("--rate", type=int, default=40)
    options.add_argument("--build", default=os.path.join(ROOT, "build/debug"))
    given = options.parse_args()
    hosts, service, known = run(given.hosts, given.rate, os.path.abspath(given.build))
    seconds = sorted(host["seconds"] for host in hosts if host["seconds"] is not None)
    failed = [host["problem"] for host in hosts if host["seconds"] is None]
    print(json.dumps({
        "hosts": given.hosts, "rate": given.rate, "activated": len(seconds), "in_console": known,
        "failed": len(failed), "failures": sorted(set(failed))[:5],
        "median_s": statistics.median(seconds) if seconds else None,
        "last_s": seconds[-1] if seconds else None,
        "requests": service.answered + service.throttled, "throttled": service.throttled,
        "told_to_wait": sum(1 for host in hosts if host["waits"] > 0)}, indent=2))
    good = not failed and known == given.hosts and seconds[-1] <= 300
    print("met" if good else "missed", "- all within 300 s, none failed")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
