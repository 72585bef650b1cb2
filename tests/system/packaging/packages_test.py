"""The real packages on a host: installed, joined to a real console, upgraded, removed, purged."""
import hashlib
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import host as hosts  # noqa: E402
from booted import Booted  # noqa: E402
from host import Host, agents, build, consoles, newer, run  # noqa: E402


HOME = os.path.join(os.sep, "home", "watched")
EICAR_SHA256 = hashlib.sha256(agents.EICAR).hexdigest()


def console_of(place):
    """A console whose policy for the host watches what the test uses."""
    console = consoles.Console('heartbeat = "1s";\n')
    console.__enter__()
    place.cleanups.append(lambda: (console.stop(), agents.shutil.rmtree(console.folder)))
    administrator = console.administrator()
    administrator.put("/api/v1/policies/test", {"text": hosts.POLICY}, If_None_Match="*")
    token = administrator.post("/api/v1/tokens", {"name": "test", "policy": "test"}, expect=201).json["token"]
    return console, administrator, token


def status_of(host):
    done = subprocess.run(["chroot", host.root, "yaguractl", "--json", "status"], capture_output=True, check=False)
    return json.loads(done.stdout)["console"]


def test_the_host_below_is_clean(place):
    """Where none can be made, the tests below use this machine's own root, and this is the skip that says so."""
    build(place, "deb")
    try:
        root = hosts.supply.clean_root(hosts.BUILD)
    except hosts.supply.Missing as reason:
        raise agents.Skip(str(reason)) from None
    names = run("dpkg-query", "--admindir", root + "/var/lib/dpkg", "-W", "-f", "${Package}\n").split()
    assert "libclamav12" in names or "libclamav11" in names, names
    assert len(names) < 200 and not [name for name in names if name.startswith("yagura") or name.endswith("-dev")], names
    with open(os.path.join(root, "etc/passwd"), encoding="utf-8") as stream:
        assert "yagura" not in stream.read()


def test_a_host_lives_with_the_packages(place):
    packages = build(place, "deb")
    names = ("yagura-agent", "yagura-scanner")
    host = Host(place)
    host.install(*[packages[name] for name in names])
    for user in ("yagura-scanner", "yagura-inspector", "yagura-messenger"):
        assert host.run("getent", "passwd", user).strip().endswith(":/usr/sbin/nologin")
    host.configure()
    host.start()
    host.detects("first")
    console, administrator, token = console_of(place)
    agents.put(host.path("run/token"), token.encode())
    host.run("yaguractl", "activate", "--url", f"https://127.0.0.1:{console.agents_port}", "--ca-pin", console.pin,
             "--token-file", "/run/token", "--wait", "60s")
    number = status_of(host)["agent_id"]
    host.until(lambda: any(event["subject"] == "/srv/watched/first" for event in
                           administrator.get("/api/v1/events?kind=malware_found").json["events"]), "the detection")
    # A newer build: configuration and identity stay.
    host.install(*[newer(place, packages[name], "99.1") for name in names])
    with open(host.path("etc/yagura/agent.conf"), encoding="utf-8") as stream:
        assert "database_directories = (" in stream.read()
    host.stop()
    host.start()
    host.until(lambda: status_of(host)["state"] == "online", "the console")
    assert status_of(host)["agent_id"] == number
    host.detects("second")
    # Removed: the console is told, the data stay.
    begun = time.monotonic()
    host.run("dpkg", "--remove", *names)
    assert time.monotonic() - begun < 30
    host.until(lambda: "Online" not in administrator.get(f"/api/v1/computers/{number}").json["status"], "the goodbye")
    assert os.path.isdir(host.path("var/lib/yagura")) and not os.path.exists(host.path("usr/sbin/yagura-agent"))
    assert os.path.exists(host.path("etc/yagura/agent.conf"))
    host.stop()
    host.run("dpkg", "--purge", *names)
    assert not os.path.exists(host.path("var/lib/yagura")) and not os.path.exists(host.path("etc/yagura"))


class Service:
    """The agent as systemd runs it, with all that its unit forbids."""

    def __init__(self, place, packages):
        self.host = Booted(place)
        self.packages = packages
        self.install(*packages)

    def install(self, *packages):
        for package in packages:
            with open(package, "rb") as stream:
                agents.put(self.host.path("opt", os.path.basename(package)), stream.read())
        self.host.run("dpkg", "--force-confold", "-i", *["/opt/" + os.path.basename(package) for package in packages])

    def configure(self, paths):
        for name in os.listdir(hosts.SIGNATURES):
            with open(os.path.join(hosts.SIGNATURES, name), "rb") as stream:
                agents.put(self.host.path("etc/yagura/signatures", name), stream.read())
        with open(self.host.path("etc/yagura/agent.conf"), "a", encoding="utf-8") as stream:
            stream.write('database_directories = ("/etc/yagura/signatures");\n')
        agents.put(self.host.path("etc/yagura/policy.conf"), hosts.POLICY.replace("/srv/watched", '", "'.join(paths)).encode())
        self.host.systemctl("restart", "yagura-agent")

    @property
    def pid(self):
        """As this machine counts."""
        inside = int(self.host.show("MainPID"))
        return next(pid for pid in agents.descendants(self.host.keeper.pid) if inside_number(pid) == inside)

    def detects(self, path, mode=0o644, owner=0):
        """And puts it back as it was."""
        target = self.host.path(path[1:])
        with open(target, "wb") as stream:
            os.fchown(stream.fileno(), owner, owner)
            os.fchmod(stream.fileno(), mode)
            stream.write(agents.EICAR)
        self.host.run("yaguractl", "sync", "--timeout", "60s")
        self.host.until(lambda: not os.path.exists(target), f"{path} in quarantine")
        held = json.loads(self.host.run("yaguractl", "--json", "quarantine", "list").splitlines()[0])
        assert held["path"] == path, held
        self.host.run("yaguractl", "quarantine", "restore", "--exclude", "--privileged", str(held["id"]))
        found = os.stat(target)
        assert (found.st_mode & 0o7777, found.st_uid) == (mode, owner), oct(found.st_mode)
        self.host.run("yaguractl", "quarantine", "disallow", EICAR_SHA256)
        os.unlink(target)


