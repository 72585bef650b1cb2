"""A protected agent leaves by a removal code of its console, and by nothing else: the packages, the console and AWS's own
command are real, Parameter Store is moto with signatures and permissions checked."""
import os
import shutil
import subprocess
import unittest

import cloud_case
import package_case

PROTECTED = cloud_case.POLICY + "protection = { enabled = true; };\n"
PURGE = {"SSM_YAGURA_PURGE": "yes"}
CODE = "/yagura/removal-code"


def aws_command():
    """AWS's command as this machine has it, behind pyenv's shim too."""
    found = shutil.which("aws")
    if found is None:
        raise unittest.SkipTest("the aws command is missing (pip install awscli)")
    asked = subprocess.run(["pyenv", "which", "aws"], capture_output=True, text=True, check=False) \
        if shutil.which("pyenv") else None
    return asked.stdout.strip() if asked and asked.returncode == 0 else os.path.realpath(found)


class RemovalTest(cloud_case.CloudTest):
    # With the root that this test runs on: AWS's command is not on a clean one.
    root = "/"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if isinstance(cls.account, cloud_case.cloud.Unchecked):
            raise unittest.SkipTest("moto_server is missing (pip install moto[server])")
        cls.aws = aws_command()

    def setUp(self):
        super().setUp()
        self.machine.write("/usr/local/bin/aws", f'#!/bin/sh\nexec {self.aws} "$@"\n', 0o755)
        self.parameters()
        done = self.agent.configure()
        self.assertEqual(done.status, "Success", f"{done}\n{self.machine.logs()}")
        self.computer = cloud_case.until(self.computers, "the computer")[0]["id"]
        tag = self.admin.get("/api/v1/policies/test").headers["ETag"]
        self.admin.put("/api/v1/policies/test", {"text": PROTECTED}, expect=200, If_Match=tag)
        cloud_case.until(lambda: self.machine.exists("/var/lib/yagura/protection"), "the protection")

    def make(self, path="", seconds=3600):
        return self.admin.post(f"/api/v1/{path}removal-code", {"expires_seconds": seconds}, expect=201).json["code"]

    def put(self, code, kind="SecureString"):
        self.account.put(kind=kind, values={CODE: code})
        self.account.guard(True)

    def uninstall(self, **arguments):
        return self.agent.configure("Uninstall", arguments=arguments or None)

    def stays(self, words, **arguments):
        result = self.uninstall(**arguments)
        self.assertEqual((result.status, result.steps), ("Failed", [("uninstall", 1)]), result)
        self.assertTrue(result.cause.startswith("yagura: this agent is protected"), result)
        self.assertIn(words, result.cause, result)
        self.assertTrue(self.machine.exists("/var/lib/yagura/protection"))
        self.assertIsNotNone(self.machine.version())

    def wrong_codes(self):
        """(code, words of the refusal)"""
        other = self.admin.post("/api/v1/groups", {"name": "other"}, expect=201).json["id"]
        computer = f"computers/{self.computer}/"
        good = self.make(computer)
        return (("yr1.", "this is no removal code"), (good[:-20], "this is no removal code"),
                ("kms:alias/aws/ssm:" + good, "this is no removal code"),
                (self.make(f"groups/{other}/"), "a group that this host is not in"),
                (self.foreign(), "not signed by this host's console"), (self.old(), "has expired"))

    def old(self):
        """Made three days ago for a day."""
        clock = {"LD_PRELOAD": os.environ["YAGURA_SHIFTED_CLOCK"], "SHIFTED_CLOCK": str(-3 * 86400)}
        return subprocess.run(
            [os.path.join(cloud_case.harness.BIN, "yagura-console"), "--config", self.console.config, "removal-code", "--all"],
            capture_output=True, text=True, check=True, env={**os.environ, **clock}).stdout

    def foreign(self):
        """A code of another console for all of its computers."""
        with cloud_case.harness.Console() as other:
            return other.administrator().post("/api/v1/removal-code", {}, expect=201).json["code"]

    def test_only_with_a_good_code(self):
        self.stays("there is no parameter /yagura/removal-code")
        for code, words in self.wrong_codes():
            self.put(code)
            self.stays(words)
        self.put(self.make(f"computers/{self.computer}/"), kind="String")
        key, secret = self.account.keys({**cloud_case.cloud.ALLOWED, "Statement": [
            {**cloud_case.cloud.ALLOWED["Statement"][0], "Effect": "Deny"}]})
        self.account.guard(True)
        self.credentials(key, secret)
        self.stays("allow ssm:GetParameters")
        self.credentials(*self.good_keys)
        done = self.uninstall()
        self.assertEqual(done.status, "Success", done)
        self.assertIsNone(self.machine.version())
        self.assertTrue(self.machine.exists("/var/lib/yagura/console/identity.json"))

    def test_without_an_agent_and_a_console(self):
        """Stopping the agent helps nobody; and what the code has to be is known without the console."""
        code = self.make(f"computers/{self.computer}/")
        self.machine.must("systemctl", "stop", package_case.AGENT)
        self.console.stop()
        for words in (["dpkg", "--remove", "yagura-agent"], ["yaguractl", "reset"]):
            refused = self.machine.run(*words)
            self.assertNotEqual(refused.returncode, 0, refused)
            self.assertIn("this agent is protected", refused.stderr + refused.stdout)
        self.put(code[:-4] + "AAAA")
        self.stays("does not release it", **PURGE)
        self.put(code)
        done = self.uninstall(**PURGE)
        self.assertEqual(done.status, "Success", done)
        self.assertFalse(self.machine.exists("/var/lib/yagura"))
        self.assertIsNone(self.machine.version())


if __name__ == "__main__":
    package_case.main()
