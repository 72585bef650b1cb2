"""The preload object in real runtimes: what is denied is told or refused, and nothing else changes."""
import os
import re
import shutil
import subprocess

from functions import PROGRAMS, Skip, main

OBJECT = os.path.join(os.path.dirname(PROGRAMS), "lib", "yagura-preload.so")
PYTHON = """
import os, subprocess
def attempt(what):
    try:
        return str(what())
    except OSError as problem:
        return type(problem).__name__
print(attempt(lambda: len(open("/etc/shadow").read()) >= 0))
print(attempt(lambda: os.system("true")))
print(attempt(lambda: subprocess.run(["/bin/sh", "-c", "true # /dev/tcp/192.0.2.1/4444"]).returncode))
print(attempt(lambda: subprocess.run(["echo", "fine"], capture_output=True).stdout))
print(attempt(lambda: open("new", "w").write("x")), attempt(lambda: oct(os.stat("new").st_mode & 0o777)))
"""
NODE = """
const attempt = (what) => { try { return String(what()) } catch (problem) { return problem.code } };
const fs = require("fs"), { execFileSync } = require("child_process");
console.log(attempt(() => fs.readFileSync("/etc/shadow").length >= 0));
console.log(attempt(() => execFileSync("/bin/sh", ["-c", "true # /dev/tcp/192.0.2.1/4444"]).length));
console.log(attempt(() => execFileSync("echo", ["fine"])));
"""


def run(place, command, mode=None, **environment):
    if not os.path.exists(OBJECT):
        raise Skip("there is no preload object in this build")
    variables = {**os.environ, **environment}
    if mode is not None:
        variables.update(LD_PRELOAD=OBJECT, YAGURA_APPLICATION_RUNTIME=mode)
    return subprocess.run(command, env=variables, cwd=place, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=120)


def findings(said):
    return re.findall(r'"kind":"(\w+)".*?"subject":"([^"]*)"', said.stderr)


def program(name):
    path = shutil.which(name)
    if path is None or os.geteuid() != 0:
        raise Skip(f"{name}, or a root that may read /etc/shadow, is missing")
    return path


def test_python(place):
    command = ["/usr/bin/python3" if os.path.exists("/usr/bin/python3") else program("python3"), "-c", PYTHON]
    program("sh")
    before, off = run(place, command), run(place, command, "off")
    assert before.stdout == off.stdout and findings(off) == [], (before, off)
    report = run(place, command, "report")
    assert report.stdout == before.stdout
    assert findings(report) == [("runtime_reported", "Illegal File Access"),
                                ("runtime_reported", "Remote Command Execution")], report.stderr
    refused = run(place, command, "mitigate").stdout.splitlines()
    assert refused == ["PermissionError", "0", "PermissionError", "b'fine\\n'", "1 0o644"], refused


def test_node(place):
    command = [program("node"), "-e", NODE]
    before, report = run(place, command), run(place, command, "report")
    assert report.stdout == before.stdout and len(findings(report)) == 2, (before, report)
    assert run(place, command, "mitigate").stdout.splitlines() == ["EACCES", "EACCES", "fine", ""]


def test_java(place):
    with open(os.path.join(place, "Read.java"), "w", encoding="ascii") as stream:
        stream.write("""public class Read { public static void main(String[] words) throws Exception {
            try { System.out.println(new java.io.FileInputStream("/etc/shadow").read() >= -1); }
            catch (java.io.IOException problem) { System.out.println("refused"); }
            System.out.println(new ProcessBuilder("true").start().waitFor());
            String[] shell = {"/bin/sh", "-c", "true # /dev/tcp/192.0.2.1/4444"};
            try { System.out.println(new ProcessBuilder(shell).start().waitFor()); }
            catch (java.io.IOException problem) { System.out.println("refused"); }
            try { System.out.println(java.nio.file.Files.readAllBytes(java.nio.file.Path.of("/etc/shadow")).length >= 0); }
            catch (java.io.IOException problem) { System.out.println("refused"); } } }""")
    command = [program("java"), "Read.java"]
    if run(place, [command[0], "--version"]).returncode != 0:
        raise Skip("java does not run")
    assert run(place, command, "report").stdout.splitlines() == ["true", "0", "0", "true"]
    assert run(place, command, "mitigate").stdout.splitlines() == ["refused", "0", "refused", "refused"]


def test_rules_of_ones_own(place):
    own = os.path.join(place, "own")
    command = [program("cat"), own]
    with open(own, "w", encoding="ascii") as stream:
        stream.write("x")
    denied = run(place, command, "mitigate", YAGURA_APPLICATION_FILES=f"deny:{place}/*")
    assert denied.returncode == 1 and findings(denied), denied
    allowed = run(place, command, "mitigate", YAGURA_APPLICATION_FILES=f"allow:*/own;deny:{place}/*")
    assert allowed.stdout == "x", allowed


def test_another_way_of_writing_a_path(place):
    """What is denied stays so by whatever names of folders it is reached; what is near it does not."""
    program("sh")
    script = PYTHON.split("print(")[0] + """
etc = os.open("/etc", os.O_RDONLY)
os.chdir("/usr")
for path in "/etc/./shadow", "//etc/shadow", "/usr/../etc/shadow", "../etc/shadow", "../etc/passwd":
    print(attempt(lambda: len(open(path).read()) > 0))
print(attempt(lambda: os.open("shadow", os.O_RDONLY, dir_fd=etc) > 0))
print(attempt(lambda: os.open("passwd", os.O_RDONLY, dir_fd=etc) > 0))
"""
    said = run(place, ["/usr/bin/python3", "-c", script], "mitigate")
    assert said.stdout.split() == ["PermissionError"] * 4 + ["True", "PermissionError", "True"], said


def test_it_asks_for_nothing_new_of_the_c_library(place):
    if not os.path.exists(OBJECT):
        raise Skip("there is no preload object in this build")
    said = subprocess.run(["readelf", "-VW", OBJECT], capture_output=True, text=True, check=True).stdout
    versions = {tuple(int(part) for part in found.split(".")) for found in re.findall(r"GLIBC_([0-9.]+)", said)}
    assert versions and max(versions) <= (2, 26), versions
    assert place


if __name__ == "__main__":
    main()
