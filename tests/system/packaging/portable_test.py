"""The agent that brings its own loader and libraries: as a deb, and as an rpm in an otherwise empty root."""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import host as hosts  # noqa: E402
from host import Host, agents, build, console_of, run  # noqa: E402


def test_the_portable_package_uses_nothing_of_the_host(place):
    packages = build(place, "portable")
    deb = packages["yagura-agent-portable"]
    assert os.path.getsize(deb) < 60_000_000
    host = Host(place)
    host.install(deb)
    host.configure()
    host.start("/opt/yagura/bin/yagura-agent")
    host.detects("first")
    for pid in [host.process.pid, *agents.descendants(host.process.pid)]:
        with open(f"/proc/{pid}/maps", encoding="utf-8") as stream:
            libraries = {line.split()[-1] for line in stream if ".so" in line}
        # Seen from outside, a file of the layer is named as its place in the layer.
        strange = [path for path in libraries if "/opt/yagura/" not in path]
        assert libraries and not strange, strange
    host.run("dpkg", "--remove", "yagura-agent-portable")
    host.stop()
    assert os.path.isdir(host.path("var/lib/yagura"))
    host.run("dpkg", "--purge", "yagura-agent-portable")
    assert not os.path.exists(host.path("var/lib/yagura"))


def test_a_protected_portable_agent_is_not_removed(place):
    host = Host(place)
    host.install(build(place, "portable")["yagura-agent-portable"])
    host.configure()
    host.start("/opt/yagura/bin/yagura-agent")
    console, administrator, token = console_of(place, hosts.PROTECTED)
    host.join(console, token)
    host.until(lambda: os.path.exists(host.path("var/lib/yagura/protection")), "the protection")
    host.refuses("dpkg", "--remove", "yagura-agent-portable")
    host.release(administrator)
    host.run("dpkg", "--remove", "yagura-agent-portable")
    assert not os.path.exists(host.path("opt/yagura/bin/yagura-agent"))
    host.stop()


def is_script(path):
    with open(path, "rb") as stream:
        return stream.read(2) == b"#!"


def test_the_bill_of_materials(place):
    deb = build(place, "portable")["yagura-agent-portable"]
    folder = place.folder("bill")
    run("dpkg-deb", "-x", deb, folder)
    home = os.path.join(folder, "opt/yagura")
    with open(os.path.join(home, "share/sbom.cdx.json"), encoding="utf-8") as stream:
        bill = json.load(stream)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    named = {component["name"]: component for component in bill["components"]}
    shipped = {name for part in ("bin", "lib") for name in os.listdir(os.path.join(home, part))
               if name != "gconv" and not is_script(os.path.join(home, part, name))}
    assert set(named) == shipped, set(named) ^ shipped
    clamav = named["libclamav.so.12"]
    assert clamav["purl"].startswith("pkg:deb/") and clamav["version"] and clamav["licenses"], clamav
    assert run("sha256sum", os.path.join(home, "lib/libclamav.so.12")).split()[0] == clamav["hashes"][0]["content"]
    needs = next(entry for entry in bill["dependencies"] if entry["ref"] == "program:yagura-scanner")
    assert "library:libclamav.so.12" in needs["dependsOn"]


def test_the_portable_rpm_in_an_rpm_root(place):
    hosts.need("rpm", "rpmbuild")
    found = [path for path in build(place, "portable").values() if path.endswith(".rpm")]
    root = place.folder("rpm-root")
    run("rpm", "--root", root, "--initdb")
    # An empty root has no shell for the scripts; the files must do without anything else.
    run("rpm", "--root", root, "-i", "--noscripts", "--nodeps", *found)
    needed = run("rpm", "--root", root, "-q", "--requires", "yagura-agent-portable").splitlines()
    assert {line for line in needed if not line.startswith("rpmlib(")} == {"/bin/sh"}, needed
    assert set(run("rpm", "--root", root, "-qc", "yagura-agent-portable").split()) == {
        "/etc/yagura/agent.conf", "/etc/yagura/policy.conf"}
    for program in ("yagura-agent", "yagura-scanner", "yagura-messenger", "yagura-inspector", "yagura-guard",
                    "yaguractl"):
        assert program in run("chroot", root, "/opt/yagura/bin/" + program, "--version")
    run("rpm", "--root", root, "-e", "--noscripts", "--nodeps", "yagura-agent-portable")
    assert not os.path.exists(os.path.join(root, "opt/yagura"))


agents.main()
