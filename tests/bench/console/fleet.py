"""A fleet on one node: every agent sends a heartbeat with an event a minute. Then the console is
away for half a minute, and all agents have to come back, with the delays of yagura-messenger. And when
they would be back after a day, by those delays and a clock of its own."""

import os
import signal
import subprocess
import threading
import time

from console.tools import FixedConsole, harness, processor_seconds, program, resident_mb

until = harness.until
INTERVAL = 60
OUTAGE = 30
EVENTS = 1
DAY = 86400


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


def sizes(bench, agents):
    """(agents, seconds between heartbeats, seconds to watch)."""
    return (bench.size(agents, 300), bench.size(INTERVAL, 5), bench.size(120, 10))


def fleet(bench):
    agents, interval, watched = sizes(bench, 10000)
    with FixedConsole() as console:
        crowd = Fleet(console, agents, 100000, interval)
        try:
            crowd.wait_until_back()
            measure_quiet(bench, console, crowd, watched, f"{agents:,} agents, a heartbeat with an event every {interval} s")
            measure_outage(bench, console, crowd, bench.size(OUTAGE, 3))
        finally:
            crowd.stop()


def measure_quiet(bench, console, crowd, watched, name):
    crowd.mark()
    used = processor_seconds(console.process)
    time.sleep(watched)
    used = (processor_seconds(console.process) - used) / watched / os.cpu_count()
    (answered, errors, refused, _, median, p99, worst), _ = crowd.sums()
    bench.figure(f"{name}: p99", p99, "ms", most=250,
                 note=f"{answered:.0f} in {watched} s, p50 {median:.1f} ms, worst {worst:.0f} ms")
    bench.figure(f"{name}: failed", int(errors + refused), "", most=0)
    bench.figure(f"{name}: processor", used * 100, "%", most=25, note=f"of {os.cpu_count()}")
    bench.figure(f"{name}: memory", resident_mb(console.process.pid, "VmRSS"), "MB", most=400)


def measure_outage(bench, console, crowd, outage):
    gone = time.monotonic()
    console.stop(signal.SIGKILL)
    time.sleep(outage)
    console.start()
    ready = time.monotonic()
    used = processor_seconds(console.process)
    crowd.mark()
    back = crowd.wait_until_back()
    passed = time.monotonic() - ready
    used = (processor_seconds(console.process) - used) / passed / os.cpu_count()
    bench.figure(f"console killed, away for {ready - gone:.0f} s: all {crowd.agents:,} back after", back, "s", most=120,
                 note=f"{used * 100:.0f} % of {os.cpu_count()} processors, {resident_mb(console.process.pid, 'VmRSS'):.0f} MB")


def metric(client, name):
    for line in client.get("/metrics", expect=200).body.decode().splitlines():
        if line.startswith("yagura_console_" + name + " "):
            return int(line.split()[1])
    raise AssertionError(name)


def waiting(bench):
    """What waiting agents cost, beside the same fleet without; then something is new for all."""
    agents, interval, watched = sizes(bench, 4000)
    for mode in ("fleet", "waiting"):
        with FixedConsole(agents=f"waiting = {agents}; ") as console:
            crowd = Fleet(console, agents, 100000, interval, mode)
            try:
                crowd.wait_until_back()
                client = console.administrator()
                if mode == "waiting":
                    until(lambda: metric(client, "agents_waiting") >= agents * 0.99, 600)
                measure_quiet(bench, console, crowd, watched,
                              f"{agents:,} agents, {'all wait' if mode == 'waiting' else 'none waits'}")
                if mode == "waiting":
                    measure_assignment(bench, console, crowd, client)
            finally:
                crowd.stop()


def measure_assignment(bench, console, crowd, client):
    """A policy for all: how soon the last one has it, and the busiest second."""
    crowd.mark()
    used, begun = processor_seconds(console.process), time.monotonic()
    tag = client.get("/api/v1/policies/base").headers["ETag"]
    client.put("/api/v1/policies/base", {"text": "scan = {\n  heuristics = false;\n};\n"}, If_Match=tag,
               expect=200)
    counts = [metric(client, "heartbeats_total")]
    while crowd.sums()[1][0] < crowd.agents * 0.99 and time.monotonic() < begun + 300:
        time.sleep(1)
        counts.append(metric(client, "heartbeats_total"))
    passed = time.monotonic() - begun
    used = processor_seconds(console.process) - used
    busiest = max((later - sooner for sooner, later in zip(counts, counts[1:])), default=0)
    bench.figure("something new for all: 99 % told within", passed, "s",
                 note=f"{busiest} heartbeats in the busiest second, {used / passed / os.cpu_count() * 100:.1f} % of {os.cpu_count()} processors")


def long_outage(bench):
    said = subprocess.run([program("long_outage"), "10000", str(DAY), str(INTERVAL)],
                          capture_output=True, text=True, check=True).stdout
    half, back, busiest, failures = map(float, said.split())
    bench.figure("console away for a day: all 10,000 agents back after", back, "s", most=900,  # the longest delay
                 note=f"half of them {half:.0f} s; {busiest:.0f} in the busiest second, at least {failures:.0f} failures each")
