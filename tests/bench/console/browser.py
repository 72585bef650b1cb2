"""The web page over a large fleet, in a real headless Chromium: how long after the API's last answer
each page can be used, and how long a keystroke in a filter takes to be painted. On SQLite."""

import os
import subprocess
import time

import pages
from tools import BUILD, harness

COMPUTERS = 10000
EVENTS = 5000000
SOURCE = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
MODULES = os.path.join(os.path.dirname(BUILD), "page-modules")


def run(events=EVENTS, computers=COMPUTERS):
    if not os.path.isdir(os.path.join(MODULES, "node_modules")):
        print("browser skipped: run tests/system/page/run.sh once, it fetches what is needed")
        return
    pages.COMPUTERS = computers
    with harness.Console(f'web = "{SOURCE}/console/web";\n') as console:
        admin = console.administrator()
        groups = [admin.post("/api/v1/groups", {"name": word}, expect=201).json["id"]
                  for word in ("small", "large")]
        agent = harness.Agent(console)
        agent.activate(console.run("token", "create").stdout.strip())
        begun = time.monotonic()
        console.stop()
        pages.fill(console, events, groups)
        console.start()
        print(f"browser: {computers} computers, {events} events made in "
              f"{time.monotonic() - begun:.0f} s", flush=True)
        subprocess.run(
            ["node", os.path.join(os.path.dirname(__file__), "browser.mjs"), MODULES], check=True,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "YAGURA_PAGE": f"https://127.0.0.1:{console.people_port}/",
                 "YAGURA_PAGE_PASSWORD": harness.PASSWORD})
