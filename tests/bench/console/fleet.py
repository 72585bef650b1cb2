"""A fleet on one node: every agent sends a heartbeat with an event a minute. Then the console is
away for half a minute, and all agents have to come back, with the delays of yagura-messenger. And when
they would be back after a day, by those delays and a clock of its own."""

import os
import signal
import subprocess
import threading
import time

from tools import FixedConsole, program, resident_mb

AGENTS = 10000
INTERVAL = 60
OUTAGE = 30
EVENTS = 1
BAR_LATENCY_MS = 250
BAR_PROCESSOR = 0.25
BAR_MEMORY_MB = 400
BAR_BACK_S = 120
DAY = 86400
BAR_BACK_AFTER_A_DAY_S = 900  # the longest delay


class Fleet:
    """console_load, and what it says."""

    def __init__(self, console, agents, seconds, interval):
        token = console.run("token", "create", "--uses", str(agents)).stdout.strip()
        self.process = subprocess.Popen(
            [program("console_load"), "fleet", str(console.agents_port), console.authority, token,
             str(agents), str(seconds), str(interval), str(EVENTS), str(console.process.pid)],
            stdout=subprocess.PIPE, text=True)
        self.agents = agents
        self.lines = []
        self.said = threading.Condition()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.process.stdout:
            with self.said:
                self.lines.append(line.split())
                self.said.notify_all()
        with self.said:
            self.lines.append(["end"])
            self.said.notify_all()

    def wait_until_back(self):
        """Seconds since the last mark (or the start) until all were answered; None: the run ended
        first."""
        with self.said:
            self.said.wait_for(lambda: self.lines and (
                self.lines[-1][0] == "end" or self.lines[-1][:2] == ["back", str(self.agents)]))
            return float(self.lines[-1][2]) if self.lines[-1][0] == "back" else None

    def mark(self):
        with self.said:
            self.lines.clear()
        self.process.send_signal(signal.SIGUSR1)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(agents=AGENTS, interval=INTERVAL, outage=OUTAGE, watched=120):
    with FixedConsole() as console:
        begun = time.monotonic()
        fleet = Fleet(console, agents, 100000, interval)
        try:
            first = fleet.wait_until_back()
            print(f"{agents} agents: activated and answered after {time.monotonic() - begun:.0f} s"
                  f" ({first:.0f} s of these first heartbeats)", flush=True)
            measure_quiet(console, fleet, watched)
            measure_outage(console, fleet, outage)
        finally:
            fleet.stop()


def measure_quiet(console, fleet, watched):
    fleet.mark()
    used = processor_seconds(console.process.pid)
    time.sleep(watched)
    used = (processor_seconds(console.process.pid) - used) / watched / os.cpu_count()
    fleet.process.send_signal(signal.SIGUSR2)
    with fleet.said:
        fleet.said.wait_for(lambda: fleet.lines and fleet.lines[-1][0] == "sums")
        answered, errors, refused, _, median, p99, worst = map(float, fleet.lines[-1][1:8])
    print(f"{watched} s: {answered:.0f} heartbeats, {errors + refused:.0f} failed,"
          f" p50 {median:.1f} ms, p99 {p99:.1f} ms (bar {BAR_LATENCY_MS}), worst {worst:.0f} ms")
    print(f"{used * 100:.1f} % of {os.cpu_count()} processors (bar {BAR_PROCESSOR * 100:.0f} %),"
          f" {resident_mb(console.process.pid, 'VmRSS'):.0f} MB (bar {BAR_MEMORY_MB})", flush=True)


def measure_outage(console, fleet, outage):
    gone = time.monotonic()
    console.stop(signal.SIGKILL)
    time.sleep(outage)
    console.start()
    ready = time.monotonic()
    used = processor_seconds(console.process.pid)
    fleet.mark()
    back = fleet.wait_until_back()
    passed = time.monotonic() - ready
    used = processor_seconds(console.process.pid) - used
    print(f"away for {ready - gone:.0f} s: all {fleet.agents} back {back:.0f} s after the return"
          f" (bar {BAR_BACK_S}), {used / passed / os.cpu_count() * 100:.0f} % of the processors,"
          f" {resident_mb(console.process.pid, 'VmRSS'):.0f} MB", flush=True)


def run_long_outage(agents=AGENTS, interval=INTERVAL, outage=DAY):
    said = subprocess.run([program("long_outage"), str(agents), str(outage), str(interval)],
                          capture_output=True, text=True, check=True).stdout
    half, back, busiest, failures = map(float, said.split())
    print(f"away for {outage / 3600:.0f} hours: all {agents} back {back:.0f} s after the return"
          f" (bar {BAR_BACK_AFTER_A_DAY_S}), half of them {half:.0f} s; {busiest:.0f} in the busiest"
          f" second, at least {failures:.0f} failures each", flush=True)
