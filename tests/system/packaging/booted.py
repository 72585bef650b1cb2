"""A host on which systemd runs: a root file system, as of host.py, with a layer above, its first process a systemd in name
spaces and a control group of its own. It shares the network, unless told otherwise, so that it reaches a console on loopback,
and may set nothing of the kernel. No file of this machine is mounted in it: what marks all its file systems marks none of ours."""
import contextlib
import ctypes
import os
import subprocess
import time

from host import BUILD, agents, run, supply

NETWORK_NAMESPACE = 0x40000000

# $1 folder, $2 what lies below. In name spaces of their own; ends with the test (--kill-child).
BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs -o size=2g none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o lowerdir="$2",upperdir="$1/upper",workdir="$1/work" "$1/root"
cd "$1/root"
mount -t proc none proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro none sys
for folder in run tmp dev; do mount -t tmpfs none "$folder"; done
chmod 1777 tmp
while read -r name numbers; do mknod -m 666 "dev/$name" c $numbers; done <<END
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
END
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs none dev/shm
: >dev/console # a file: what systemd says
mount -t cgroup2 none sys/fs/cgroup
rm -f usr/sbin/policy-rc.d # of images in which nothing may be started
printf '[Unit]\\nDefaultDependencies=no\\n' >etc/systemd/system/yagura-test.target # nothing else of this machine
mkdir outside # not chroot: a unit with PrivateUsers= could have none there
pivot_root . outside
umount -l /outside
rmdir /outside
mount --make-rshared /
exec env -i container=yagura PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    setpriv --bounding-set=-sys_module,-sys_boot,-sys_time,-sys_rawio,-syslog \\
    /lib/systemd/systemd --system --unit=yagura-test.target --log-target=console --show-status=no
"""
# Its shell waits until it stands in the group, so that the name space of groups begins there.
START = """
echo $$ >"$3/cgroup.procs"
exec unshare $5 --mount --pid --fork --kill-child --uts --ipc --cgroup sh -c "$4" sh "$1" "$2"
"""


def own_group():
    """A new control group below ours, in the hierarchy that a name space can have for itself."""
    with open("/proc/self/mountinfo", encoding="utf-8") as stream:
        mounts = [line.split()[4] for line in stream if " - cgroup2 " in line]
    with open("/proc/self/cgroup", encoding="utf-8") as stream:
        ours = next((line.strip()[3:] for line in stream if line.startswith("0::")), None)
    if not mounts or ours is None:
        raise agents.Skip("there is no hierarchy of control groups of version 2")
    path = f"{mounts[0]}{ours.rstrip('/')}/yagura-test-{os.getpid()}"
    try:
        os.mkdir(path)
    except OSError as problem:
        raise agents.Skip(f"no control group can be made here: {problem}") from None
    return path


def remove_group(path):
    for folder, _, _ in os.walk(path, topdown=False):
        deadline = time.monotonic() + agents.SECONDS
        while True:
            try:
                os.rmdir(folder)
                break
            except OSError:  # its last process is still ending
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


class Booted:
    def __init__(self, place, own_network=False):
        if not os.path.exists("/lib/systemd/systemd"):
            raise agents.Skip("systemd is missing")
        self.folder = place.folder("booted")
        group = own_group()
        place.cleanups.append(lambda: remove_group(group))
        self.keeper = subprocess.Popen(["sh", "-c", START, "sh", self.folder, supply.lower(BUILD), group, BOOT,
                                        "--net" if own_network else ""], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE)
        place.cleanups.append(self.end)
        self.pid = None
        try:
            self.until(self.has_booted, "systemd runs")
        except AssertionError as problem:
            raise agents.Skip(f"systemd cannot be started here: {problem}") from None

    def end(self):
        self.keeper.kill()
        self.keeper.wait()
        self.keeper.stderr.close()

    def has_booted(self):
        if self.pid is None:
            with open(f"/proc/{self.keeper.pid}/task/{self.keeper.pid}/children", encoding="ascii") as stream:
                self.pid = next(iter(map(int, stream.read().split())), None)
        if self.pid is None or not os.path.exists(self.path("run/systemd/private")):
            return False
        return self.systemctl("list-units", "--no-pager", accept=range(256))[0] == 0

    @property
    def root(self):
        return f"/proc/{self.pid}/root"

    def path(self, *names):
        return os.path.join(self.root, *names)

    def words(self, *words):
        return ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--uts", "--ipc", "--net", "--cgroup", "--root", "--wd=/",
                "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive", *words]

    def run(self, *words):
        return run(*self.words(*words))

    def systemctl(self, *words, accept=(0,)):
        done = subprocess.run(self.words("systemctl", *words), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              check=False)
        assert done.returncode in accept, f"systemctl {words}: {done.returncode}: {done.stderr}{self.log()}"
        return done.returncode, done.stdout.strip()

    def show(self, name, unit="yagura-agent.service"):
        return self.systemctl("show", "--value", "--property", name, unit)[1]

    @contextlib.contextmanager
    def network(self):
        """This thread uses the host's."""
        libc = ctypes.CDLL(None, use_errno=True)
        with open("/proc/thread-self/ns/net", "rb") as ours, open(f"/proc/{self.pid}/ns/net", "rb") as theirs:
            assert libc.setns(theirs.fileno(), NETWORK_NAMESPACE) == 0, os.strerror(ctypes.get_errno())
            try:
                yield
            finally:
                assert libc.setns(ours.fileno(), NETWORK_NAMESPACE) == 0, os.strerror(ctypes.get_errno())

    def log(self):
        text = ""
        with contextlib.suppress(OSError), open(self.path("dev/console"), encoding="utf-8", errors="replace") as stream:
            text = stream.read()
        done = subprocess.run(self.words("journalctl", "--no-pager", "-n", "40"), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        return (text + done.stdout)[-4000:]

    def until(self, holds, what):
        deadline = time.monotonic() + agents.SECONDS
        while not holds():
            assert self.keeper.poll() is None, f"systemd ended: {self.keeper.stderr.read().decode()}"
            assert time.monotonic() < deadline, f"not within {agents.SECONDS} s: {what}: {self.log()}"
            time.sleep(0.05)
