"""Only known programs run: learned, reported, blocked; and nothing that befalls the agent holds the host up."""
import contextlib
import ctypes
import hashlib
import mmap
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import harness
from harness import Skip, put
from prevention_test import can_guard

DEADLINE = "10s"
SCRIPT = b"#!/bin/sh\nexit 7\n"

# Runs itself as a program that has no file: memfd_create, then execveat by its descriptor.
MEMORY = """
import os, sys
fd = os.memfd_create("yagura-test")
with open(sys.argv[1], "rb") as stream:
    os.write(fd, stream.read() + os.environb.get(b"SUFFIX", b""))
os.execve(fd, ["memory", "300"], {})
"""

# Turns a script into another one and back, as fast as it goes.
SWAPPER = """
import contextlib, os, sys
path = sys.argv[1]
print("ready", flush=True)
while True:
    for word in (b"exit 9", b"exit 0"):
        with contextlib.suppress(OSError):
            with open(path, "r+b", buffering=0) as stream:
                stream.seek(10)
                stream.write(word)
"""


def program(path, more=b""):
    """One of its own, which no inventory knows: /bin/true with something at its end."""
    shutil.copyfile("/bin/true", path)
    with open(path, "ab") as stream:
        stream.write(more)
    os.chmod(path, 0o755)
    return path


def digest_of(path):
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def can_run(*command):
    try:
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)
    except PermissionError:
        return False
    return True


def mount_ext4(place, path):
    """Where a file's times tell of each write, as they do not on tmpfs."""
    image = os.path.join(place.root, "image")
    with open(image, "wb") as stream:
        stream.truncate(16 << 20)
    os.makedirs(path)
    for command in (["mkfs.ext4", "-q", image], ["mount", "-o", "loop", image, path]):
        if not shutil.which(command[0]) or subprocess.run(command, check=False).returncode:
            raise Skip(f"{command[0]}: no ext4 of this test's own")
    place.cleanups.append(lambda: subprocess.run(["umount", "-l", path], check=False))


def mount_shared(place, path):
    harness.mount_tmpfs(place, path, "mode=0777")


def controlled(place, mode="block", mount=mount_shared, **policy):
    """An agent that controls what is run from a file system of its own, and the folder."""
    can_guard()
    folder = os.path.join(place.root, "programs")
    mount(place, folder)
    values = {"watch__enabled": False, "application_control__mode": mode,
              "application_control__paths": [folder], "application_control__deadline": DEADLINE,
              "application_control__trust_packages": False, **policy}
    return place.agent(**values), folder


def control(agent):
    return agent.status()["application_control"]


def wait_for(agent, *states):
    agent.until(lambda status: status["application_control"]["state"] in states
                and status["application_control"]["guard_pid"] != 0
                and not status["application_control"]["walking"], f"it is {states}")


def wait_for_reason(agent, reason):
    agent.until(lambda status: any(event["detail"]["reason"] == reason
                                   for event in agent.events("application_blocked")), f"{reason} is told")


def start(agent, *states):
    agent.start()
    wait_for(agent, *(states or ("working",)))
    return agent


def reload(agent, **policy):
    before = control(agent)["guard_pid"]
    agent.set_policy(**policy)
    agent.control("reload")
    agent.until(lambda status: status["application_control"]["guard_pid"] not in (0, before), "another guard")


def test_what_was_there_runs_and_what_is_new_does_not(place):
    agent, folder = controlled(place)
    known = program(os.path.join(folder, "known"), b"1")
    script = put(os.path.join(folder, "script"), SCRIPT)
    os.chmod(script, 0o755)
    start(agent)
    assert can_run(known)
    assert subprocess.run([script], check=False).returncode == 7
    unknown = program(os.path.join(folder, "unknown"), b"2")
    with agent.following() as events:
        assert not can_run(unknown)
        event = events.wait("application_blocked", unknown)
    detail = event["detail"]
    assert event["module"] == "application_control" and event["severity"] == "high", event
    assert detail["sha256"] == digest_of(unknown) and detail["reason"] == "unknown", detail
    assert detail["uid"] == 0 and detail["user"] == "root" and detail["pid"] > 0, detail
    # Whoever runs from memory on this machine meanwhile is learned, too.
    assert agent.events("application_inventory_complete")[0]["detail"]["programs"] >= 2
    assert control(agent)["blocked"] == 1
    # Unknown scripts, too; but not what an interpreter reads as data.
    other = put(os.path.join(folder, "other"), b"#!/bin/sh\nexit 8\n")
    os.chmod(other, 0o755)
    assert not can_run(other)
    assert subprocess.run(["/bin/sh", other], check=False).returncode == 8


