#!/usr/bin/env python3
"""Counts test cases in a JUnit file of ctest: prints "passed failed skipped"; names failed ones on stderr.

A ctest test is one program. When its output tells how many cases it ran, in cmocka's words
("[  PASSED  ] 7 test(s).") or ours ("7 passed, 0 failed, 1 skipped"), those count; otherwise the
program counts as one. A program that failed counts at least one failure, whatever it printed.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree

OURS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.MULTILINE)


def count_case(status, output):
    """Returns (passed, failed, skipped) of one ctest test."""
    passed = failed = skipped = 0
    for kind, number in re.findall(r"^\[ +(PASSED|FAILED|SKIPPED|ERROR) +\][^\n]*?(\d+) test\(s\)", output, re.MULTILINE):
        if kind == "PASSED":
            passed += int(number)
        elif kind == "SKIPPED":
            skipped += int(number)
        else:
            failed += int(number)
    for line in OURS.findall(output):
        passed, failed, skipped = passed + int(line[0]), failed + int(line[1]), skipped + int(line[2])
    if status == "skipped" and not failed:
        return passed, 0, max(skipped, 1)
    if status == "failed":
        return passed, max(failed, 1), skipped
    if passed + failed + skipped == 0:
        return 1, 0, 0
    return passed, failed, skipped


def main():
    totals = [0, 0, 0]
    for case in ElementTree.parse(sys.argv[1]).iter("testcase"):
        output = case.findtext("system-out") or ""
        if case.find("failure") is not None or case.find("error") is not None:
            status = "failed"
        elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
            status = "skipped"
        else:
            status = "passed"
        counts = count_case(status, output)
        totals = [a + b for a, b in zip(totals, counts)]
        if counts[1]:
            print(case.get("name"), file=sys.stderr)
    print(*totals)


if __name__ == "__main__":
    main()
