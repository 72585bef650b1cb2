"""The roll-out templates: cfn-lint, and what it cannot see."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

try:
    import yaml
except ImportError:
    yaml = None

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
FOLDER = os.path.join(ROOT, "deploy/cloudformation")
TERRAFORM = os.path.join(ROOT, "deploy/terraform")
BUILDERS = os.path.join(ROOT, "packaging/builders")
TEMPLATES = ("account", "organization", "service-catalog")


def load(name):
    class Loader(yaml.SafeLoader):
        pass

    def function(loader, suffix, node):
        build = {yaml.ScalarNode: loader.construct_scalar, yaml.SequenceNode: loader.construct_sequence,
                 yaml.MappingNode: loader.construct_mapping}[type(node)]
        value = build(node, deep=True) if not isinstance(node, yaml.ScalarNode) else build(node)
        return {suffix: value}
    Loader.add_multi_constructor("!", function)
    with open(f"{FOLDER}/{name}.yaml", encoding="utf-8") as file:
        return yaml.load(file, Loader)


class TemplatesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if yaml is None:
            raise unittest.SkipTest("python3-yaml is missing")
        cls.account = load("account")
        cls.association = cls.account["Resources"]["Association"]["Properties"]

    def test_lint(self):
        if shutil.which("cfn-lint") is None:
            self.skipTest("cfn-lint is missing")
        done = subprocess.run(["cfn-lint", *(f"{FOLDER}/{name}.yaml" for name in TEMPLATES),
                               BUILDERS + "/codebuild.yaml"], capture_output=True,
                              text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_schedule(self):
        """30 minutes to 31 days; new instances at once."""
        parameter = self.account["Parameters"]["Schedule"]
        self.assertRegex(parameter["Default"], parameter["AllowedPattern"])
        for wrong in ("rate(5 minutes)", "rate(1 month)", "daily", "rate(0 days)", "rate(30minutes)"):
            self.assertNotRegex(wrong, parameter["AllowedPattern"])
        self.assertEqual(self.association["ScheduleExpression"], {"Ref": "Schedule"})
        self.assertNotIn("ApplyOnlyAtCronInterval", self.association)
        self.assertEqual(self.association["MaxConcurrency"], "100%")
        self.assertEqual(self.association["MaxErrors"], "100%")

    def test_action(self):
        """Values of AWS-ConfigureAWSPackage, each a list of one; nothing secret among them."""
        self.assertEqual(self.association["Name"], "AWS-ConfigureAWSPackage")
        parameters = self.association["Parameters"]
        self.assertEqual(set(parameters), {"action", "installationType", "name", "version", "additionalArguments"})
        self.assertEqual(parameters["action"], ["Install"])
        self.assertIn(parameters["installationType"], (["In-place update"], ["Uninstall and reinstall"]))
        self.assertTrue(all(len(value) == 1 for value in parameters.values()))
        arguments = json.loads(parameters["additionalArguments"][0]["Sub"])
        self.assertTrue(all(key.startswith("SSM_") for key in arguments))
        self.assertNotIn("token", json.dumps(arguments).lower())

    def test_targets(self):
        tagged, every = self.association["Targets"][0]["If"][1:]
        self.assertEqual(tagged["Key"], {"Sub": "tag:${TargetTagKey}"})
        self.assertEqual(every, {"Key": "InstanceIds", "Values": ["*"]})

    def test_version(self):
        """The document's version is the association's, and the manifest's by the same name."""
        package = self.account["Resources"]["Package"]["Properties"]
        self.assertEqual(package["VersionName"], {"Ref": "PackageVersion"})
        self.assertEqual(self.association["Parameters"]["version"], [package["VersionName"]])
        self.assertEqual(package["Content"], {"Ref": "PackageManifest"})
        self.assertEqual((package["DocumentType"], package["UpdateMethod"]), ("Package", "NewVersion"))
        with open(ROOT + "/CMakeLists.txt", encoding="utf-8") as file:
            version = re.search(r"project\(yagura VERSION (\S+)", file.read()).group(1)
        self.assertEqual(self.account["Parameters"]["PackageVersion"]["Default"], version)

    def test_policy(self):
        """Reads the parameters below the prefix, decrypts the token and a removal code only, and nothing else."""
        statements = self.account["Resources"]["InstancePolicy"]["Properties"]["PolicyDocument"]["Statement"]
        read, key = statements[0], statements[1]["If"][1]
        self.assertEqual(len(statements), 2)
        self.assertEqual(read["Action"], ["ssm:GetParameter", "ssm:GetParameters"])
        self.assertTrue(read["Resource"]["Sub"].endswith(":parameter${ParameterPrefix}/*"))
        self.assertEqual((key["Action"], key["Resource"]), ("kms:Decrypt", {"Ref": "TokenKeyArn"}))
        parameters = [each["Sub"].rsplit("${ParameterPrefix}", 1)[1]
                      for each in key["Condition"]["StringEquals"]["kms:EncryptionContext:PARAMETER_ARN"]]
        self.assertEqual(parameters, ["/token", "/removal-code"])

    def test_no_token(self):
        """No template makes, takes or passes it."""
        for name in TEMPLATES:
            template = load(name)
            self.assertFalse([key for key in template["Parameters"] if key.lower().endswith("token")])
            self.assertNotIn("/token'", str([part["Properties"].get("Name") for part in template["Resources"].values()
                                             if part["Type"] == "AWS::SSM::Parameter"]))

    def test_organization(self):
        """What the StackSet passes on, account.yaml has; what account.yaml needs is passed on."""
        fleet = load("organization")["Resources"]["Fleet"]["Properties"]
        passed = {entry["ParameterKey"] for entry in fleet["Parameters"]}
        self.assertLessEqual(passed, set(self.account["Parameters"]))
        needed = {key for key, value in self.account["Parameters"].items() if "Default" not in value}
        self.assertLessEqual(needed, passed)
        self.assertEqual(fleet["PermissionModel"], "SERVICE_MANAGED")
        self.assertTrue(fleet["AutoDeployment"]["Enabled"])

    def test_terraform(self):
        """The same values as in account.yaml."""
        with open(TERRAFORM + "/main.tf", encoding="utf-8") as file:
            text = file.read()
        for key, value in (("action", "Install"), ("installationType", "In-place update"),
                           ("max_concurrency", "100%"), ("compliance_severity", "HIGH")):
            self.assertRegex(text, rf'{key} += "{value}"')
        with open(TERRAFORM + "/variables.tf", encoding="utf-8") as file:
            declared = set(re.findall(r'variable "(\w+)"', file.read()))
        self.assertEqual(set(re.findall(r"var\.(\w+)", text)), declared)
        self.assertIn('version_name    = local.version', text)
        if shutil.which("terraform") is None:
            self.skipTest("terraform is missing: its files are not parsed")
        done = subprocess.run(["terraform", "fmt", "-check", "-diff", TERRAFORM], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stderr)

    def test_terraform_validate(self):
        """Only where the provider is: nothing is fetched."""
        plugins = os.environ.get("YAGURA_TERRAFORM_PLUGINS")
        if shutil.which("terraform") is None or not plugins:
            self.skipTest("terraform validate needs the aws provider: YAGURA_TERRAFORM_PLUGINS=FOLDER names a mirror of it")
        with tempfile.TemporaryDirectory() as folder:
            for name in ("main.tf", "variables.tf"):
                shutil.copy(f"{TERRAFORM}/{name}", folder)
            for words in (["init", "-backend=false", "-input=false", "-plugin-dir=" + plugins], ["validate"]):
                done = subprocess.run(["terraform", "-chdir=" + folder, *words], stdin=subprocess.DEVNULL,
                                      capture_output=True, text=True, check=False)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def builds(self, *words, good=True):
        done = subprocess.run([BUILDERS + "/build.sh", "--dry-run", "--output", "/folder", *words],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode == 0, good, done.stderr)
        return done.stdout.splitlines() if good else done.stderr

    def test_builders(self):
        """Every target is built and then executed, on the architecture that was asked for; nothing unknown is."""
        for architecture, platform in (("x86_64", "linux/amd64"), ("arm64", "linux/arm64")):
            lines = self.builds("--architecture", architecture)
            self.assertTrue(all(f"--platform {platform} " in line for line in lines), lines)
            for target in ("debian-12", "debian-13", "ubuntu-22.04", "ubuntu-24.04", "amazon-2023", "redhat-9"):
                folder = f"/output/{target}-{architecture}"
                steps = [line for line in lines if folder in line]
                kind = "deb" if target.split("-")[0] in ("debian", "ubuntu") else "rpm"
                self.assertEqual(len(steps), 3, lines)
                self.assertIn(f"/source/packaging/build-{kind}.sh --version ", steps[0])
                self.assertTrue(steps[2].endswith(f"yagura-build:{target}-{architecture} sh /source/ssm-package/try.sh {folder}"), steps[2])
        self.assertEqual(len(self.builds("amazon-2023")), 6)
        self.assertIn("no target windows-11", self.builds("windows-11", good=False))
        self.assertIn("x86_64 or arm64", self.builds("--architecture", "s390x", good=False))

    def test_build_projects(self):
        """Both architectures, each on a machine of its own; roles for the given bucket only."""
        with open(BUILDERS + "/codebuild.yaml", encoding="utf-8") as file:
            text = file.read()
        self.assertRegex(text, r"Type: ARM_CONTAINER\n[^#]*Image: aws/codebuild/amazonlinux-aarch64-")
        self.assertRegex(text, r"Type: LINUX_CONTAINER\n[^#]*Image: aws/codebuild/amazonlinux-x86_64-")
        self.assertNotRegex(text, r"Resource: ['\"]?\*['\"]?$")
        with open(BUILDERS + "/buildspec.yaml", encoding="utf-8") as file:
            commands = yaml.safe_load(file)["phases"]["build"]["commands"]
        self.assertTrue(commands[0].startswith("packaging/builders/build.sh --output "))


if __name__ == "__main__":
    result = unittest.main(exit=False, verbosity=2).result
    bad, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    print(f"{max(0, result.testsRun - bad - skipped)} passed, {bad} failed, {skipped} skipped")
    sys.exit(1 if bad else 0)
