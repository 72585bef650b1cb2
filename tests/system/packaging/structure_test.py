"""What stands in the packages: lint, sizes, bills of materials, and the same bytes whenever they are built."""
import hashlib
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import host as hosts  # noqa: E402
from host import agents, build, run  # noqa: E402


def test_lintian_is_silent_and_the_packages_are_small(place):
    packages = build(place, "deb")
    hosts.need("lintian")
    said = run("lintian", "--allow-root", *[path for name, path in packages.items() if "dbgsym" not in name])
    assert not [line for line in said.splitlines() if line[:2] in ("E:", "W:")], said
    size = sum(os.path.getsize(packages[name]) for name in ("yagura-agent", "yagura-scanner"))
    assert size < 1_000_000, size


def test_the_rpm_packages(place):
    """Their structure: on this machine they require this distribution's libraries."""
    hosts.need("rpm", "rpmbuild")
    packages = [path for path in build(place, "rpm").values()]
    for package in packages:
        scripts = run("rpm", "-qp", "--scripts", package)
        service = next((name for name in ("agent", "console") if f"yagura-{name}-" in package), None)
        assert ("useradd" in scripts) == bool(service), scripts
    root = place.folder("rpm-root")
    run("rpm", "--root", root, "--initdb")
    run("rpm", "--root", root, "-i", "--nodeps", "--noscripts", *packages)
    assert run("rpm", "--root", root, "-V", "--nodeps", "yagura-agent", "yagura-scanner", "yagura-console") == ""
    assert set(run("rpm", "--root", root, "-qac").split()) == {
        f"/etc/yagura/{name}.conf" for name in ("agent", "policy", "console")}
    hosts.need("rpmlint")
    said = run("rpmlint", "-c", os.path.join(hosts.TREE, "packaging/rpm/rpmlint.toml"), *packages)
    assert " 0 errors, 0 warnings" in said, said


def check_bill(folder, name, hashed):
    """Of the programs and libraries in a package that was unpacked."""
    with open(os.path.join(folder, f"usr/share/doc/{name}/sbom.cdx.json"), encoding="utf-8") as stream:
        bill = json.load(stream)
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", name)
    components = {component["name"]: component for component in bill["components"]}
    programs = {}
    for place in ("usr/sbin", "usr/libexec"):
        for path, _, files in os.walk(os.path.join(folder, place)):
            for file in files:
                with open(os.path.join(path, file), "rb") as stream:
                    content = stream.read()
                if content[:4] == b"\x7fELF":
                    programs[file] = hashlib.sha256(content).hexdigest()
    told = {name: component["hashes"][0]["content"] if hashed else programs.get(name)
            for name, component in components.items() if component["type"] == "application"}
    assert told == programs, (told, programs)
    assert ("libclamav.so.12" in components) == (name == "yagura-scanner"), components.keys()
    with open(os.path.join(hosts.TREE, "console/web/vendor/LICENSES.txt"), encoding="utf-8") as stream:
        vendored = re.findall(r"^(\S+) ([0-9]\S*) \((\S+)\)$", stream.read(), re.M) if name == "yagura-console" else []
    told = [(component["name"], component["version"], component["licenses"][0]["license"]["id"])
            for component in components.values() if component["bom-ref"].startswith("npm:")]
    assert sorted(told) == sorted(vendored) and bool(told) == (name == "yagura-console"), (told, vendored)
    libraries = [component for component in components.values() if component["type"] == "library"]
    assert all(component["purl"] and component["version"] for component in libraries), libraries


def test_bills_of_materials(place):
    packages = build(place, "deb")
    for name in ("yagura-agent", "yagura-scanner", "yagura-console"):
        folder = place.folder("bill-" + name)
        run("dpkg-deb", "-x", packages[name], folder)
        check_bill(folder, name, hashed=True)
    hosts.need("rpmbuild", "rpm2cpio", "cpio")
    for path in build(place, "rpm").values():
        name = "-".join(os.path.basename(path).split("-")[:2])
        folder = place.folder("rpm-bill-" + name)
        run("sh", "-c", 'rpm2cpio "$1" | (cd "$2" && cpio --quiet -idm)', "sh", path, folder)
        check_bill(folder, name, hashed=False)  # rpm has them


def test_the_same_rpm_bytes_on_another_day(place):
    hosts.need("rpm", "rpmbuild")
    first = build(place, "rpm")
    second = build(place, "rpm", again=True, TZ="Asia/Tokyo", LC_ALL="C")
    assert first.keys() == second.keys()
    for name, path in first.items():
        assert run("sh", "-c", f"sha256sum <{path}") == run("sh", "-c", f"sha256sum <{second[name]}"), name


def test_the_same_bytes_on_another_day(place):
    first = build(place, "deb")
    second = build(place, "deb", again=True, TZ="Asia/Tokyo", LC_ALL="C")
    assert run("sh", "-c", "sha256sum <" + " && sha256sum <".join(first[name] for name in sorted(first))) == \
        run("sh", "-c", "sha256sum <" + " && sha256sum <".join(second[name] for name in sorted(second)))


agents.main()
