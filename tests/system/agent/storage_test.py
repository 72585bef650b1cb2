"""Disks that are full, read-only or failing: nothing is lost, and it is said."""
import errno
import io
import os
import subprocess
import time
import zipfile

import harness
from harness import CLEAN, EICAR, mount_tmpfs, put


def fill(folder):
    """Leaves no block free; answers the file that took them."""
    path = os.path.join(folder, "filler")
    with open(path, "ab", buffering=0) as stream:
        for size in (1 << 20, 4096, 512, 1):
            try:
                while True:
                    stream.write(b"\0" * size)
            except OSError as error:
                assert error.errno == errno.ENOSPC
    return path


def test_a_full_state_disk_loses_nothing(place):
    agent = place.agent()
    mount_tmpfs(place, agent.state, "size=6m", "mode=0700")
    agent.start()
    agent.sync()
    filler = fill(agent.state)
    bad = [put(os.path.join(agent.watched, f"bad{number}"), EICAR) for number in range(20)]
    put(os.path.join(agent.watched, "good"), CLEAN)
    agent.until(lambda status: status["scan"]["infected"] >= 1, "the scan goes on")
    # A policy applies whole, also what would leave a file there.
    agent.set_policy(protection__enabled=True)
    agent.control("reload")
    status = agent.status()
    assert status["protected"] and "protection" in [one["module"] for one in status["problems"]], status
    os.unlink(filler)
    agent.control("reload")
    assert "protection" not in [one["module"] for one in agent.status()["problems"]]
    agent.sync()
    agent.expect_found(*bad)
    left = [path for path in bad if os.path.exists(path)]
    told = set(agent.subjects("malware_action_failed")) | set(agent.subjects("malware_action_delayed"))
    silent = [path for path in left if harness.escaped(path) not in told]
    assert not silent, f"left in place without a word: {silent[:3]}"


def test_a_full_state_disk_does_not_hold_up_the_stop(place):
    agent = place.agent()
    mount_tmpfs(place, agent.state, "size=24m", "mode=0700")
    agent.start()
    agent.sync()
    filler = fill(agent.state)
    bad = [put(os.path.join(agent.watched, f"bad{number}"), EICAR) for number in range(300)]
    agent.until(lambda status: status["store"]["problem"], "the store cannot write")
    begun = time.monotonic()
    agent.stop()
    assert time.monotonic() - begun < 25, "systemd ends it after 30 s"
    os.unlink(filler)
    agent.start()
    agent.sync()
    assert set(agent.subjects("malware_found")) == set(map(harness.escaped, bad))
    agent.until(lambda _: not any(map(os.path.lexists, bad)), "all are gone")


def test_a_full_quarantine_refuses_and_says_so(place):
    agent = place.agent(quarantine__max_size="1M").start()
    bad = []
    for number in range(12):
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("eicar.com", EICAR)
            archive.writestr("bulk", os.urandom(200 << 10))
        bad.append(put(os.path.join(agent.watched, f"bad{number}.zip"), data.getvalue()))
    agent.sync()
    agent.expect_found(*bad)
    left = [path for path in bad if os.path.exists(path)]
    assert left and len(left) < len(bad), f"{len(left)} of {len(bad)} left"
    told = set(agent.subjects("malware_action_failed")) | set(agent.subjects("malware_action_delayed"))
    silent = [path for path in left if harness.escaped(path) not in told]
    assert not silent, f"left in place without a word: {silent[:3]}"


def test_a_read_only_file_system_is_reported(place):
    agent = place.agent()
    folder = os.path.join(agent.watched, "mounted")
    mount_tmpfs(place, folder, "size=1m")
    bad = put(os.path.join(folder, "bad"), EICAR)
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    agent.start()
    agent.sync()
    agent.expect_found(bad)
    assert os.path.exists(bad)
    told = agent.subjects("malware_action_failed") + agent.subjects("malware_action_delayed")
    assert harness.escaped(bad) in told, agent.events()


def test_malware_on_another_mount_is_quarantined(place):
    agent = place.agent()
    folder = os.path.join(agent.watched, "mounted")
    mount_tmpfs(place, folder, "size=1m")
    agent.start()
    agent.sync()
    bad = put(os.path.join(folder, "bad"), EICAR)
    agent.sync()
    agent.expect_found(bad)
    agent.expect_gone(bad)


def test_a_mount_that_appears_later_is_watched(place):
    agent = place.agent().start()
    agent.sync()
    folder = os.path.join(agent.watched, "later")
    os.mkdir(folder)
    with agent.following() as events:
        mount_tmpfs(place, folder, "size=1m")
        bad = put(os.path.join(folder, "bad"), EICAR)
        events.wait("malware_found", harness.escaped(bad))
    agent.sync()
    agent.expect_gone(bad)


def test_pseudo_file_systems_are_not_entered(place):
    agent = place.agent(watch__enabled=False).start()
    folder = place.folder("tree/proc")
    subprocess.run(["mount", "-t", "proc", "proc", folder], check=True)
    place.cleanups.append(lambda: subprocess.run(["umount", "-l", folder], check=False))
    put(os.path.join(place.root, "tree/good"), CLEAN)
    status, _, totals = agent.scan(os.path.join(place.root, "tree"))
    assert status == 0 and totals["files_seen"] == 1, totals


if __name__ == "__main__":
    try:
        harness.own_mounts()
    except (harness.Skip, PermissionError) as reason:
        print(f"SKIPPED: {reason}\n0 passed, 0 failed, 7 skipped")
        raise SystemExit(77) from None
    harness.main()
