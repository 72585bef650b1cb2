#!/usr/bin/env python3
"""Counts test cases in a JUnit file of ctest: prints "passed failed skipped"; on stderr the names of failed ones, a line
each, with their last words indented below.

A ctest test is one program. When its output tells how many cases it ran, in cmocka's words
("[  PASSED  ] 7 test(s).") or ours ("7 passed, 0 failed, 1 skipped"), those count; otherwise the
program counts as one. A program that failed counts at least one failure, whatever it printed.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree

LAST_WORDS = 12  # lines
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


def last_words(output):
    """What a failed program said of its failed cases, or else in the end."""
    lines = output.splitlines()
    telling = re.compile(r"FAILED |\[  FAILED  \]|.*(AssertionError|Sanitizer)")
    wanted = {i + after for i, line in enumerate(lines) if telling.match(line) for after in range(3)}
    chosen = [line for i, line in enumerate(lines) if i in wanted] or lines
    return chosen[-LAST_WORDS:]


def count_test(case):
    """The same of one element of the file."""
    status = "passed"
    if case.find("failure") is not None or case.find("error") is not None:
        status = "failed"
    elif case.find("skipped") is not None or case.get("status") in ("notrun", "disabled"):
        status = "skipped"
    return count_case(status, case.findtext("system-out") or "")


def main():
    totals = [0, 0, 0]
    for case in ElementTree.parse(sys.argv[1]).iter("testcase"):
        counts = count_test(case)
        totals = [a + b for a, b in zip(totals, counts)]
        if counts[1]:
            output = case.findtext("system-out") or ""
            print(case.get("name"), *("    " + line for line in last_words(output)), sep="\n", file=sys.stderr)
    print(*totals)


if __name__ == "__main__":
    main()
