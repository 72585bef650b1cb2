"""A whole machine to break: a root file system over a read-only one, in name spaces of its own.

Nothing that happens in it reaches this machine, and everything it started ends with it. It has no
network but loopback, so what installs there needs none.
"""
import os
import platform
import shutil
import subprocess
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
CHROOT = shutil.which("chroot", path="/usr/sbin:/usr/bin:/sbin:/bin")
MOUNT = """
set -e
mount --make-rprivate /
mount -t tmpfs -o size="$3" none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o lowerdir="$2",upperdir="$1/upper",workdir="$1/work" "$1/root"
cd "$1/root"
mkdir -p proc sys dev run tmp
mount -t proc none proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys  # most of it is the kernel of all, not of this name space
mount -t tmpfs none tmp
mount -t tmpfs none run
mount --rbind /dev dev
chmod 1777 tmp
mkdir -p run/systemd/system run/lock
ip link set lo up 2>/dev/null || true
echo ready
exec sleep infinity
"""


class ScratchRoot:
    """lower: the root file system it begins as. size: of the disk it has for changes."""

    def __init__(self, lower="/", size="2g", network=False):
        if os.getuid() != 0:
            raise unittest.SkipTest("a scratch root needs root")
        self.folder = tempfile.mkdtemp(prefix="yagura-root-")
        spaces = ["--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc"]
        if not network:
            spaces.append("--net")
        self.keeper = subprocess.Popen(
            ["unshare", *spaces, "sh", "-c", MOUNT, "sh", self.folder, lower, size],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.keeper.stdout.readline() != "ready\n":
            said = self.keeper.stderr.read()
            self.end()
            raise unittest.SkipTest(f"no scratch root can be made here: {said.strip()}")
        # The first process of the name spaces is unshare's child.
        with open(f"/proc/{self.keeper.pid}/task/{self.keeper.pid}/children", encoding="ascii") as file:
            self.pid = int(file.read().split()[0])
        self.install("systemctl_stand_in.sh", "/usr/bin/systemctl")

    @property
    def root(self):
        """The root file system as this process may reach it."""
        return f"/proc/{self.pid}/root{self.folder}/root"

    def path(self, name):
        return self.root + name

    def end(self):
        if self.keeper.poll() is None:
            self.keeper.kill()
        self.keeper.wait()
        self.keeper.stdout.close()
        self.keeper.stderr.close()
        shutil.rmtree(self.folder)

    def install(self, source, name, mode=0o755):
        """Puts a file of this folder, or an absolute one, into the root, replacing what is there."""
        target = self.path(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.lexists(target):
            os.unlink(target)
        shutil.copyfile(os.path.join(HERE, source), target)
        os.chmod(target, mode)

    def write(self, name, text, mode=0o644):
        target = self.path(name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(target, mode)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def exists(self, name):
        return os.path.lexists(self.path(name))

    def command(self, *words, cwd="/"):
        """The words that run a command in the root."""
        return ["nsenter", f"--target={self.pid}", "--mount", "--pid", "--net", "--uts", "--ipc", "--",
                CHROOT, f"{self.folder}/root", "env", "--chdir", cwd, *words]

    def run(self, *words, cwd="/", env=None, timeout=120):
        return subprocess.run(
            self.command(*words, cwd=cwd), capture_output=True, text=True, check=False, timeout=timeout,
            stdin=subprocess.DEVNULL, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **(env or {})})

    def must(self, *words, **more):
        done = self.run(*words, **more)
        if done.returncode != 0:
            raise AssertionError(f"{words}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout


def architecture():
    return {"x86_64": "x86_64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
