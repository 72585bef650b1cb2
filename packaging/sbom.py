#!/usr/bin/env python3
"""Writes a CycloneDX 1.5 bill of materials: the programs given, every library they load, and for
each library the package it came from, that package's version and licence, and the file's SHA-256.

Usage: sbom.py --name NAME --version VERSION [--libraries FILE] [--static PROGRAM:NAME=PACKAGE]...
               [--vendored FILE] [--unstripped] PROGRAM... >sbom.cdx.json
FILE of --libraries lists the paths of libraries, one a line, and behind a blank as what file it is shipped
when that is another; without it ldd is asked. Packages are asked of dpkg or rpm, whichever knows the file.
--static: what is linked into the program, and the package (Debian's) that it came from. FILE of --vendored
says by lines "NAME VERSION (LICENCE)" which packages of npm stand in the web page's bundle. Scripts among the programs are left out. --unstripped: the programs
will still be changed, so their hashes are not told. The same input gives the same bytes: the time is
SOURCE_DATE_EPOCH."""
import argparse
import datetime
import hashlib
import json
import os
import re
import subprocess
import uuid

# Debian's names (https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/) to SPDX's.
SPDX = {
    "Expat": "MIT", "MIT": "MIT", "Apache-2.0": "Apache-2.0", "ISC": "ISC", "Zlib": "Zlib", "zlib": "Zlib",
    "BSD-2-clause": "BSD-2-Clause", "BSD-3-clause": "BSD-3-Clause", "BSD-3-Clause": "BSD-3-Clause",
    "GPL-2": "GPL-2.0-only", "GPL-2+": "GPL-2.0-or-later", "GPL-3": "GPL-3.0-only", "GPL-3+": "GPL-3.0-or-later",
    "LGPL-2": "LGPL-2.0-only", "LGPL-2+": "LGPL-2.0-or-later", "LGPL-2.1": "LGPL-2.1-only",
    "LGPL-2.1+": "LGPL-2.1-or-later", "LGPL-3": "LGPL-3.0-only", "LGPL-3+": "LGPL-3.0-or-later",
    "curl": "curl", "CC0-1.0": "CC0-1.0",
}


def run(*words):
    """Its output, or "" when it fails or is not there."""
    try:
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


def sha256(path):
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read()).hexdigest()


def loaded(programs):
    """What ldd names: "name => path (address)", and the loader as "path (address)"."""
    found = set()
    for line in run("ldd", *programs).splitlines():
        match = re.match(r"\t(?:\S+ => )?(/\S+) \(", line)
        if match:
            found.add(match.group(1))
    return sorted(found)


def operating_system():
    values = {}
    with open("/etc/os-release", encoding="utf-8") as stream:
        for line in stream:
            key, _, value = line.strip().partition("=")
            values[key] = value.strip('"')
    return values.get("ID", "linux"), values.get("VERSION_ID", "")


def debian_licences(package):
    """The short names in the header lines of a machine-readable copyright file."""
    try:
        with open(f"/usr/share/doc/{package}/copyright", encoding="utf-8", errors="replace") as stream:
            text = stream.read()
    except OSError:
        return []
    if not text.startswith("Format:"):
        return []
    names = set(re.findall(r"^License: *(\S.*)$", text, re.M))
    return sorted({part.strip() for name in names for part in re.split(r"\band\b|\bor\b|,", name) if part.strip()})


def candidates(path):
    """The names under which a package may know it: a link's goal, and /lib as /usr/lib and the other way."""
    return list(dict.fromkeys((path, os.path.realpath(path), "/usr" + path, path.removeprefix("/usr"))))


def lines_of(*words):
    """What it says, though it fails for some of its arguments."""
    try:
        return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout.splitlines()
    except OSError:
        return []


def debian_packages(paths):
    """{path: fields of the package}, with two questions for all of them: dpkg reads all it knows for each."""
    names = [name for path in paths for name in candidates(path)]
    owners = {}
    for line in lines_of("dpkg-query", "-S", *names) if names else []:
        owner, _, path = line.partition(": ")
        if not owner.startswith("diversion by"):
            owners.setdefault(path, owner.split(",")[0])
    owned = {path: next((owners[name] for name in candidates(path) if name in owners), None) for path in paths}
    known = {}
    wanted = sorted({name for name in owned.values() if name})
    for line in lines_of("dpkg-query", "-W", "-f", "${binary:Package}\t${Package}\t${Version}\t${Architecture}\n",
                         *wanted) if wanted else []:
        key, *fields = line.split("\t")
        known[key] = known[key.split(":")[0]] = ("deb", *fields, debian_licences(fields[0]))
    return {path: known[name] for path, name in owned.items() if name in known}


def rpm_package(path):
    fields = run("rpm", "-qf", "--qf", "%{NAME}\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{LICENSE}", os.path.realpath(path))
    if fields and "\t" in fields:
        name, version, architecture, licence = fields.split("\t")[:4]
        return "rpm", name, version, architecture, [licence]
    return None


