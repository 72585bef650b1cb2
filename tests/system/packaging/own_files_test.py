"""The agent holds its own files against what dpkg says of them: an upgrade is one, whatever else changes them is told."""
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import host as hosts  # noqa: E402
from host import Host, agents, build, newer  # noqa: E402

NAMES = ("yagura-agent", "yagura-scanner")
GUARD = "/usr/libexec/yagura/yagura-guard"
UNIT = "/usr/lib/systemd/system/yagura-agent.service"


def status_of(host):
    done = subprocess.run(["chroot", host.root, "yaguractl", "--json", "status"], capture_output=True, check=False)
    return json.loads(done.stdout)


def looked(host):
    """A whole look began and ended after this was called."""
    seen = status_of(host)["tamper"]["passes"]
    host.until(lambda: status_of(host)["tamper"]["passes"] >= seen + 2, "another look")
    return status_of(host)


def events(host, kind):
    lines = host.run("yaguractl", "--json", "events", "--module", "tamper").splitlines()
    return [event for event in map(json.loads, lines) if event["kind"] == kind]


def installed(place):
    packages = build(place, "deb")
    host = Host(place)
    host.install(*[packages[name] for name in NAMES])
    host.configure()
    with open(host.path("etc/yagura/policy.conf"), "a", encoding="utf-8") as stream:
        stream.write('protection = { check_interval = "1s"; };\n')
    host.start()
    host.until(lambda: status_of(host)["tamper"]["passes"] > 0, "the first look")
    return host, packages


def test_dpkg_is_asked(place):
    host, packages = installed(place)
    state = looked(host)
    assert state["tamper"]["altered"] == 0 and state["tamper"]["changed"] == 0, state["tamper"]
    assert state["tamper"]["files"] >= 8, state["tamper"]
    # One that somebody changed in place, and a unit that somebody weakened.
    with open(host.path(GUARD[1:]), "ab") as stream:
        stream.write(b"\0")
    os.makedirs(host.path("etc/systemd/system/yagura-agent.service.d"), exist_ok=True)
    agents.put(host.path("etc/systemd/system/yagura-agent.service.d/weak.conf"), b"[Service]\nRestart=no\n")
    state = looked(host)
    told = {event["subject"]: event for event in events(host, "own_file_changed")}
    weak = "/etc/systemd/system/yagura-agent.service.d/weak.conf"
    assert sorted(told) == [weak, GUARD], told
    assert told[GUARD]["detail"]["package"] == "changed" and told[GUARD]["severity"] == "high", told
    assert told[weak]["detail"]["what"] == "override", told
    assert state["tamper"]["altered"] == 1, state["tamper"]
    assert any(GUARD in problem["problem"] for problem in state["problems"]), state["problems"]
    # The next version brings its own.
    host.install(*[newer(place, packages[name], "99.1") for name in NAMES])
    host.stop()
    host.start()
    host.until(lambda: status_of(host)["tamper"]["passes"] > 0, "the first look")
    state = looked(host)
    assert state["tamper"]["altered"] == 0, state["tamper"]
    assert len(events(host, "own_file_changed")) == 2, events(host, "own_file_changed")
    updated = events(host, "own_files_updated")
    assert updated and updated[0]["severity"] == "info", updated


def test_what_was_changed_before_anybody_looked(place):
    host, _ = installed(place)
    host.stop()
    os.unlink(host.path("var/lib/yagura/own-files"))
    with open(host.path(UNIT[1:]), "a", encoding="utf-8") as stream:
        stream.write("# not of the package\n")
    agents.put(host.path("etc/ld.so.preload"), b"\n")
    host.start()
    host.until(lambda: status_of(host)["tamper"]["passes"] > 0, "the first look")
    looked(host)
    assert [event["subject"] for event in events(host, "own_file_altered")] == [UNIT]
    preload = events(host, "own_file_changed")
    assert [(event["subject"], event["severity"]) for event in preload] == [("/etc/ld.so.preload", "critical")], preload


if __name__ == "__main__":
    agents.main()
