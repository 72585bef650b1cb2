"""A host to install packages on: a root file system with a private layer above, in mounts of this process' own; whatever is
written stays in memory and is gone with the process. What lies below is a clean root of this machine's release, where one
can be had, or else the machine's own."""
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "delivery"))
import supply  # noqa: E402
from pair import agents, consoles  # noqa: E402

TREE = os.path.join(HERE, "..", "..", "..")
BUILD = os.path.dirname(agents.PROGRAMS.rstrip("/"))
SIGNATURES = agents.SIGNATURES
run = supply.run


def need(*tools):
    for tool in tools:
        if subprocess.run(["sh", "-c", f"command -v {tool}"], stdout=subprocess.DEVNULL, check=False).returncode:
            raise agents.Skip(f"{tool} is missing")


def build(place, kind, again=False, **environment):
    """Paths of the packages of a kind, by their names: those that all tests share, or built once more."""
    try:
        if again:
            paths = supply.build(kind, BUILD, place.folder("again"), **environment)
        else:
            paths = supply.packages(kind, BUILD)
    except supply.Missing as reason:
        raise agents.Skip(str(reason)) from None
    return {os.path.basename(path).split("_")[0]: path for path in paths}


def newer(place, package, version):
    """The same package of a later version, as dpkg sees it."""
    work = place.folder("unpacked-" + os.path.basename(package))
    run("dpkg-deb", "-R", package, work)
    control = os.path.join(work, "DEBIAN", "control")
    with open(control, encoding="utf-8") as stream:
        text = stream.read()
    old = next(line.split(": ")[1] for line in text.splitlines() if line.startswith("Version: "))
    with open(control, "w", encoding="utf-8") as stream:
        stream.write(text.replace(f"Version: {old}", f"Version: {version}").replace(f"(= {old})", f"(= {version})"))
    path = os.path.join(place.root, f"newer-{os.path.basename(package)}")
    run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "-b", work, path)
    return path


def console_of(place, policy=None, kind=consoles.Console):
    """A console whose policy for the host watches what the test uses."""
    console = kind('heartbeat = "1s";\n')
    console.__enter__()
    place.cleanups.append(lambda: (console.process.poll() is None and console.stop(), agents.shutil.rmtree(console.folder)))
    administrator = console.administrator()
    administrator.put("/api/v1/policies/test", {"text": policy or POLICY}, If_None_Match="*")
    token = administrator.post("/api/v1/tokens", {"name": "test", "policy": "test"}, expect=201).json["token"]
    return console, administrator, token


