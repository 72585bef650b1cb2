"""Signatures of every kind, and what they must find and must not: the verdict is clamscan's."""
import os
import random
import shutil
import struct
import subprocess

from harness import SECONDS, Skip, put

WINDOW = 128 * 1024  # libclamav looks at content in pieces of this size
FILLER = bytes(range(0xB0, 0xC0))
NEAR = 7  # of each signature, the byte that a near miss changes


def filler(source, length):
    return bytes(source.choices(FILLER, k=length))


def executable(source, body, lead=0):
    """A small PE whose entry point is this far into its only section, where the body stands."""
    section = filler(source, lead) + body
    section += bytes(-len(section) % 512)
    head = b"MZ" + bytes(58) + struct.pack("<I", 64)
    head += b"PE\0\0" + struct.pack("<HHIIIHH", 0x14C, 1, 0, 0, 0, 224, 0x102)
    head += struct.pack("<HBBIIIIIIIIIHHHHHHIIIIHHIIIIII", 0x10B, 6, 0, len(section), 0, 0, 0x1000 + lead, 0x1000, 0x2000,
                        0x400000, 0x1000, 0x200, 4, 0, 0, 0, 4, 0, 0, 0x3000, 0x200, 0, 3, 0, 0x100000, 0x1000, 0x100000,
                        0x1000, 0, 16) + bytes(128)
    head += b".text\0\0\0" + struct.pack("<IIIIIIHHI", len(section), 0x1000, len(section), 0x200, 0, 0, 0, 0, 0x60000020)
    return head.ljust(0x200, b"\0") + section


