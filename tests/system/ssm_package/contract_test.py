"""The Distributor package under the Systems Manager agent's contract, on a whole machine without network."""
import os
import shutil
import time

import package_case
from distributor import IN_PLACE, REINSTALL
from package_case import AGENT


class ContractTest(package_case.PackageTest):
    def test_life(self):
        """Install, again, removed by hand, uninstall, again; with no network at all."""
        machine, agent = self.machine()
        begun = time.monotonic()
        agent.seconds = 120  # whoever held the output would make the step last until then
        self.done(agent.configure(), ["install", "validate"])
        took = time.monotonic() - begun
        self.assertEqual(machine.version(), "1.0")
        self.assertEqual(machine.version("libyagura-test"), "1:1.0")
        self.assertTrue(machine.runs)
        self.assertEqual(machine.asked, "activate --parameter-store --prefix /yagura --wait 10s --region us-east-1\n")
        self.assertEqual(os.stat(machine.path("/var/log/yagura-ssm-package.log")).st_mode & 0o777, 0o600)

        again = agent.configure()
        self.done(again, ["validate"])
        self.assertIn("already installed", again.said)
        self.assertEqual(again.error, "")
        self.assertLess(agent.took, 2)

        machine.must("systemctl", "stop", AGENT)
        self.done(agent.configure(how=IN_PLACE), ["validate", "update", "validate"])
        self.assertTrue(machine.runs)
        machine.must("dpkg", "--purge", "yagura-agent")
        self.done(agent.configure(how=REINSTALL), ["validate", "install", "validate"])
        self.assertTrue(machine.runs)

        machine.write("/var/lib/yagura/identity", "mine")
        self.done(agent.configure("Uninstall"), ["uninstall"])
        self.assertIsNone(machine.version())
        self.assertFalse(machine.runs)
        self.assertEqual(machine.read("/var/lib/yagura/identity"), "mine")
        self.done(agent.configure("Uninstall"), [])
        print(f"# install.sh and validate.sh took {took:.1f} s")

    def test_versions(self):
        """Up in place, down with uninstalling, and what runs is what is installed."""
        machine, agent = self.machine()
        self.done(agent.configure())
        agent.publish(self.built["2.0"])
        self.done(agent.configure(how=IN_PLACE), ["update", "validate"])
        self.assertEqual(machine.version(), "2.0")
        self.assertEqual(machine.version("yagura-scanner"), "2.0")
        self.assertTrue(machine.runs)
        self.assertFalse(machine.exists(agent.home + "/1.0"))
        self.done(agent.configure(version="1.0", how=REINSTALL), ["uninstall", "install", "validate"])
        self.assertEqual(machine.version(), "1.0")
        self.done(agent.configure(version="2.0", how=REINSTALL), ["uninstall", "install", "validate"])
        self.assertEqual(machine.version(), "2.0")

    def test_portable(self):
        """Where libraries are missing the portable package comes; it stays; and it takes the others' place."""
        portable = "yagura-agent-portable"
        self.make("5.0", portable=True, library=False)
        self.make("6.0", portable=True)
        machine, agent = self.machine("5.0")
        self.done(agent.configure(), ["install", "validate"])
        self.assertEqual((machine.version(portable), machine.version()), ("5.0", None))
        self.assertTrue(machine.runs)
        agent.publish(self.built["6.0"])
        self.done(agent.configure(how=IN_PLACE), ["update", "validate"])
        self.assertEqual((machine.version(portable), machine.version()), ("6.0", None))
        self.done(agent.configure("Uninstall"), ["uninstall"])
        self.assertIsNone(machine.version(portable))

        machine, agent = self.machine("6.0")
        self.done(agent.configure())
        self.assertEqual((machine.version(portable), machine.version()), (None, "6.0"))
        machine.write("/var/lib/yagura/identity", "mine")
        machine.must("dpkg", "--force-depends", "--purge", "libyagura-test")
        self.make("7.0", portable=True, library=False)
        agent.publish(self.built["7.0"])
        self.done(agent.configure(how=IN_PLACE), ["update", "validate"])
        self.assertEqual((machine.version(portable), machine.version()), ("7.0", None))
        self.assertTrue(machine.runs)
        self.assertEqual(machine.read("/var/lib/yagura/identity"), "mine")
        self.assertNotIn("deactivate", machine.asked)

    def test_replaced_program_is_restarted(self):
        """A service that runs the program of before does not validate, and is started anew."""
        machine, agent = self.machine()
        self.done(agent.configure())
        shutil.copyfile(machine.path("/usr/sbin/yagura-agent"), machine.path("/usr/sbin/new"))
        os.chmod(machine.path("/usr/sbin/new"), 0o755)
        machine.must("mv", "/usr/sbin/new", "/usr/sbin/yagura-agent")
        self.done(agent.configure(), ["validate", "update", "validate"])

    def test_first_installation_failed(self):
        """The retry runs update.sh only; and after a failed one, install.sh."""
        machine, agent = self.machine()
        machine.answer(1, "yaguractl: the parameter /yagura/token is missing")
        self.failed(agent.configure(how=IN_PLACE), "the parameter /yagura/token is missing")
        self.assertTrue(machine.runs, "it protects, though it has not joined")
        machine.answer()
        self.done(agent.configure(how=IN_PLACE), ["update", "validate"])
        machine, agent = self.machine()
        machine.answer(2, "yaguractl: the token was refused")
        self.failed(agent.configure(how=REINSTALL), "the token was refused")
        machine.answer()
        self.done(agent.configure(how=REINSTALL), ["install", "validate"])

    def test_console_out_of_reach(self):
        """No failure: the agent goes on trying, and State Manager must not install for ever."""
        machine, agent = self.machine()
        machine.answer(2, "yaguractl: not yet: connection refused; the agent goes on trying")
        result = agent.configure()
        self.done(result, ["install", "validate"])
        self.assertIn("not yet: connection refused", result.output)
        self.done(agent.configure(), ["validate"])

    def test_failed_update(self):
        """The agent's rollback brings back nothing; identity survives it, and a good update heals."""
        self.make("3.0", postinst="exit 7\n")
        machine, agent = self.machine()
        self.done(agent.configure())
        machine.write("/var/lib/yagura/identity", "mine")
        agent.publish(self.built["3.0"])
        result = agent.configure(how=IN_PLACE)
        self.failed(result, "the packages could not be installed")
        self.assertEqual(result.scripts, ["update", "uninstall", "install"])
        self.assertEqual(machine.read("/var/lib/yagura/identity"), "mine")
        agent.publish(self.built["2.0"])
        self.done(agent.configure(how=IN_PLACE), ["update", "validate"])
        self.assertTrue(machine.runs)

    def test_arguments(self):
        """Other arguments of the association validate as not installed, and are taken over."""
        machine, agent = self.machine()
        self.done(agent.configure())
        where = {"SSM_YAGURA_PARAMETER_PREFIX": "/other/yagura", "SSM_YAGURA_REGION": "eu-west-1"}
        self.done(agent.configure(arguments=where), ["validate", "update", "validate"])
        self.assertIn("--prefix /other/yagura --wait 10s --region eu-west-1\n", machine.asked)
        self.done(agent.configure(arguments=where), ["validate"])
        for name, value in (("PARAMETER_PREFIX", "yagura"), ("PARAMETER_PREFIX", "/a b"), ("REGION", "x;y")):
            self.failed(agent.configure(arguments={f"SSM_YAGURA_{name}": value}), value)
        self.assertEqual(agent.configure(arguments={"YAGURA": "x"}).status, "Failed")

    def test_protected(self):
        """Only with the right code, which stands in no argument and no log, and purging too."""
        machine, agent = self.machine()
        self.done(agent.configure())
        machine.write("/var/lib/yagura/protection", "console - -\n", 0o600)
        machine.write("/etc/stand-in/code", "yr1.code-1234\n")
        purge = {"SSM_YAGURA_PURGE": "yes"}
        self.failed(agent.configure("Uninstall"), "the aws command, which would read /yagura/removal-code, is not installed")
        machine.write("/usr/local/bin/aws", '#!/bin/sh\necho "aws $*" >>/var/log/stand-in\n. /etc/stand-in/aws\n', 0o755)
        for aws, words in (("echo None", "there is no parameter /yagura/removal-code, or it is empty"),
                           ("echo", "there is no parameter /yagura/removal-code, or it is empty"),
                           ("echo 'An error occurred (AccessDeniedException): no' >&2; exit 254", "allow ssm:GetParameters"),
                           ("echo 'Unable to locate credentials' >&2; exit 253", "give it a role"),
                           ("echo 'Could not connect' >&2; exit 255", "the aws command failed: Could not connect"),
                           ("echo yr1.code-1235", "does not release it: the removal code is for another computer")):
            machine.write("/etc/stand-in/aws", aws + "\n")
            for arguments in (None, purge):
                self.failed(agent.configure("Uninstall", arguments=arguments), words)
                self.assertTrue(machine.runs)
        machine.write("/etc/stand-in/aws", "echo yr1.code-1234\n")
        machine.must("mv", "/usr/sbin/yaguractl", "/usr/sbin/away")
        self.failed(agent.configure("Uninstall"), "which checks removal codes, is missing")
        machine.must("mv", "/usr/sbin/away", "/usr/sbin/yaguractl")
        self.done(agent.configure("Uninstall", arguments=purge), ["uninstall"])
        self.assertIn("ssm get-parameters --names /yagura/removal-code --with-decryption", machine.asked)
        self.assertNotIn("code-123", machine.asked + machine.read("/var/log/yagura-ssm-package.log"))
        self.assertFalse(machine.exists("/var/lib/yagura"))

    def test_purge(self):
        machine, agent = self.machine()
        self.done(agent.configure())
        machine.write("/var/lib/yagura/identity", "mine")
        self.done(agent.configure("Uninstall", arguments={"SSM_YAGURA_PURGE": "yes"}), ["uninstall"])
        self.assertIn("deactivate", machine.asked)
        self.assertFalse(machine.exists("/var/lib/yagura"))

    def test_half_installed(self):
        """Uninstalling works on what an interrupted installation left, installing too."""
        machine, agent = self.machine()
        self.done(agent.configure())
        machine.write("/var/lib/dpkg/info/yagura-agent.prerm", "#!/bin/sh\nexit 0\n", 0o755)
        machine.must("sed", "-i", "/^Package: yagura-agent$/,/^$/s/^Status: .*/Status: install ok half-configured/",
                     "/var/lib/dpkg/status")
        os.unlink(machine.path("/usr/sbin/yaguractl"))
        self.done(agent.configure("Uninstall"), ["uninstall"])
        self.assertIsNone(machine.version())
        self.done(agent.configure(), ["install", "validate"])
        machine.must("sed", "-i", "/^Package: yagura-scanner$/,/^$/s/^Status: .*/Status: install ok unpacked/",
                     "/var/lib/dpkg/status")
        self.done(agent.configure(), ["validate", "update", "validate"])

    def test_reboot_and_timeout(self):
        """The runner itself: 194 is a reboot, then validation; time over is a failure like any other,
        and what it left is put right by the next run."""
        machine, agent = self.machine()
        folder = f"{self.folder}/strange"
        shutil.copytree(self.built["1.0"], folder)
        agent.publish(folder)
        real = agent._unpack

        def unpack(version, path):
            real(version, path)
            machine.write(f"{agent.home}/{version}/install.sh", "exit 194\n")
            machine.write(f"{agent.home}/{version}/validate.sh", "test -e /reboot || { touch /reboot; exit 1; }\n")
        agent._unpack = unpack
        result = agent.configure()
        self.assertEqual(result.steps[:3], [("install", 194), ("validate", 1), ("install", 194)], result)

        machine, agent = self.machine()
        agent.seconds = 1
        machine.write("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 0\n", 0o755)
        machine.write("/etc/apt/apt.conf.d/99stall", 'DPkg::Pre-Invoke { "sleep 300"; };\n')
        result = agent.configure()
        self.assertEqual(result.status, "Failed")
        self.assertIn(("install", 137), result.steps)
        os.unlink(machine.path("/etc/apt/apt.conf.d/99stall"))
        machine.run("pkill", "sleep")  # in the machine's own process name space
        agent.seconds = 120
        self.done(agent.configure(), ["update", "validate"])


if __name__ == "__main__":
    package_case.main()
