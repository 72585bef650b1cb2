"""Runs the benchmarks and prints every figure with its bar. Owns the list of benchmarks and the table;
how a figure is measured stands in figures/."""

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import machine  # noqa: E402
import page  # noqa: E402
from agent import Product  # noqa: E402

RESULTS = page.RESULTS
# Name, meaning, and the function that measures it: its module is loaded when its turn comes, for some need what others do not.
BENCHMARKS = [
    ("missed", "files that get no verdict, in every way files can appear", "figures.misses:ours"),
    ("missed-clamonacc", "the same of clamonacc, smaller counts, for comparison", "figures.misses:clamonacc"),
    ("burst", "5,000 infected files at once, small database", "figures.latency:burst"),
    ("burst-large", "5,000 files of 2 KB at once, large database", "figures.latency:burst_large"),
    ("single", "one file on an idle agent, small database", "figures.latency:single"),
    ("single-large", "one file on an idle agent, large database", "figures.latency:single_large"),
    ("quarantine", "one file from close to quarantined and committed, small database", "figures.latency:quarantine"),
    ("quarantine-large", "the same, large database", "figures.latency:quarantine_large"),
    ("tree", "scan of a tree of small files, small database", "figures.throughput:tree"),
    ("tree-large", "scan of a tree of small files, large database", "figures.throughput:tree_large"),
    ("second-pass", "50,000 unchanged files again, small database", "figures.throughput:second_pass"),
    ("second-pass-large", "50,000 unchanged files again, large database", "figures.throughput:second_pass_large"),
    ("memory", "memory after 20,000 files, and at the peak of a reload, large database", "figures.memory:memory"),
    ("killed-worker", "a killed scanner process until the next verdict, large database", "figures.memory:killed_worker"),
    ("watching", "watching 100,000 directories, then doing nothing", "figures.watching:watching"),
    ("few-watches", "more directories than inotify watches", "figures.watching:few_watches"),
    ("integrity", "an integrity check of 100,000 unchanged files beside find and AIDE", "figures.integrity:check"),
    ("integrity-race", "changes in new directories that integrity monitoring misses", "figures.integrity:race"),
    ("prevention", "what prevention costs: opens, a compile, a web server, doing nothing", "figures.prevention:prevention"),
    ("logs", "lines of logs a second", "figures.logs:logs"),
    ("store", "durable events a second beside bare SQLite", "figures.store:store"),
    ("console-heartbeats", "durable heartbeats beside an empty handler, SQLite and PostgreSQL", "console.heartbeats:heartbeats"),
    ("console-fleet", "10,000 agents a minute, and all again after an outage", "console.fleet:fleet"),
    ("console-waiting", "agents that wait for news beside the same fleet without", "console.fleet:waiting"),
    ("console-outage", "when 10,000 agents are back after a day, by their delays", "console.fleet:long_outage"),
    ("console-pages", "pages of 5 million events, every filter, SQLite", "console.pages:on_sqlite"),
    ("console-pages-postgresql", "pages of 5 million events, every filter, PostgreSQL", "console.pages:on_postgresql"),
    ("console-browser", "the web page over 10,000 computers, in Chromium", "console.browser:browser"),
    ("application", "judging events beside libmodsecurity, same rules", "application.detection:detection"),
    ("relay", "what the layer adds to an invocation and to a cold start", "relay.relay:relay"),
    ("storage", "objects beside a bare loop and clamscan, small database", "storage.objects:small"),
    ("storage-large", "objects beside a bare loop and clamscan, large database", "storage.objects:large"),
    ("scale-out", "1,000 instances that start at once, and Parameter Store's limit", "aws.scale_out:scale_out"),
    ("install", "an instance from State Manager's action to activated and watching", "aws.install_time:install"),
]


class Bench:
    """What a benchmark gets: sizes, the machine, the product, and a place for its figures."""

    def __init__(self, options, the_machine):
        self.quick = options.quick
        self.build = options.build
        self.machine = the_machine
        self.product = Product(the_machine, options.build)
        self.rows = []
        self.details = {}

    def size(self, full, quick):
        return quick if self.quick else full

    def figure(self, name, measured, unit, bar=None, most=None, least=None, note="", beside=None):
        """One row. most/least: the measured value's limit; neither: for information. beside: what is compared, for a
        plot: {"unit", "kind": latency or throughput, "values": {who: value}}."""
        if most is not None:
            held, bar = measured <= most, bar or f"<= {most:g}"
        elif least is not None:
            held, bar = measured >= least, bar or f">= {least:g}"
        else:
            held, bar = None, bar or ""
        self.rows.append({"figure": name, "measured": measured, "unit": unit, "bar": bar,
                          "held": held, "note": note, **({"beside": beside} if beside else {})})
        self.say(format_row(self.rows[-1]))

    def failed(self, name, why):
        self.rows.append({"figure": name, "measured": None, "unit": "", "bar": "", "held": False,
                          "note": why})
        self.say(format_row(self.rows[-1]))

    def skip(self, name, why):
        self.rows.append({"figure": name, "measured": None, "unit": "", "bar": "", "held": None,
                          "note": f"SKIPPED: {why}"})
        self.say(format_row(self.rows[-1]))

    def detail(self, name, value):
        """Raw values for the result file."""
        self.details[name] = value

    @staticmethod
    def say(text):
        print(text, flush=True)


