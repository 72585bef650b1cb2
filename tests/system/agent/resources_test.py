"""Each process has a control group of its own, and its limits hold."""
import json
import os
import shutil
import subprocess

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
    place.cleanups.append(lambda: subprocess.run(
        ["find", path, "-depth", "-type", "d", "-delete"], check=False))
    return path


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


def test_a_limit_of_memory_and_of_cpu_holds(place):
    """The scanner cannot take more than its share, and the agent goes on without it."""
    agent, path = start(place, limits__scanner_memory=50, limits__scanner_cpu_quota=10)
    with open(os.path.join(path, "cgroup.controllers"), encoding="ascii") as stream:
        controllers = stream.read().split()
    if not {"cpu", "memory"} <= set(controllers):
        raise harness.Skip(f"version 2 has only the controllers {controllers} here")
    groups, whole = limits_of(agent)
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert abs(groups["scanner"]["memory_max"] - total / 2) < total / 50 and not whole["problem"]
    # Far below what an engine takes: it is ended, and that is all.
    put(os.path.join(path, "scanner", "memory.max"), b"1M")
    agent.until(lambda now: now["scanner"]["state"] != "ready" or now["scanner"]["crashed"] > 0,
                "the scanner meets its limit")
    assert limits_of(agent)[0]["scanner"]["memory_killed"] >= 1
    assert agent.process.poll() is None
    agent.control("reload")  # the limits of the policy again
    agent.until(lambda now: now["scanner"]["state"] == "ready", "it recovers")
    folder = place.folder("many")
    for number in range(300):
        put(os.path.join(folder, str(number)), CLEAN * 5000)
    agent.scan(folder, options=("--no-cache",))
    assert limits_of(agent)[0]["scanner"]["throttled"] >= 1


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


def write_large_signatures(folder):
    """Some 160 bytes of memory each, loaded."""
    with open(os.path.join(folder, "large.hsb"), "w", encoding="ascii") as stream:
        for number in range(1000000):
            stream.write(f"{os.urandom(32).hex()}:{number + 1000}:Large.{number}:73\n")


def test_the_agent_goes_on_when_the_kernel_ends_its_scanner_for_memory(place):
    """The limit of memory is the kernel's: whoever of ours is ended by it, it is told, and repaired."""
    path = older_memory_group(place)
    put(os.path.join(path, "memory.swappiness"), b"0")
    put(os.path.join(path, "memory.limit_in_bytes"), b"96M")
    databases = place.folder("signatures")
    for name in os.listdir(harness.SIGNATURES):
        shutil.copy(os.path.join(harness.SIGNATURES, name), databases)
    write_large_signatures(databases)
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
