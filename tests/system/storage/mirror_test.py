"""Signatures from a bucket: loaded at the start and when they change, without a restart; what nobody signed, what is
forged or older than what is there is not taken, and nothing is lost when the mirror is away."""
import hashlib
import json
import os
import subprocess

from harness import EICAR, SECONDS, Skip, Storage, account, agents, main, until


def listing(body, name):
    return f"{hashlib.md5(body).hexdigest()}:{len(body)}:{name}\n".encode()


def mirrored(place, **settings):
    storage = Storage(place, notify=False, mirror_period="1s", mirror_directory=place.root + "/mirrored",
                      scanner_databases=place.folder("image"), **settings)
    storage.mirror = account().bucket(storage.bucket + "-mirror")
    storage.values["YAGURA_MIRROR_URL"] = f"s3://{storage.mirror}/signatures"
    return storage


def keep(storage, name, body):
    account().s3.put_object(Bucket=storage.mirror, Key="signatures/" + name, Body=body)


def look(storage, key, wanted, what, seconds=SECONDS):
    """The verdict of signatures that may still be on their way, of a version of its own: no earlier verdict counts.
    Returns the result."""
    made = storage.put(key, EICAR + key.encode())
    event = storage.event(key, made["ETag"], made["VersionId"])

    def again():
        storage.send(event)
        found = [one for one in storage.collect()
                 if one["version_id"] == made["VersionId"] and one["verdict"] == wanted]
        return found and found[-1]
    return until(again, what, seconds, on_wait=storage.said)


def signed(version, body=b"no archive"):
    """As a .cvd begins; its signature is none."""
    head = f"ClamAV-VDB:22 Nov 2026 08-00 -0500:{version}:1:90:{hashlib.md5(body).hexdigest()}:AAAA:me:1795000000"
    return head.ljust(512).encode() + body


def test_new_signatures_without_a_restart(place):
    storage = mirrored(place, mirror_unsigned="true")
    keep(storage, "own.hdb", listing(EICAR + b"first", "Of-The-Mirror"))
    keep(storage, "folder/other.hdb", listing(EICAR + b"third", "Not-Ours"))
    process = storage.start()
    found = look(storage, "first", "infected", "the mirror's signature")
    assert found["scanning_result"]["Findings"][0]["malware"].startswith("Of-The-Mirror"), found
    clean = look(storage, "second", "clean", "a verdict by the first signatures")
    keep(storage, "own.hdb", listing(EICAR + b"second", "Newer"))
    newer = look(storage, "second", "infected", "the newer signature")
    assert newer["signatures"] != clean["signatures"] and newer["signatures"][:4] == "2026", newer
    look(storage, "first", "clean", "the older signature gone")
    keep(storage, "more.hdb", listing(EICAR + b"first", "Of-A-Second-File"))
    look(storage, "first", "infected", "a second file")
    account().s3.delete_object(Bucket=storage.mirror, Key="signatures/more.hdb")
    look(storage, "first", "clean", "what left the mirror")
    assert sorted(os.listdir(place.root + "/mirrored")) == ["own.hdb"]
    storage.stop(process)


def test_what_is_not_signed_is_not_taken(place):
    storage = mirrored(place)
    agents.put(place.root + "/image/image.hdb", listing(EICAR + b"first", "Of-The-Image"))
    keep(storage, "own.hdb", listing(EICAR + b"second", "Of-Nobody"))
    process = storage.start()
    look(storage, "first", "infected", "the image's signature")
    until(lambda: "none but unsigned files" in storage.said(process), "a word about it", on_wait=storage.said)
    look(storage, "second", "clean", "a verdict without it")
    assert os.listdir(place.root + "/mirrored") == []
    storage.stop(process)


def test_forged_and_older_files(place):
    """A .cvd that ClamAV did not sign is refused by libclamav, and what was loaded stays; one that is older than what
    stands there, and what is none at all, are not even put in their place."""
    storage = mirrored(place, mirror_unsigned="true")
    keep(storage, "own.hdb", listing(EICAR + b"first", "Of-The-Mirror"))
    process = storage.start()
    look(storage, "first", "infected", "the mirror's signature")
    keep(storage, "daily.cvd", signed(20))
    until(lambda: os.path.exists(place.root + "/mirrored/daily.cvd"), "the file", on_wait=storage.said)
    look(storage, "second", "clean", "a verdict although the new files cannot be loaded")
    look(storage, "first", "infected", "the old signatures")
    keep(storage, "daily.cvd", signed(19))
    until(lambda: "older than the one in its place" in storage.said(process), "a word", on_wait=storage.said)
    keep(storage, "daily.cvd", b"\0" * 600)
    until(lambda: "no signed database of ClamAV" in storage.said(process), "a word", on_wait=storage.said)
    with open(place.root + "/mirrored/daily.cvd", "rb") as stream:
        assert stream.read() == signed(20)
    # A start finds the forged file there, and leaves it out.
    storage.stop(process)
    account().s3.delete_object(Bucket=storage.mirror, Key="signatures/daily.cvd")
    process = storage.start()
    look(storage, "first", "infected", "what can be loaded")
    storage.stop(process)


