"""What an agent remembers, and what it does not believe."""
import contextlib
import os
import shutil
import subprocess

import harness
from harness import CLEAN, EICAR, put


def system_of(folder):
    return subprocess.run(["stat", "-f", "-c", "%T", folder], check=True, capture_output=True,
                          text=True).stdout.strip()


def old_files():
    """A folder whose files were last changed long ago: nothing can give a new file an old ctime."""
    for folder in ("/usr/share/zoneinfo", "/usr/share/perl", "/usr/share/doc"):
        if os.path.isdir(folder):
            if system_of(folder) in ("overlayfs", "ramfs", "tmpfs"):
                raise harness.Skip("its times do not tell of every write: nothing is remembered here")
            return folder
    raise harness.Skip("no folder of old files")


def test_unchanged_files_are_not_scanned_again(place):
    source = old_files()
    agent = place.agent(watch__enabled=False, respond__action="pass").start()
    _, _, first = agent.scan(source)
    _, _, second = agent.scan(source)
    assert first["files_scanned"] > 50, first
    assert second["files_scanned"] <= first["files_scanned"] // 50, (first, second)
    assert second["files_cached"] + second["files_scanned"] == first["files_scanned"], second
    agent.stop()
    agent.start()
    _, _, third = agent.scan(source)
    assert third["files_scanned"] <= first["files_scanned"] // 50, (first, third)
    _, _, fourth = agent.scan(source, options=("--no-cache",))
    assert fourth["files_scanned"] == first["files_scanned"], fourth


def test_what_changed_while_it_was_down_is_found(place):
    agent = place.agent().start()
    written = put(os.path.join(agent.watched, "written"), CLEAN)
    put(os.path.join(agent.watched, "same"), CLEAN)
    agent.sync()
    agent.stop()
    put(written, EICAR)
    new = put(os.path.join(agent.watched, "new"), EICAR)
    os.makedirs(os.path.join(agent.watched, "sub/sub"))
    deep = put(os.path.join(agent.watched, "sub/sub/new"), EICAR)
    agent.start()
    agent.sync()
    agent.expect_found(written, new, deep)


def test_restored_times_hide_nothing(place):
    """Same size, mtime set back: only the ctime tells."""
    agent = place.agent().start()
    path = put(os.path.join(agent.watched, "file"), b"x" * len(EICAR))
    agent.sync()
    agent.stop()
    before = os.stat(path)
    with open(path, "r+b") as stream:
        stream.write(EICAR)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    agent.start()
    agent.sync()
    agent.expect_found(path)


def test_a_damaged_memory_only_costs_time(place):
    source = old_files()
    agent = place.agent(watch__enabled=False, respond__action="pass").start()
    _, _, first = agent.scan(source)
    agent.stop()
    for folder, _, names in os.walk(agent.state):
        for name in names:
            if "verdict" in name:
                path = os.path.join(folder, name)
                with open(path, "r+b") as stream:
                    stream.seek(os.path.getsize(path) // 2)
                    stream.write(os.urandom(100))
    agent.start()
    status, _, second = agent.scan(source)
    assert status == 0 and second["clean"] == first["clean"], (first, second)


def test_a_corrupt_event_store_is_moved_aside(place):
    agent = place.agent().start()
    agent.stop()
    for suffix in ("-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(agent.state, "events.db" + suffix))
    put(os.path.join(agent.state, "events.db"), os.urandom(20000))
    agent.start()
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    agent.sync()
    agent.expect_found(bad)
    assert agent.events("store_rebuilt"), "nobody was told"


def test_new_signatures_are_used_without_a_restart(place):
    databases = place.folder("databases")
    shutil.copy(os.path.join(harness.SIGNATURES, "yagura-demo.ndb"), databases)
    agent = place.agent(databases=[databases]).start()
    agent.sync()
    with agent.following() as events:
        events.wait("scanner_ready")
        marker = b"a very particular text, known to nobody yet\n"
        put(os.path.join(databases, "new.ndb.part"), b"Test.New:0:*:" + marker.hex().encode() + b"\n")
        os.rename(os.path.join(databases, "new.ndb.part"), os.path.join(databases, "new.ndb"))
        events.wait("scanner_ready")
        path = put(os.path.join(agent.watched, "file"), marker)
        found = events.wait("malware_found", harness.escaped(path))
    assert "Test.New" in str(found)


if __name__ == "__main__":
    harness.main()