def test_a_known_program_is_known_by_its_content(place):
    agent, folder = controlled(place)
    known = program(os.path.join(folder, "known"), b"1")
    start(agent)
    copy = shutil.copy(known, os.path.join(folder, "copy"))
    link = os.path.join(folder, "link")
    os.link(known, link)
    assert can_run(copy) and can_run(link)
    os.rename(known, os.path.join(folder, "renamed"))
    assert can_run(os.path.join(folder, "renamed"))
    # Changed in place, by a write and through a mapping: another program.
    with open(copy, "r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"2")
    assert not can_run(copy)
    with open(link, "r+b") as stream, mmap.mmap(stream.fileno(), 0) as view:
        view[-1:] = b"3"
    assert not can_run(link)
    with open(copy, "r+b") as stream:
        stream.seek(-1, 2)
        stream.write(b"1")
    assert can_run(copy), "what it was is known again"


def run_until_remembered(known):
    """A change of the last two seconds may be followed by one at the same time: it is not remembered."""
    deadline = time.monotonic() + harness.SECONDS
    while os.stat(known).st_ctime + 2.5 > time.time():
        assert can_run(known) and time.monotonic() < deadline
    for _ in range(3):
        assert can_run(known)


def test_a_remembered_program_asks_nobody(place):
    agent, folder = controlled(place, mount=mount_ext4)
    known = program(os.path.join(folder, "known"), b"1")
    os.utime(known)
    start(agent)
    run_until_remembered(known)
    before = agent.until(lambda status: status["application_control"]["known"] > 0, "it was asked")
    for _ in range(50):
        assert can_run(known)
    after = control(agent)
    assert after["known"] - before["application_control"]["known"] < 5, (before, after)


@contextlib.contextmanager
def mapped(path):
    """Its bytes, shared and writable; mmap.mmap would keep a descriptor for writing."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    size = os.path.getsize(path)
    with open(path, "r+b") as stream:
        address = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, stream.fileno(), 0)
    assert address not in (None, ctypes.c_void_p(-1).value), os.strerror(ctypes.get_errno())
    try:
        yield (ctypes.c_char * size).from_address(address)
    finally:
        libc.munmap(address, size)


def change_unseen(path, view):
    before = os.stat(path)
    view[len(view) - 1] = b"2"
    after = os.stat(path)
    assert (after.st_mtime_ns, after.st_ctime_ns) == (before.st_mtime_ns, before.st_ctime_ns), "its times moved"


def test_a_write_through_a_mapping_moves_no_time_on_tmpfs(place):
    agent, folder = controlled(place)
    known = program(os.path.join(folder, "known"), b"1")
    start(agent)
    run_until_remembered(known)
    with mapped(known) as view:
        assert view[len(view) - 1] == b"1"
        change_unseen(known, view)
    assert not can_run(known)


def test_a_writer_of_overlayfs_meets_no_lease(place):
    agent, folder = controlled(place, mount=harness.mount_overlay)
    known = program(os.path.join(folder, "known"), b"1")
    start(agent)
    with mapped(known) as view:
        view[len(view) - 1] = b"1"
        run_until_remembered(known)
        change_unseen(known, view)
        assert not can_run(known)


def test_an_empty_file_is_asked_for(place):
    """Who has it open for writing fills it after the answer."""
    agent, folder = controlled(place)
    start(agent)
    empty = put(os.path.join(folder, "empty"), b"")
    os.chmod(empty, 0o755)
    assert not can_run(empty)
    assert os.path.getsize(empty) == 0 and open(empty, "rb").read() == b"", "reading it asks nobody"


def test_report_lets_run_and_tells(place):
    agent, folder = controlled(place, "report")
    start(agent)
    unknown = program(os.path.join(folder, "unknown"), b"2")
    with agent.following() as events:
        assert can_run(unknown)
        assert events.wait("application_unknown", unknown)["severity"] == "medium"
    for _ in range(5):
        assert can_run(unknown)
    ours = [event for event in agent.events("application_unknown") if event["subject"] == unknown]
    assert len(ours) == 1, "one who runs it again and again fills the store"
    assert not agent.events("application_blocked")


def test_learning_takes_what_is_run_and_survives_a_restart(place):
    agent, folder = controlled(place, "learn")
    start(agent, "learning")
    agent.until(lambda status: status["application_control"]["complete"], "the walk is complete")
    learned = program(os.path.join(folder, "learned"), b"1")
    never = program(os.path.join(folder, "never-run"), b"2")
    assert can_run(learned)
    agent.stop()
    agent.set_policy(application_control__mode="block")
    start(agent)
    assert can_run(learned) and not can_run(never)
    assert len(agent.events("application_inventory_complete")) == 1, "it was not made anew"
    # From nothing known to nothing enforced: the policy's way back.
    reload(agent, application_control__allow_hashes=[digest_of(never)])
    agent.until(lambda status: can_run(never), "the exception is obeyed")
    reload(agent, application_control__allow_hashes=[], application_control__block_hashes=[digest_of(learned)])
    agent.until(lambda status: not can_run(learned), "the blocked hash is obeyed")
    wait_for_reason(agent, "blocked_hash")
    agent.set_policy(application_control__mode="off", application_control__block_hashes=[])
    agent.control("reload")
    agent.until(lambda status: status["application_control"]["state"] == "off", "it is off")
    assert can_run(never) and can_run(learned)


def test_maintenance(place):
    agent, folder = controlled(place)
    start(agent)
    program_run = program(os.path.join(folder, "run"), b"1")
    before = program(os.path.join(folder, "before"), b"0")
    assert not can_run(program_run)
    agent.until(lambda status: os.stat(before).st_ctime + 0.1 < time.time(), "its time is past")
    agent.control("maintenance", "on", "--minutes", "30")
    status = control(agent)
    assert status["state"] == "maintenance" and status["maintenance_until"], status
    agent.until(lambda status: agent.events("maintenance_started"), "its start is told")
    assert can_run(program_run)
    brought = program(os.path.join(folder, "brought"), b"2")
    # It outlives the agent.
    agent.stop()
    start(agent, "maintenance")
    agent.control("maintenance", "off")
    wait_for(agent, "working")
    agent.until(lambda status: agent.events("maintenance_ended"), "its end is told")
    assert can_run(program_run) and can_run(brought)
    after = program(os.path.join(folder, "after"), b"3")
    assert not can_run(after)
    assert not can_run(before), "what lay there before is not what maintenance brought"
    assert agent.events("maintenance_ended")[0]["detail"]["added"] >= 1
    assert "by" in agent.events("maintenance_started")[0]["detail"]
    assert agent.control("maintenance", "on", "--minutes", "100000", accept=(2,)) == ""


def test_a_protected_agent_is_not_put_into_maintenance_on_the_host(place):
    agent, _ = controlled(place, "report", protection__enabled=True)
    start(agent)
    for arguments in (["maintenance", "on"], ["applications", "learn"]):
        result = subprocess.run([os.path.join(harness.PROGRAMS, "yaguractl"), "--socket", agent.socket, *arguments],
                                env={**os.environ, "LC_ALL": "ja_JP.UTF-8"}, capture_output=True, check=False)
        assert result.returncode == 2 and "保護" in result.stderr.decode() and b"yaguractl release" in result.stderr, result
    agent.control("maintenance", "off")


def test_exclusions_and_other_file_systems_are_left_alone(place):
    agent, folder = controlled(place)
    excluded = os.path.join(folder, "excluded")
    os.mkdir(excluded)
    agent.set_policy(application_control__exclude_directories=[excluded])
    start(agent)
    assert can_run(program(os.path.join(excluded, "unknown"), b"1"))
    assert can_run(program(os.path.join(place.folder("elsewhere"), "unknown"), b"2"))
    assert not can_run(program(os.path.join(folder, "unknown"), b"3"))


def test_whatever_dies_the_host_goes_on(place):
    agent, folder = controlled(place)
    unknown = program(os.path.join(folder, "unknown"), b"1")
    os.chmod(unknown, 0o644)
    known = program(os.path.join(folder, "known"), b"2")
    start(agent)
    os.chmod(unknown, 0o755)
    assert not can_run(unknown) and can_run(known)
    pid = control(agent)["guard_pid"]
    os.kill(pid, signal.SIGKILL)
    agent.until(lambda status: status["application_control"]["guard_pid"] not in (0, pid)
                and status["application_control"]["state"] == "working", "another guard works")
    agent.until(lambda status: "prevention_works module=application_control " in agent.log_end(), "the log says whose guard works")
    assert not can_run(unknown)
    agent.kill()
    assert can_run(unknown) and can_run(known), "without the agent everything runs"
    start(agent)
    assert not can_run(unknown) and can_run(known)


@contextlib.contextmanager
def stalled(agent):
    os.kill(agent.process.pid, signal.SIGSTOP)
    os.waitpid(agent.process.pid, os.WUNTRACED)  # all of its threads stand
    try:
        yield
    finally:
        os.kill(agent.process.pid, signal.SIGCONT)


def test_a_file_system_that_is_mounted_anew_is_controlled(place):
    """Within a second, at the same place: what the kernel was told was of the one before."""
    agent, folder = controlled(place)
    start(agent)
    subprocess.run(["sh", "-c", 'umount "$1" && mount -t tmpfs tmpfs "$1"', "sh", folder], check=True)
    unknown = program(os.path.join(folder, "unknown"), b"1")
    agent.until(lambda status: not can_run(unknown), "it is controlled")


def test_a_stalled_agent_hits_the_deadline(place):
    agent, folder = controlled(place, application_control__deadline="500ms")
    start(agent)
    unknown = program(os.path.join(folder, "unknown"), b"1")
    with stalled(agent):
        begin = time.monotonic()
        assert can_run(unknown), "the policy lets it run at its deadline"
        assert 0.4 < time.monotonic() - begin < 20
    wait_for(agent, "working")
    agent.until(lambda status: not can_run(unknown), "it controls on")


def test_a_stalled_agent_runs_nothing_where_the_policy_says_so(place):
    """In every mode: whatever has no answer in time does not run, and is told so afterwards."""
    agent, folder = controlled(place, "report", application_control__deadline="500ms",
                               application_control__on_timeout="deny")
    known = program(os.path.join(folder, "known"), b"1")
    start(agent)
    with stalled(agent):
        begin = time.monotonic()
        assert not can_run(known), "it has no answer"
        assert 0.4 < time.monotonic() - begin < 20
    agent.until(lambda status: can_run(known), "it controls on")
    wait_for_reason(agent, "late")
    assert agent.events("application_blocked")[0]["subject"] == known, agent.events("application_blocked")


def test_a_change_between_question_and_answer_gets_nothing_run(place):
    agent, folder = controlled(place)
    path = put(os.path.join(folder, "program"), b"#!/bin/sh\nexit 0\n")
    os.chmod(path, 0o755)
    start(agent)
    assert subprocess.run([path], check=False).returncode == 0
    swapper = subprocess.Popen([sys.executable, "-c", SWAPPER, path], stdout=subprocess.PIPE)
    results = {}
    try:
        assert swapper.stdout.readline() == b"ready\n"
        deadline = time.monotonic() + harness.SECONDS
        while sum(results.values()) < 40 and time.monotonic() < deadline:
            try:
                result = subprocess.run(["/usr/bin/env", path], check=False, stderr=subprocess.DEVNULL).returncode
            except OSError as error:
                result = error.errno
            results[result] = results.get(result, 0) + 1
    finally:
        swapper.kill()
        swapper.wait()
        swapper.stdout.close()
    # A shell reads its script after it was asked for: that it changes then is what nobody can prevent. All else is
    # answered, in time.
    assert sum(results.values()) == 40, results
    assert control(agent)["late"] == 0, (control(agent), results)
    put(path, b"#!/bin/sh\nexit 9\n")
    assert not can_run(path)


def test_a_program_in_memory_is_told(place):
    agent, folder = controlled(place)
    sleeper = shutil.copy(shutil.which("sleep"), os.path.join(folder, "sleep"))
    os.chmod(sleeper, 0o755)
    start(agent)
    # Others on this machine may run so, too.
    before = len(agent.events("application_unknown"))
    known = subprocess.Popen([sys.executable, "-c", MEMORY, sleeper])
    unknown = subprocess.Popen([sys.executable, "-c", MEMORY, sleeper],
                               env={**os.environ, "SUFFIX": "unknown"})
    try:
        def ours():
            return [event for event in agent.events("application_unknown")[before:]
                    if event["detail"]["pid"] in (known.pid, unknown.pid)]
        agent.until(lambda status: ours(), "it is told")
        events = ours()
        assert [event["detail"]["pid"] for event in events] == [unknown.pid], events
        assert events[0]["subject"].startswith("/memfd:yagura-test"), events
        assert events[0]["detail"]["reason"] == "from_memory", events
        assert unknown.poll() is None and known.poll() is None, "what runs is never ended"
    finally:
        for process in (unknown, known):
            process.kill()
            process.wait()


def test_a_changed_inventory_is_noticed(place):
    agent, folder = controlled(place)
    known = program(os.path.join(folder, "known"), b"1")
    start(agent)
    forged = program(os.path.join(folder, "forged"), b"2")
    assert can_run(known) and not can_run(forged)
    agent.stop()
    database = sqlite3.connect(os.path.join(agent.state, "programs.db"))
    database.execute("INSERT INTO program SELECT ?, size, path, origin, package, added_ns, seal FROM program "
                     "LIMIT 1",
                     (bytes.fromhex(digest_of(forged)),))
    database.commit()
    database.close()
    start(agent)
    assert can_run(known) and not can_run(forged), "a row that we did not seal is no program"
    status = agent.status()
    assert any("inventory" in problem["problem"] for problem in status["problems"]), status["problems"]
    assert agent.events("application_inventory_tampered")
    # What there is now is approved by learning it anew.
    agent.control("applications", "learn")
    wait_for(agent, "working")
    assert can_run(forged) and can_run(known)
    assert not any("inventory" in problem["problem"] for problem in agent.status()["problems"])


def test_packages_are_trusted(place):
    if shutil.which("dpkg") is None or shutil.which("dpkg-deb") is None:
        raise Skip("no dpkg here")
    agent, folder = controlled(place, application_control__trust_packages=True)
    # dpkg's own database and what it writes, in mounts of this test.
    admin = os.path.join(folder, "dpkg")
    subprocess.run(["cp", "-a", "/var/lib/dpkg", admin], check=True)
    subprocess.run(["mount", "--bind", admin, "/var/lib/dpkg"], check=True)
    place.cleanups.append(lambda: subprocess.run(["umount", "-l", "/var/lib/dpkg"], check=False))
    agent.set_policy(application_control__paths=[folder, "/var/lib/dpkg"])
    start(agent)
    tree = place.folder("package")
    installed = os.path.join(folder, "opt/tool")
    os.makedirs(os.path.join(tree, "DEBIAN"))
    os.makedirs(os.path.dirname(tree + installed))
    program(tree + installed, b"of a package")
    put(os.path.join(tree, "DEBIAN/control"),
        b"Package: yagura-test-tool\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n"
        b"Description: a test\n")
    put(os.path.join(tree, "DEBIAN/md5sums"),
        f"{hashlib.md5(open(tree + installed, 'rb').read()).hexdigest()}  {installed[1:]}\n".encode())
    done = os.path.join(folder, "postinst-ran")
    put(os.path.join(tree, "DEBIAN/postinst"), f"#!/bin/sh\nset -e\n{installed}\ntouch {done}\n".encode())
    os.chmod(os.path.join(tree, "DEBIAN/postinst"), 0o755)
    package = os.path.join(place.root, "tool.deb")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, package], check=True, stdout=subprocess.DEVNULL)
    by_hand = program(os.path.join(folder, "by-hand"), b"of nobody")
    assert not can_run(by_hand)
    result = subprocess.run(["dpkg", "-i", package], check=False, capture_output=True)
    assert result.returncode == 0 and os.path.exists(done), result
    assert can_run(installed)
    agent.until(lambda status: agent.events("application_trusted"), "it is told")
    event = agent.events("application_trusted")[0]
    assert event["subject"] == installed and event["detail"]["package"] == "yagura-test-tool", event
    # A package's file that is no longer what the package brought is unknown.
    program(installed, b"changed")
    assert not can_run(installed)
    wait_for_reason(agent, "changed_package_file")
    # A script in dpkg's folder is let run by dpkg alone.
    script = put("/var/lib/dpkg/info/yagura-test-other.postinst", b"#!/bin/sh\nexit 0\n")
    os.chmod(script, 0o755)
    assert not can_run(script)


if __name__ == "__main__":
    harness.own_mounts()
    harness.main()
