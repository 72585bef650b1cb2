"""What is in a bucket already: scanned here, or queued for the pollers; taken up where it ended."""
import gzip
import json
import os
import pty
import subprocess
import sys
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import CLEAN, EICAR, SECONDS, Storage, account, agents, main  # noqa: E402

PROGRAM = os.path.join(agents.PROGRAMS, "yagura-storage")


def scan(storage, *options, accept=(0,)):
    """Lines of JSON."""
    done = subprocess.run([PROGRAM, "scan-bucket", *options, storage.bucket], env=storage.values,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
                          check=False)
    assert done.returncode in accept, (done.returncode, done.stdout, done.stderr[-3000:])
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_here(place):
    storage = Storage(place, notify=False, suffixes=".com:.txt:+x")
    for key, body in (("a/bad.com", EICAR), ("a/good.txt", CLEAN), ("a/櫓 +x", EICAR),
                      ("a/other", CLEAN), ("b/good.txt", CLEAN)):
        storage.put(key, body)
    storage.put("a/cold.txt", CLEAN, StorageClass="GLACIER")
    (last,) = scan(storage, "--here", "--prefix", "a/", accept=(3,))[-1:]
    assert last["event"] == "done" and last["finished"], last
    assert (last["listed"], last["left_out"], last["archived"], last["clean"], last["infected"]) \
        == (5, 1, 1, 1, 2), last
    assert storage.tags("a/bad.com")["yagura-scan-status"] == "infected"
    assert storage.tags("a/good.txt")["yagura-scan-status"] == "clean"
    assert storage.tags("b/good.txt") == {}
    assert storage.result("a/櫓 +x", verdict="infected")["trigger"] == "full-scan"


def test_queued_and_taken_up_again(place):
    """More than a page; taken up where the file says it ended."""
    storage = Storage(place, notify=False)
    for i in range(25):
        storage.put(f"k{i:02}", b"")
    file = place.root + "/place"
    lines = scan(storage, "--page", "12", "--place", file)
    assert lines[-1]["queued"] == 25 and lines[-1]["after"] == "k24", lines[-1]
    assert [line["event"] for line in lines] == ["progress", "progress", "done"], lines
    assert storage.left()[0] == 5  # at most ten objects a message, none over the end of a page
    with open(file, encoding="utf-8") as stream:
        remembered = json.load(stream)
    remembered.update(after="k20", finished=False, listed=21, queued=21)
    with open(file, "w", encoding="utf-8") as stream:
        json.dump(remembered, stream)
    last = scan(storage, "--place", file)[-1]
    assert last["listed"] == last["queued"] == 25, last
    assert storage.left()[0] == 6
    assert scan(storage, "--place", file, "--prefix", "x", accept=(1,)) == []  # of another prefix


def test_pollers_do_what_was_queued(place):
    storage = Storage(place, notify=False)
    for i in range(25):
        storage.put(f"k{i:02}", EICAR if i % 5 == 0 else CLEAN)
    assert scan(storage)[-1]["queued"] == 25
    storage.start()
    storage.until_done()
    verdicts = [result["verdict"] for result in storage.collect()]
    assert (len(verdicts), verdicts.count("infected")) == (25, 5), verdicts


def test_only_new_signatures_look_again(place):
    folder = place.folder("signatures")
    agents.put(folder + "/first.hdb", b"00000000000000000000000000000000:1:Nothing\n")
    storage = Storage(place, notify=False, tags_trust="true", scanner_databases=folder)
    for i in range(8):
        storage.put(f"k{i}", CLEAN)
    assert scan(storage, "--here")[-1]["clean"] == 8
    assert scan(storage, "--here")[-1]["current"] == 8
    agents.put(folder + "/second.hdb", b"11111111111111111111111111111111:1:Nothing-Else\n")
    last = scan(storage, "--here")[-1]
    assert (last["clean"], last["current"]) == (8, 0), last


def inventory(storage, *files, **more):
    """An S3 Inventory of rows; a file is a list of (key, answer of put, ...)."""
    bucket = account().bucket(storage.bucket + "-inventory")
    listed = []
    for i, rows in enumerate(files):
        text = "".join(",".join(f'"{value}"' for value in row) + "\n" for row in rows)
        listed.append({"key": f"data/{i}.csv.gz", "size": len(text), "MD5checksum": ""})
        account().s3.put_object(Bucket=bucket, Key=f"data/{i}.csv.gz", Body=gzip.compress(text.encode()))
    account().s3.put_object(Bucket=bucket, Key="2026/manifest.json", Body=json.dumps({
        "sourceBucket": storage.bucket, "destinationBucket": "arn:aws:s3:::" + bucket, "version": "2016-11-30",
        "fileFormat": "CSV", "files": listed,
        "fileSchema": "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, ETag, StorageClass", **more}).encode())
    return f"s3://{bucket}/2026/manifest.json"


def row(storage, key, body, latest="true", marker="false", storage_class="STANDARD"):
    made = storage.put(key, body)
    return [storage.bucket, urllib.parse.quote(key), made["VersionId"], latest, marker, str(len(body)),
            made["ETag"].strip('"'), storage_class]