class Host:
    def __init__(self, place):
        self.place = place
        self.process = None
        agents.own_mounts()
        layer = place.folder("layer")
        agents.mount_tmpfs(place, layer, "size=2g")
        for name in ("upper", "work", "root"):
            os.mkdir(os.path.join(layer, name))
        self.root = os.path.join(layer, "root")
        if subprocess.run(["mount", "-t", "overlay", "overlay", "-o",
                           f"lowerdir={supply.lower(BUILD)},upperdir={layer}/upper,workdir={layer}/work", self.root],
                          check=False, capture_output=True).returncode:
            raise agents.Skip("no overlay can be laid over the root file system")
        place.cleanups.append(lambda: subprocess.run(["umount", "-l", self.root], check=False))
        for kind, name in (("proc", "proc"), ("tmpfs", "run"), ("tmpfs", "tmp"), ("tmpfs", "dev")):
            self.mount(kind, name)
        for name in ("null", "zero", "random", "urandom"):
            agents.put(self.path("dev", name), b"")
            run("mount", "--bind", "/dev/" + name, self.path("dev", name))
            place.cleanups.append(lambda name=name: run("umount", "-l", self.path("dev", name)))
        place.cleanups.append(self.end)
        self.forget_yagura()

    def path(self, *names):
        return os.path.join(self.root, *names)

    def mount(self, kind, name):
        run("mount", "-t", kind, "-o", "mode=755" if kind == "tmpfs" else "rw", kind, self.path(name))
        self.place.cleanups.append(lambda: run("umount", "-l", self.path(name)))

    def run(self, *words):
        return run("chroot", self.root, *words, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                                                     "DEBIAN_FRONTEND": "noninteractive"})

    def forget_yagura(self):
        """What somebody may have installed on this very machine."""
        found = subprocess.run(["chroot", self.root, "dpkg-query", "-W", "-f", "${Package}\n", "yagura-*"],
                               capture_output=True, text=True, check=False).stdout.split()
        if found:
            self.run("dpkg", "--purge", "--force-all", *found)

    def install(self, *packages):
        inside = []
        for package in packages:
            with open(package, "rb") as stream:
                agents.put(self.path("tmp", os.path.basename(package)), stream.read())
            inside.append("/tmp/" + os.path.basename(package))
        return self.run("dpkg", "--force-confold", "-i", *inside)

    def configure(self):
        """A change of each configuration file, such as an administrator makes."""
        os.makedirs(self.path("srv/watched"), exist_ok=True)
        os.makedirs(self.path("etc/yagura/signatures"), exist_ok=True)
        for name in os.listdir(SIGNATURES):
            with open(os.path.join(SIGNATURES, name), "rb") as stream:
                agents.put(self.path("etc/yagura/signatures", name), stream.read())
        with open(self.path("etc/yagura/agent.conf"), "a", encoding="utf-8") as stream:
            stream.write('database_directories = ("/etc/yagura/signatures");\n')
        agents.put(self.path("etc/yagura/policy.conf"), POLICY.encode())

    def join(self, console, token):
        agents.put(self.path("run/token"), token.encode())
        self.run("yaguractl", "activate", "--url", f"https://127.0.0.1:{console.agents_port}", "--ca-pin", console.pin,
                 "--token-file", "/run/token", "--wait", "60s")

    def refuses(self, *words):
        """For it is protected, and goes on."""
        done = subprocess.run(["chroot", self.root, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode != 0 and "this agent is protected" in done.stderr, done
        assert self.process.poll() is None, self.log()

    def release(self, administrator):
        """By a removal code of the console."""
        code = administrator.post("/api/v1/removal-code", {}, expect=201).json["code"]
        agents.put(self.path("run/code"), code.encode())
        self.run("yaguractl", "release", "/run/code")

    def start(self, program="/usr/sbin/yagura-agent"):
        with open(self.path("tmp/log"), "ab") as log:
            self.process = subprocess.Popen(
                ["chroot", self.root, program, "--foreground"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.until(lambda: subprocess.run(["chroot", self.root, "yaguractl", "status"], capture_output=True,
                                          check=False).returncode in (0, 1), "the agent answers")

    def stop(self):
        self.process.terminate()
        assert self.process.wait(timeout=agents.SECONDS) == 0, self.log()

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def log(self):
        with open(self.path("tmp/log"), encoding="utf-8", errors="replace") as stream:
            return stream.read()[-3000:]

    def until(self, holds, what):
        deadline = time.monotonic() + agents.SECONDS
        while not holds():
            assert time.monotonic() < deadline, f"not within {agents.SECONDS} s: {what}: {self.log()}"
            assert self.process is None or self.process.poll() is None, f"the agent ended: {self.log()}"
            time.sleep(0.05)

    def detects(self, name):
        path = self.path("srv/watched", name)
        agents.put(path, agents.EICAR)
        self.run("yaguractl", "sync", "--timeout", "60s")
        assert not os.path.exists(path), self.log()
        assert f"/srv/watched/{name}" in self.run("yaguractl", "events"), self.log()


POLICY = """watch = { paths = ("/srv/watched"); crawl_interval = "0s"; };
respond = { hold_package_files = false; };
"""
PROTECTED = POLICY + "protection = { enabled = true; };\n"