def packages_of(paths):
    """{path: (kind, name, version, architecture, licences)} of the packages that files belong to."""
    found = debian_packages(paths)
    return {path: found.get(path) or rpm_package(path) for path in paths}


def licence_entries(names):
    return [{"license": {"id": SPDX[name]} if name in SPDX else {"name": name}} for name in names]


def library_component(path, shipped, package, system):
    component = {
        "type": "library", "bom-ref": "library:" + os.path.basename(path), "name": os.path.basename(shipped),
        "hashes": [{"alg": "SHA-256", "content": sha256(shipped)}],
    }
    if package:
        kind, name, version, architecture, licences = package
        component["version"] = version
        component["purl"] = f"pkg:{kind}/{system[0]}/{name}@{version}?arch={architecture}&distro={system[0]}-{system[1]}"
        if licences:
            component["licenses"] = licence_entries(licences)
        component["properties"] = [{"name": "yagura:package", "value": name}]
    return component


def static_components(entries, system):
    """(components, {program: references})"""
    components, of_program = {}, {}
    for entry in entries:
        program, name, package = re.fullmatch(r"([^:]+):([^=]+)=(.+)", entry).groups()
        lines = lines_of("dpkg-query", "-W", "-f", "${db:Status-Status}\t${Version}\t${Architecture}\n", package)
        if not lines or not lines[0].startswith("installed\t"):
            raise SystemExit(f"sbom.py: the package {package}, which {name} is of, is not installed")
        version, architecture = lines[0].split("\t")[1:]
        component = {
            "type": "library", "bom-ref": "static:" + name, "name": name, "version": version,
            "purl": f"pkg:deb/{system[0]}/{package}@{version}?arch={architecture}&distro={system[0]}-{system[1]}",
            "properties": [{"name": "yagura:package", "value": package}, {"name": "yagura:linked", "value": "static"}],
        }
        licences = debian_licences(package)
        if licences:
            component["licenses"] = licence_entries(licences)
        components[name] = component
        of_program.setdefault(program, set()).add(component["bom-ref"])
    return [components[name] for name in sorted(components)], of_program


def vendored_components(path):
    with open(path, encoding="utf-8") as stream:
        found = re.findall(r"^(\S+) ([0-9]\S*) \((\S+)\)$", stream.read(), re.M)
    return [{"type": "library", "bom-ref": f"npm:{name}", "name": name, "version": version,
             "purl": f"pkg:npm/{name.replace('@', '%40')}@{version}", "licenses": [{"license": {"id": licence}}]}
            for name, version, licence in sorted(found)]


def program_component(path, version, hashed):
    licence = "GPL-2.0-only" if os.path.basename(path) == "yagura-scanner" else "MIT"
    component = {
        "type": "application", "bom-ref": "program:" + os.path.basename(path), "name": os.path.basename(path),
        "version": version, "licenses": [{"license": {"id": licence}}],
    }
    if hashed:
        component["hashes"] = [{"alg": "SHA-256", "content": sha256(path)}]
    return component


def is_script(path):
    with open(path, "rb") as stream:
        return stream.read(2) == b"#!"


def bill(arguments):
    if arguments.libraries:
        with open(arguments.libraries, encoding="utf-8") as stream:
            shipped = {line.split()[0]: line.split()[-1] for line in stream if line.strip()}
    else:
        shipped = {path: path for path in loaded(arguments.programs)}
    libraries = list(shipped)
    system = operating_system()
    known = {os.path.basename(path) for path in libraries}
    components = [program_component(path, arguments.version, not arguments.unstripped)
                  for path in sorted(arguments.programs)]
    packages = packages_of(libraries)
    components += [library_component(path, shipped[path], packages[path], system) for path in libraries]
    linked, of_program = static_components(arguments.static, system)
    components += linked
    if arguments.vendored:
        components += vendored_components(arguments.vendored)
    dependencies = []
    for path in sorted(arguments.programs):
        needed = {os.path.basename(library) for library in loaded([path])} & known
        dependencies.append({"ref": "program:" + os.path.basename(path),
                             "dependsOn": sorted({"library:" + name for name in needed} |
                                                 of_program.get(os.path.basename(path), set()))})
    stamp = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
    body = {
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {
            "timestamp": stamp.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "component": {"type": "application", "bom-ref": arguments.name, "name": arguments.name,
                          "version": arguments.version},
        },
        "components": components, "dependencies": dependencies,
    }
    identity = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(body, sort_keys=True))
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": f"urn:uuid:{identity}", **body}


def main():
    parser = argparse.ArgumentParser(description="writes a CycloneDX bill of materials")
    parser.add_argument("--name", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--libraries")
    parser.add_argument("--static", action="append", default=[])
    parser.add_argument("--vendored")
    parser.add_argument("--unstripped", action="store_true")
    parser.add_argument("programs", nargs="+")
    arguments = parser.parse_args()
    arguments.programs = [path for path in arguments.programs if not is_script(path)]
    print(json.dumps(bill(arguments), indent=2))


if __name__ == "__main__":
    main()
