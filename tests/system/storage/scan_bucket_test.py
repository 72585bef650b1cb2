"""What is in a bucket already: scanned here, or queued for the pollers; taken up where it ended."""
import json
import os
import pty
import subprocess
import sys

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
