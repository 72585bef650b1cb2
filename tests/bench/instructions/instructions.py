#!/usr/bin/env python3
"""Counts the instructions of the hot paths under callgrind and compares them with those recorded.

Usage: instructions.py BUILD [--record]

A count is the same for the same compiler, libraries and rules, however busy the machine is; so a
change of more than TOLERANCE is a change of the code. Prints TAP. After an update of those within their
release (another revision of the same libc, say) counts may be WIDE_TOLERANCE apart, and a skipped line
says that the record is old; with another release there is nothing to compare, which a skipped line says,
too. --record writes recorded.json anew: do it in the commit that means to change a count, and say why there."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
RECORDED = os.path.join(HERE, "recorded.json")
TOLERANCE = 0.03
WIDE_TOLERANCE = 0.10
RENEW = "tests/bench/instructions/instructions.py BUILD --record"
RULES = ("/etc/modsecurity/crs/crs-setup.conf", "/usr/share/modsecurity-crs")
PACKAGES = ["libc6", "libjansson4", "libpcre2-8-0", "modsecurity-crs"]
REQUEST = {"id": "search", "event": {
    "version": "2.0", "rawPath": "/search", "rawQueryString": "q=hello+world&page=2&sort=price",
    "headers": {"host": "api.example.com", "accept": "application/json",
                "user-agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"},
    "requestContext": {"http": {"method": "GET", "path": "/search", "protocol": "HTTP/1.1",
                                "sourceIp": "203.0.113.9"}},
    "isBase64Encoded": False}}


def say_of(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def environment(build):
    """What a count depends on besides our code."""
    versions = say_of("dpkg-query", "-W", "-f", "${Package} ${Version}\n", *PACKAGES).splitlines()
    with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as stream:
        compiler = re.search(r"^CMAKE_C_COMPILER:\w+=(.*)$", stream.read(), re.M).group(1)
    with open("/proc/cpuinfo", encoding="utf-8") as stream:
        vectors = "AVX2" if " avx2" in stream.read() else "no AVX2"  # which memchr() libc takes
    return [say_of(compiler, "--version").splitlines()[0], os.uname().machine, vectors,
            *sorted(versions)]


def count(function, command, text=""):
    """Instructions inside function and what it calls."""
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no",
         f"--toggle-collect={function}", *command],
        input=text, capture_output=True, text=True, timeout=300, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or not found or int(found.group(1)) == 0:
        raise RuntimeError(f"{function}: {done.stderr[-600:]}")
    return int(found.group(1))


def count_all(build):
    program = os.path.join(build, "bench", "hot_paths")
    counts = {name: count(f"hot_path_{name}", [program, name])
              for name in say_of(program).splitlines()}
    judge = os.path.join(build, "bench", "judge_cost")
    if os.path.exists(judge) and all(map(os.path.exists, RULES)):
        with tempfile.TemporaryDirectory() as folder:
            table = os.path.join(folder, "rules.table")
            subprocess.run([os.path.join(build, "bin", "yagura-rules-compiler"), "--output", table,
                            *RULES], check=True, capture_output=True, timeout=60)
            counts["judge"] = count("inspection_judge", [judge, table, "1"],
                                    json.dumps(REQUEST) + "\n")
    return counts


def release_of(tool):
    """What a distribution's update leaves as it is: of "libc6 2.36-9+deb12u14" the "libc6 2.36"."""
    if tool.startswith("cc ") or "(" in tool:
        return re.sub(r"\(.*\)", "", tool)
    name, _, version = tool.partition(" ")
    return f"{name} {version.rpartition('-')[0] or version}"


def tolerance(here, recorded):
    """How far counts may be apart, None when they cannot be compared; which tools differ."""
    differ = "; ".join(sorted(set(here) ^ set(recorded)))
    if not differ:
        return TOLERANCE, ""
    same_release = sorted(map(release_of, here)) == sorted(map(release_of, recorded))
    return WIDE_TOLERANCE if same_release else None, differ


def compare(counts, recorded, allowed=TOLERANCE):
    """TAP; the number of paths that cost more, or so much less that the record is worth renewing."""
    failed = 0
    for name, now in counts.items():
        before = recorded.get(name)
        change = (now - before) / before if before else None
        good = change is not None and abs(change) <= allowed
        failed += not good
        said = f"{now:,}, {change:+.1%}" if before else f"{now:,}, not recorded"
        print(f"{'' if good else 'not '}ok - instructions of {name}: {said}")
        if not good:
            print(f"# meant? then: {RENEW}")
    return failed


def main():
    build = os.path.abspath(sys.argv[1])
    if not shutil.which("valgrind"):
        print("ok - instructions # SKIP no valgrind here")
        return 0
    here = environment(build)
    if "--record" in sys.argv:
        counts = count_all(build)
        with open(RECORDED, "w", encoding="utf-8") as stream:
            json.dump({"environment": here, "counts": counts}, stream, indent=1)
            stream.write("\n")
        return 0
    with open(RECORDED, encoding="utf-8") as stream:
        recorded = json.load(stream)
    allowed, differ = tolerance(here, recorded["environment"])
    if allowed is None:
        print(f"ok - instructions # SKIP recorded with another release of the tools; compare before and after by {RENEW}: {differ}")
        return 0
    if differ:
        print(f"ok - the record is of these tools # SKIP old, so {allowed:.0%} are allowed; renew it by {RENEW}: {differ}")
    return 1 if compare(count_all(build), recorded["counts"], allowed) else 0


if __name__ == "__main__":
    sys.exit(main())
