"""A fleet on one node: every agent sends a heartbeat with an event a minute. Then the console is
away for half a minute, and all agents have to come back, with the delays of yagura-messenger. And when
they would be back after a day, by those delays and a clock of its own."""

import os
import signal
import subprocess
import threading
import time

from tools import FixedConsole, harness, program, resident_mb

until = harness.until
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

    def __init__(self, console, agents, seconds, interval, mode="fleet"):
        token = console.run("token", "create", "--uses", str(agents)).stdout.strip()
        self.process = subprocess.Popen(
            [program("console_load"), mode, str(console.agents_port), console.authority, token,
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

    def sums(self):
        """answered, errors, refused, handshakes, p50, p99, worst; and of waits: woken, unwoken, failed."""
        self.process.send_signal(signal.SIGUSR2)
        with self.said:
            self.said.wait_for(lambda: self.lines and self.lines[-1][0] == "sums")
            waits = [line for line in self.lines if line[0] == "waits"]
            return ([float(word) for word in self.lines[-1][1:8]],
                    [int(word) for word in waits[-1][1:]] if waits else [])

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
    (answered, errors, refused, _, median, p99, worst), _ = fleet.sums()
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


def metric(client, name):
    for line in client.get("/metrics", expect=200).body.decode().splitlines():
        if line.startswith("yagura_console_" + name + " "):
            return int(line.split()[1])
    raise AssertionError(name)


def run_waiting(agents=AGENTS, interval=INTERVAL, watched=120):
    """What waiting agents cost, beside the same fleet without; then something is new for all."""
    for mode in ("fleet", "waiting"):
        with FixedConsole(agents=f"waiting = {agents}; ") as console:
            fleet = Fleet(console, agents, 100000, interval, mode)
            try:
                fleet.wait_until_back()
                client = console.administrator()
                if mode == "waiting":
                    until(lambda: metric(client, "agents_waiting") >= agents * 0.99, 600)
                    print(f"{metric(client, 'agents_waiting')} of {agents} wait:", flush=True)
                measure_quiet(console, fleet, watched)
                if mode == "waiting":
                    measure_assignment(console, fleet, client)
            finally:
                fleet.stop()


def measure_assignment(console, fleet, client):
    """A policy for all: how soon the last one has it, and the busiest second."""
    fleet.mark()
    used, begun = processor_seconds(console.process.pid), time.monotonic()
    tag = client.get("/api/v1/policies/base").headers["ETag"]
    client.put("/api/v1/policies/base", {"text": "scan = {\n  heuristics = false;\n};\n"}, If_Match=tag,
               expect=200)
    counts = []
    while fleet.sums()[1][0] < fleet.agents * 0.99 and time.monotonic() < begun + 300:
        counts.append(metric(client, "heartbeats_total"))
        time.sleep(1)
    passed = time.monotonic() - begun
    used = processor_seconds(console.process.pid) - used
    busiest = max(later - sooner for sooner, later in zip(counts, counts[1:]))
    print(f"something new for all: 99 % were told within {passed:.0f} s, {busiest} heartbeats in the"
          f" busiest second, {used / passed / os.cpu_count() * 100:.1f} % of the processors", flush=True)


def run_long_outage(agents=AGENTS, interval=INTERVAL, outage=DAY):
    said = subprocess.run([program("long_outage"), str(agents), str(outage), str(interval)],
                          capture_output=True, text=True, check=True).stdout
    half, back, busiest, failures = map(float, said.split())
    print(f"away for {outage / 3600:.0f} hours: all {agents} back {back:.0f} s after the return"
          f" (bar {BAR_BACK_AFTER_A_DAY_S}), half of them {half:.0f} s; {busiest:.0f} in the busiest"
          f" second, at least {failures:.0f} failures each", flush=True)
