"""A messenger that was taken over: root obeys only what the console signed, and goes on."""
import json
import os
import shutil
import sys
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, agents  # noqa: E402

# Speaks as agent/messenger/link.h says, once a word a run; then it waits to be ended.
HOSTILE = r'''#!/usr/bin/python3
import array, os, socket, struct, sys
root = socket.socket(fileno=3)
root.setblocking(True)
FOLDER = os.path.dirname(os.path.abspath(sys.argv[0]))
def text(value):
    data = value.encode()
    return struct.pack("=I", len(data)) + data
def send(kind, payload=b"", fd=None):
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))] if fd is not None else []
    root.sendmsg([struct.pack("=I", kind) + payload], ancillary)
def document(data):
    fd = os.memfd_create("d", os.MFD_ALLOW_SEALING)
    os.write(fd, data)
    import fcntl
    fcntl.fcntl(fd, 1033, 0xF)
    return fd
identity = open(FOLDER + "/identity", "rb").read()
todo = open(FOLDER + "/todo").read().strip()
if todo == "key":          # LINK_IDENTITY: the same agent, another signing key
    send(2, identity)
elif todo == "name":       # another agent's name, our own signing key
    send(2, open(FOLDER + "/other", "rb").read())
elif todo == "move":       # LINK_MOVE that nobody signed, then that name
    send(10, fd=document(b'{"document":"{}","signature":"AAAA","key_id":"00"}'))
    send(2, open(FOLDER + "/other", "rb").read())
elif todo == "unsigned":   # LINK_COMMAND, LINK_POLICY with nothing signed
    send(8, fd=document(b'{"document":"{}","signature":"AAAA","key_id":"00"}'))
    send(9, fd=document(b'{"document":"{}","signature":"AAAA","key_id":"00"}'))
elif todo == "file":       # a descriptor that is no sealed memory
    send(8, fd=os.open("/etc/passwd", os.O_RDONLY))
elif todo == "pipe":
    send(9, fd=os.pipe()[0])
elif todo == "unknown":
    send(99)
elif todo == "nothing":    # LINK_COMMAND without its descriptor
    send(8)
elif todo == "torn":       # LINK_BEAT_DONE, cut
    send(7, b"\1\0")
elif todo == "root":       # a word of root's
    send(1, b"")
elif todo == "signatures": # LINK_SIGNATURES that nobody signed
    send(17, fd=document(b'{"document":"{}","signature":"AAAA","key_id":"00"}'))
elif todo == "piece":      # LINK_PIECE that nobody asked for
    send(19, text("a" * 64) + struct.pack("=QQIQ", 0, 1, 1, 0) + text(""), document(b"x"))
elif todo == "flood":      # LINK_WANT_BEAT, as fast as it goes
    for _ in range(20000):
        send(6)
while root.recv(65540):
    pass
'''


def hostile_programs(place):
    """The real programs, but for the messenger."""
    folder = place.folder("programs")
    for name in os.listdir(agents.PROGRAMS):
        os.symlink(os.path.join(agents.PROGRAMS, name), os.path.join(folder, name))
    os.unlink(os.path.join(folder, "yagura-messenger"))
    path = os.path.join(folder, "yagura-messenger")
    agents.put(path, HOSTILE.encode())
    os.chmod(path, 0o755)
    return folder


def text(value):
    data = value.encode()
    return len(data).to_bytes(4, sys.byteorder) + data


def test_nothing_it_says_is_obeyed(place):
    both = Pair(place)
    both.agent.start()
    both.activate()
    both.agent.stop()
    kept = os.path.join(both.agent.state, "console", "identity.json")
    with open(kept, encoding="utf-8") as stream:
        before = stream.read()
    mine = json.loads(before)
    folder = hostile_programs(place)
    agents.put(os.path.join(folder, "identity"), b"".join(map(text, (
        mine["agent_id"], mine["certificate"], mine["key"], mine["authority"],
        "A" * 43 + "="))) + (60).to_bytes(4, sys.byteorder))
    agents.put(os.path.join(folder, "other"), b"".join(map(text, (
        str(uuid.uuid4()), mine["certificate"], mine["key"], mine["authority"],
        mine["signing_key"]))) + (60).to_bytes(4, sys.byteorder))
    both.agent.write_config(program_directory=folder)

    def run(todo):
        agents.put(os.path.join(folder, "todo"), todo.encode())
        both.agent.start()
        return both.agent

    for todo in ("key", "name", "move", "file", "pipe", "unknown", "nothing", "torn", "root",
                 "piece"):
        agent = run(todo)
        count = len(agent.events("messenger_ended"))
        agent.until(lambda status: status["console"]["messenger_starts"] >= 2, f"{todo}: its end")
        assert len(agent.events("messenger_ended")) >= max(count, 1), todo
        agent.stop()
        with open(kept, encoding="utf-8") as stream:
            assert stream.read() == before, todo

    agent = run("unsigned")
    agent.until(lambda status: len(agent.events("order_refused")) >= 2, "both are refused")
    assert agent.status()["console"]["messenger_starts"] == 1
    agent.stop()

    agent = run("signatures")
    agent.until(lambda status: "signature" in status["signatures"]["problem"], "it is refused")
    assert agent.events("order_refused")[-1]["subject"] == "signatures"
    assert not [name for name in os.listdir(os.path.join(agent.state, "signatures"))
                if name.startswith("yagura-console-") or name == "set.json"]
    agent.stop()

    agent = run("flood")
    agents.put(os.path.join(both.watched, "eicar"), agents.EICAR)
    agent.sync()
    agent.expect_found(os.path.join(both.watched, "eicar"))
    agent.stop()
    shutil.rmtree(folder)


def test_a_missing_messenger_is_no_flood(place):
    both = Pair(place)
    both.agent.start()
    both.activate()
    both.agent.stop()
    folder = hostile_programs(place)
    os.unlink(os.path.join(folder, "yagura-messenger"))
    both.agent.write_config(program_directory=folder)
    both.agent.start()
    status = both.agent.until(lambda status: "does not run" in status["console"]["problem"],
                              "it is told")
    assert status["console"]["state"] == "offline", status["console"]
    path = agents.put(os.path.join(both.watched, "eicar"), agents.EICAR)
    both.agent.sync()
    both.agent.expect_found(path)


if __name__ == "__main__":
    agents.main()
