"""A machine, its Systems Manager agent and built packages for the tests of this folder."""
import contextlib
import os
import shutil
import sys
import tempfile
import unittest

import distributor
import scratch_root
import small_packages

sys.path.insert(0, os.path.join(small_packages.ROOT, "tests/system/packaging"))
import supply  # noqa: E402

AGENT = "yagura-agent.service"


@contextlib.contextmanager
def skipping():
    """What this machine cannot make is a skip."""
    try:
        yield
    except supply.Missing as reason:
        raise unittest.SkipTest(str(reason)) from None


def real_packages(folder, kind, wanted):
    """Copies of this build's packages whose names begin as wanted, for build.sh."""
    os.makedirs(folder, exist_ok=True)
    with skipping():
        for path in supply.packages(kind, os.environ["YAGURA_BUILD"]):
            if os.path.basename(path).startswith(wanted):
                shutil.copy(path, folder)


class Machine(scratch_root.ScratchRoot):
    architecture = scratch_root.architecture()

    def answer(self, status=0, words="activated as 1234"):
        self.write("/etc/stand-in/status", f"{status}\n")
        self.write("/etc/stand-in/words", words + "\n")

    @property
    def asked(self):
        return self.read("/var/log/stand-in") if self.exists("/var/log/stand-in") else ""

    def logs(self):
        """What the scripts and the service wrote, for a failure's message."""
        return self.run("sh", "-c", "tail -n 40 /var/log/yagura-ssm-package.log /var/log/yagura-agent.service.log").stdout

    @property
    def runs(self):
        return self.run("systemctl", "is-active", AGENT).returncode == 0

    def version(self, name="yagura-agent"):
        done = self.run("dpkg-query", "-W", "-f=${db:Status-Status} ${Version}", name)
        return done.stdout.removeprefix("installed ") if done.stdout.startswith("installed ") else None


class PackageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yagura-package-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.built = {}
        for version in ("1.0", "2.0"):
            cls.make(version)

    @classmethod
    def make(cls, version, **how):
        packages = f"{cls.folder}/packages-{version}"
        small_packages.make_packages(packages, version, **how)
        cls.built[version] = f"{cls.folder}/built-{version}"
        small_packages.build(cls.built[version], version, packages)

    def machine(self, *versions, **how):
        machine = Machine(**how)
        self.addCleanup(machine.end)
        agent = distributor.Distributor(machine)
        for version in versions or ("1.0",):
            agent.publish(self.built[version])
        return machine, agent

    def done(self, result, scripts=None):
        self.assertEqual(result.status, "Success", result)
        if scripts is not None:
            self.assertEqual(result.scripts, scripts, result)

    def failed(self, result, words):
        self.assertEqual(result.status, "Failed", result)
        self.assertIn(words, result.cause, result)
        self.assertTrue(all(status in (0, 1) for _, status in result.steps), result)


def main():
    program = unittest.main(exit=False, verbosity=2)
    result = program.result
    bad = len(result.failures) + len(result.errors)
    skipped = len(result.skipped)
    passed = max(0, result.testsRun - bad - skipped)  # a class that is skipped runs no test
    print(f"{passed} passed, {bad} failed, {skipped} skipped")
    sys.exit(1 if bad else 77 if skipped and not passed else 0)
