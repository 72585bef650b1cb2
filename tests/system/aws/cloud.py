"""moto's Parameter Store with signatures and permissions checked, the stand-ins, and an agent and a
console from the harnesses beside them."""
import base64
import json
import os
import shutil
import subprocess
import sys
import threading
import urllib.parse
import urllib.request
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
for folder in ("tests/system/delivery", "tests/stand-ins/imds", "tests/stand-ins/ssm"):
    sys.path.insert(0, os.path.join(ROOT, folder))
import imds  # noqa: E402
import ssm  # noqa: E402
from pair import Pair, agents  # noqa: E402

__all__ = ["Account", "Amazon", "Cloud", "Unchecked", "agents", "imds", "ssm"]
REGION = "eu-west-1"
ALLOWED = {"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Action": ["ssm:GetParameters"], "Resource": "*"}]}


class Account:
    """A moto server; one for a test program. Its API is called without a signature while nothing is
    checked; from guard() on everything is."""

    def __init__(self):
        program = shutil.which("moto_server")
        if program is None:
            raise agents.Skip("moto_server is missing (pip install moto[server])")
        self.process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", "0"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in self.process.stdout:
            if "Running on" in line:
                self.url = line.split()[-1]
                break
        else:
            raise agents.Skip("moto_server does not start")
        self.reader = threading.Thread(target=self.process.stdout.read, daemon=True)
        self.reader.start()
        self.names = 0

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.reader.join()
        self.process.stdout.close()

    def post(self, path, body, **headers):
        request = urllib.request.Request(self.url + path, body.encode(), {
            key.replace("_", "-"): value for key, value in headers.items()})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read().decode()

    def guard(self, on):
        """Signatures and permissions, as AWS checks them."""
        self.post("/moto-api/reset-auth", "0" if on else "inf", Content_Type="text/plain")

    def scope(self, service):
        return f"AWS4-HMAC-SHA256 Credential=x/20260101/{REGION}/{service}/aws4_request, " \
               "SignedHeaders=host, Signature=x"

    def query(self, service, version, action, **values):
        self.guard(False)
        text = self.post("/", urllib.parse.urlencode({"Action": action, "Version": version, **values}),
                         Authorization=self.scope(service),
                         Content_Type="application/x-www-form-urlencoded")
        return {element.tag.split("}")[-1]: element.text
                for element in xml.etree.ElementTree.fromstring(text).iter()}

    def keys(self, policy):
        """(key, secret) of a new user, who may do what policy says."""
        self.names += 1
        user = f"user{self.names}"
        self.query("iam", "2010-05-08", "CreateUser", UserName=user)
        if policy:
            self.query("iam", "2010-05-08", "PutUserPolicy", UserName=user, PolicyName="p",
                       PolicyDocument=json.dumps(policy))
        made = self.query("iam", "2010-05-08", "CreateAccessKey", UserName=user)
        return made["AccessKeyId"], made["SecretAccessKey"]

    def role_keys(self, policy):
        """(key, secret, session token) of a role, as an instance gets them."""
        self.names += 1
        role = f"role{self.names}"
        self.query("iam", "2010-05-08", "CreateRole", RoleName=role,
                   AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}))
        self.query("iam", "2010-05-08", "PutRolePolicy", RoleName=role, PolicyName="p",
                   PolicyDocument=json.dumps(policy))
        made = self.query("sts", "2011-06-15", "AssumeRole", RoleSessionName="i-0123456789abcdef0",
                          RoleArn=f"arn:aws:iam::123456789012:role/{role}")
        return made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"]

    def clear(self, names):
        self.guard(False)
        self.post("/", json.dumps({"Names": list(names)}), Authorization=self.scope("ssm"),
                  X_Amz_Target="AmazonSSM.DeleteParameters",
                  Content_Type="application/x-amz-json-1.1")

    def put(self, kind="SecureString", **parameters):
        """Names with slashes are keys of a dictionary given as values=."""
        self.guard(False)
        for name, value in parameters.pop("values", parameters).items():
            self.post("/", json.dumps({"Name": name, "Value": value, "Type": kind,
                                       "Overwrite": True}),
                      Authorization=self.scope("ssm"), X_Amz_Target="AmazonSSM.PutParameter",
                      Content_Type="application/x-amz-json-1.1")