def format_value(value):
    if value is None:
        return "-"
    if isinstance(value, int) or float(value).is_integer() and abs(value) >= 100:
        return f"{int(value):,}"
    return f"{value:,.3f}" if abs(value) < 10 else f"{value:,.1f}"


def format_row(row):
    state = {True: "ok", False: "MISSED", None: "-"}[row["held"]]
    if row["held"] is None and row["note"].startswith("SKIPPED"):
        state = "SKIPPED"
    measured = f"{format_value(row['measured'])} {row['unit']}".strip()
    return f"{row['figure']:<58} {measured:>16} {row['bar']:>12}  {state:<7} {row['note']}".rstrip()


def print_table(bench, facts):
    """How many figures are a reason to fail: those that were missed; with --quick, those that could not be measured."""
    print("\n" + "-" * 110)
    print(f"{'figure':<58} {'measured':>16} {'bar':>12}")
    for row in bench.rows:
        print(format_row(row))
    print("-" * 110)
    print(", ".join(f"{key}: {value}" for key, value in facts.items()))
    held = sum(1 for row in bench.rows if row["held"] is True)
    lost = sum(1 for row in bench.rows if row["held"] is False)
    skipped = sum(1 for row in bench.rows if row["note"].startswith("SKIPPED"))
    if bench.quick:  # says nothing about speed: what could be measured counts, in the words of our tests
        faults = sum(1 for row in bench.rows if row["held"] is False and row["measured"] is None)
        print(f"{len(bench.rows) - faults - skipped} passed, {faults} failed, {skipped} skipped")
        return faults
    print(f"{held} figures held, {lost} missed, {skipped} skipped")
    return lost


def run_one(bench, name, function):
    bench.say(f"== {name}")
    begin = time.monotonic()
    try:
        module, name_in_it = function.split(":")
        getattr(importlib.import_module(module), name_in_it)(bench)
    except unittest.SkipTest as reason:
        bench.skip(name, reason)
    except (machine.BenchError, subprocess.SubprocessError) as error:
        bench.failed(name, f"not measured: {error}")
    except Exception:  # a fault of one benchmark must not hide the figures of the others
        traceback.print_exc()
        bench.failed(name, "not measured: fault in the benchmark, see above")
    bench.detail(f"{name} seconds", round(time.monotonic() - begin, 1))


def record(bench, name, meaning, facts, first_row):
    """What this benchmark found, in the place of its last result."""
    os.makedirs(RESULTS, exist_ok=True)
    with open(os.path.join(RESULTS, name + ".json"), "w", encoding="utf-8") as stream:
        json.dump({"name": name, "meaning": meaning, "date": time.strftime("%Y-%m-%d"), "quick": bench.quick,
                   "facts": {**facts, "yagura": bench.product.version(), "load_after": os.getloadavg()[0]},
                   "rows": bench.rows[first_row:]}, stream, indent=1)
        stream.write("\n")


def parse_options():
    parser = argparse.ArgumentParser(prog="run.sh", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the benchmarks and end")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="only this benchmark (repeatable)")
    parser.add_argument("--quick", action="store_true", help="small sizes: only whether it works")
    parser.add_argument("--output", metavar="FOLDER", help="write result.json there")
    parser.add_argument("--record", action="store_true",
                        help="keep the figures in tests/bench/results, and write docs/benchmarks.md anew")
    parser.add_argument("--cache", metavar="FOLDER", help="keep generated databases there")
    parser.add_argument("--temporary", metavar="FOLDER", help="where the temporary folder is made")
    parser.add_argument("--keep", action="store_true", help="leave the temporary folder for a look")
    parser.add_argument("--build", required=True, metavar="FOLDER", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.build = os.path.abspath(options.build)
    os.environ["YAGURA_BUILD_DIR"] = options.build  # for what the benchmarks share with the system tests
    names = [name for name, _, _ in BENCHMARKS]
    for name in options.only:
        if name not in names:
            parser.error(f"--only {name}: want one of {', '.join(names)}")
    return options


def main():
    options = parse_options()
    if options.list:
        for name, meaning, _ in BENCHMARKS:
            print(f"{name:<26} {meaning}")
        return 0
    if os.geteuid() != 0:
        print("bench: needs root: inotify and fanotify over any file, other users' memory", file=sys.stderr)
        return 2
    facts = machine.describe()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(2))  # so that everything is ended and removed
    the_machine = machine.Machine(os.path.join(options.build, "bench"), options.cache,
                                  options.temporary, options.keep)
    try:
        bench = Bench(options, the_machine)
        for name, meaning, function in BENCHMARKS:
            if not options.only or name in options.only:
                before, first_row = os.getloadavg()[0], len(bench.rows)
                run_one(bench, name, function)
                if options.record:
                    record(bench, name, meaning, {**facts, "load_before": before}, first_row)
    finally:
        the_machine.stop_all()
    facts["yagura"] = bench.product.version()
    facts["load_after"] = os.getloadavg()[0]
    lost = print_table(bench, facts)
    if options.record:
        page.write()
    if options.output:
        os.makedirs(options.output, exist_ok=True)
        with open(os.path.join(options.output, "result.json"), "w", encoding="utf-8") as stream:
            json.dump({"facts": facts, "quick": bench.quick, "rows": bench.rows,
                       "details": bench.details}, stream, indent=1)
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
