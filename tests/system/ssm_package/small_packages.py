"""Small debs with the names and places of the real ones: the agent is a program that sleeps, and yaguractl
says what /etc/stand-in tells it to. One of their dependencies is on no machine: it must come from the zip."""
import os
import shutil
import subprocess
import textwrap

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
BUILD = os.path.join(ROOT, "ssm-package/build.sh")
TRY = os.path.join(ROOT, "ssm-package/try.sh")

UNIT = """\
[Service]
Type=simple
ExecStart=/usr/sbin/yagura-agent infinity
StateDirectory=yagura
StateDirectoryMode=0700
"""
CONTROL = """\
#!/bin/sh
[ "$1" != --version ] || { echo "yaguractl 1"; exit 0; }
echo "$*" >>/var/log/stand-in
if [ "$1" = release ]; then
    if [ "$2" = - ] && [ "$(cat)" = "$(cat /etc/stand-in/code)" ]; then
        rm -f /var/lib/yagura/protection
        exit 0
    fi
    echo "yaguractl: the removal code is for another computer" >&2
    exit 2
fi
[ "$1" = activate ] || exit 0
cat /etc/stand-in/words 2>/dev/null
exit "$(cat /etc/stand-in/status 2>/dev/null || echo 0)"
"""


def architecture():
    return subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True,
                          check=True).stdout.strip()


def make_deb(folder, name, version, files, depends="", size=100, scripts=None, replaces=""):
    tree = os.path.join(folder, "tree")
    for path, (content, mode) in files.items():
        target = tree + path
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        os.chmod(target, mode)
    os.makedirs(tree + "/DEBIAN", exist_ok=True)
    settings = [os.path.join(place, file)[len(tree):] for place, _, names in os.walk(tree + "/etc") for file in names]
    with open(tree + "/DEBIAN/conffiles", "w", encoding="ascii") as file:
        file.writelines(path + "\n" for path in settings)
    with open(tree + "/DEBIAN/control", "w", encoding="ascii") as file:
        file.write(f"Package: {name}\nVersion: {version}\nArchitecture: {architecture()}\n"
                   f"Maintainer: Tests <tests@yagura.invalid>\nInstalled-Size: {size}\n"
                   + (f"Depends: {depends}\n" if depends else "")
                   + (f"Provides: {replaces}\nConflicts: {replaces}\nReplaces: {replaces}\n" if replaces else "")
                   + "Description: for tests\n")
    for script, text in (scripts or {}).items():
        with open(tree + "/DEBIAN/" + script, "w", encoding="ascii") as file:
            file.write(textwrap.dedent(text))
        os.chmod(tree + "/DEBIAN/" + script, 0o755)
    plain = version.replace(":", "%3a")
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree,
                    f"{folder}/{name}_{plain}_{architecture()}.deb"], check=True, capture_output=True)
    shutil.rmtree(tree)


def program(name):
    with open(name, "rb") as file:
        return (file.read(), 0o755)


def make_portable(folder, version):
    """The same programs in the places of the portable package, which needs nothing and takes the others' place."""
    programs = {"/opt/yagura/bin/" + name: program("/bin/true")
                for name in ("yagura-scanner", "yagura-messenger", "yagura-inspector", "yagura-guard")}
    make_deb(folder, "yagura-agent-portable", version, {
        **programs,
        "/opt/yagura/bin/yagura-agent": program("/bin/sleep"),
        "/opt/yagura/bin/yaguractl": (CONTROL, 0o755),
        "/opt/yagura/lib/ld-linux-test": ('#!/bin/sh\nshift 2\nexec "$@"\n', 0o755),
        "/usr/sbin/yaguractl": (CONTROL, 0o755),
        "/lib/systemd/system/yagura-agent.service": (UNIT.replace("/usr/sbin/", "/opt/yagura/bin/"), 0o644),
    }, replaces="yagura-agent, yagura-scanner")


def make_packages(folder, version, postinst="", blob=0, portable=False, library=True):
    """blob: bytes of the scanner that its Installed-Size does not tell. portable: that package too. library: with what
    the scanner needs."""
    os.makedirs(folder)
    if portable:
        make_portable(folder, version)
    make_deb(folder, "yagura-agent", version, {
        "/usr/sbin/yagura-agent": program("/bin/sleep"),
        "/usr/sbin/yaguractl": (CONTROL, 0o755),
        "/usr/libexec/yagura/yagura-messenger": program("/bin/true"),
        "/usr/libexec/yagura/yagura-inspector": program("/bin/true"),
        "/usr/libexec/yagura/yagura-guard": program("/bin/true"),
        "/lib/systemd/system/yagura-agent.service": (UNIT, 0o644),
    }, depends=f"yagura-scanner (= {version})",
        scripts={"postinst": "#!/bin/sh\nset -e\n" + postinst} if postinst else None)
    files = {"/usr/libexec/yagura/yagura-scanner": program("/bin/true")}
    if blob:
        files["/usr/share/yagura/blob"] = (bytes(blob), 0o644)
    make_deb(folder, "yagura-scanner", version, files, depends="libyagura-test (>= 1:1)")
    if library:
        make_deb(folder, "libyagura-test", "1:1.0", {"/usr/lib/yagura/test": ("library", 0o644)})
    execute(folder)


def execute(folder):
    done = subprocess.run([TRY, folder], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)


def build(output, version, *folders, good=True):
    done = subprocess.run([BUILD, "--version", version, "--output", output, *folders],
                          capture_output=True, text=True, check=False)
    if good and done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return done
