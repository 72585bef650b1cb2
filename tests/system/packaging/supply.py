"""What tests that install something share: the packages of this build, and clean root file systems of Debian's releases.

Packages come from YAGURA_PACKAGES, where the test "system/packaging/build" put them once for all; without it (a test started
by hand) they are built for the occasion. Roots are made by debootstrap once and stay in build/roots; nobody writes to
them, they lie below an overlay."""
import atexit
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
ROOTS = os.path.join(TREE, "build", "roots")
ROOT_BYTES = 2 << 30
SCRIPTS = {"deb": ["build-deb.sh"], "rpm": ["build-rpm.sh"], "portable": ["build-portable.sh", "--fast"]}
_here = {}


class Missing(Exception):
    """This machine cannot make it: for the reason of a skip."""


def run(*words, **options):
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


# ---- packages ----

def check_tools(kind, build):
    wanted = {"deb": ("dh", "dpkg-deb"), "rpm": ("rpmbuild", "rpm"), "portable": ("patchelf", "dpkg-deb")}[kind]
    missing = [tool for tool in wanted if shutil.which(tool) is None]
    if missing:
        raise Missing(f"{missing[0]} is missing")
    with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as stream:
        if not re.search("^CMAKE_INSTALL_PREFIX:[A-Z]*=/usr$", stream.read(), re.M):
            raise Missing("this build is not for /usr: no package can be made of it")


def build(kind, build_tree, output, **environment):
    """Paths of the packages of a kind, built from the programs of a build tree."""
    check_tools(kind, build_tree)
    script, *options = SCRIPTS[kind]
    return run(os.path.join(TREE, "packaging", script), "--built", build_tree, "--output", output, *options,
               env={**os.environ, **environment}).split()


def packages(kind, build_tree):
    """Paths of the packages of a kind; not to be changed."""
    if kind not in _here:
        folder = os.path.join(os.environ.get("YAGURA_PACKAGES") or "/nowhere", kind)
        if os.path.isdir(folder):
            _here[kind] = sorted(os.path.join(folder, name) for name in os.listdir(folder))
        else:
            folder = tempfile.mkdtemp(prefix="yagura-packages-")
            atexit.register(shutil.rmtree, folder)
            _here[kind] = build(kind, build_tree, folder)
    return _here[kind]


# ---- roots ----

def mirrors():
    """(address, suite, components) of the distribution's own repositories that this machine uses."""
    done = subprocess.run(["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)|$(SUITE)|$(CODENAME)|$(COMPONENT)",
                           "Created-By: Packages"], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    found = {}
    for line in done.stdout.splitlines():
        origin, label, address, _, codename, component = line.split("|")
        if origin in ("Debian", "Ubuntu"):
            found.setdefault((label, address, codename), []).append(component)
    if not found:
        raise Missing("this machine knows no mirror of its distribution")
    return found


def _bootstrap(release, root):
    if shutil.which("debootstrap") is None or os.getuid() != 0:
        raise Missing("debootstrap is missing, or this is not root")
    address = next((address for label, address, _ in mirrors() if label in ("Debian", "Ubuntu")), None)
    done = subprocess.run(["debootstrap", "--variant=minbase", release, root, address], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        raise Missing(f"no root of {release} can be made: {(done.stdout.splitlines() or [''])[-1]}")


def _add(root, names):
    """Packages of the distribution, from all its repositories: the security updates too."""
    with open(os.path.join(root, "etc/apt/sources.list"), "w", encoding="utf-8") as stream:
        for (_, address, codename), components in mirrors().items():
            stream.write(f"deb {address} {codename} {' '.join(sorted(set(components)))}\n")
    inside = ["chroot", root, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"]
    for words in (["update"], ["install", "--no-install-recommends", "-y", "-o", "Dpkg::Use-Pty=0", *names], ["clean"]):
        done = subprocess.run([*inside, "apt-get", "-q", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise Missing(f"{' '.join(names)} cannot be had: {(done.stdout.splitlines() or [''])[-1]}")


def _make(release, names, path):
    """In memory where there is room, because a package manager syncs every file; moved when it is whole."""
    try:
        space = os.statvfs("/dev/shm")
        room = space.f_bavail * space.f_frsize > ROOT_BYTES
    except OSError:
        room = False
    work = tempfile.mkdtemp(prefix="yagura-release-", dir="/dev/shm" if room else None)
    try:
        root = os.path.join(work, "root")
        _bootstrap(release, root)
        if names:
            _add(root, names)
        run("sh", "-c", 'rm -rf "$1"/dev/* "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*', "sh", root)
        run("cp", "-a", root, path + ".new")
        os.rename(path + ".new", path)
    finally:
        run("rm", "-rf", "--one-file-system", work, path + ".new")


def root_of(release, names=(), key=""):
    """A root of the release with packages of the distribution in it. Another key makes another."""
    digest = hashlib.sha256(repr((release, sorted(names), key)).encode()).hexdigest()[:12]
    os.makedirs(ROOTS, mode=0o700, exist_ok=True)
    path = os.path.join(ROOTS, f"{release}-{digest}")
    with open(os.path.join(ROOTS, "lock"), "w", encoding="ascii") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if not os.path.isdir(path):
            for name in os.listdir(ROOTS):
                if name.startswith(release + "-"):
                    run("rm", "-rf", "--one-file-system", os.path.join(ROOTS, name))
            _make(release, names, path)
    return path


def own_release():
    with open("/etc/os-release", encoding="utf-8") as stream:
        found = re.search(r'^VERSION_CODENAME="?([a-z]+)', stream.read(), re.M)
    if not found:
        raise Missing("this machine's release has no code name")
    return found[1]


def clean_root(build_tree):
    """This machine's release, with systemd and what our debs depend on, and nothing of ours."""
    debs = [path for path in packages("deb", build_tree) if "-dbgsym" not in path]
    needed = sorted({depends for deb in debs for depends in run("dpkg-deb", "-f", deb, "Depends").strip().split(", ")})
    names = sorted({re.split("[ (|:]", depends)[0] for depends in needed if not depends.startswith("yagura")})
    return root_of(own_release(), [*names, "systemd"], key=repr(needed))


def lower(build_tree):
    """What to lay below a host. Where no clean root can be had, this machine's own; packages_test.py has the skip that says so."""
    if "lower" not in _here:
        try:
            _here["lower"] = clean_root(build_tree)
        except Missing:
            _here["lower"] = "/"
    return _here["lower"]
