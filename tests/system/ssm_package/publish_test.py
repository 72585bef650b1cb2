"""Publishing and taking away, against moto's documents and buckets."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../aws"))
import cloud  # noqa: E402
import package_case  # noqa: E402
import small_packages  # noqa: E402

PUBLISH = os.path.join(small_packages.ROOT, "ssm-package/publish.sh")


class PublishTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if shutil.which("aws") is None:
            raise unittest.SkipTest("the aws command is missing")
        try:
            cls.account = cloud.Account()
        except cloud.agents.Skip as reason:
            raise unittest.SkipTest(str(reason)) from None
        cls.addClassCleanup(cls.account.stop)
        cls.account.guard(False)
        cls.folder = tempfile.mkdtemp(prefix="yagura-publish-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        for version in ("1.0", "2.0"):
            small_packages.make_packages(f"{cls.folder}/{version}", version)
            small_packages.build(f"{cls.folder}/built-{version}", version, f"{cls.folder}/{version}")

    def run_it(self, program, *words, good=True):
        done = subprocess.run(
            [program, *words], capture_output=True, text=True, check=False, timeout=120,
            env={"PATH": os.environ["PATH"], "HOME": self.folder, "AWS_ENDPOINT_URL": self.account.url,
                 "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": cloud.REGION,
                 "AWS_EC2_METADATA_DISABLED": "true"})
        self.assertEqual(done.returncode == 0, good, done)
        return done

    def ssm(self, action, **body):
        return json.loads(self.account.post("/", json.dumps(body), Authorization=self.account.scope("ssm"),
                                            X_Amz_Target="AmazonSSM." + action,
                                            Content_Type="application/x-amz-json-1.1"))

    def keys(self):
        with urllib.request.urlopen(self.account.url + "/zips?list-type=2", timeout=60) as answer:
            return set(re.findall("<Key>([^<]*)</Key>", answer.read().decode()))

    def version(self):
        return self.ssm("DescribeDocument", Name="Yagura")["Document"]["VersionName"]

    def test_life(self):
        built = [f"{self.folder}/built-{version}" for version in ("1.0", "2.0")]
        request = urllib.request.Request(self.account.url + "/zips", method="PUT")
        urllib.request.urlopen(request, timeout=60).close()
        dry = self.run_it(PUBLISH, "--bucket", "zips", "--dry-run", built[0])
        self.assertIn("aws ssm create-document", dry.stdout)
        self.assertEqual(self.keys(), set())
        self.run_it(PUBLISH, "--bucket", "zips", "--share", "123456789013", built[0])
        shown = self.ssm("DescribeDocument", Name="Yagura")["Document"]
        self.assertEqual((shown["DocumentType"], shown["VersionName"]), ("Package", "1.0"))
        with open(built[0] + "/manifest.json", encoding="utf-8") as file:
            manifest = json.load(file)
        self.assertEqual(json.loads(self.ssm("GetDocument", Name="Yagura")["Content"]), manifest)
        self.assertEqual(self.keys(), {"yagura/1.0/manifest.json", *("yagura/1.0/" + name for name in manifest["files"])})
        self.assertEqual(self.ssm("DescribeDocumentPermission", Name="Yagura", PermissionType="Share")["AccountIds"],
                         ["123456789013"])
        self.assertIn("already", self.run_it(PUBLISH, "--bucket", "zips", built[0], good=False).stderr)
        self.run_it(PUBLISH, "--bucket", "zips", built[1])
        self.assertEqual(self.version(), "2.0")
        self.run_it(PUBLISH, "--remove", "--bucket", "zips", "--dry-run")
        self.assertEqual(self.version(), "2.0")
        self.run_it(PUBLISH, "--remove", "--bucket", "zips")
        self.assertEqual(self.keys(), set())


if __name__ == "__main__":
    package_case.main()
