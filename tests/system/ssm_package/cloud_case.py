"""What tests of a whole chain share: a real console, a machine whose package is real, and Parameter Store between them:
moto with signatures and permissions checked, or a stand-in where moto is missing."""
import os
import shutil
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
for place in ("../console", "../aws"):
    sys.path.insert(0, os.path.join(HERE, place))
import cloud  # noqa: E402
import distributor  # noqa: E402
import harness  # noqa: E402
import package_case  # noqa: E402
import small_packages  # noqa: E402

SECONDS = 60
POLICY = """\
watch = { paths = ["/srv/files"]; };
respond = { action = "quarantine"; };
"""
CREDENTIALS = "/var/lib/amazon/ssm/credentials"


def until(value, what):
    deadline = time.monotonic() + SECONDS
    while True:
        found = value()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {SECONDS} s: {what}"
        time.sleep(0.1)


class CloudTest(unittest.TestCase):
    root = None  # the root file system that machines begin as; None: a clean one of this release

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yagura-chain-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        package_case.real_packages(cls.folder + "/packages", "deb", ("yagura-agent_", "yagura-scanner_"))
        cls.root = cls.root or package_case.supply.lower(os.environ["YAGURA_BUILD"])
        small_packages.execute(cls.folder + "/packages")
        small_packages.build(cls.folder + "/built", "0.1.0", cls.folder + "/packages")
        try:
            cls.account = cloud.Account()
        except cloud.agents.Skip:
            cls.account = cloud.Unchecked()
        cls.addClassCleanup(cls.account.stop)

    def setUp(self):
        self.console = harness.Console('heartbeat = "1s";\n')
        self.console.__enter__()
        self.addCleanup(self.console.__exit__, None, None, None)
        self.admin = self.console.administrator()
        self.admin.put("/api/v1/policies/test", {"text": POLICY}, expect=201, If_None_Match="*")
        self.machine = package_case.Machine(lower=self.root, network=True)
        self.addCleanup(self.machine.end)
        self.agent = distributor.Distributor(self.machine)
        self.agent.publish(self.folder + "/built")
        self.machine.write("/etc/yagura/policy.conf", POLICY)
        self.machine.write("/etc/stand-in/environment", "AWS_EC2_METADATA_DISABLED=true")
        shutil.copytree(os.path.join(small_packages.ROOT, "installer/demo-signatures"),
                        self.machine.path("/etc/yagura/signatures"), dirs_exist_ok=True)
        self.machine.must("mkdir", "-p", "/srv/files")

    def parameters(self, **changes):
        self.account.post("/moto-api/reset", "")
        self.token = self.admin.post("/api/v1/tokens", {"name": "fleet", "policy": "test"}, expect=201).json["token"]
        values = {"activation-url": f"https://127.0.0.1:{self.console.agents_port}", "token": self.token,
                  "ca-pin": self.console.pin, **changes}
        self.account.put(values={"/yagura/" + name: value for name, value in values.items() if value})
        # Only the scripts of the package get these, as on an instance under default host management.
        self.good_keys = self.account.keys(cloud.ALLOWED)
        self.credentials(*self.good_keys)
        self.agent.environment = {
            "AWS_SHARED_CREDENTIALS_FILE": CREDENTIALS, "AWS_ENDPOINT_URL_SSM": self.account.url,
            "BWS_REGION": cloud.REGION, "AWS_EC2_METADATA_DISABLED": "true"}
        self.account.guard(True)

    def credentials(self, key, secret):
        self.machine.write(CREDENTIALS, f"[default]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n", 0o600)

    def computers(self):
        return self.admin.get("/api/v1/computers", expect=200).json["computers"]

    def detections(self):
        return self.admin.get("/api/v1/events?kind=malware_found", expect=200).json["events"]