class Unchecked:
    """The stand-in in the place of an Account where moto is missing: any signature is good, anybody may read."""

    def __init__(self):
        self.service = ssm.Ssm()
        self.service.__enter__()
        self.url = self.service.url

    def stop(self):
        self.service.__exit__(None, None, None)

    def post(self, path, _):
        assert path == "/moto-api/reset", path
        self.service.parameters.clear()

    def put(self, values):
        self.service.parameters.update(values)

    @staticmethod
    def keys(_):
        return "A", "s"

    def guard(self, _):
        pass


class Amazon:
    """Signs instance identity documents as a region of EC2 does."""

    def __init__(self, folder):
        self.folder = folder
        self.certificate, self.key = f"{folder}/{REGION}.pem", f"{folder}/{REGION}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256",
                        "-subj", "/CN=" + REGION, "-days", "100", "-keyout", self.key,
                        "-out", self.certificate], check=True, capture_output=True)

    def identity(self, instance, account="123456789012"):
        """(document, rsa2048) as the metadata give them."""
        document = json.dumps({"accountId": account, "instanceId": instance, "region": REGION,
                               "pendingTime": "2026-11-22T00:00:00Z", "version": "2017-09-30"},
                              indent=2)
        done = subprocess.run(["openssl", "cms", "-sign", "-binary", "-md", "sha256", "-signer",
                               self.certificate, "-inkey", self.key, "-outform", "DER",
                               "-nodetach", "-nocerts"], input=document.encode(), check=True,
                              capture_output=True)
        return document, base64.encodebytes(done.stdout).decode()


class Cloud:
    """An agent, a console, metadata; what AWS tools read from the environment is of this test."""

    def __init__(self, place, account=None, console="", agent_settings=None, **more):
        self.place, self.account = place, account
        self.saved = dict(os.environ)
        place.cleanups.append(self.restore)
        self.metadata = imds.Imds()
        self.metadata.__enter__()
        place.cleanups.append(lambda: self.metadata.__exit__(None))
        for name in list(os.environ):
            if name.startswith(("AWS_", "BWS_")) or name.lower().endswith("_proxy"):
                del os.environ[name]
        self.both = Pair(place, settings=console, **more)
        self.agent = self.both.agent
        self.metadata.region = REGION
        endpoint = {"AWS_ENDPOINT_URL_SSM": account.url} if account else {}
        # Files that are not this machine's: none.
        self.environment = {"AWS_EC2_METADATA_SERVICE_ENDPOINT": self.metadata.url,
                            "AWS_SHARED_CREDENTIALS_FILE": place.root + "/none",
                            "AWS_CONFIG_FILE": place.root + "/none", **endpoint}
        self.agent.write_config(**(agent_settings or {}))

    def restore(self):
        os.environ.clear()
        os.environ.update(self.saved)

    def parameters(self, prefix="/yagura/", **changes):
        """What the console's host has to know, put under prefix."""
        values = {"activation-url": self.both.url, "token": self.both.token(),
                  "ca-pin": self.both.console.pin, "policy": "test"}
        values.update({key.replace("_", "-"): value for key, value in changes.items()})
        return {prefix + name: value for name, value in values.items() if value is not None}

    def order(self, *options, accept=(0,), wait="40s", **environment):
        """yaguractl activate --parameter-store with an environment of its own: what it says."""
        given = {**self.saved, **self.environment, **environment}
        for name in list(given):
            if name not in environment and name not in self.environment and \
                    (name.startswith(("AWS_", "BWS_")) or name.lower().endswith("_proxy")):
                del given[name]
        done = subprocess.run(
            [os.path.join(agents.PROGRAMS, "yaguractl"), "--socket", self.agent.socket, "activate",
             "--parameter-store", "--wait", wait, *options], env=given, capture_output=True,
            text=True, timeout=120, check=False)
        assert done.returncode in accept, (done, self.agent.log_end())
        return done.stdout + done.stderr

    def role(self, policy=None):
        self.metadata.role = "reader"
        self.metadata.document = imds.credentials(*self.account.role_keys(policy or ALLOWED))
        self.account.guard(True)