def test_a_mirror_that_is_away(place):
    """At the start: the image's signatures; later: those that are there. Nothing of them goes."""
    storage = mirrored(place, mirror_unsigned="true")
    agents.put(place.root + "/image/image.hdb", listing(EICAR + b"first", "Of-The-Image"))
    process = storage.start(mirror_url=f"s3://{storage.mirror}-nobody/signatures/")
    look(storage, "first", "infected", "the image's signature")
    until(lambda: "mirror_failed" in storage.said(process), "a word", on_wait=storage.said)
    storage.stop(process)
    keep(storage, "own.hdb", listing(EICAR + b"second", "Of-The-Mirror"))
    process = storage.start()
    look(storage, "second", "infected", "the mirror's signature")
    account().s3.delete_object(Bucket=storage.mirror, Key="signatures/own.hdb")
    until(lambda: "it holds no signatures" in storage.said(process), "a word", on_wait=storage.said)
    assert os.listdir(place.root + "/mirrored") == ["own.hdb"]
    storage.stop(process)


def test_what_left_while_nobody_looked(place):
    """The folder outlives the process: at its next start, what is no more in the mirror goes, and so do unsigned files
    once they are not taken any more, even when the mirror is away."""
    storage = mirrored(place, mirror_unsigned="true")
    agents.put(place.root + "/image/image.hdb", listing(EICAR + b"third", "Of-The-Image"))
    keep(storage, "own.hdb", listing(EICAR + b"first", "Of-The-Mirror"))
    keep(storage, "more.hdb", listing(EICAR + b"second", "Of-A-Second-File"))
    process = storage.start()
    look(storage, "second", "infected", "the second file's signature")
    storage.stop(process)
    agents.put(place.root + "/mirrored/notes.txt", b"no signatures")
    account().s3.delete_object(Bucket=storage.mirror, Key="signatures/more.hdb")
    process = storage.start()
    look(storage, "second", "clean", "what left the mirror")
    look(storage, "first", "infected", "what stayed there")
    assert sorted(os.listdir(place.root + "/mirrored")) == ["notes.txt", "own.hdb"]
    storage.stop(process)
    process = storage.start(mirror_unsigned="false", mirror_url=f"s3://{storage.mirror}-nobody/signatures/")
    look(storage, "third", "infected", "the image's signature")
    look(storage, "first", "clean", "a verdict without unsigned files")
    assert os.listdir(place.root + "/mirrored") == ["notes.txt"]
    storage.stop(process)


def test_old_signatures_are_told(place):
    storage = mirrored(place, mirror_unsigned="true", scanner_database_age="1h")
    keep(storage, "own.hdb", listing(EICAR + b"first", "Of-The-Mirror"))
    old = agents.put(place.root + "/image/old.hdb", listing(EICAR + b"second", "Old"))
    os.utime(old, (0, 1_700_000_000))
    process = storage.start(mirror_url="", metrics_scanner="of-the-test")
    until(lambda: "signatures_old" in storage.said(process), "a warning", on_wait=storage.said)
    line = next(line for line in storage.said(process).splitlines() if line.startswith("{"))
    metric = json.loads(line)
    assert metric["Scanner"] == "of-the-test", metric
    assert abs(metric["_aws"]["Timestamp"] / 1000 - metric["SignatureAge"] - 1_700_000_000) < 10, metric
    storage.stop(process)
    process = storage.start()
    look(storage, "first", "infected", "the mirror's signature")
    assert "signatures_old" not in storage.said(process), storage.said(process)
    storage.stop(process)


SHARE = """set -eu
mount -t overlay overlay -o "lowerdir=$1:$2" "$3"
mount -o remount,bind,ro "$3"
exec "$4" poller"""


def test_a_shared_folder_that_another_host_updates(place):
    """As EFS is: read-only here, and nothing tells of what another host writes there."""
    if os.geteuid() != 0:
        raise Skip("mounting wants root")
    shared, empty, seen = (place.folder(name) for name in ("shared", "empty", "seen"))
    if subprocess.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", SHARE, "sh", shared, empty, seen, "true"],
                      stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode:
        raise Skip("there is no overlay file system")
    agents.put(shared + "/first.hdb", listing(EICAR + b"first", "First"))
    storage = Storage(place, notify=False, scanner_databases=seen)
    log = open(place.root + "/shared.log", "wb+")  # pylint: disable=consider-using-with
    process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", SHARE, "sh", shared, empty, seen,
                                os.path.join(agents.PROGRAMS, "yagura-storage")],
                               stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=storage.values)
    process.log = log
    storage.processes.append(process)
    look(storage, "first", "infected", "the first signature")
    look(storage, "second", "clean", "no second one yet")
    agents.put(shared + "/second.hdb", listing(EICAR + b"second", "Second"))
    look(storage, "second", "infected", "the second signature", 3 * SECONDS)  # it is looked at each minute
    storage.stop(process)


def test_what_cannot_be_is_told(place):
    storage = mirrored(place)
    process = storage.start(mirror_url="https://example.com/signatures")
    assert process.wait(timeout=60) == 1
    assert "mirror_refused" in storage.said(process), storage.said(process)
    kept = agents.put(place.root + "/image/image.hdb", listing(EICAR + b"first", "Of-The-Image"))
    process = storage.start(mirror_directory=place.root + "/image")
    assert process.wait(timeout=60) == 1
    assert "set mirror.directory to a folder of its own" in storage.said(process), storage.said(process)
    assert os.path.exists(kept)


if __name__ == "__main__":
    main()
