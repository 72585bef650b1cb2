"""What is no ordinary file, or plays tricks while it is looked at, holds nothing up."""
import os
import signal
import socket
import subprocess
import threading

import harness
from harness import CLEAN, EICAR, put


def test_fifos_sockets_and_devices(place):
    agent = place.agent().start()
    folder = agent.watched
    os.mkfifo(os.path.join(folder, "fifo"))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.join(folder, "socket"))
        os.mknod(os.path.join(folder, "null"), 0o020666, os.makedev(1, 3))
        os.mknod(os.path.join(folder, "disk"), 0o060600, os.makedev(7, 99))
        os.symlink("/dev/zero", os.path.join(folder, "zero"))
        os.symlink(".", os.path.join(folder, "loop"))
        bad = put(os.path.join(folder, "bad"), EICAR)
        agent.sync()
        status, _, totals = agent.scan(folder)
    agent.expect_found(bad)
    assert status == 0 and totals["errors"] == 0, totals
    assert agent.status()["scan"]["errors"] == 0


def test_symbolic_links_are_not_followed(place):
    agent = place.agent().start()
    outside = place.folder("outside")
    bad = put(os.path.join(outside, "bad"), EICAR)
    os.symlink(bad, os.path.join(agent.watched, "link"))
    os.symlink(outside, os.path.join(agent.watched, "directory"))
    agent.sync()
    agent.scan(agent.watched)
    agent.expect_found()
    assert os.path.exists(bad)


def test_races_with_symbolic_links_reach_nothing_outside(place):
    """A file is swapped for a link, and a directory for a link, as fast as the machine can."""
    agent = place.agent().start()
    outside = place.folder("outside")
    precious = put(os.path.join(outside, "file"), EICAR)
    folder = os.path.join(agent.watched, "swapped")
    path = os.path.join(folder, "file")
    stop = threading.Event()

    def swap():
        while not stop.is_set():
            os.makedirs(folder, exist_ok=True)
            put(path, EICAR)
            os.rename(folder, folder + ".old")
            os.symlink(outside, folder)
            os.unlink(folder)
            os.rename(folder + ".old", folder)
            try:
                os.unlink(path)
            except FileNotFoundError:
                pass
            os.symlink(precious, path)
            os.unlink(path)

    racer = threading.Thread(target=swap)
    racer.start()
    try:
        for _ in range(15):
            agent.scan(agent.watched)
    finally:
        stop.set()
        racer.join()
    agent.sync()
    assert os.path.exists(precious), "a file outside was taken away"
    told = [event for event in agent.events("malware_found")
            if not event["subject"].startswith(agent.watched)]
    assert not told, told


def test_hard_links_are_disarmed(place):
    agent = place.agent().start()
    outside = os.path.join(place.folder("outside"), "other-name")
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    os.link(bad, outside)
    agent.sync()
    agent.expect_gone(bad)
    found = set(agent.subjects("malware_found"))
    assert harness.escaped(bad) in found
    assert os.stat(outside).st_mode & 0o777 == 0, "the other name can still be run"


def test_two_links_inside_are_both_gone(place):
    agent = place.agent().start()
    first = put(os.path.join(agent.watched, "first"), CLEAN)
    os.link(first, os.path.join(agent.watched, "second"))
    with open(first, "wb") as stream:
        stream.write(EICAR)
    agent.sync()
    agent.expect_gone(first)
    mode = os.stat(os.path.join(agent.watched, "second")).st_mode & 0o777 if os.path.exists(
        os.path.join(agent.watched, "second")) else 0
    assert mode == 0, f"the second name still has mode {mode:o}"


def test_sparse_and_large_files_do_not_hold_it_up(place):
    agent = place.agent().start()
    path = os.path.join(agent.watched, "sparse")
    with open(path, "wb") as stream:
        stream.write(b"MZ")
        try:
            stream.truncate(1 << 40)
        except OSError as error:
            raise harness.Skip(f"no file of a terabyte here: {error}") from error
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    agent.sync()
    agent.expect_found(bad)
    assert agent.subjects("scan_incomplete") == [harness.escaped(path)]


def test_a_growing_file_gets_its_verdict(place):
    agent = place.agent().start()
    path = os.path.join(agent.watched, "growing")
    stop = threading.Event()

    def grow():
        while not stop.is_set():
            with open(path, "ab") as stream:
                stream.write(CLEAN * 100)

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        for number in range(20):
            put(os.path.join(agent.watched, f"bad{number}"), EICAR)
            agent.sync()
    finally:
        stop.set()
        writer.join()
    agent.sync()
    assert len(agent.events("malware_found")) == 20
    with open(path, "wb") as stream:
        stream.write(EICAR)
    agent.sync()
    assert harness.escaped(path) in agent.subjects("malware_found")


def test_unreadable_for_others_is_readable_for_us(place):
    agent = place.agent().start()
    folder = os.path.join(agent.watched, "closed")
    os.mkdir(folder, 0o000)
    bad = put(os.path.join(folder, "bad"), EICAR)
    os.chmod(bad, 0o000)
    agent.sync()
    agent.expect_found(bad)
    agent.expect_gone(bad)


def test_append_only_and_immutable_files_are_reported(place):
    agent = place.agent().start()
    path = put(os.path.join(agent.watched, "immutable"), CLEAN)
    agent.sync()
    held = agent.hold_scanner()  # no verdict before it is immutable
    put(path, EICAR)
    flagged = subprocess.run(["chattr", "+i", path], capture_output=True, check=False)
    for pid in held:
        os.kill(pid, signal.SIGCONT)
    if flagged.returncode != 0:
        raise harness.Skip("this file system knows no immutable files")
    place.cleanups.append(lambda: subprocess.run(["chattr", "-i", path], check=False))
    agent.sync()
    agent.expect_found(path)
    subprocess.run(["chattr", "-i", path], check=True)
    failed = agent.subjects("malware_action_failed") + agent.subjects("malware_action_delayed")
    assert not os.path.exists(path) or failed, "left in place without a word"


def test_a_file_deleted_before_the_scan_is_no_error(place):
    agent = place.agent().start()
    for number in range(300):
        path = put(os.path.join(agent.watched, f"brief{number}"), CLEAN)
        os.unlink(path)
    agent.sync()
    assert agent.status()["scan"]["errors"] == 0


if __name__ == "__main__":
    harness.main()
