"""The web page over a large fleet, in a real headless Chromium: how long after the API's last answer
each page can be used, and how long a keystroke in a filter takes to be painted. On SQLite."""

import json
import os
import subprocess

from console import pages
from console.tools import BUILD, SOURCE, harness

MODULES = os.path.join(os.path.dirname(BUILD), "page-modules")


def browser(bench):
    if not os.path.isdir(os.path.join(MODULES, "node_modules")):
        raise harness.unittest.SkipTest("run tests/system/page/run.sh once, it fetches what is needed")
    events, computers = bench.size(5000000, 100000), bench.size(10000, 1000)
    with pages.FilledConsole(events, computers, extra=f'web = "{SOURCE}/console/web";\n') as filled:
        done = subprocess.run(
            ["node", os.path.join(os.path.dirname(__file__), "browser.mjs"), MODULES], check=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "YAGURA_PAGE": f"https://127.0.0.1:{filled.console.people_port}/",
                 "YAGURA_PAGE_PASSWORD": harness.PASSWORD})
    said = json.loads(done.stdout)
    of = f"{computers:,} computers, {events:,} events"
    for page in said["pages"]:
        bench.figure(f"{page['address']}: usable after the API's answer", page["after_ms"], "ms", most=1000,
                     note=f"worst round {page['worst_ms']:.0f} ms, from the click {page['whole_ms']:.0f} ms; {of}")
    keys = said["keys"]
    bench.figure("keystroke in the filter to its paint, worst", keys["worst_ms"], "ms", most=100,
                 note=f"of {keys['count']}, {keys['rows']} rows shown; median {keys['median_ms']:.0f} ms or less")
