#!/usr/bin/env python3
"""Prints a JUnit file of ctest as a table, a row a test, and what all of them come to."""
import os
import sys
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import count_results


def main():
    totals = [0, 0, 0]
    print("| test | passed | failed | skipped | seconds |\n| --- | --- | --- | --- | --- |")
    for case in ElementTree.parse(sys.argv[1]).iter("testcase"):
        counts = count_results.count_test(case)
        totals = [total + count for total, count in zip(totals, counts)]
        print("|", case.get("name"), "|", " | ".join(map(str, counts)), "|", round(float(case.get("time"))), "|")
    print("{} passed, {} failed, {} skipped".format(*totals))


if __name__ == "__main__":
    main()
