"""Which lines of the parsers do fuzz corpora and unit tests reach? Reads what the `coverage` build wrote, prints a table.

Usage: coverage.py BUILD [--corpora] [--record FILE]

A parser is a source file of the tree that a fuzz target names: of each header that NAME_fuzz.c includes, less those of
common tools, the sources HEADER.c and HEADER_*.c beside it, or what SHARED names. Exits with 1 when one is below LEAST."""

import argparse
import collections
import concurrent.futures
import glob
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
LEAST = 90.0
TOOLS = ("common/text/", "common/buffers/", "common/attributes.h", "common/limits.h", "common/log/", "tests/",
         "common/files/", "common/time/", "common/crypto/keys.h")


def sources_of(header):
    if header.startswith(TOOLS) and not re.search(r"text_(parse|escape)\.h$", header):
        return []
    if header in SHARED:
        return SHARED[header]
    stem = os.path.join(ROOT, header[:-2])
    return [os.path.relpath(path, ROOT) for path in glob.glob(stem + ".c") + glob.glob(stem + "_*.c")]


# Headers that several sources implement, none of them by its name.
SHARED = {"console/api/api_internal.h": [f"console/api/api_{name}.c" for name in (
    "alert_rules", "commands", "common", "groups", "list", "people", "rules", "secrets", "sensor_keys", "session", "signatures",
    "tokens")]}


def parsers():
    """{source: targets}."""
    found = collections.defaultdict(list)
    for path in sorted(glob.glob(os.path.join(ROOT, "tests/fuzz/*_fuzz.c"))):
        with open(path, encoding="utf-8") as stream:
            headers = re.findall(r'#include "([^"]+\.h)"', stream.read())
        sources = {source for header in headers for source in sources_of(header)}
        for source in sorted(sources):
            found[source].append(os.path.basename(path)[:-len("_fuzz.c")])
    return found


def lines_of(build, objects):
    """{line: reached} of one source, over all its objects."""
    lines = collections.defaultdict(bool)
    for data in objects:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["gcov", "--json-format", data], cwd=folder, check=False, capture_output=True)
            for result in glob.glob(os.path.join(folder, "*.gz")):
                with gzip.open(result) as stream:
                    for file in json.load(stream)["files"]:
                        name = os.path.relpath(os.path.realpath(os.path.join(build, file["file"])), ROOT)
                        for line in file["lines"]:
                            lines[name, line["line_number"]] |= line["count"] > 0
    return lines


def measure(build, sources):
    notes = {}
    for path in glob.glob(os.path.join(build, "**/*.c.gcda"), recursive=True):
        notes.setdefault(os.path.basename(path)[:-len(".c.gcda")], []).append(path)

    def one(source):
        wanted = notes.get(os.path.basename(source)[:-2], [])
        lines = {key[1]: reached for key, reached in lines_of(build, wanted).items() if key[0] == source}
        return source, sum(lines.values()), len(lines)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, sources))


def page(rows, targets, corpora, commit):
    below = [row for row in rows if row[2] and 100 * row[1] / row[2] < LEAST]
    reached, all_lines = sum(row[1] for row in rows), sum(row[2] for row in rows)
    lines = ["# Lines of parsers that tests reach, last run", "",
             f"`tests/fuzz/coverage.sh{' --corpora' if corpora else ''}`, {time.strftime('%Y-%m-%d')}, {commit}: "
             f"{'fuzz corpora alone, which unit tests add to' if corpora else 'fuzz corpora and unit tests'}, {reached:,} of {all_lines:,} lines "
             f"({100 * reached / max(all_lines, 1):.1f} %). {len(below)} of {len(rows)} parsers are below {LEAST:.0f} %.", "",
             "| parser | fuzz targets | lines | reached |", "| --- | --- | --- | --- |"]
    for source, hit, count in sorted(rows, key=lambda row: row[1] / max(row[2], 1)):
        share = f"{100 * hit / count:.1f} %" if count else "not built"
        lines.append(f"| `{source}` | {', '.join(targets[source])} | {count:,} | {share} |")
    return "\n".join(lines) + "\n", below


def main():
    parser = argparse.ArgumentParser(prog="coverage.sh")
    parser.add_argument("build")
    parser.add_argument("--corpora", action="store_true", help="only these were run")
    parser.add_argument("--record")
    options = parser.parse_args()
    commit = subprocess.run([os.path.join(ROOT, "tests/commit.sh")], capture_output=True, text=True, check=True).stdout.strip()
    targets = parsers()
    text, below = page(measure(os.path.realpath(options.build), list(targets)), targets, options.corpora, commit)
    print(text)
    if options.record:
        with open(options.record, "w", encoding="utf-8") as stream:
            stream.write(text)
    return 1 if below else 0


if __name__ == "__main__":
    sys.exit(main())
