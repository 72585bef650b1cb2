"""What makes the agent's host another than the tests': its network, its clock, its user namespace."""

import contextlib
import ctypes
import os
import struct
import subprocess

import bad_link
from pair import agents

NEW_USER = 0x10000000
DAY_NS = 86400 * 10**9
LIBC = ctypes.CDLL(None, use_errno=True)


class Clock:
    """A wall clock that a preloaded library shows (tests/system/console/fake_clock.c)."""

    def __init__(self, place, name):
        self.path = agents.put(os.path.join(place.root, name), bytes(16))

    def set(self, days):
        """So many days ahead; the boot clock stays."""
        with open(self.path, "r+b") as stream:
            stream.write(struct.pack("=qq", days * DAY_NS, 0))

    def environment(self):
        library = os.environ.get("YAGURA_FAKE_CLOCK")
        return {"LD_PRELOAD": library, "YAGURA_TEST_CLOCK": self.path,
                "ASAN_OPTIONS": "verify_asan_link_order=0"} if library else {}


@contextlib.contextmanager
def environment(changes):
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


class HostAgent(agents.Agent):
    """network: a namespace's descriptor, or None."""

    def __init__(self, place, network, variables, **options):
        super().__init__(place, **options)
        self.network, self.variables = network, variables

    def start(self, ready=True, users=None, **arguments):
        """users: a UserNamespace."""
        def enter():
            if self.network is not None:
                bad_link.enter(self.network)
            if users is not None and LIBC.setns(users.fd, NEW_USER) != 0:
                raise OSError(ctypes.get_errno(), "setns")
        with environment(self.variables):
            return super().start(ready, preexec_fn=enter, **arguments)


class UserNamespace:
    """In which every user is who they are outside, but the kernel's limits are its own."""

    def __enter__(self):
        ours = os.readlink("/proc/self/ns/user")
        self.keeper = subprocess.Popen(["unshare", "--user", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.keeper.stdin.write(b"in\n")
        self.keeper.stdin.flush()
        said = self.keeper.stdout.readline()
        own = f"/proc/{self.keeper.pid}"
        if not said or os.readlink(own + "/ns/user") == ours:
            self.__exit__()
            raise agents.Skip("no user namespace of our own")
        for name in ("uid_map", "gid_map"):
            agents.put(f"{own}/{name}", b"0 0 4294967295\n")
        self.fd = os.open(own + "/ns/user", os.O_RDONLY | os.O_CLOEXEC)
        return self

    def set(self, name, value):
        subprocess.run(["nsenter", f"--user=/proc/{self.keeper.pid}/ns/user", "sh", "-c",
                        f"echo {value} >/proc/sys/user/{name}"], check=True)

    def __exit__(self, *_):
        self.keeper.stdin.close()
        self.keeper.wait()
        self.keeper.stdout.close()
