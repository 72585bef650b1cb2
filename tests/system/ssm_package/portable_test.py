"""The portable package out of its zip, on another and older distribution without network: debootstrap's smallest root
of YAGURA_TEST_RELEASE. Real programs; signatures arrive later than malware; a console is trusted by the place where
another distribution keeps its authorities."""
import json
import os
import shutil
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../console"))
import distributor  # noqa: E402
import harness  # noqa: E402
import package_case  # noqa: E402
import small_packages  # noqa: E402

RELEASE = os.environ.get("YAGURA_TEST_RELEASE", "bullseye")
EICAR = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$" "EICAR-STANDARD-ANTIVIRUS-TEST-FILE" "!$H+H*"
POLICY = """\
watch = { paths = ["/srv/files"]; crawl_interval = "0s"; };
respond = { action = "quarantine"; hold_package_files = false; };
"""
SECONDS = 60


class PortableTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with package_case.skipping():
            cls.root = package_case.supply.root_of(RELEASE)
        cls.folder = tempfile.mkdtemp(prefix="yagura-portable-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.packages = cls.folder + "/packages"
        package_case.real_packages(cls.packages, "portable", "yagura-agent-portable_")
        small_packages.execute(cls.packages)
        cls.execute_in_root()
        small_packages.build(cls.folder + "/built", "0.1.0", cls.packages)

    @classmethod
    def execute_in_root(cls):
        """try.sh once more, on a machine of that release; the packages are the same files."""
        machine = package_case.Machine(lower=cls.root)
        try:
            shutil.copytree(os.path.join(small_packages.ROOT, "ssm-package"), machine.path("/opt/ssm-package"))
            shutil.copytree(cls.packages, machine.path("/opt/packages"))
            machine.must("sh", "/opt/ssm-package/try.sh", "/opt/packages")
            shutil.copyfile(machine.path("/opt/packages/EXECUTED"), cls.packages + "/EXECUTED")
        finally:
            machine.end()

    def install(self, network):
        machine = package_case.Machine(lower=self.root, network=network)
        self.addCleanup(machine.end)
        machine.write("/etc/yagura/policy.conf", POLICY)
        machine.must("mkdir", "-p", "/srv/files", "/etc/yagura/signatures")
        agent = distributor.Distributor(machine)
        agent.environment["YAGURA_JOIN"] = "no"
        agent.publish(self.folder + "/built")
        result = agent.configure()
        self.assertEqual((result.status, result.scripts), ("Success", ["install", "validate"]), f"{result}\n{machine.logs()}")
        return machine, agent

    def until(self, machine, holds, what):
        deadline = time.monotonic() + SECONDS
        while not holds():
            self.assertLess(time.monotonic(), deadline, f"{what}\n{machine.logs()}")
            time.sleep(0.1)

    def test_manifest(self):
        """Both releases, because the programs were executed on both; nothing else."""
        with open(self.folder + "/built/manifest.json", encoding="utf-8") as file:
            manifest = json.load(file)
        pairs = {(platform, version) for platform, versions in manifest["packages"].items() for version in versions}
        with open(self.root + "/etc/os-release", encoding="utf-8") as file:
            release = next(line.split("=")[1].strip().strip('"') for line in file if line.startswith("VERSION_ID="))
        self.assertEqual(len(pairs), 2, pairs)
        self.assertIn(("debian", release), pairs)
        for name in manifest["files"]:
            self.assertLess(os.path.getsize(f"{self.folder}/built/{name}"), 60_000_000)

    def test_malware_before_signatures(self):
        """Degraded until they arrive; then all that was written since the start is scanned."""
        machine, agent = self.install(network=False)
        status = machine.run("yaguractl", "status")
        self.assertIn("degraded: no signatures", status.stdout)
        machine.write("/srv/files/eicar.txt", EICAR)
        machine.write("/srv/files/letter.txt", "a letter")
        signatures = os.path.join(small_packages.ROOT, "installer/demo-signatures")
        for name in os.listdir(signatures):
            shutil.copyfile(os.path.join(signatures, name), machine.path("/etc/yagura/signatures/" + name))
        self.until(machine, lambda: not machine.exists("/srv/files/eicar.txt"), "the malware is found")
        self.assertTrue(machine.exists("/srv/files/letter.txt"))
        self.assertIn("/srv/files/eicar.txt", machine.must("yaguractl", "events"))
        self.assertNotIn("no signatures", machine.run("yaguractl", "status").stdout)
        self.assertEqual(agent.configure("Uninstall").status, "Success")
        self.assertFalse(machine.exists("/opt/yagura") or machine.runs)
        self.assertEqual(agent.configure().status, "Success")
        self.assertIn("/srv/files/eicar.txt", machine.must("yaguractl", "events"))

    def test_a_console_that_the_system_trusts(self):
        """No pin, and the authorities where Enterprise Linux has them: this root has Debian's file nowhere."""
        with harness.Console('heartbeat = "1s";\n') as console:
            machine, _ = self.install(network=True)
            self.assertFalse(machine.exists("/etc/ssl/certs/ca-certificates.crt"))
            admin = console.administrator()
            self.addCleanup(admin.close)
            token = admin.post("/api/v1/tokens", {"name": "test"}, expect=201).json["token"]
            machine.write("/run/token", token, 0o600)
            words = ["yaguractl", "activate", "--url", f"https://127.0.0.1:{console.agents_port}", "--token-file", "/run/token"]
            refused = machine.run(*words, "--wait", "10s")
            self.assertIn("not trusted", refused.stderr)
            os.makedirs(machine.path("/etc/pki/tls/certs"))
            shutil.copyfile(console.authority, machine.path("/etc/pki/tls/certs/ca-bundle.crt"))
            machine.must(*words, "--wait", f"{SECONDS}s")
            self.assertEqual([computer["status"] for computer in admin.get("/api/v1/computers").json["computers"]],
                             ["Managed (Online)"])


if __name__ == "__main__":
    package_case.main()