def inside_number(pid):
    """A process' number in its own name space."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as stream:
        return int(next(line for line in stream if line.startswith("NSpid:")).split()[-1])


def test_the_service_under_systemd(place):
    """Nothing that the unit forbids is anything that the agent needs."""
    packages = build(place, "deb")
    names = ("yagura-agent", "yagura-scanner")
    service = Service(place, [packages[name] for name in names])
    host = service.host
    assert host.systemctl("is-enabled", "yagura-agent")[1] == "enabled"
    assert host.systemctl("is-active", "yagura-agent")[1] == "active"
    host.run("mkdir", "-p", "/srv/watched", "/usr/local/lib/watched", HOME, "/var/tmp/watched", "/srv/later")
    service.configure(["/srv", "/usr/local/lib/watched", HOME, "/var/tmp/watched"])
    # A file system that the host mounts while the agent runs.
    host.run("mount", "-t", "tmpfs", "none", "/srv/later")
    for path in ("/srv/watched/a", "/usr/local/lib/watched/b", HOME + "/c", "/var/tmp/watched/d", "/srv/later/e"):
        service.detects(path, mode=0o4755, owner=65534)
    host.run("umount", "/srv/later")
    # The restrictions are there, in the agent and in all its children.
    agent = service.pid
    for pid in [agent, *agents.descendants(agent)]:
        with open(f"/proc/{pid}/status", encoding="utf-8") as stream:
            status = dict(line.split(":\t") for line in stream)
        assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2", status
    with open(f"/proc/{agent}/mountinfo", encoding="utf-8") as stream:
        mounts = {fields[4]: fields[5] for fields in map(str.split, stream)}
    assert mounts["/sys"].startswith("ro,") and mounts["/proc/sys"].startswith("ro,"), mounts
    # It joins, newer signatures are taken, a scanner that is stopped for good is replaced.
    console, administrator, token = console_of(place)
    agents.put(host.path("run/token"), token.encode())
    host.run("yaguractl", "activate", "--url", f"https://127.0.0.1:{console.agents_port}", "--ca-pin", console.pin,
             "--token-file", "/run/token", "--wait", "60s")
    number = json.loads(host.run("yaguractl", "--json", "status"))["console"]["agent_id"]
    host.until(lambda: administrator.get("/api/v1/events?kind=malware_found").json["events"], "the detections")
    # A newer version: the service is started anew by the packages, the identity stays.
    service.install(*[newer(place, packages[name], "99.1") for name in names])
    host.until(lambda: service.pid != agent, "another process")
    assert json.loads(host.run("yaguractl", "--json", "status"))["console"]["agent_id"] == number
    assert host.show("NRestarts") == "0" and host.show("Result") == "success", host.log()
    host.run("dpkg", "--remove", *names)
    status = administrator.get(f"/api/v1/computers/{number}").json["status"]
    assert "Online" not in status, status
    assert host.systemctl("is-active", "yagura-agent", accept=(3, 4))[1] == "inactive"


def test_an_activation_is_kept_on_request(place):
    packages = build(place, "deb")
    host = Host(place)
    host.install(packages["yagura-agent"], packages["yagura-scanner"])
    host.configure()
    host.start()
    console, _, token = console_of(place)
    agents.put(host.path("run/token"), token.encode())
    host.run("yaguractl", "activate", "--url", f"https://127.0.0.1:{console.agents_port}", "--ca-pin", console.pin,
             "--token-file", "/run/token", "--wait", "60s")
    number = status_of(host)["agent_id"]
    host.run("env", "YAGURA_KEEP_ACTIVATION=1", "dpkg", "--remove", "yagura-agent")
    host.stop()
    host.install(packages["yagura-agent"])
    host.start()
    assert status_of(host)["agent_id"] == number
    host.stop()


def test_the_console_package(place):
    packages = build(place, "deb")
    host = Host(place)
    host.install(packages["yagura-console"])
    assert host.run("getent", "passwd", "yagura-console")
    data = "/var/lib/yagura-console"
    host.run("install", "-d", "-m", "700", "-o", "yagura-console", "-g", "yagura-console", data)
    agents.put(host.path("run/console.conf"), b'agents = { port = 0; };\npeople = { port = 0; };\n')
    with open(host.path("tmp/log"), "ab") as log:
        host.process = subprocess.Popen(
            ["chroot", host.root, "setpriv", "--reuid=yagura-console", "--regid=yagura-console", "--clear-groups",
             "--no-new-privs", "yagura-console", "--config", "/run/console.conf"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    host.until(lambda: "console_ready" in host.log(), "the console")
    host.stop()
    host.run("dpkg", "--remove", "yagura-console")
    assert os.path.exists(host.path("etc/yagura/console.conf")) and os.path.isdir(host.path(data[1:]))
    host.run("dpkg", "--purge", "yagura-console")
    assert not os.path.exists(host.path(data[1:]))


agents.main()
