"""Packages and machines that are wrong: one clear line each, and nothing half-installed."""
import fcntl
import os
import shutil
import threading
import time

import package_case
import small_packages


class BadInputTest(package_case.PackageTest):
    def alone(self, machine, agent, version="1.0"):
        """The scripts without the agent's own checks."""
        agent._unpack(version, os.path.join(
            self.built[version], next(n for n in os.listdir(self.built[version]) if n.endswith(".zip"))))

        def run(script, **more):
            return machine.run("sh", script, cwd=f"{agent.home}/{version}", **more)
        return run

    def refused(self, done, words):
        self.assertEqual(done.returncode, 1, done)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, done)
        self.assertIn(words, lines[0])

    def test_damaged_package(self):
        machine, agent = self.machine()
        run = self.alone(machine, agent)
        home = f"{agent.home}/1.0"
        for name in ("common.sh", "package.conf", "Packages", "yagura-agent_1.0_%s.deb" % small_packages.architecture()):
            content = machine.path(f"{home}/{name}")
            with open(content, "rb") as file:
                whole = file.read()
            with open(content, "wb") as file:
                file.write(whole[:len(whole) // 2])
            self.refused(run("install.sh"), "not whole or was damaged")
            self.refused(run("update.sh"), "not whole or was damaged")
            with open(content, "wb") as file:
                file.write(whole)
        os.unlink(machine.path(home + "/common.sh"))
        self.refused(run("uninstall.sh"), "not whole")
        self.refused(run("validate.sh"), "not whole")
        self.assertIsNone(machine.version())

    def test_truncated_scripts(self):
        """A script that ends anywhere does nothing at all."""
        machine, agent = self.machine()
        run = self.alone(machine, agent)
        home = f"{agent.home}/1.0"
        whole = machine.read(home + "/install.sh")
        for share in range(1, 10):
            machine.write(home + "/install.sh", whole[:len(whole) * share // 10])
            run("install.sh")
            self.assertIsNone(machine.version())
            self.assertFalse(machine.exists("/var/log/yagura-ssm-package.log"))

    def test_wrong_machine(self):
        machine, agent = self.machine()
        run = self.alone(machine, agent)
        os_release = machine.path("/etc/os-release")
        text = machine.read("/etc/os-release")
        os.unlink(os_release)
        machine.write("/etc/os-release", 'ID=alpine\nVERSION_ID="3.19.1"\n')
        self.refused(run("install.sh"), "this machine is alpine 3.19.1")
        self.assertIn("no manifest found for platform: alpine", agent.configure().said[0])
        machine.write("/etc/os-release", text)
        machine.write("/usr/local/bin/uname", "#!/bin/sh\necho riscv64\n", 0o755)
        shutil.move(machine.path("/usr/local/bin/uname"), machine.path("/usr/bin/uname"))
        self.refused(run("install.sh"), "this machine is riscv64")
        self.assertIsNone(machine.version())

    def test_no_systemd(self):
        machine, agent = self.machine()
        machine.must("rmdir", "/run/systemd/system")
        self.failed(agent.configure(), "systemd does not run this machine")
        self.assertIsNone(machine.version())

    def test_locked(self):
        machine, agent = self.machine()
        agent.environment["YAGURA_LOCK_SECONDS"] = "2"
        with open(machine.path("/var/lib/dpkg/lock-frontend"), "w", encoding="ascii") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            self.failed(agent.configure(), "has been locked for 2 s by")
            self.assertIsNone(machine.version())
            agent.environment["YAGURA_LOCK_SECONDS"] = "120"
            waiting = threading.Thread(target=lambda: setattr(self, "result", agent.configure()))
            waiting.start()
            log = "/var/log/yagura-ssm-package.log"
            limit = time.monotonic() + 60
            while "Could not get lock" not in machine.read(log) and time.monotonic() < limit:
                time.sleep(0.05)
        waiting.join()
        self.done(self.result)
        agent.environment["YAGURA_LOCK_SECONDS"] = "2"
        with open(machine.path("/var/lib/dpkg/lock"), "w", encoding="ascii") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            self.failed(agent.configure("Uninstall"), "has been locked for 2 s by")
        self.done(agent.configure("Uninstall"))

    def test_disk_full(self):
        machine, agent = self.machine(size="20m")
        self.failed(agent.configure(), "is too full")
        self.assertIsNone(machine.version())
        self.make("4.0", blob=40 << 20)
        machine, agent = self.machine("4.0", size="78m")
        self.failed(agent.configure(), "the disk is full: make room")
        for name in ("yagura-agent", "yagura-scanner"):
            self.assertIsNone(machine.version(name))
        self.assertFalse(machine.exists("/usr/share/yagura/blob"))

    def test_missing_dependency(self):
        packages = f"{self.folder}/incomplete"
        small_packages.make_packages(packages, "5.0")
        os.unlink(f"{packages}/libyagura-test_1%3a1.0_{small_packages.architecture()}.deb")
        small_packages.execute(packages)
        self.built["5.0"] = f"{self.folder}/built-5.0"
        small_packages.build(self.built["5.0"], "5.0", packages)
        machine, agent = self.machine("5.0")
        self.failed(agent.configure(), "libyagura-test")
        self.assertIsNone(machine.version("yagura-scanner"))

    def test_service_does_not_start(self):
        machine, agent = self.machine()
        machine.write("/etc/systemd/system/yagura-agent.service", "[Service]\nType=notify\nExecStart=/bin/false\n")
        self.failed(agent.configure(), "installed but does not start")


if __name__ == "__main__":
    package_case.main()