def anywhere(source, body):
    return {"start": body + filler(source, 500), "middle": filler(source, 500) + body + filler(source, 500),
            "end": filler(source, 500) + body, "twice": body + filler(source, 90) + body,
            "edge": filler(source, WINDOW - len(body) // 2) + body + filler(source, 900),
            "far": filler(source, 2 * WINDOW + 1 - len(body)) + body + filler(source, 900)}


def at(offset):
    def place(source, body):
        return {"there": filler(source, offset) + body + filler(source, 300),
                "before": filler(source, offset - 1) + body + filler(source, 300),
                "after": filler(source, offset + 1) + body + filler(source, 300)}
    return place


def from_end(distance):
    def place(source, body):
        return {f"end{more:+}": filler(source, 700) + body + filler(source, distance + more - len(body)) for more in (-1, 0, 1)}
    return place


def in_executable(lead):
    def place(source, body):
        return {"there": executable(source, body + filler(source, 200), lead),
                "moved": executable(source, b"\x90" + body + filler(source, 200), lead), "data": filler(source, 600) + body}
    return place


def as_text(head, tail=b""):
    return lambda source, body: {"text": head + body + tail, "upper": head + body.upper() + tail,
                                 "data": filler(source, 600) + body}


def signatures(source):
    """(name, line of an .ndb or .ldb, what it matches, where it is put)."""
    def noise(length):
        return source.randbytes(length).translate(bytes((byte & 0x7F) | 1 for byte in range(256)))

    plain = [noise(length) for length in (4, 8, 16, 40, 300)]
    for number, body in enumerate(plain):
        yield f"Plain{number}", f"0:*:{body.hex()}", body, anywhere
    prefix = noise(3)
    for number in range(60):  # all begin alike
        body = prefix + noise(20)
        yield f"Alike{number}", f"0:*:{body.hex()}", body, anywhere
    body = noise(24)
    yield "At0", f"0:0:{body.hex()}", body, anywhere
    body = noise(24)
    yield "At100", f"0:100:{body.hex()}", body, at(100)
    body = noise(24)
    yield "Within", f"0:200,50:{body.hex()}", body, at(250)
    body = noise(24)
    yield "EndMinus", f"0:EOF-60:{body.hex()}", body, from_end(60)
    for offset, lead in (("EP+0", 0), ("EP+0", 96), ("S0+0", 0), ("SL+16", 16), ("*", 32), ("EP+0,8", 0)):
        body = noise(24)
        name = "Program" + "".join(filter(str.isalnum, offset.replace("*", "Any"))) + str(lead)
        yield name, f"1:{offset}:{body.hex()}", body, in_executable(lead)
    first, second = noise(12), noise(12)
    gaps = {"Fixed": ("{4}", 4), "Range": ("{2-6}", 6), "Most": ("{-5}", 3), "Least": ("{3-}", 40), "Any": ("*", 200), "Bytes": ("??????", 3)}
    for name, (gap, length) in gaps.items():
        one, two = noise(len(first)), noise(len(second))
        yield f"Gap{name}", f"0:*:{one.hex()}{gap}{two.hex()}", one + filler(source, length) + two, anywhere
    one, two = noise(10), noise(10)
    yield "Either", f"0:*:{one.hex()}(aabb|ccdd){two.hex()}", one + b"\xcc\xdd" + two, anywhere
    one, two = noise(10), noise(10)
    yield "Not", f"0:*:{one.hex()}!(aa|bb){two.hex()}", one + b"\xcc" + two, anywhere
    one, two = noise(10), noise(10)
    yield "Nibble", f"0:*:{one.hex()}c?{two.hex()}", one + b"\xc7" + two, anywhere
    words = b"sealed words %d of a script"
    for kind, number, place in (("Html", 3, as_text(b"<html><body>", b"</body></html>")), ("Text", 7, as_text(b"echo these are ")),
                                ("Mail", 4, as_text(b"From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\n\r\n"))):
        body = words % number
        yield kind, f"{number}:*:{body.hex()}", body, place
    pieces = [noise(14) for _ in range(4)]
    for name, logic, body in (("Both", "0&1", pieces[0] + b"\xb1" * 9 + pieces[1]), ("One", "0|1", pieces[2])):
        wanted = pieces[:2] if name == "Both" else pieces[2:]
        yield name, f"Logical;Target:0;{logic};" + ";".join(piece.hex() for piece in wanted), body, anywhere
    body = noise(14)
    yield "Twice", f"Logical;Target:0;0=2;{body.hex()}", body, anywhere
    body = noise(14)
    yield "MoreThanOnce", f"Logical;Target:0;0>1;{body.hex()}", body, anywhere
    body = b"Some Words Of Any Case"
    yield "AnyCase", f"Logical;Target:0;0;{body.lower().hex()}::i", body, anywhere
    body = b"words as Windows writes them"
    yield "Wide", f"Logical;Target:0;0;{body.hex()}::w", body.decode().encode("utf-16-le"), anywhere
    body = noise(14)
    yield "Expression", f"Logical;Target:0;0&1;{body.hex()};0/ab[0-9]{{3}}c/", body + b"ab123c", anywhere


def make(place):
    """Databases and samples; the samples' paths."""
    source = random.Random(20261130)
    database, samples = place.folder("database"), place.folder("samples")
    simple, logical, paths = [], [], []
    for name, line, body, where in signatures(source):
        if line.startswith("Logical;"):
            logical.append(name + line.removeprefix("Logical"))
        else:
            simple.append(f"{name}:{line}")
        missed = body[:NEAR % len(body)] + bytes([body[NEAR % len(body)] ^ 0x5A]) + body[NEAR % len(body) + 1:]
        for kind, bodies in (("hit", where(source, body)), ("near", where(source, missed))):
            paths += [put(f"{samples}/{name}.{kind}.{spot}", content) for spot, content in bodies.items()]
    put(database + "/made.ndb", "\n".join(simple).encode() + b"\n")
    put(database + "/made.ldb", "\n".join(logical).encode() + b"\n")
    return database, samples, paths


def said_by_clamscan(database, samples):
    done = subprocess.run(["clamscan", "--stdout", "--no-summary", "--infected", "--recursive", "--database", database, samples],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode in (0, 1), done.stderr + done.stdout
    found = dict(line.removesuffix(" FOUND").rsplit(": ", 1) for line in done.stdout.splitlines())
    return {path: name.removesuffix(".UNOFFICIAL") for path, name in found.items()}


def test_verdicts_are_those_of_clamscan(place):
    if not shutil.which("clamscan"):
        raise Skip("clamscan is not installed (clamav)")
    database, samples, paths = make(place)
    theirs = said_by_clamscan(database, samples)
    hits = {os.path.basename(path).split(".")[0] for path in theirs}
    silent = {os.path.basename(path).split(".")[0] for path in paths} - hits
    assert not silent, f"these signatures find nothing, so that this says nothing about them: {silent}"
    agent = place.agent(databases=[database]).start()
    _, lines, totals = agent.scan(samples, options=("--no-action", "--no-cache"))
    results = [line["result"] for line in lines if "result" in line]
    ours = {one["path"]: one["signature"].removesuffix(".UNOFFICIAL") for one in results if one["verdict"] == "infected"}
    assert totals["infected"] + totals["clean"] == len(paths), totals
    different = {path: (theirs.get(path), ours.get(path)) for path in paths if theirs.get(path) != ours.get(path)}
    assert not different, f"{len(different)} of {len(paths)}: {sorted(different.items())[:10]}"


if __name__ == "__main__":
    import harness
    harness.main()
