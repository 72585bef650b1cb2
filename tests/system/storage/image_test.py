"""What is rolled out: the image's definition has what the programs load; the zip runs by itself."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import CLEAN, EICAR, ROOT, SECONDS, Skip, Storage, agents, is_sanitized, main  # noqa: E402

sys.path.insert(0, os.path.join(ROOT, "tests/stand-ins/runtime_api"))
from runtime_api import RuntimeApi  # noqa: E402

with open(ROOT + "/packaging/container/Dockerfile", encoding="utf-8") as stream:
    IMAGE = stream.read().replace("\\\n", " ")
RUNTIME = IMAGE.split("FROM ")[-1]


def test_the_image_has_the_libraries():
    """By the packages that own them here, where this machine is what the image is."""
    with open("/etc/os-release", encoding="utf-8") as stream:
        system = dict(line.strip().split("=", 1) for line in stream if "=" in line)
    if (system.get("ID"), system.get("VERSION_ID")) != ("debian", '"12"'):
        raise Skip("this machine is not Debian 12, of which the image is made")
    installed = re.search(r"--no-install-recommends ([a-z0-9.+ -]+?) &&", RUNTIME)[1].split()
    for program in ("yagura-storage", "yagura-scanner"):
        path = os.path.join(agents.PROGRAMS, program)
        said = subprocess.run(["readelf", "-dW", path], check=True, capture_output=True,
                              text=True).stdout
        found = dict(re.findall(r"(\S+) => (/\S+)", subprocess.run(
            ["ldd", path], check=True, capture_output=True, text=True).stdout))
        for library in re.findall(r"NEEDED.*\[(.*)\]", said):
            if library.startswith(("libc.so", "ld-linux", "libm.so", "libasan", "libubsan")):
                continue
            paths = (found[library], os.path.realpath(found[library]),
                     "*/" + os.path.basename(os.path.realpath(found[library])))
            owner = next(filter(None, (subprocess.run(
                ["dpkg", "-S", name], capture_output=True, text=True, check=False)
                .stdout.split(":")[0] for name in paths)), None)
            assert owner in installed, (program, library, owner, installed)


def test_the_image_runs_unprivileged():
    assert RUNTIME.startswith("debian:12-slim"), RUNTIME[:40]
    user = re.search(r"^USER (\d+):(\d+)$", RUNTIME, re.MULTILINE)
    assert user and user[1] != "0" and user[2] != "0", RUNTIME
    assert 'VOLUME ["/tmp"]' in RUNTIME
    assert 'ENTRYPOINT ["/usr/bin/yagura-storage"]' in RUNTIME
    assert not re.search(r"^ADD |https?://|curl .*\| *sh|chmod .*s ", IMAGE, re.MULTILINE), IMAGE


def make_root(folder):
    """What the image's definition puts together, from this machine: programs where it copies them to, the libraries
    they load, signatures, and nothing else."""
    copied = dict(re.findall(r"^COPY --from=build \S+/bin/(\S+) (/\S+)$", RUNTIME, re.MULTILINE))
    assert set(copied) == {"yagura-storage", "yagura-scanner"}, copied
    for name, target in copied.items():
        program = os.path.join(agents.PROGRAMS, name)
        said = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
        libraries = {path: path for path in re.findall(r"(/\S+) \(0x", said)}
        for source, path in {program: target, **libraries}.items():
            os.makedirs(folder + os.path.dirname(path), exist_ok=True)
            shutil.copy(source, folder + path)
    signatures = re.search(r"^COPY --from=signatures \. (/\S+)/$", RUNTIME, re.MULTILINE)[1]
    shutil.copytree(agents.SIGNATURES, folder + signatures)
    for name in ("proc", "dev", "tmp"):
        os.mkdir(f"{folder}/{name}")


TOOLS = """#!/bin/sh
printf '%s\\n' "$(basename "$0") $*" >>"$TOOLS_LOG"
"""


def test_the_image_is_built_with_what_it_needs(place):
    """Its lines are run with tools that only note how they are called: each package of the list is installed first, then
    the two programs are compiled, without what only others need."""
    tools = place.folder("tools")
    for name in ("apt-get", "cmake", "strip", "python3", "sudo"):
        agents.put(f"{tools}/{name}", TOOLS.encode())
        os.chmod(f"{tools}/{name}", 0o755)
    agents.put(f"{tools}/dpkg-query", b"#!/bin/sh\nexit 1\n")
    os.chmod(f"{tools}/dpkg-query", 0o755)
    steps = re.search(r"^RUN (.*)$", IMAGE.split("FROM ")[1], re.MULTILINE)[1].replace("build/", place.root + "/build/")
    place.folder("build")
    log = place.root + "/tools.log"
    subprocess.run(["sh", "-eu", "-c", steps], cwd=ROOT, check=True, stdin=subprocess.DEVNULL, capture_output=True,
                   env={"PATH": tools + ":/usr/bin:/bin", "TOOLS_LOG": log})
    with open(log, encoding="utf-8") as stream:
        called = stream.read().splitlines()
    with open(ROOT + "/installer/dependencies.sh", encoding="utf-8") as stream:
        wanted = re.search(r'^BUILD_PACKAGES="(.*?)"', stream.read(), re.S | re.MULTILINE)[1].split()
    installed = next(line for line in called if line.startswith("apt-get") and " install " in line).split()
    assert set(wanted) | {"python3"} <= set(installed), (wanted, installed)
    words = [line.split()[0] for line in called]
    assert words == ["apt-get", "apt-get", "cmake", "cmake", "strip", "python3"], called
    assert "-DYAGURA_APPLICATION=OFF" in called[2] and "--target yagura-storage yagura-scanner" in called[3], called


def check_bill(path, name, programs, libraries):
    """programs: by name; libraries: names of those that they load."""
    with open(path, encoding="utf-8") as stream:
        bill = json.load(stream)
    assert bill["metadata"]["component"]["name"] == name and bill["metadata"]["component"]["version"], bill["metadata"]
    found = {component["name"]: component for component in bill["components"]}
    assert found.keys() == programs.keys() | libraries, found.keys() ^ (programs.keys() | libraries)
    for program, place in programs.items():
        with open(place, "rb") as stream:
            assert found[program]["hashes"][0]["content"] == hashlib.sha256(stream.read()).hexdigest(), program
    for library in libraries:
        assert found[library]["version"] and found[library]["purl"].startswith("pkg:"), found[library]


def test_the_image_has_a_bill_of_materials(place):
    """Made as its definition says, of these programs, and put where it stands in the packages."""
    if is_sanitized():
        raise Skip("a sanitizer build has libraries that no image gets")
    made, target = re.search(r"^COPY --from=build /src/(\S+/sbom.cdx.json) (\S+)$", RUNTIME, re.MULTILINE).groups()
    assert target == "/usr/share/doc/yagura-storage/sbom.cdx.json", target
    command = re.search(r"&& (python3 packaging/sbom.py .*?>\S+)", IMAGE)[1]
    assert command.endswith(">" + made), command
    command = command.replace("build/release-hardened/bin", agents.PROGRAMS).replace(">" + made, f">{place.root}/sbom.json")
    subprocess.run(["sh", "-euc", command], cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    programs = {name: os.path.join(agents.PROGRAMS, name) for name in ("yagura-storage", "yagura-scanner")}
    said = subprocess.run(["ldd", *programs.values()], check=True, capture_output=True, text=True).stdout
    check_bill(place.root + "/sbom.json", "yagura-storage-image", programs,
               {os.path.basename(path) for path in re.findall(r"(/\S+) \(0x", said)})


ENTER = """set -eu
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$1/tmp"
mount -o remount,bind,ro "$1"
exec chroot --userspec="$2" --groups= "$1" /usr/bin/yagura-storage"""


def test_the_image_scans(place):
    """As its definition says: its own user, a read-only root with /tmp alone to write to, all paths by default."""
    if os.geteuid() != 0 or is_sanitized():
        raise Skip("mounting wants root, and the image is no sanitizer build")
    root = place.folder("root")
    make_root(root)
    storage = Storage(place)
    values = {key: value for key, value in storage.values.items() if not key.startswith("YAGURA_") or
              key in ("YAGURA_QUEUE_URL", "YAGURA_TOPIC_ARN", "YAGURA_WAIT")}
    log = open(place.root + "/image.log", "wb+")  # pylint: disable=consider-using-with
    process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER, "sh", root,
                                re.search(r"^USER (\S+)$", RUNTIME, re.MULTILINE)[1]],
                               env=values, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    process.log = log
    storage.processes.append(process)
    storage.put("bad.com", EICAR)
    storage.put("good.txt", CLEAN)
    assert storage.result("bad.com")["verdict"] == "infected"
    good = storage.result("good.txt")
    assert good["verdict"] == "clean" and "seccomp" in good["sandbox"], good
    with open(f"/proc/{process.pid}/status", encoding="ascii") as stream:
        status = stream.read()
    assert re.search(r"^Uid:\t979\t979\t979\t979$", status, re.MULTILINE), status
    assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE), status
    with open(f"/proc/{process.pid}/mounts", encoding="ascii") as stream:
        mounts = dict(line.split()[1:4:2] for line in stream)
    assert mounts["/"].split(",")[0] == "ro" and mounts["/tmp"].split(",")[0] == "rw", mounts
    storage.until_done()
    storage.stop(process)


def test_the_zip_runs_by_itself(place):
    """With its own loader and nothing but its own libraries, as a function."""
    if is_sanitized():
        raise Skip("a sanitizer build has libraries that no function gets")
    subprocess.run([ROOT + "/packaging/lambda/build-zip.sh", agents.PROGRAMS, place.root],
                   check=True, capture_output=True, stdin=subprocess.DEVNULL)
    folder = place.folder("task")
    with zipfile.ZipFile(place.root + "/yagura-storage-lambda.zip") as archive:
        archive.extractall(folder)
        for info in archive.infolist():
            os.chmod(os.path.join(folder, info.filename), (info.external_attr >> 16) & 0o777)
    loader = next(name for name in os.listdir(folder + "/lib") if name.startswith("ld-linux"))
    listed = subprocess.run([f"{folder}/lib/{loader}", "--library-path", folder + "/lib", "--list",
                             folder + "/yagura-storage"], check=True, capture_output=True,
                            text=True).stdout
    outside = [line for line in listed.splitlines() if "=> /" in line and folder not in line]
    assert not outside, outside
    check_bill(folder + "/sbom.cdx.json", "yagura-storage-lambda", {"yagura-storage": folder + "/yagura-storage"},
               set(os.listdir(folder + "/lib")))
    storage = Storage(place, notify=False)
    with RuntimeApi() as api:
        values = {**storage.values, "AWS_LAMBDA_RUNTIME_API": api.address,
                  "LAMBDA_TASK_ROOT": folder, "_HANDLER": "dead-letter"}
        process = subprocess.Popen([folder + "/bootstrap"], env=values, cwd=folder,
                                   stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        try:
            made = storage.put("x", CLEAN)
            done = api.call(storage.event("x", made["ETag"]))
            assert done.status == "response", (done.status, done.body)
            assert storage.result("x", verdict="error")["scanner_status"] == -4
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


if __name__ == "__main__":
    main()
