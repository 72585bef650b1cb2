"""Infected files cannot be opened or run, and nothing that befalls the agent holds the host up."""
import contextlib
import ctypes
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time

import harness
from harness import CLEAN, EICAR, Skip, put

# An open may wait this long for a verdict in these tests; far above what a scan takes here.
DEADLINE = "2s"

# Puts a clean and an infected file under one name, in turns. The infected one is written once and linked, for nobody
# can open it to write it again.
SWAPPER = """
import os, sys
folder, infected = sys.argv[1], sys.argv[2].encode()
name = os.path.join(folder, "file")
with open(os.path.join(folder, "infected"), "wb") as stream:
    stream.write(infected)
with open(os.path.join(folder, "clean"), "wb") as stream:
    stream.write(b"nothing")
while True:
    for source in ("infected", "clean"):
        os.link(os.path.join(folder, source), name + ".new")
        os.replace(name + ".new", name)
"""

# In a container.
DENIED = """
try:
    open(arguments[0]).read()
except PermissionError:
    pass
else:
    sys.exit("an infected file was opened")
"""

# More files at once than one user has room for.
FLOOD = """
import os, sys, threading
folder = sys.argv[1]
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
def work(number):
    for turn in range(1000):
        path = os.path.join(folder, f"flood-{number}-{turn}")
        with open(path, "wb") as stream:
            stream.write(b"x")
        with open(path, "rb") as stream:
            stream.read()
for number in range(400):
    threading.Thread(target=work, args=(number,), daemon=True).start()
print("flooding", flush=True)
threading.Event().wait()
"""

# Holds a write lease on a file and does not give it up when somebody wants the file.
LEASEHOLDER = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open(sys.argv[1], os.O_RDWR)
while True:
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        break
    except BlockingIOError:
        time.sleep(0.01)
print("leased", flush=True)
signal.pause()
"""


def can_guard():
    """The kernel's permission events, as the guard asks for them."""
    libc = ctypes.CDLL(None, use_errno=True)
    content_class, cloexec = 0x04, 0x01
    fd = libc.fanotify_init(content_class | cloexec, os.O_RDONLY)
    if fd < 0:
        raise Skip(f"no fanotify permission events here: {os.strerror(ctypes.get_errno())}")
    os.close(fd)


def protected(place, **policy):
    """An agent that guards a file system of its own, and the folder."""
    can_guard()
    folder = os.path.join(place.root, "protected")
    harness.mount_tmpfs(place, folder, "mode=0777")
    values = {"prevention__enabled": True, "prevention__paths": [folder],
              "prevention__deadline": DEADLINE, **policy}
    return place.agent(**values), folder


def start(agent):
    agent.start()
    guarding(agent)
    return agent


def guarding(agent):
    agent.until(lambda status: status["prevention"]["state"] == "working"
                and status["scanner"]["state"] == "ready", "the guard works")


