#!/usr/bin/env python3
"""A scanner that breaks the protocol; how is said by the name it is started under."""
import array
import os
import socket
import struct
import sys

CONFIGURE, FORK, LOADED, FORKED, SCAN, READY, RESULT, HANDED_BACK = 1, 2, 16, 18, 32, 48, 49, 50
CLEAN, INFECTED = 0, 1


def text(value):
    return struct.pack("<I", len(value)) + value


def send(peer, kind, payload, fd=None):
    rights = [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
    peer.sendmsg([struct.pack("<I", kind) + payload], rights)


def receive(peer):
    data, fds, _, _ = socket.recv_fds(peer, 70000, 2)
    if len(data) < 4:
        sys.exit(0)
    return struct.unpack("<I", data[:4])[0], data[4:], fds


def verdict(job, kind=CLEAN, signature=b"", length=None):
    return struct.pack("<QQIIII", job, 1, kind, 0, 0, len(signature) if length is None else length) + signature


ANSWERS = {
    "wrong-job": lambda job: (RESULT, verdict(job + 1)),
    "bare-infection": lambda job: (RESULT, verdict(job, INFECTED)),
    "control-characters": lambda job: (RESULT, verdict(job, INFECTED, b"a\n\x1b[2J")),
    "long-signature": lambda job: (RESULT, verdict(job, INFECTED, b"a", 0xffffffff)),
    "not-the-reserve": lambda job: (HANDED_BACK, struct.pack("<Q", job)),
    "unknown-type": lambda job: (4711, b""),
    "loaders-message": lambda job: (LOADED, b""),
}


def main(mode):
    client = socket.socket(fileno=3)
    receive(client)
    if mode == "never-loads":
        receive(client)
    if mode == "early-fork":
        send(client, FORKED, struct.pack("<QII", 1, 1, 0), os.pidfd_open(os.getpid()))
    if mode == "garbage":
        client.send(b"\xff" * 5000)
    send(client, LOADED, struct.pack("<QQQI", 1, 1, 1, 31) + text(b"rogue") + text(b"") + text(b""))
    while True:
        kind, payload, fds = receive(client)
        if kind != FORK:
            sys.exit(1)
        if os.fork() == 0:
            worker = socket.socket(fileno=fds[0])
            send(worker, READY, struct.pack("<I", 31))
            while True:
                kind, payload, files = receive(worker)
                if kind == SCAN:
                    send(worker, *ANSWERS[mode](struct.unpack("<Q", payload)[0]))
                for file in files:
                    os.close(file)
        number = struct.unpack("<Q", payload[:8])[0]
        child = int(open(f"/proc/self/task/{os.getpid()}/children").read().split()[-1])
        send(client, FORKED, struct.pack("<QII", number, child, 0), os.pidfd_open(child))
        os.close(fds[0])


if __name__ == "__main__":
    main(os.path.basename(sys.argv[0]))
