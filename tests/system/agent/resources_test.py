"""Each process has a control group of its own, and its limits hold.

What needs controllers of version 2 is skipped where they serve version 1; tests/machine/run.sh has them."""
import json
import os
import re
import select
import shutil
import subprocess
import time

import harness
from harness import CLEAN, EICAR, put


def hierarchy():
    """Where version 2 is mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8") as stream:
        for line in stream:
            before, after = line.split(" - ")
            if after.startswith("cgroup2 "):
                return before.split()[4]
    raise harness.Skip("no control groups of version 2 are mounted")


def delegated(place):
    path = os.path.join(hierarchy(), f"yagura-test-{os.getpid()}")
    try:
        os.mkdir(path)
    except OSError as error:
        raise harness.Skip(f"no control group can be made: {error}") from error
    place.cleanups.append(lambda: remove_group(path))
    return path


def remove_group(path):
    """The kernel says when the last process of it has ended."""
    with open(os.path.join(path, "cgroup.events"), encoding="ascii") as stream:
        changes = select.poll()
        changes.register(stream, select.POLLPRI)
        while "populated 0" not in stream.read() and changes.poll(harness.SECONDS * 1000):
            stream.seek(0)
    subprocess.run(["find", path, "-depth", "-type", "d", "-delete"], check=True)


def group_of(pid):
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as stream:
        return next(line.strip()[3:] for line in stream if line.startswith("0::"))


def limits_of(agent):
    lines = [json.loads(line)
             for line in agent.control("--json", "limits", "--processes").splitlines()]
    return ({line["group"]["name"]: line["group"] for line in lines if "group" in line},
            lines[-1]["resources"])


def start(place, **policy):
    path = delegated(place)
    agent = place.agent(**policy)
    agent.write_config(control_group=path)
    agent.start()
    agent.until(lambda now: now["scanner"]["state"] == "ready", "ready")
    return agent, path


def test_every_process_is_in_its_group(place):
    agent, path = start(place)
    name = os.path.basename(path)
    assert group_of(agent.process.pid).endswith(f"/{name}/agent")
    for pid in agent.scanner_pids():
        assert group_of(pid).endswith(f"/{name}/scanner"), group_of(pid)
    agent.until(lambda now: all(group_of(pid).endswith(f"/{name}/scanner")
                                for pid in agent.scanner_pids()), "also those forked later")
    groups, whole = limits_of(agent)
    assert set(groups) == {"agent", "scanner", "messenger", "helpers"} and whole["directory"] == path
    shown = agent.control("limits", "--processes")
    assert "scanner" in shown and "of memory" in shown, shown


def test_without_a_group_it_is_said(place):
    agent = place.agent().start()
    groups, whole = limits_of(agent)
    assert whole["problem"] and not any(group["memory_max"] for group in groups.values()), whole


SOURCE = os.path.dirname(os.path.dirname(harness.SIGNATURES))
PAGE = os.sysconf("SC_PAGE_SIZE")
MEMORY = os.sysconf("SC_PHYS_PAGES") * PAGE
CORES = os.sysconf("SC_NPROCESSORS_ONLN")


def in_force(path):
    """What the kernel has for each group, file by file."""
    found = {}
    for group in ("agent", "scanner", "messenger", "helpers"):
        for file in ("cpu.weight", "cpu.max", "memory.high", "memory.max"):
            with open(os.path.join(path, group, file), encoding="ascii") as stream:
                found[group, file] = stream.read().strip()
    return found


def counted(path, file, key):
    with open(os.path.join(path, "scanner", file), encoding="ascii") as stream:
        return int(dict(line.split() for line in stream)[key])


def memory_limits(size):
    """The kernel counts whole pages."""
    if size == 0:
        return ["max", "max"]
    return [str(limit // PAGE * PAGE) for limit in (size // 10 * 9, size)]


def expected(weight, quota, memory):
    """The scanner's are the policy's (quota and memory in per cent), the others' those of agent/resources/README.md."""
    rows = {
        "agent": ["100", "max 100000", "max", "max"],
        "scanner": [str(weight), f"{quota * CORES * 1000 or 'max'} 100000", *memory_limits(MEMORY // 100 * memory)],
        "messenger": ["100", "max 100000", *memory_limits(256 << 20)],
        "helpers": ["100", "max 100000", *memory_limits(1 << 30)],
    }
    files = ("cpu.weight", "cpu.max", "memory.high", "memory.max")
    return {(group, file): value for group, row in rows.items() for file, value in zip(files, row)}


def start_limited(place, databases=None, **policy):
    """An agent whose group has the controllers."""
    path = delegated(place)
    with open(os.path.join(path, "cgroup.controllers"), encoding="ascii") as stream:
        controllers = stream.read().split()
    if not {"cpu", "memory"} <= set(controllers):
        raise harness.Skip(f"version 2 has only the controllers {controllers} here")
    agent = place.agent(databases=databases, **policy)
    agent.write_config(control_group=path)
    agent.start()
    return agent, path


def change_policy(agent, **policy):
    agent.set_policy(**policy)
    agent.control("reload")


def settings_of(path):
    """Of a unit's file, those of resources."""
    names = ("Slice", "Delegate", "CPUWeight", "CPUQuota", "IOWeight", "MemoryHigh", "MemoryMax", "TasksMax",
             "OOMPolicy")
    with open(path, encoding="utf-8") as stream:
        lines = [line.strip() for line in stream]
    return sorted(line for line in lines if line.split("=")[0] in names)


def test_the_units_have_the_values_that_their_page_names(_):
    folder = os.path.join(SOURCE, "packaging", "systemd")
    with open(os.path.join(folder, "README.md"), encoding="utf-8") as stream:
        rows = [line.split("|")[1:3] for line in stream if line.startswith("| `yagura")]
    page = {name.strip(" `"): sorted(re.findall("`(.*?)`", values)) for name, values in rows}
    assert page == {"yagura.slice": settings_of(os.path.join(folder, "yagura.slice")),
                    "yagura-agent.service": settings_of(os.path.join(folder, "yagura-agent.service.in"))}, page


def test_limits_are_in_force_when_the_policy_names_none(place):
    agent, path = start_limited(place)
    assert not any(key.startswith("limits.") for key in agent.values)
    assert in_force(path) == expected(20, 80, 75), in_force(path)
    groups, whole = limits_of(agent)
    assert whole["problem"] == "", whole
    assert groups["scanner"]["cpu_weight"] == 20 and groups["agent"]["cpu_weight"] == 100, groups
    assert groups["scanner"]["memory_max"] == MEMORY // 100 * 75, groups
    assert groups["agent"]["memory_max"] == 0, groups


def test_a_change_of_policy_applies_to_living_groups(place):
    agent, path = start_limited(place)
    agent.until(lambda now: now["scanner"]["state"] == "ready", "ready")
    loader = agent.scanner_pids()[0]
    change_policy(agent, limits__scanner_cpu_weight=7, limits__scanner_cpu_quota=33, limits__scanner_memory=50)
    assert in_force(path) == expected(7, 33, 50), in_force(path)
    change_policy(agent, limits__scanner_cpu_quota=0, limits__scanner_memory=0)
    assert in_force(path) == expected(7, 0, 0), in_force(path)
    assert agent.scanner_pids()[0] == loader and group_of(loader).endswith("/scanner")
    assert limits_of(agent)[1]["problem"] == ""


def test_a_quota_slows_the_scanner(place):
    """Over any time it has no more than its share of the cores."""
    agent, path = start_limited(place, limits__scanner_cpu_quota=10)
    agent.until(lambda now: now["scanner"]["state"] == "ready", "ready")
    folder = place.folder("many")
    for number in range(40):
        put(os.path.join(folder, str(number)), CLEAN * 5000)
    throttled = counted(path, "cpu.stat", "nr_throttled")
    begun, used = time.monotonic(), counted(path, "cpu.stat", "usage_usec")
    while counted(path, "cpu.stat", "nr_throttled") < throttled + 10:
        assert time.monotonic() < begun + harness.SECONDS, "it meets no quota"
        agent.scan(folder, options=("--no-cache",))
    used = (counted(path, "cpu.stat", "usage_usec") - used) / 1e6
    # A period that was begun before, and what each core may take over from one into the next.
    share = CORES / 10
    allowed = (time.monotonic() - begun + 0.2) * share * 1.1
    assert used <= allowed, f"{used} s of CPU, where {allowed} s are allowed"
    assert limits_of(agent)[0]["scanner"]["throttled"] >= throttled + 10


def test_a_scanner_over_its_memory_is_ended_and_the_agent_goes_on(place):
    """Its memory.high is met, its memory.max is not passed; told, and repaired by a policy with more."""
    if MEMORY > 16 << 30:
        raise harness.Skip("a hundredth of this machine's memory is too much to fill")
    databases = place.folder("signatures")
    for name in os.listdir(harness.SIGNATURES):
        shutil.copy(os.path.join(harness.SIGNATURES, name), databases)
    write_large_signatures(databases, MEMORY // 100 * 2 // 160)
    agent, path = start_limited(place, databases=[databases], limits__scanner_memory=1, scan__workers=1)
    status = agent.until(lambda now: "out of memory?" in now["scanner"]["problem"], "it is told")
    assert status["state"] == "degraded" and agent.process.poll() is None, status
    assert any("out of memory?" in event["detail"]["problem"]
               for event in agent.events("scanner_problem")), agent.events()
    scanner = limits_of(agent)[0]["scanner"]
    assert scanner["memory_killed"] >= 1 and scanner["memory_met"] >= 1, scanner
    if os.path.exists(os.path.join(path, "scanner", "memory.peak")):
        with open(os.path.join(path, "scanner", "memory.peak"), encoding="ascii") as stream:
            assert int(stream.read()) <= MEMORY // 100, "more than its limit"
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    change_policy(agent, limits__scanner_memory=75)
    agent.until(lambda now: now["scanner"]["state"] == "ready", "it recovers")
    agent.sync()
    agent.expect_found(bad)


def older_memory_group(place):
    """A group of version 1's controller: on hosts that have no memory controller of version 2."""
    with open("/proc/self/mountinfo", encoding="utf-8") as stream:
        mounts = [line.split(" - ") for line in stream]
    found = [before.split()[4] for before, after in mounts
             if after.startswith("cgroup ") and "memory" in after.split()[2].split(",")]
    if not found:
        raise harness.Skip("no memory controller of version 1 is mounted")
    path = os.path.join(found[0], f"yagura-test-{os.getpid()}")
    try:
        os.mkdir(path)
    except OSError as error:
        raise harness.Skip(f"no control group can be made: {error}") from error
    place.cleanups.append(lambda: subprocess.run(["rmdir", path], check=False))
    return path


def write_large_signatures(folder, count):
    """Some 160 bytes of memory each, loaded."""
    with open(os.path.join(folder, "large.hsb"), "w", encoding="ascii") as stream:
        for number in range(count):
            stream.write(f"{os.urandom(32).hex()}:{number + 1000}:Large.{number}:73\n")


def test_the_agent_goes_on_when_the_kernel_ends_its_scanner_for_memory(place):
    """The limit of memory is the kernel's: whoever of ours is ended by it, it is told, and repaired."""
    path = older_memory_group(place)
    put(os.path.join(path, "memory.swappiness"), b"0")
    put(os.path.join(path, "memory.limit_in_bytes"), b"96M")
    databases = place.folder("signatures")
    for name in os.listdir(harness.SIGNATURES):
        shutil.copy(os.path.join(harness.SIGNATURES, name), databases)
    write_large_signatures(databases, 1000000)
    agent = place.agent(databases=[databases], scan__workers=1)
    agent.start(preexec_fn=lambda: put(os.path.join(path, "cgroup.procs"), b"0"))
    status = agent.until(lambda now: "out of memory?" in now["scanner"]["problem"], "it is told")
    assert status["state"] == "degraded" and agent.process.poll() is None, status
    with open(os.path.join(path, "memory.oom_control"), encoding="ascii") as stream:
        kills = dict(line.split() for line in stream)
    assert int(kills.get("oom_kill", "1")) >= 1, kills
    assert any("out of memory?" in event["detail"]["problem"]
               for event in agent.events("scanner_problem")), agent.events()
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    put(os.path.join(path, "memory.limit_in_bytes"), b"-1")
    agent.until(lambda now: now["scanner"]["state"] == "ready", "it recovers")
    agent.sync()
    agent.expect_found(bad)
    agent.stop()


if __name__ == "__main__":
    harness.main()