def pause(pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    return pids


def resume(pids):
    """Those very ones: one that was just being started may have lost its parent."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def scanners(agent):
    """All of them: the loader, the workers, and the one that is kept for opens that wait."""
    wanted = 1 + agent.values["scan.workers"] + 1
    agent.until(lambda status: len(agent.scanner_pids()) == wanted, f"{wanted} processes scan")
    return agent.scanner_pids()


def is_denied(path):
    try:
        with open(path, "rb") as stream:
            stream.read()
    except PermissionError:
        return True
    return False


def can_run(path):
    try:
        subprocess.run([path], check=False)
    except PermissionError:
        return False
    return True


def open_seconds(path):
    begin = time.monotonic()
    with open(path, "rb") as stream:
        stream.read()
    return time.monotonic() - begin


def counts(agent):
    return agent.status()["prevention"]


def test_an_infected_file_cannot_be_opened_and_is_quarantined(place):
    agent, folder = protected(place)
    bad = put(os.path.join(folder, "bad.com"), EICAR)
    good = put(os.path.join(folder, "good"), CLEAN)
    start(agent)
    with agent.following() as events:
        assert is_denied(bad)
        assert not is_denied(good)
        event = events.wait("prevention_blocked", bad)
        detail = event["detail"]
        assert event["severity"] == "high" and event["module"] == "prevention", event
        assert "Eicar" in detail["signature"], detail
        assert detail["pid"] == os.getpid() and detail["access"] == "open", detail
        assert detail["executable"] == os.path.realpath("/proc/self/exe"), detail
        assert detail["uid"] == 0 and detail["user"] == "root", detail
        events.wait("malware_quarantined", bad)
    assert not os.path.exists(bad)


def test_who_is_denied_is_told_with_container_and_login(place):
    agent, folder = protected(place, respond__action="pass")
    bad = put(os.path.join(folder, "bad"), EICAR)
    start(agent)
    with agent.following() as events, harness.contained(DENIED, bad) as problem:
        harness.expect_contained(events.wait("prevention_blocked", bad)["detail"], problem)


def test_what_the_guard_may(place):
    agent, _ = protected(place)
    start(agent)
    guard = harness.privileges_of(counts(agent)["guard_pid"])
    read_only_root = 1 << 2  # CAP_DAC_READ_SEARCH
    assert {int(guard[name], 16) for name in ("CapEff", "CapPrm")} == {read_only_root}, guard
    assert guard["NoNewPrivs"] == "1", guard
    if not harness.is_sanitized():
        assert guard["Seccomp"] == "2", guard
        locked, whole = (int(guard[name].split()[0]) for name in ("VmLck", "VmSize"))
        assert locked >= whole - 64 > 0, "all but what the kernel itself maps"
        assert "LimitMEMLOCK" not in counts(agent)["problem"], counts(agent)


def test_a_file_that_only_stays_is_denied_each_time(place):
    agent, folder = protected(place, respond__action="pass")
    bad = put(os.path.join(folder, "bad"), EICAR)
    start(agent)
    assert all(is_denied(bad) for _ in range(5))
    agent.sync()
    assert len(agent.events("prevention_blocked")) == 1, "one who tries again fills the store"
    # What is no longer malware here can be opened: the policy is obeyed at once.
    agent.set_policy(respond__allow_signatures=[agent.events("malware_found")[0]["detail"]["signature"]])
    agent.control("reload")
    agent.until(lambda status: not is_denied(bad), "it is allowed")


def test_infected_content_is_denied_whoever_wrote_it_how(place):
    agent, folder = protected(place, respond__action="pass")
    start(agent)
    path = os.path.join(folder, "file")
    put(path, CLEAN)
    for _ in range(3):
        assert not is_denied(path)
    put(path, EICAR)
    assert is_denied(path), "what is let pass must be forgotten with the first write"
    os.unlink(path)
    put(path, CLEAN * 10)
    assert not is_denied(path)
    # Through a mapping: no write is told, only the close.
    import mmap
    with open(path, "r+b") as stream, mmap.mmap(stream.fileno(), 0) as view:
        view[:len(EICAR)] = EICAR
        view[len(EICAR):] = b"\n" * (len(view) - len(EICAR))
    agent.until(lambda status: is_denied(path), "a mapped write is noticed")


def test_programs_are_denied_too(place):
    agent, folder = protected(place, respond__action="pass", prevention__exec_only=True)
    script = put(os.path.join(folder, "script"), b"#!/bin/sh\nexit 7\n")
    os.chmod(script, 0o755)
    bad = put(os.path.join(folder, "bad"), EICAR)
    os.chmod(bad, 0o755)
    start(agent)
    assert subprocess.run([script], check=False).returncode == 7
    assert not is_denied(bad), "only running is guarded"
    try:
        subprocess.run([bad], check=False)
    except PermissionError:
        pass
    else:
        raise AssertionError("an infected program was run")
    agent.until(lambda status: agent.events("prevention_blocked"), "an event tells it")
    assert agent.events("prevention_blocked")[0]["detail"]["access"] == "run"


def test_an_infected_binary_is_not_run(place):
    agent, folder = protected(place, respond__action="pass", respond__heuristic_action="pass")
    program = os.path.join(folder, "program")
    shutil.copyfile("/bin/true", program)
    with open(program, "ab") as stream:
        stream.write(b"one of a kind")
    os.chmod(program, 0o755)
    with open(program, "rb") as stream:
        digest = hashlib.sha256(stream.read()).hexdigest()
    start(agent)
    assert subprocess.run([program], check=False).returncode == 0
    agent.set_policy(respond__deny_hashes=[digest], respond__action="pass")
    agent.control("reload")
    agent.until(lambda status: not can_run(program), "the denied hash is obeyed")


def test_no_swap_between_open_and_scan_gets_through(place):
    agent, folder = protected(place, respond__action="pass")
    path = put(os.path.join(folder, "file"), CLEAN)
    start(agent)
    # What is opened is what was scanned, whatever stands behind the name by then.
    swapper = subprocess.Popen([sys.executable, "-c", SWAPPER, folder, EICAR.decode()],
                               stdout=subprocess.PIPE)
    try:
        denied = opened = 0
        deadline = time.monotonic() + harness.SECONDS
        while min(denied, opened) < 40:
            assert time.monotonic() < deadline, (denied, opened)
            try:
                with open(path, "rb") as stream:
                    assert stream.read() != EICAR, "an infected file was opened"
                opened += 1
            except PermissionError:
                denied += 1
    finally:
        swapper.kill()
        swapper.wait()
        swapper.stdout.close()


def test_one_users_flood_does_not_hold_up_others(place):
    agent, folder = protected(place, prevention__deadline="1s")
    start(agent)
    stopped = pause(scanners(agent))
    flood = subprocess.Popen([sys.executable, "-c", FLOOD, folder], stdout=subprocess.PIPE)
    try:
        assert flood.stdout.readline() == b"flooding\n"
        full = agent.until(lambda status: status["prevention"]["overrun"] > 0, "his part is full")
        assert full["prevention"]["waiting"] <= 256, full["prevention"]
        took = open_seconds(put(os.path.join(folder, "of-root"), CLEAN))
        assert took < 5, took
    finally:
        flood.kill()
        flood.wait()
        flood.stdout.close()
        resume(stopped)
    guarding(agent)
    assert is_denied(put(os.path.join(folder, "bad"), EICAR)), "it guards on"


def test_a_lease_on_ones_own_file_holds_nobody_up(place):
    agent, folder = protected(place, respond__action="pass", prevention__deadline="20s")
    start(agent)
    guard = counts(agent)["guard_pid"]
    leased = put(os.path.join(folder, "leased"), CLEAN)
    holder = subprocess.Popen([sys.executable, "-c", LEASEHOLDER, leased], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"leased\n"
        begin = time.monotonic()
        for number in range(20):
            assert is_denied(leased), "the kernel cannot show the guard what is under a lease"
            assert not is_denied(put(os.path.join(folder, f"other{number}"), CLEAN))
        assert time.monotonic() - begin < 4, "the lease held others up"
        assert is_denied(put(os.path.join(folder, "bad"), EICAR))
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert not is_denied(leased), "without the lease it is asked for as always"
    assert counts(agent)["guard_pid"] == guard, "the guard was ended for the lease"


def test_what_is_not_protected_is_not_touched(place):
    agent, folder = protected(place, respond__action="pass")
    agent.set_policy(prevention__paths=[os.path.join(folder, "in")])
    os.mkdir(os.path.join(folder, "in"))
    outside = put(os.path.join(folder, "outside"), EICAR)
    inside = put(os.path.join(folder, "in/inside"), EICAR)
    start(agent)
    assert not is_denied(outside) and is_denied(inside)
    os.rename(outside, os.path.join(folder, "in/outside"))
    assert is_denied(os.path.join(folder, "in/outside")), "what passed outside is asked for inside"


def test_a_mount_that_another_hides_leaves_the_others_guarded(place):
    agent, folder = protected(place, respond__action="pass")
    harness.mount_tmpfs(place, os.path.join(folder, "hidden"))
    harness.mount_tmpfs(place, folder, "mode=0777")
    bad = put(os.path.join(folder, "bad"), EICAR)
    start(agent)
    assert is_denied(bad)
    assert "cannot be reached" in counts(agent)["problem"], counts(agent)


def reads_elsewhere(source, target, path):
    """Whether path can be read where target shows source, in a mount namespace of its own."""
    script = 'mount --bind "$1" "$2" && cat "$3" > /dev/null'
    result = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", source, target, path],
                            check=False, capture_output=True)
    assert result.returncode == 0 or b"not permitted" in result.stderr, result.stderr
    return result.returncode == 0


def test_a_name_in_another_mount_namespace_hides_nothing(place):
    agent, folder = protected(place, respond__action="pass")
    inside, outside, excluded = (os.path.join(folder, name) for name in ("in", "out", "excluded"))
    for path in (inside, outside, excluded):
        os.mkdir(path)
    agent.set_policy(prevention__paths=[inside, excluded], watch__exclude_directories=[excluded])
    bad = put(os.path.join(inside, "bad"), EICAR)
    put(os.path.join(outside, "bad"), EICAR)
    put(os.path.join(excluded, "bad"), CLEAN)
    start(agent)
    for other in (outside, excluded, "/usr/local"):
        assert not reads_elsewhere(inside, other, os.path.join(other, "bad")), other
        assert is_denied(bad), "its name elsewhere let it pass for good"
    assert not is_denied(os.path.join(outside, "bad")), "what is not protected is not touched"
    # A namespace that shows the tree as ours does changes nothing.
    assert not reads_elsewhere(inside, inside, bad)
    assert reads_elsewhere(outside, outside, os.path.join(outside, "bad"))


def test_overlayfs_is_guarded_as_its_container_sees_it(place):
    can_guard()
    folder, inside = os.path.join(place.root, "merged"), place.folder("inside")
    harness.mount_overlay(place, folder)
    agent = place.agent(prevention__enabled=True, prevention__paths=[folder], prevention__deadline=DEADLINE,
                        respond__action="pass")
    start(agent)
    script = """mount --bind "$1" "$2"; printf %s "$3" > "$2/bad"; printf x > "$2/good"; cat "$2/good" || exit 3
                cat "$2/bad" && exit 4; exit 0"""
    result = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", folder, inside, EICAR.decode()],
                            check=False, capture_output=True)
    assert result.returncode == 0 and result.stdout == b"x" and b"not permitted" in result.stderr, result
    assert is_denied(os.path.join(folder, "bad")) and not is_denied(os.path.join(folder, "good"))


def test_a_repeated_open_asks_nobody(place):
    agent, folder = protected(place)
    path = put(os.path.join(folder, "file"), CLEAN)
    start(agent)
    for _ in range(1000):
        assert not is_denied(path)
    before = agent.until(lambda status: status["prevention"]["asked"] > 0, "it was asked")
    for _ in range(2000):
        os.close(os.open(path, os.O_RDONLY))
    time_of_counts = time.monotonic()
    after = agent.until(lambda status: time.monotonic() > time_of_counts + 1.5, "new counts")
    assert after["prevention"]["opens"] - before["prevention"]["opens"] < 50, (before, after)
    assert after["prevention"]["opens"] < 100, "it is remembered from its first verdict on"
    release = tuple(int(part) for part in os.uname().release.split(".")[:2])
    forgets = "5.19" not in after["prevention"]["problem"]
    assert forgets == (release >= (5, 19)), (release, after["prevention"]["problem"])


def test_a_dead_guard_lets_the_host_go_on_and_comes_back(place):
    agent, folder = protected(place, respond__action="pass")
    bad = put(os.path.join(folder, "bad"), EICAR)
    start(agent)
    assert is_denied(bad)
    for number in (signal.SIGKILL, signal.SIGSTOP):
        pid = counts(agent)["guard_pid"]
        os.kill(pid, number)
        assert open_seconds(put(os.path.join(folder, f"new{number}"), CLEAN)) < 10
        agent.until(lambda status, old=pid: status["prevention"]["guard_pid"] not in (0, old)
                    and status["prevention"]["state"] == "working", "another guard works")
        assert is_denied(bad)
    assert len(agent.events("prevention_degraded")) >= 2
    agent.until(lambda status: "prevention_works module=prevention " in agent.log_end(), "the log says whose guard works")


def test_a_dead_agent_lets_the_host_go_on(place):
    agent, folder = protected(place, respond__action="pass", prevention__deadline="500ms")
    bad = put(os.path.join(folder, "bad"), EICAR)
    start(agent)
    assert is_denied(bad)
    agent.kill()
    assert open_seconds(bad) < 1
    start(agent)
    assert is_denied(bad)
    os.kill(agent.process.pid, signal.SIGSTOP)
    try:
        # Each open waits for the deadline at most, and soon not at all.
        begin = time.monotonic()
        for number in range(12):
            open_seconds(put(os.path.join(folder, f"stalled{number}"), CLEAN))
        assert time.monotonic() - begin < 12 * 0.5 + 5
    finally:
        os.kill(agent.process.pid, signal.SIGCONT)
    guarding(agent)
    assert is_denied(bad)


def test_a_stalled_scanner_hits_the_deadline(place):
    for answer in ("allow", "deny"):
        agent, folder = protected(place, prevention__on_timeout=answer, prevention__deadline="500ms")
        start(agent)
        stopped = pause(scanners(agent))
        path = put(os.path.join(folder, "file-" + answer), CLEAN)
        begin = time.monotonic()
        assert is_denied(path) == (answer == "deny")
        assert 0.4 < time.monotonic() - begin < 5
        assert agent.until(lambda status: status["prevention"]["late"] > 0, "it was counted")
        resume(stopped)
        agent.stop()


def test_what_passed_at_its_deadline_is_not_told_as_blocked(place):
    agent, folder = protected(place, respond__action="pass", prevention__deadline="500ms")
    start(agent)
    path = put(os.path.join(folder, "file"), EICAR)
    assert is_denied(path)
    blocked = agent.until(lambda status: status["prevention"]["blocked"] == 1, "one was blocked")
    late = put(os.path.join(folder, "late"), EICAR + b"\n")
    stopped = pause(scanners(agent))
    assert not is_denied(late), "the policy lets it pass at its deadline"
    resume(stopped)
    with agent.following() as events:
        events.wait("prevention_late", late)
    assert counts(agent)["blocked"] == blocked["prevention"]["blocked"]
    assert len(agent.events("prevention_blocked")) == 1


def test_a_renewed_guard_lets_nobody_pass_who_waits(place):
    agent, folder = protected(place, prevention__on_timeout="deny", prevention__deadline="20s")
    start(agent)
    before = counts(agent)["guard_pid"]
    stopped = pause(scanners(agent))
    path = put(os.path.join(folder, "bad"), EICAR)
    opener = subprocess.Popen([sys.executable, "-c", "import sys; open(sys.argv[1])", path],
                              stderr=subprocess.PIPE)
    agent.until(lambda status: status["prevention"]["waiting"] > 0, "it waits")
    harness.mount_tmpfs(place, os.path.join(folder, "mount"))
    agent.until(lambda status: status["prevention"]["guard_pid"] not in (0, before)
                and status["prevention"]["state"] == "working", "another guard took over")
    # Its end would let pass whoever waits for it.
    assert os.path.exists(f"/proc/{before}") and opener.poll() is None, "the guard before ended"
    resume(stopped)
    assert b"PermissionError" in opener.communicate()[1], "the other guard's start let it pass"
    agent.until(lambda status: not os.path.exists(f"/proc/{before}"), "it ends when nobody waits")


def test_policies_that_come_while_opens_wait_let_nobody_pass(place):
    agent, folder = protected(place, prevention__on_timeout="deny", prevention__deadline="25s")
    start(agent)
    before = counts(agent)["guard_pid"]
    stopped = pause(scanners(agent))
    path = put(os.path.join(folder, "bad"), EICAR)
    opener = subprocess.Popen([sys.executable, "-c", "import sys; open(sys.argv[1])", path],
                              stderr=subprocess.PIPE)
    agent.until(lambda status: status["prevention"]["waiting"] > 0, "it waits")
    other = os.path.join(place.root, "other")
    harness.mount_tmpfs(place, other)
    agent.set_policy(prevention__paths=[folder, other])
    agent.control("reload")
    second = agent.until(lambda status: status["prevention"]["guard_pid"] not in (0, before)
                         and status["prevention"]["state"] == "working", "another guard took over")
    for number in range(3):
        agent.set_policy(prevention__deadline=f"{20 + number}s")
        agent.control("reload")
    # Each guard that takes over would end the one before the last, and let pass whoever waits for it.
    agent.until(lambda status: time.monotonic() > 0 and status["prevention"]["state"] == "working", "it works")
    begin = time.monotonic()
    agent.until(lambda status: time.monotonic() > begin + 4, "a policy would have been obeyed by then")
    assert os.path.exists(f"/proc/{before}") and opener.poll() is None, "a later policy let it pass"
    assert counts(agent)["guard_pid"] == second["prevention"]["guard_pid"]
    resume(stopped)
    assert b"PermissionError" in opener.communicate()[1], "a later policy let it pass"
    agent.until(lambda status: status["prevention"]["guard_pid"] not in (0, before, second["prevention"]["guard_pid"]),
                "the last policy is obeyed then")


def test_metrics_tell_what_opens_waited(place):
    agent, folder = protected(place, respond__action="pass", prevention__on_timeout="deny",
                              prevention__deadline="1s")
    start(agent)

    def metric(name):
        return agent.metric("prevention_" + name)
    put(os.path.join(folder, "bad"), EICAR)
    assert is_denied(os.path.join(folder, "bad"))
    assert not is_denied(put(os.path.join(folder, "good"), CLEAN))
    agent.until(lambda status: metric("asked_total") == 2, "they are counted")
    assert metric("denied_total") == 1 and metric("allowed_total") >= 1
    assert metric("wait_seconds_count") == 2 and 0 < metric("wait_seconds_sum") < 60
    assert metric('wait_seconds_bucket{le="+Inf"}') == 2
    stopped = pause(scanners(agent))
    assert is_denied(put(os.path.join(folder, "late"), CLEAN))
    resume(stopped)
    agent.until(lambda status: metric("timed_out_total") == 1, "it is counted")
    # It waited for a second, not less, and that is in no bucket of what was quicker.
    assert metric('wait_seconds_bucket{le="0.500000"}') <= 2
    assert metric("wait_seconds_sum") >= 1
    assert metric("waiting") == 0


def test_a_killed_scanner_is_waited_for(place):
    agent, folder = protected(place, respond__action="pass", prevention__deadline="20s")
    start(agent)
    for number in range(5):
        for pid in scanners(agent):
            os.kill(pid, signal.SIGKILL)
        assert open_seconds(put(os.path.join(folder, f"file{number}"), CLEAN)) < 20
    guarding(agent)
    assert is_denied(put(os.path.join(folder, "bad"), EICAR))


def test_it_says_so_where_the_kernel_refuses(place):
    agent, _ = protected(place)
    if shutil.which("capsh") is None and shutil.which("setpriv") is None:
        raise Skip("neither capsh nor setpriv takes a capability away here")
    programs = place.folder("programs")
    for name in os.listdir(harness.PROGRAMS):
        os.symlink(os.path.join(harness.PROGRAMS, name), os.path.join(programs, name))
    guard = os.path.join(programs, "yagura-guard")
    os.unlink(guard)
    put(guard, b"#!/bin/sh\nexec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin "
        + os.path.join(harness.PROGRAMS, "yagura-guard").encode() + b"\n")
    os.chmod(guard, 0o755)
    agent.write_config(program_directory=programs)
    agent.start()
    status = agent.until(lambda status: status["prevention"]["state"] == "degraded", "it is said")
    assert "CAP_SYS_ADMIN" in status["prevention"]["problem"], status["prevention"]
    assert status["state"] == "degraded"
    assert any(problem["module"] == "prevention" for problem in status["problems"]), status
    agent.until(lambda status: agent.events("prevention_degraded"), "an event tells it")
    assert "CAP_SYS_ADMIN" in agent.events("prevention_degraded")[0]["detail"]["problem"]


if __name__ == "__main__":
    harness.own_mounts()
    harness.main()
