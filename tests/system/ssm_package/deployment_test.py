"""The deployment script that the console serves: filled in, signed packages only, nothing by halves."""
import base64
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../console"))
import harness  # noqa: E402
import package_case  # noqa: E402
import small_packages  # noqa: E402

SCRIPT = "/api/v1/deployment-script"


class DeploymentTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yagura-deployment-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.private = cls.folder + "/key.pem"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", cls.private], check=True)
        public = subprocess.run(["openssl", "pkey", "-in", cls.private, "-pubout", "-outform", "DER"], check=True,
                                capture_output=True).stdout
        cls.key = base64.b64encode(public[-32:]).decode()
        small_packages.make_packages(cls.folder + "/packages", "1.0")
        small_packages.build(cls.folder + "/built", "1.0", "--sign", cls.private, cls.folder + "/packages")
        cls.console = harness.Console()
        cls.console.__enter__()
        cls.addClassCleanup(cls.console.__exit__, None, None, None)
        cls.admin = cls.console.administrator()
        cls.addClassCleanup(cls.admin.close)

    def setUp(self):
        self.machine = package_case.Machine()
        self.addCleanup(self.machine.end)
        shutil.copytree(self.folder + "/built", self.machine.path("/srv/packages"))
        self.machine.write("/srv/token", "yt1-secret\n", 0o600)

    def script(self, query="?policy=web&group=a%27b%20c"):
        text = self.admin.get(SCRIPT + query, expect=200).body.decode()
        self.machine.write("/srv/deployment.sh", text)
        return text

    def deploy(self, *options, key=None, token="/srv/token"):
        return self.machine.run("sh", "/srv/deployment.sh", "--packages", "/srv/packages", "--key", key or self.key,
                                "--token-file", token, *options)

    def refused(self, done, words):
        self.assertEqual(done.returncode, 1, done)
        self.assertIn(words, done.stderr.splitlines()[-1])
        self.assertIsNone(self.machine.version())

    def test_life(self):
        self.script()
        done = self.deploy("--dry-run")
        self.assertEqual(done.returncode, 0, done)
        self.assertIn("would install yagura-agent_1.0_", done.stdout)
        self.assertIsNone(self.machine.version())
        for _ in range(2):
            done = self.deploy()
            self.assertEqual(done.returncode, 0, done)
            self.assertTrue(self.machine.runs)
            self.assertEqual(
                self.machine.asked.splitlines()[-1],
                f"activate --url https://127.0.0.1:{self.console.agents_port} --token-file /srv/token --wait 30s"
                f" --ca-pin {self.console.pin} --policy web --group a'b c")
        self.assertNotIn("yt1-secret", self.machine.asked)
        done = self.machine.run("sh", "/srv/deployment.sh", "--uninstall")
        self.assertEqual(done.returncode, 0, done)
        self.assertIsNone(self.machine.version())
        self.assertEqual(self.machine.run("sh", "/srv/deployment.sh", "--uninstall").returncode, 0)

    def test_refused(self):
        text = self.script("?url=https://yagura.example:4120")
        self.refused(self.deploy(token="/srv/none"), "there is no token in /srv/none")
        self.refused(self.deploy(key=base64.b64encode(bytes(32)).decode()), "signature")
        self.refused(self.deploy(key="AAAA"), "not the base64 of an Ed25519 key")
        whole = self.machine.read("/srv/packages/deployment.list")
        self.machine.write("/srv/packages/deployment.list", whole + "debian 12 x86_64 0 other.tar\n")
        self.refused(self.deploy(), "signature")
        self.machine.write("/srv/packages/deployment.list", whole)
        name = whole.split()[4]
        with open(self.machine.path("/srv/packages/" + name), "ab") as file:
            file.write(b"x")
        self.refused(self.deploy(), "is not what was signed")
        self.machine.write("/etc/os-release.new", "ID=alpine\nVERSION_ID=3.19\n")
        self.machine.must("mv", "/etc/os-release.new", "/etc/os-release")
        self.refused(self.deploy(), "there is no package for alpine 3.19")
        for share in range(1, 12):
            self.machine.write("/srv/deployment.sh", text[:len(text) * share // 12])
            self.deploy()
            self.assertIsNone(self.machine.version())
            self.assertFalse(self.machine.exists("/var/lib/yagura-deployment"))

    def test_route(self):
        """What is asked for stands in it, quoted; what is no name is refused."""
        text = self.script("?policy=web&url=https://yagura.example:4120")
        self.assertIn("URL='https://yagura.example:4120'\n", text)
        self.assertIn(f"PIN='{self.console.pin}'\nPOLICY='web'\nGROUP=''\n", text)
        self.assertNotIn("@", text.split("usage()")[0])
        for query in ("?policy=a;b", "?url=http://x", "?url=https://", "?url=https://x%24(id)", "?token=x", "?group=%0a"):
            self.assertEqual(self.admin.get(SCRIPT + query).status, 400, query)
        self.assertEqual(self.console.api().get(SCRIPT).status, 401)


if __name__ == "__main__":
    package_case.main()