def test_by_inventory(place):
    """Version by version; what it lists and is no object, or changed since, is told apart."""
    storage = Storage(place, notify=False)
    rows = [row(storage, "櫓 +x/bad.com", EICAR), row(storage, "good.txt", CLEAN),
            row(storage, "old", EICAR, latest="false"), row(storage, "marker", b"", marker="true"),
            row(storage, "cold", CLEAN, storage_class="GLACIER"), row(storage, "gone", EICAR),
            row(storage, "other/x", EICAR)]
    storage.cloud.s3.delete_object(Bucket=storage.bucket, Key="gone", VersionId=rows[5][2])
    storage.put("good.txt", EICAR)  # a newer version, which has its own event
    url = inventory(storage, rows[:3], rows[3:])
    last = scan(storage, "--here", "--inventory", url, accept=(3,))[-1]
    counts = {name: last[name] for name in ("listed", "archived", "clean", "infected", "gone", "failed")}
    assert counts == {"listed": 5, "archived": 1, "clean": 1, "infected": 2, "gone": 1, "failed": 0}, last
    assert storage.tags("good.txt", rows[1][2])["yagura-scan-status"] == "clean"
    assert storage.tags("good.txt") == {}
    assert storage.result("櫓 +x/bad.com", verdict="infected")["trigger"] == "full-scan"
    assert scan(storage, "--here", "--inventory", url, "--prefix", "other/", accept=(3,))[-1]["listed"] == 1
    assert not any(files for _, _, files in os.walk(storage.folder))


def test_an_inventory_taken_up_again(place):
    """At the row where the place says; a place of a listing, or of another inventory, is none of it."""
    storage = Storage(place, notify=False)
    rows = [row(storage, f"k{i:02}", b"") for i in range(25)]
    url = inventory(storage, rows[:15], rows[15:])
    file = place.root + "/place"
    lines = scan(storage, "--page", "6", "--inventory", url, "--place", file)
    assert lines[-1]["queued"] == 25 and lines[-1]["event"] == "done" and lines[-1]["file"] == 2, lines[-1]
    with open(file, encoding="utf-8") as stream:
        remembered = json.load(stream)
    remembered.update(file=1, row=6, finished=False, listed=21, queued=21)
    with open(file, "w", encoding="utf-8") as stream:
        json.dump(remembered, stream)
    last = scan(storage, "--page", "6", "--inventory", url, "--place", file)[-1]
    assert last["listed"] == last["queued"] == 25, last
    with open(file, "w", encoding="utf-8") as stream:
        json.dump({**remembered, "inventory": url + "x"}, stream)
    assert scan(storage, "--inventory", url, "--place", file, accept=(1,)) == []


def test_an_inventory_stopped_within_a_page(place):
    """The last line counts what the place counts: whole pages."""
    storage = Storage(place, notify=False)
    first, cold = (",".join(f'"{value}"' for value in one) + "\n"
                   for one in (row(storage, "first", b""), row(storage, "cold", b"", storage_class="GLACIER")))
    url = inventory(storage, [])
    account().s3.put_object(Bucket=storage.bucket + "-inventory", Key="data/0.csv.gz",  # seconds of reading, for no page
                            Body=gzip.compress(first.encode()) + gzip.compress(cold.encode() * 10000) * 600)
    file = place.root + "/place"
    process = subprocess.Popen([PROGRAM, "scan-bucket", "--page", "1", "--inventory", url, "--place", file, storage.bucket],
                               env=storage.values, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    assert json.loads(process.stdout.readline())["listed"] == 1
    process.terminate()
    last = json.loads(process.communicate(timeout=SECONDS)[0].splitlines()[-1])
    assert (last["event"], last["listed"], last["archived"], last["queued"]) == ("stopped", 1, 0, 1), last
    with open(file, encoding="utf-8") as stream:
        assert json.load(stream)["row"] == 1


def test_inventories_that_are_none(place):
    storage = Storage(place, notify=False)
    one = row(storage, "x", CLEAN)
    for i, (rows, more, said) in enumerate((
            ([one], {"sourceBucket": "another"}, "lists another bucket"),
            ([one], {"fileFormat": "ORC"}, "not CSV"),
            ([one[:5]], {}, "a row of it is none"),
            ([["another", *one[1:]]], {}, "a row of it is none"))):
        storage.bucket, kept = f"{storage.bucket}{i}", storage.bucket
        url = inventory(storage, rows, **{"sourceBucket": kept, **more})
        storage.bucket = kept
        done = subprocess.run([PROGRAM, "scan-bucket", "--here", "--inventory", url, storage.bucket], env=storage.values,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 1 and said in done.stderr, (said, done.stdout, done.stderr[-2000:])
    assert storage.tags("x") == {}


def test_a_bar_on_a_terminal(place):
    storage = Storage(place, notify=False)
    for i in range(3):
        storage.put(f"k{i}", CLEAN)
    ours, theirs = pty.openpty()
    process = subprocess.Popen([PROGRAM, "scan-bucket", "--here", storage.bucket],
                               env=storage.values, stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while True:
            said += os.read(ours, 4096)
    except OSError:
        pass
    os.close(ours)
    assert process.communicate(timeout=SECONDS)[0].count(b"\n") == 1
    assert process.returncode == 0
    assert b"[" + b"#" * 30 + b"] 3/3 objects" in said, said


def test_what_cannot_be_is_told(place):
    storage = Storage(place, notify=False)
    assert account().url
    for words, said in ((("--here", "nobody-has-this"), "bucket_not_listed"),
                        (("--here",), "usage:"), (("--what", storage.bucket), "usage:")):
        done = subprocess.run([PROGRAM, "scan-bucket", *words], env=storage.values, check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=120)
        assert done.returncode in (1, 2) and said in done.stderr, (words, done)


if __name__ == "__main__":
    main()
