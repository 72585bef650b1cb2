"""Names an attacker may choose: each is scanned, acted upon, and shown harmlessly."""
import os

import harness
from harness import EICAR, put

NAMES = [
    b"new\nline", b"tab\there", b"escape\x1b[31mred", b"\x01\x02\x7f", b"back\\slash", b"quote\"'`$(x)",
    b"invalid-\xff\xfe\xc3", b"overlong-\xc0\xaf", "bidi-\u202egnp.exe".encode(),
    "isolate-\u2066x\u2069".encode(), "zero\u200bwidth".encode(), "c1-\u0085".encode(),
    "日本語の名前".encode(), "emoji-😀".encode(), b"x" * 255, b"\xe3\x81\x82" * 85, b"-rf", b"--json", b" ",
    b" leading and trailing ", b"...", b"a" * 100 + b"\n" + b"b" * 100, b"{\"json\":1}", b"%s%n%p",
    b"line\xe2\x80\xa8separator",
]


def test_hostile_names(place):
    agent = place.agent().start()
    paths = [put(os.path.join(os.fsencode(agent.watched), name), EICAR) for name in NAMES]
    agent.sync()
    agent.expect_found(*paths)
    agent.expect_gone(*paths)
    text = agent.control("events")
    bad = [c for c in text if (ord(c) < 32 and c != "\n") or c in "\u202e\u2066\u200b\u2028\x7f"]
    assert not bad, f"shown as they are: {bad}"
    events = len(agent.events())
    assert len(text.splitlines()) == events, "a name made lines of its own"


def test_hostile_directories_and_on_demand(place):
    agent = place.agent(watch__enabled=False).start()
    folder = os.fsencode(place.folder("demand"))
    paths = []
    for number, name in enumerate(NAMES):
        directory = os.path.join(folder, b"%d" % number, name)
        os.makedirs(directory)
        paths.append(put(os.path.join(directory, b"f"), EICAR))
    status, lines, totals = agent.scan(os.fsdecode(folder))
    assert status == 1 and totals["infected"] == len(NAMES), totals
    agent.expect_found(*paths)
    single = os.path.join(folder, b"invalid-\xff\n")
    put(single, EICAR)
    status, _, totals = agent.scan(os.fsdecode(single))
    assert status == 1 and totals["infected"] == 1, totals


def test_deep_trees_beyond_path_max(place):
    agent = place.agent().start()
    place.cleanups.append(lambda: os.system(f"rm -rf {agent.watched}"))
    here = os.open(agent.watched, os.O_RDONLY)
    path = agent.watched
    for _ in range(60):
        name = "d" * 200
        os.mkdir(name, dir_fd=here)
        deeper = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here, path = deeper, path + "/" + name
    fd = os.open("bad", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=here)
    os.write(fd, EICAR)
    os.close(fd)
    agent.sync()
    found = agent.subjects("malware_found")
    assert len(found) == 1, found
    assert found[0].startswith(agent.watched), found
    assert "bad" not in os.listdir(here)
    os.close(here)


if __name__ == "__main__":
    harness.main()
