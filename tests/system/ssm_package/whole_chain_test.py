"""The reason for it all, as one run: State Manager's action, install.sh, Parameter Store, activation on a real
console, the first heartbeat, malware, its detection in the console's API. Real programs; AWS is moto with signatures
and permissions checked (without moto a stand-in, and a skip that says so), and the machine is a clean root of this release."""
import time

import cloud_case
import package_case
from cloud_case import cloud, until

EICAR = r"X5O!P%@AP[4\PZX54(P^)7CC)7}$" "EICAR-STANDARD-ANTIVIRUS-TEST-FILE" "!$H+H*"


class WholeChainTest(cloud_case.CloudTest):
    def test_an_instance_protects_itself(self):
        self.parameters()
        begun = time.monotonic()
        result = self.agent.configure()
        took = time.monotonic() - begun
        self.assertEqual((result.status, result.scripts), ("Success", ["install", "validate"]),
                         f"{result}\n{self.machine.logs()}")
        self.assertIn("is installed and watching; activated as ", result.output)
        until(lambda: [c for c in self.computers() if c["status"] == "Managed (Online)"], "the first heartbeat")
        self.machine.write("/srv/files/eicar.txt", EICAR)
        found = until(self.detections, "the detection in the console's API")
        self.assertEqual(found[0]["subject"], "/srv/files/eicar.txt")
        until(lambda: not self.machine.exists("/srv/files/eicar.txt"), "the quarantine")
        secrets = self.machine.run("grep", "-rlF", self.token, "/var/log", "/etc", "/run", "/var/lib/yagura")
        self.assertEqual(secrets.stdout, "", "the token stands in a file")
        print(f"# from State Manager's action to activated and watching: {took:.1f} s")

        # A second run changes nothing; an uninstallation and a new one keep the computer.
        self.assertEqual(self.agent.configure().scripts, ["validate"])
        first = [computer["id"] for computer in self.computers()]
        self.assertEqual(self.agent.configure("Uninstall").status, "Success")
        self.assertFalse(self.machine.runs)
        result = self.agent.configure()
        self.assertEqual(result.status, "Success", result)
        self.assertEqual([computer["id"] for computer in self.computers()], first)
        self.assertEqual(len(self.detections()), 1)

    def test_signatures_and_permissions_are_checked(self):
        """A role that may not read, then a wrong secret: red, with the cause; the stand-in would let both pass."""
        if isinstance(self.account, cloud.Unchecked):
            self.skipTest("moto_server is missing: the chain above ran without signatures and permissions being checked")
        self.parameters()
        for policy, spoil, words in (({**cloud.ALLOWED, "Statement": [{**cloud.ALLOWED["Statement"][0], "Effect": "Deny"}]}, "",
                                      "allow ssm:GetParameters"), (cloud.ALLOWED, "x", "does not accept the credentials")):
            key, secret = self.account.keys(policy)
            self.account.guard(True)
            self.credentials(key, secret + spoil)
            result = self.agent.configure()
            self.assertEqual(result.status, "Failed", result)
            self.assertIn(words, result.cause, result)
        self.assertEqual(self.computers(), [])

    def test_what_a_person_must_mend(self):
        """Red, with the cause in the last line; then put right, and the next run is green."""
        self.parameters(token="")
        result = self.agent.configure()
        self.assertEqual(result.status, "Failed", result)
        self.assertIn("/yagura/token", result.cause, result)
        self.assertTrue(self.machine.runs, "it protects, though it has not joined")
        self.parameters()
        result = self.agent.configure()
        self.assertEqual((result.status, result.scripts), ("Success", ["update", "validate"]), result)
        self.assertEqual(len(self.computers()), 1)


if __name__ == "__main__":
    package_case.main()
