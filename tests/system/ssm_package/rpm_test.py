"""The real rpms out of a zip, on a machine whose packages rpm knows: with the libraries that they need, and without any."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "../console")]
import distributor  # noqa: E402
import harness  # noqa: E402
import package_case  # noqa: E402
import small_packages  # noqa: E402

POLICY = 'watch = { paths = ["/srv/files"]; };\nrespond = { hold_package_files = false; };\n'
PROTECTED = POLICY + "protection = { enabled = true; };\n"
SYSTEM = """\
Name: system
Version: 1
Release: 1
Summary: What a distribution would have
License: MIT
BuildArch: noarch
AutoReqProv: no
{provides}
%description
Stands for the packages of a distribution.
%files
"""


class RpmTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for tool in ("rpm", "rpmbuild", "rpm2cpio", "cpio", "patchelf"):
            if shutil.which(tool) is None:
                raise unittest.SkipTest(f"{tool} is missing")
        cls.folder = tempfile.mkdtemp(prefix="yagura-rpm-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.packages = cls.folder + "/packages"
        package_case.real_packages(cls.packages, "rpm", ("yagura-agent-", "yagura-scanner-"))
        package_case.real_packages(cls.packages, "portable", "yagura-agent-portable-")
        small_packages.execute(cls.packages)
        small_packages.build(cls.folder + "/built", "0.1.0", cls.packages)
        # The same without the portable package.
        few = cls.folder + "/few"
        package_case.real_packages(few, "rpm", ("yagura-agent-", "yagura-scanner-"))
        small_packages.execute(few)
        small_packages.build(cls.folder + "/built-few", "0.1.1", few)
        needed = cls.must("sh", "-c", 'rpm -qpR "$1"/*.rpm', "sh", cls.packages).splitlines()
        cls.libraries = sorted({line for line in needed if not line.startswith(("rpmlib(", "yagura"))})

    @staticmethod
    def must(*words):
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"{words}: {done.stdout}{done.stderr}")
        return done.stdout

    def machine(self, provides, **how):
        """rpm's database knows one package, which has what is said."""
        machine = package_case.Machine(**how)
        self.addCleanup(machine.end)
        spec = f"{self.folder}/system.spec"
        with open(spec, "w", encoding="utf-8") as file:
            file.write(SYSTEM.format(provides="".join(f"Provides: {name}\n" for name in provides)))
        self.must("rpmbuild", "-bb", "--quiet", "--define", f"_topdir {self.folder}/system", spec)
        shutil.copyfile(self.folder + "/system/RPMS/noarch/system-1-1.noarch.rpm", machine.path("/opt/system.rpm"))
        machine.must("sh", "-c", 'rm -rf /var/lib/rpm "$(rpm --eval %_dbpath)"')
        machine.must("rpm", "--initdb")
        machine.must("rpm", "-i", "/opt/system.rpm")
        machine.write("/etc/yagura/policy.conf", POLICY)
        machine.must("mkdir", "-p", "/srv/files")
        agent = distributor.Distributor(machine)
        agent.environment["YAGURA_JOIN"] = "no"
        agent.publish(self.folder + "/built")
        return machine, agent

    def lives(self, provides, expected):
        machine, agent = self.machine(provides)
        result = agent.configure()
        self.assertEqual((result.status, result.scripts), ("Success", ["install", "validate"]), f"{result}\n{machine.logs()}")
        installed = machine.must("rpm", "-qa", "--qf", "%{NAME}\\n", "yagura*").split()
        self.assertEqual(sorted(installed), expected)
        self.assertTrue(machine.runs)
        for user in ("yagura-scanner", "yagura-inspector", "yagura-messenger"):
            machine.must("getent", "passwd", user)
        self.assertEqual(agent.configure().scripts, ["validate"])
        machine.must("systemctl", "stop", "yagura-agent")
        self.assertEqual(agent.configure().scripts, ["validate", "update", "validate"])
        # Damaged by hand: repaired.
        machine.must("rpm", "-e", "--nodeps", "--noscripts", expected[0])
        self.assertEqual(agent.configure().status, "Success", machine.logs())
        self.assertTrue(machine.runs)
        result = agent.configure("Uninstall")
        self.assertEqual(result.status, "Success", f"{result}\n{machine.logs()}")
        self.assertFalse(machine.runs)
        self.assertEqual(machine.must("rpm", "-qa", "yagura*"), "")
        self.assertTrue(machine.exists("/var/lib/yagura/events.db"))

    def test_with_libraries(self):
        self.lives(self.libraries, ["yagura-agent", "yagura-scanner"])

    def test_without_libraries(self):
        self.lives(["/bin/sh"], ["yagura-agent-portable"])

    def is_not_erased(self, provides, name):
        machine, agent = self.machine(provides, network=True)
        self.assertEqual(agent.configure().status, "Success", machine.logs())
        with harness.Console('heartbeat = "1s";\n') as console:
            admin = console.administrator()
            admin.put("/api/v1/policies/test", {"text": PROTECTED}, expect=201, If_None_Match="*")
            machine.write("/run/token", admin.post("/api/v1/tokens", {"name": "fleet", "policy": "test"}, expect=201).json["token"])
            machine.must("yaguractl", "activate", "--url", f"https://127.0.0.1:{console.agents_port}", "--ca-pin", console.pin,
                         "--token-file", "/run/token", "--wait", "60s")
            harness.until(lambda: machine.exists("/var/lib/yagura/protection"))
            refused = machine.run("rpm", "-e", name)
            self.assertNotEqual(refused.returncode, 0, refused)
            self.assertIn("this agent is protected", refused.stderr)
            self.assertEqual(machine.must("rpm", "-q", "--qf", "%{NAME}", name), name)
            self.assertTrue(machine.runs)
            machine.write("/run/code", admin.post("/api/v1/removal-code", {}, expect=201).json["code"])
            machine.must("yaguractl", "release", "/run/code")
            machine.must("rpm", "-e", name)
            self.assertFalse(machine.runs)
            self.assertNotEqual(machine.run("rpm", "-q", name).returncode, 0)

    def test_a_protected_agent_is_not_erased(self):
        self.is_not_erased(self.libraries, "yagura-agent")

    def test_a_protected_portable_agent_is_not_erased(self):
        self.is_not_erased(["/bin/sh"], "yagura-agent-portable")

    def test_what_cannot_be_replaced_stays(self):
        """A zip whose packages this machine cannot have: what protects it goes on, with rpm alone and with zypper."""
        machine, agent = self.machine(["/bin/sh"])
        self.assertEqual(agent.configure().status, "Success", machine.logs())
        pid = machine.must("systemctl", "show", "--property", "MainPID", "--value", "yagura-agent")
        agent.publish(self.folder + "/built-few")
        agent._unpack("0.1.1", agent._file_for("0.1.1"))
        for zypper in (False, True):
            if zypper:
                machine.write("/usr/local/bin/zypper", '#!/bin/sh\necho "$@" >/run/zypper\necho "nothing provides libclamav"\nexit 4\n', 0o755)
                shutil.move(machine.path("/usr/local/bin/zypper"), machine.path("/usr/bin/zypper"))
            done = machine.run("sh", "install.sh", cwd=agent.home + "/0.1.1", env={"YAGURA_JOIN": "no"})
            self.assertEqual(done.returncode, 1, done)
            self.assertEqual(machine.must("rpm", "-qa", "--qf", "%{NAME}\\n", "yagura*").split(), ["yagura-agent-portable"])
            self.assertEqual(machine.must("systemctl", "show", "--property", "MainPID", "--value", "yagura-agent"), pid)
        self.assertTrue(machine.read("/run/zypper").endswith(" !yagura-agent-portable\n"), machine.read("/run/zypper"))


if __name__ == "__main__":
    package_case.main()
