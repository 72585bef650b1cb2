"""The real packages on a host: installed, joined to a real console, upgraded, removed, purged."""
import contextlib
import fcntl
import hashlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import host as hosts  # noqa: E402
from booted import Booted  # noqa: E402
from host import Host, agents, build, console_of, consoles, newer, run  # noqa: E402


HOME = os.path.join(os.sep, "home", "watched")
EICAR_SHA256 = hashlib.sha256(agents.EICAR).hexdigest()


def signed_in(console, password):
    client = console.api()
    client.sign_in("admin", password)
    return client


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

    def configure(self, policy):
        for name in os.listdir(hosts.SIGNATURES):
            with open(os.path.join(hosts.SIGNATURES, name), "rb") as stream:
                agents.put(self.host.path("etc/yagura/signatures", name), stream.read())
        with open(self.host.path("etc/yagura/agent.conf"), "a", encoding="utf-8") as stream:
            stream.write('database_directories = ("/etc/yagura/signatures");\n')
        agents.put(self.host.path("etc/yagura/policy.conf"), policy.encode())
        self.host.systemctl("restart", "yagura-agent")
        self.host.until(lambda: self.status()["scanner"]["state"] == "ready", "signatures")

    def status(self):
        """With empty states while nobody answers."""
        done = self.control("--json", "status")
        return json.loads(done.stdout) if done.returncode in (0, 1) else {"scanner": {"state": ""}, "prevention": {"state": ""}}

    def control(self, *words):
        """By a program that nothing on the host guards."""
        return subprocess.run([os.path.join(agents.PROGRAMS, "yaguractl"), "--socket", self.host.path("run/yagura/control.sock"),
                               *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def join(self, console, token):
        agents.put(self.host.path("run/token"), token.encode())
        self.host.run("yaguractl", "activate", "--url", f"https://127.0.0.1:{console.agents_port}", "--ca-pin", console.pin,
                      "--token-file", "/run/token", "--wait", "60s")

    def processes(self, name):
        return [pid for pid in agents.descendants(self.pid) if agents.command_of(pid).startswith(name)]

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
    service.configure(hosts.POLICY.replace("/srv/watched", '", "'.join(["/srv", "/usr/local/lib/watched", HOME, "/var/tmp/watched"])))
    # A file system that the host mounts while the agent runs.
    host.run("mount", "-t", "tmpfs", "none", "/srv/later")
    for path in ("/srv/watched/a", "/usr/local/lib/watched/b", HOME + "/c", "/var/tmp/watched/d", "/srv/later/e"):
        service.detects(path, mode=0o4755, owner=65534)
    host.run("umount", "/srv/later")
    host.systemctl("reload", "yagura-agent")
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
    service.join(console, token)
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


PREVENTION = """watch = { paths = ("/srv/watched"); crawl_interval = "0s"; };
prevention = { enabled = true; paths = ("/"); deadline = "30s"; on_timeout = "deny"; };
respond = { hold_package_files = false; };
"""


def is_denied(host, *words):
    done = subprocess.run(host.words(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode != 0 and "Operation not permitted" in done.stderr


def is_logged(host, words):
    return words in host.run("journalctl", "--no-pager", "-o", "cat", "-n", "200")


def scanners_of(agent):
    return [pid for pid in agents.descendants(agent) if agents.command_of(pid).startswith("yagura-scanner")]


@contextlib.contextmanager
def standing(agent):
    """All processes that scan stand still, also one that was just being made."""
    held = []
    try:
        while new := [pid for pid in scanners_of(agent) if pid not in held]:
            for pid in new:
                os.kill(pid, signal.SIGSTOP)
            held += new
        yield
    finally:
        for pid in held:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def kill_all(top, name):
    for pid in agents.descendants(top):
        if agents.command_of(pid) == name:
            os.kill(pid, signal.SIGKILL)


def test_prevention_of_everything_under_systemd(place):
    """Each open on the host waits for its verdict, and nobody for what he needs to give or to tell it."""
    packages = build(place, "deb")
    service = Service(place, [packages["yagura-agent"], packages["yagura-scanner"]])
    host = service.host
    host.run("mkdir", "-p", "/srv/watched")
    service.configure(PREVENTION)
    host.until(lambda: service.status()["prevention"]["state"] == "working", "the guard works")
    assert service.status()["prevention"]["problem"] == "", service.status()["prevention"]
    guard, = service.processes("yagura-guard")
    with open(f"/proc/{guard}/status", encoding="utf-8") as stream:
        status = dict(line.split(":\t") for line in stream)
    assert int(status["VmLck"].split()[0]) > 0, status
    console, _, token = console_of(place, PREVENTION, consoles.FixedConsole)
    service.join(console, token)
    # Denied, opened and run, wherever it lies.
    agents.put(host.path("opt/read"), agents.EICAR)
    assert is_denied(host, "cat", "/opt/read"), host.log()
    agents.put(host.path("usr/local/bin/run"), agents.EICAR)
    os.chmod(host.path("usr/local/bin/run"), 0o755)
    assert is_denied(host, "/usr/local/bin/run"), host.log()
    # What a host does all day.
    host.run("logger", "all is well")
    host.until(lambda: is_logged(host, "all is well"), "the line in the journal")
    service.install(packages["yagura-scanner"])
    agents.put(host.path("etc/systemd/system/once.service"), b"[Service]\nType=oneshot\nExecStart=/bin/sh -c 'date >/srv/once'\n")
    host.systemctl("daemon-reload")
    host.systemctl("start", "once")
    assert os.path.getsize(host.path("srv/once")) > 0
    # While the scanner stands still, journal and console are served all the same.
    console.stop()
    agents.put(host.path("opt/away"), agents.EICAR)
    assert is_denied(host, "cat", "/opt/away"), host.log()
    agent = service.pid
    late = service.status()["prevention"]["late"]
    agents.put(host.path("srv/waits"), b"for its verdict")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        # Programs that run there would wait, too: so this machine's do what is done.
        with standing(agent):
            waits = subprocess.Popen(["cat", host.path("srv/waits")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
            place.cleanups.append(waits.kill)
            host.until(lambda: service.status()["prevention"]["waiting"] > 0, "somebody waits")
            kill_all(host.keeper.pid, "systemd-journal")
            line.connect(host.path("run/systemd/journal/dev-log"))
            line.send(b"<13>the scanner stands still")
            host.until(lambda: fcntl.ioctl(line, termios.TIOCOUTQ, b"    ") == b"\0\0\0\0", "another journal takes the line")
            console.start()
            kill_all(agent, "yagura-messenger")
            client = signed_in(console, consoles.PASSWORD)
            host.until(lambda: any(event["subject"] == "/opt/away" for event in
                                   client.get("/api/v1/events?kind=malware_found").json["events"]), "the detection at the console")
            assert "/opt/away" in service.control("events").stdout
            assert waits.poll() is None, "nobody scans"
            assert service.status()["prevention"]["late"] == late, service.status()["prevention"]
        assert waits.communicate()[0] == b"for its verdict"
    host.until(lambda: is_logged(host, "the scanner stands still"), "the line in the journal")
    # The guard dies: work goes on, and another one comes.
    guard, = service.processes("yagura-guard")  # the console's policy brought another
    os.kill(guard, signal.SIGKILL)
    agents.put(host.path("srv/afterwards"), b"as before")
    assert host.run("cat", "/srv/afterwards") == "as before"
    host.until(lambda: service.processes("yagura-guard") not in ([], [guard])
               and service.status()["prevention"]["state"] == "working", "another guard works")
    agents.put(host.path("opt/again"), agents.EICAR)
    assert is_denied(host, "cat", "/opt/again"), host.log()


def drop_in(host, name, setting):
    folder = host.path("etc/systemd/system/yagura-agent.service.d")
    os.makedirs(folder, exist_ok=True)
    agents.put(os.path.join(folder, name + ".conf"), f"[Service]\n{setting}\n".encode())
    host.systemctl("daemon-reload")


def test_the_scanner_is_nicer_under_systemd(place):
    """As the policy says; and where a unit forbids it, that is told once."""
    packages = build(place, "deb")
    service = Service(place, [packages["yagura-agent"], packages["yagura-scanner"]])
    host = service.host
    drop_in(host, "here", "Nice=0")  # whatever this test's own is
    service.configure(hosts.POLICY + "agent = { scanner_nice = 7; };\n")
    ours = os.getpriority(os.PRIO_PROCESS, service.pid)
    scanners = service.processes("yagura-scanner")
    assert scanners and {os.getpriority(os.PRIO_PROCESS, pid) for pid in scanners} == {ours + 7}, host.log()
    assert not is_logged(host, "priority_not_lowered")
    drop_in(host, "rude", "SystemCallFilter=~setpriority")
    host.systemctl("restart", "yagura-agent")
    host.until(lambda: service.status()["scanner"]["state"] == "ready", "signatures")
    scanners = service.processes("yagura-scanner")
    assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in scanners} == {ours}
    loader = scanners[0]
    os.kill(loader, signal.SIGKILL)
    host.until(lambda: service.status()["scanner"]["state"] == "ready"
               and loader not in service.processes("yagura-scanner"), "another loader")
    said = [line for line in host.run("journalctl", "--no-pager", "-o", "cat", "-u", "yagura-agent").splitlines()
            if "priority_not_lowered" in line and "yagura-scanner" in line]
    assert len(said) == 1, said


def group_of(host, pid):
    """As the host's own processes see it."""
    return host.run("sed", "-n", "s/^0:://p", f"/proc/{inside_number(pid)}/cgroup").strip()


def test_the_control_groups_of_the_unit(place):
    packages = build(place, "deb")
    service = Service(place, [packages["yagura-agent"], packages["yagura-scanner"]])
    host = service.host
    service.configure(hosts.POLICY)
    unit = "/yagura.slice/yagura-agent.service"
    assert host.show("ControlGroup") == unit
    assert group_of(host, service.pid) == unit + "/agent", host.log()
    scanners = service.processes("yagura-scanner")
    assert scanners and {group_of(host, pid) for pid in scanners} == {unit + "/scanner"}, host.log()
    with open(host.path("sys/fs/cgroup/cgroup.controllers"), encoding="ascii") as stream:
        if not {"cpu", "memory"} <= set(stream.read().split()):
            raise agents.Skip("the groups are right; their limits cannot be: version 1 has the controllers of this machine")
    for name in ("cpu.max", "memory.max"):
        with open(host.path("sys/fs/cgroup" + unit, "scanner", name), encoding="ascii") as stream:
            assert not stream.read().startswith("max"), name


def test_who_stops_a_protected_service(place):
    """Root can; it is told."""
    packages = build(place, "deb")
    service = Service(place, [packages["yagura-agent"], packages["yagura-scanner"]])
    host = service.host
    service.configure(hosts.POLICY + "protection = { enabled = true; };\n")
    host.systemctl("stop", "yagura-agent")
    host.systemctl("start", "yagura-agent")
    lines = host.run("yaguractl", "--json", "events").splitlines()
    stopped = [event for event in map(json.loads, lines) if event["kind"] == "agent_stopped"][-1]
    assert stopped["severity"] == "high" and stopped["detail"]["protected"] is True, stopped
    assert stopped["detail"]["by"]["pid"] == 1, stopped
    assert [asker["uid"] for asker in stopped["detail"]["systemctl"]] == [0], stopped


def test_a_protected_agent_is_not_removed(place):
    packages = build(place, "deb")
    names = ("yagura-agent", "yagura-scanner")
    host = Host(place)
    host.install(*[packages[name] for name in names])
    host.configure()
    host.start()
    console, administrator, token = console_of(place, hosts.PROTECTED)
    host.join(console, token)
    host.until(lambda: os.path.exists(host.path("var/lib/yagura/protection")), "the protection")
    host.refuses("dpkg", "--remove", "yagura-agent")
    assert host.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "yagura-agent") == "installed"
    host.install(*[newer(place, packages[name], "99.1") for name in names])  # an upgrade asks for nothing
    host.release(administrator)
    host.run("dpkg", "--remove", "yagura-agent")
    assert not os.path.exists(host.path("usr/sbin/yagura-agent"))
    host.stop()


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


class ShippedConsole(consoles.Console):
    """The one that systemd runs on a host, on the ports of its defaults."""
    people_port = 4119

    def __init__(self, host):  # pylint: disable=super-init-not-called
        self.data = host.path("var/lib/yagura-console")


def restore_lines(folder):
    """As docs/operations.md has them."""
    with open(os.path.join(hosts.TREE, "docs/operations.md"), encoding="utf-8") as stream:
        text = stream.read()
    block = re.search(r"^\*\*Restore\*\*.*\n(?:.+\n)*\n((?:    .+\n)+)", text, re.M)[1]
    return [line.strip().replace("FOLDER", folder) for line in block.splitlines()]


def test_the_console_under_systemd(place):
    """Without any configuration, under all that its unit forbids."""
    packages = build(place, "deb")
    host = Booted(place, own_network=True)
    for name in ("yagura-console", "yagura-scanner"):
        with open(packages[name], "rb") as stream:
            agents.put(host.path("opt", name + ".deb"), stream.read())
    host.run("dpkg", "-i", "/opt/yagura-console.deb", "/opt/yagura-scanner.deb")
    host.systemctl("enable", "--now", "yagura-console")
    console = ShippedConsole(host)
    said = host.run("journalctl", "--no-pager", "-o", "cat", "-u", "yagura-console")
    once = re.search(r'administrator is "admin", password: (\S+)', said)[1]
    with host.network():
        client = signed_in(console, once)
        client.put("/api/v1/session/password", {"old": once, "new": consoles.PASSWORD}, expect=204)
        client = signed_in(console, consoles.PASSWORD)
        # A scanner of the console's own judges lists.
        client.put("/api/v1/signature-lists/own", {"type": "ndb", "text": "Own.One:0:*:6162636465\n"}, expect=201,
                   If_None_Match="*")
        refused = client.put("/api/v1/signature-lists/bad", {"type": "ndb", "text": "Own.Two:0:*:61zz\n"}, expect=422,
                             If_None_Match="*")
        assert refused.json["code"] == "signatures_refused", refused
    # A certificate that is not the authority's is replaced at a reload.
    pid = host.show("MainPID", "yagura-console")
    reloads = host.run("journalctl", "--no-pager", "-o", "cat", "-u", "yagura-console").count("certificate_reloaded")
    with open(os.path.join(console.data, "authority.crt"), "rb") as stream:
        foreign = stream.read()
    with open(os.path.join(console.data, "server.crt"), "r+b") as stream:
        stream.write(foreign)
        stream.truncate()
    host.systemctl("reload", "yagura-console")
    host.until(lambda: host.run("journalctl", "--no-pager", "-o", "cat", "-u", "yagura-console").count("certificate_reloaded")
               > reloads, "the reload")
    assert host.show("MainPID", "yagura-console") == pid and host.show("NRestarts", "yagura-console") == "0"
    with open(os.path.join(console.data, "server.crt"), "rb") as stream:
        assert stream.read() != foreign
    # Backup, the loss of everything, and restore.
    host.run("runuser", "-u", "yagura-console", "--", "yagura-console", "backup", "/var/tmp/backup")
    host.systemctl("stop", "yagura-console")
    host.run("sh", "-c", "rm -r /var/lib/yagura-console")
    for line in restore_lines("/var/tmp/backup"):
        host.run("sh", "-c", line)
    with host.network():
        lists = signed_in(console, consoles.PASSWORD).get("/api/v1/signature-lists", expect=200).json["lists"]
    assert [row["name"] for row in lists] == ["own"], lists


agents.main()
