"""A network of two ends in namespaces of their own, joined by packets that this program carries, or does not.

Each end is a tun device; a thread reads packets from one and writes them to the other. Nothing leaves the
machine: neither namespace has any other device but its loopback."""

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time

NEAR, FAR = "10.87.0.1", "10.87.0.2"
NEW_NETWORK = 0x40000000
SET_DEVICE, DEVICE_TUN, DEVICE_PLAIN = 0x400454CA, 0x0001, 0x1000
LIBC = ctypes.CDLL(None, use_errno=True)


def new_namespace():
    if LIBC.unshare(NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "no network namespace of our own")


def enter(namespace):
    """Of the calling thread; also for a child between fork and exec."""
    if LIBC.setns(namespace, NEW_NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "the network namespace cannot be entered")


def own_namespace():
    return os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def tun(own, other):
    """The end of a device with the address own in the calling thread's namespace; its loopback is up, too."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    fcntl.ioctl(device, SET_DEVICE, struct.pack("16sH22x", b"link0", DEVICE_TUN | DEVICE_PLAIN))
    for command in ("link set lo up", f"addr add {own} peer {other} dev link0", "link set link0 up"):
        subprocess.run(["ip", *command.split()], check=True, capture_output=True)
    return device


class BadLink:
    """The calling process moves into the near namespace; far: a descriptor of the other one.

    lost, late: shares of the packets; late_s: by how much at most, which also puts them out of order.
    cut: none passes."""

    def __init__(self):
        self.lost = self.late = self.late_s = 0.0
        self.cut = False
        self.passed = self.dropped = 0
        self.chance = random.Random(0)
        new_namespace()
        near = tun(NEAR, FAR)
        self.far, far = self.make_far()
        self.ends = {near: far, far: near}
        self.waiting = []
        self.wake_read, self.wake_write = os.pipe()
        self.thread = threading.Thread(target=self.carry)
        self.thread.start()

    @staticmethod
    def make_far():
        made = []

        def work():
            new_namespace()
            made.extend((own_namespace(), tun(FAR, NEAR)))
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        if not made:
            raise OSError("the far end could not be made")
        return made

    def behave(self, lost=0.0, late=0.0, late_s=0.0, cut=False):
        self.lost, self.late, self.late_s, self.cut = lost, late, late_s, cut

    def end(self):
        os.close(self.wake_write)
        self.thread.join()
        for fd in (*self.ends, self.far, self.wake_read):
            os.close(fd)

    def carry(self):
        while True:
            pause = max(0.0, self.waiting[0][0] - time.monotonic()) if self.waiting else None
            ready = select.select([*self.ends, self.wake_read], [], [], pause)[0]
            if self.wake_read in ready:
                return
            for end in ready:
                self.take(end)
            while self.waiting and self.waiting[0][0] <= time.monotonic():
                _, _, end, packet = heapq.heappop(self.waiting)
                self.put(end, packet)

    def take(self, end):
        try:
            packet = os.read(end, 65536)
        except BlockingIOError:
            return
        if self.cut or self.chance.random() < self.lost:
            self.dropped += 1
        elif self.chance.random() < self.late:
            self.passed += 1
            when = time.monotonic() + self.chance.random() * self.late_s
            heapq.heappush(self.waiting, (when, self.passed, self.ends[end], packet))
        else:
            self.passed += 1
            self.put(self.ends[end], packet)

    def put(self, end, packet):
        try:
            os.write(end, packet)
        except (BlockingIOError, OSError):
            self.dropped += 1
