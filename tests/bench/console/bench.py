#!/usr/bin/env python3
"""The figures of the console. Usage: bench.py [--quick] [heartbeats] [fleet] [waiting] [outage] [pages] [browser]

waiting takes --agents=COUNT; pages takes --events=COUNT and --database=sqlite or postgresql (both without)."""

import sys

sys.dont_write_bytecode = True

import browser  # noqa: E402
import fleet  # noqa: E402
import heartbeats  # noqa: E402
import pages  # noqa: E402
from tools import harness  # noqa: E402


def main():
    quick = "--quick" in sys.argv
    wanted = [word for word in sys.argv[1:] if not word.startswith("-")]
    try:
        if not wanted or "heartbeats" in wanted:
            heartbeats.run(*((2, 1) if quick else (6, 5)))
        if not wanted or "fleet" in wanted:
            fleet.run(*((300, 5, 3, 10) if quick else ()))
        if not wanted or "waiting" in wanted:
            chosen = dict(word[2:].split("=") for word in sys.argv[1:] if "=" in word)
            fleet.run_waiting(*((300, 5, 10) if quick else (int(chosen.get("agents", fleet.AGENTS)),)))
        if not wanted or "outage" in wanted:
            fleet.run_long_outage()
        if not wanted or "pages" in wanted:
            chosen = dict(word[2:].split("=") for word in sys.argv[1:] if "=" in word)
            pages.run(int(chosen.get("events", 100000 if quick else pages.EVENTS)),
                      [chosen["database"]] if "database" in chosen else pages.DATABASES)
        if not wanted or "browser" in wanted:
            browser.run(*((100000, 1000) if quick else ()))
    finally:
        harness.stop_postgres()


main()
