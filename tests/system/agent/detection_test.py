"""Malware is found and quarantined whichever way it comes into a watched folder."""
import os
import shutil
import subprocess

import harness
from harness import CLEAN, EICAR, put

TESTFILES = "/usr/share/clamav-testfiles"


def test_written_files_are_quarantined(place):
    agent = place.agent().start()
    bad = put(os.path.join(agent.watched, "bad.com"), EICAR)
    good = put(os.path.join(agent.watched, "good.txt"), CLEAN)
    agent.sync()
    agent.expect_found(bad)
    agent.expect_gone(bad)
    assert os.path.exists(good)
    assert len(agent.events("malware_quarantined")) == 1


def test_every_way_into_a_folder_is_seen(place):
    agent = place.agent().start()
    outside = place.folder("outside")
    inside = agent.watched
    ways = {}

    ways["renamed"] = os.path.join(inside, "renamed")
    os.rename(put(os.path.join(outside, "renamed"), EICAR), ways["renamed"])
    ways["linked"] = os.path.join(inside, "linked")
    os.link(put(os.path.join(outside, "linked"), EICAR), ways["linked"])
    tree = os.path.join(outside, "tree")
    os.makedirs(os.path.join(tree, "deep/er"))
    put(os.path.join(tree, "deep/er/file"), EICAR)
    os.rename(tree, os.path.join(inside, "tree"))
    ways["moved tree"] = os.path.join(inside, "tree/deep/er/file")
    os.makedirs(os.path.join(inside, "a/b/c/d"))
    ways["new directories"] = put(os.path.join(inside, "a/b/c/d/file"), EICAR)
    ways["unnamed then linked"] = os.path.join(inside, "tmpfile")
    fd = os.open(inside, os.O_TMPFILE | os.O_WRONLY, 0o600)
    os.write(fd, EICAR)
    folder = os.open(inside, os.O_RDONLY)
    os.link(f"/proc/self/fd/{fd}", ways["unnamed then linked"], src_dir_fd=folder)
    os.close(folder)
    os.close(fd)
    ways["copied"] = os.path.join(inside, "copied")
    shutil.copyfile(os.path.join(outside, "linked"), ways["copied"])
    ways["renamed within"] = os.path.join(inside, "within")
    os.rename(put(os.path.join(inside, "within.part"), CLEAN), ways["renamed within"])
    put(ways["renamed within"], EICAR)
    ways["appended"] = os.path.join(inside, "appended")
    put(ways["appended"], EICAR[:30])
    with open(ways["appended"], "ab") as stream:
        stream.write(EICAR[30:])
    agent.sync()
    agent.expect_found(*ways.values())
    agent.expect_gone(*ways.values())


def test_a_file_that_is_never_closed_is_scanned_too(place):
    agent = place.agent(watch__settle="100ms").start()
    path = os.path.join(agent.watched, "open")
    with agent.following() as events, open(path, "wb", buffering=0) as stream:
        stream.write(EICAR)
        events.wait("malware_found", path)


def test_files_there_before_the_start_are_scanned(place):
    agent = place.agent()
    bad = put(os.path.join(agent.watched, "old"), EICAR)
    agent.start()
    agent.sync()
    agent.expect_found(bad)


def test_mapped_writes_are_seen(place):
    import mmap
    agent = place.agent().start()
    path = put(os.path.join(agent.watched, "mapped"), b"\0" * len(EICAR))
    agent.sync()
    fd = os.open(path, os.O_RDWR)
    with mmap.mmap(fd, len(EICAR)) as memory:
        os.close(fd)
        memory[:] = EICAR
    agent.sync()
    agent.expect_found(path)


def test_what_a_container_writes_into_its_overlay_is_seen(place):
    """The host watches the merged view; the container has a mount of it in a namespace of its own."""
    harness.own_mounts()
    agent, inside = place.agent(), place.folder("inside")
    merged = os.path.join(agent.watched, "merged")
    harness.mount_overlay(place, merged)
    agent.start()
    agent.sync()
    script = 'mount --bind "$1" "$2" && mkdir "$2/app" && printf %s "$3" > "$2/app/bad" && printf x > "$2/good"'
    subprocess.run(["unshare", "-m", "sh", "-c", script, "sh", merged, inside, EICAR.decode()], check=True)
    bad = os.path.join(merged, "app", "bad")
    agent.sync()
    agent.expect_found(bad)
    agent.expect_gone(bad)
    assert os.path.exists(os.path.join(merged, "good")) and os.listdir(inside) == []


def test_all_of_clamavs_own_test_files(place):
    if not os.path.isdir(TESTFILES):
        raise harness.Skip(f"no {TESTFILES} (package clamav-testfiles)")
    agent = place.agent(respond__action="pass").start()
    paths = [shutil.copy(os.path.join(TESTFILES, name), agent.watched)
             for name in sorted(os.listdir(TESTFILES))]
    agent.sync()
    assert len(paths) >= 44
    agent.expect_found(*paths)


def test_on_demand_scans_answer_by_exit_status(place):
    agent = place.agent(watch__enabled=False).start()
    folder = place.folder("elsewhere")
    put(os.path.join(folder, "good"), CLEAN)
    status, lines, totals = agent.scan(folder)
    assert status == 0 and totals["files_scanned"] == 1, lines
    bad = put(os.path.join(folder, "bad"), EICAR)
    status, _, totals = agent.scan("--", folder, options=("--no-action",))
    assert status == 1 and totals["infected"] == 1, totals
    assert os.path.exists(bad)
    status, _, totals = agent.scan(folder)
    assert status == 1, totals
    agent.expect_gone(bad)
    status, _, _ = agent.scan(os.path.join(folder, "none"))
    assert status == 2


def test_exclusions_and_own_folders_are_left_alone(place):
    agent = place.agent(watch__exclude_extensions=["log"], watch__exclude_files=["core"])
    skipped = place.folder("watched/skipped")
    agent.set_policy(watch__exclude_directories=[skipped + "/"])
    agent.start()
    left = [put(os.path.join(skipped, "bad"), EICAR), put(os.path.join(agent.watched, "x.log"), EICAR),
            put(os.path.join(agent.watched, "core"), EICAR)]
    bad = put(os.path.join(agent.watched, "bad"), EICAR)
    agent.sync()
    agent.scan(place.root)
    agent.expect_found(bad)
    assert all(os.path.exists(path) for path in left)


def test_a_scheduled_scan_finds_what_nobody_watched(place):
    agent = place.agent(watch__enabled=False, scan__schedule_interval="1h",
                        scan__schedule_jitter="0s", scan__schedule_max_load=0)
    path = put(os.path.join(agent.watched, "eicar"), EICAR)
    agent.start()
    status = agent.until(lambda status: status["schedule"]["state"] == "waiting" and
                         status["schedule"]["infected"] == 1, "the scheduled scan")
    assert status["schedule"]["next"] > status["schedule"]["last"] != "", status["schedule"]
    agent.sync()
    found = agent.events("malware_found")
    assert [event["subject"] for event in found] == [path] and "scheduled" in str(found), found
    assert len(agent.events("scan_finished")) == 1
    agent.stop()
    agent.start()  # not again before its time
    assert agent.until(lambda status: status["schedule"]["state"] == "waiting", "its state")
    assert len(agent.events("scan_started")) == 1


if __name__ == "__main__":
    harness.main()
