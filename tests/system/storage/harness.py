"""moto in the place of S3, SQS and SNS, and yagura-storage on it."""
import importlib.util
import os
import shutil
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
spec = importlib.util.spec_from_file_location(
    "agent_harness", os.path.join(ROOT, "tests/system/agent/harness.py"))
agents = importlib.util.module_from_spec(spec)
spec.loader.exec_module(agents)
EICAR, CLEAN, Skip, SECONDS = agents.EICAR, agents.CLEAN, agents.Skip, agents.SECONDS
REGION = "eu-west-1"


class Account:
    """A moto server; one for a test program."""

    def __init__(self):
        program = shutil.which("moto_server")
        try:
            import boto3  # pylint: disable=import-outside-toplevel
        except ImportError:
            program = None
        if program is None:
            raise Skip("moto_server is missing (pip install 'moto[server]')")
        self.process = subprocess.Popen(
            [program, "-H", "127.0.0.1", "-p", "0"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.url = next((line.split()[-1] for line in self.process.stdout if "Running on" in line),
                        None)
        if self.url is None:
            raise Skip("moto_server does not start")
        self.reader = threading.Thread(target=self.process.stdout.read, daemon=True)
        self.reader.start()
        self.s3, self.sqs, self.sns = (
            boto3.client(service, region_name=REGION, endpoint_url=self.url,
                         aws_access_key_id="testing", aws_secret_access_key="x")
            for service in ("s3", "sqs", "sns"))

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.reader.join()
        self.process.stdout.close()

    def bucket(self, name, versions=False):
        self.s3.create_bucket(Bucket=name,
                              CreateBucketConfiguration={"LocationConstraint": REGION})
        if versions:
            self.s3.put_bucket_versioning(Bucket=name,
                                          VersioningConfiguration={"Status": "Enabled"})
        return name

    def queue(self, name, **attributes):
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def environment(self, **more):
        """For a program that is to see this account and nothing of this machine."""
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("AWS_", "YAGURA_", "_HANDLER")) and
                not name.lower().endswith("_proxy")}
        return {**kept, "AWS_ENDPOINT_URL": self.url, "AWS_REGION": REGION,
                "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "x",
                "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
                "AWS_CONFIG_FILE": "/nonexistent", **more}


def until(holds, what, seconds=SECONDS, on_wait=None):
    """Asks again until it holds; for services that cannot tell when."""
    end = time.monotonic() + seconds
    while True:
        value = holds()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}" +
                                 (f"\n{on_wait()}" if on_wait else ""))
        time.sleep(0.05)


_account = []


def account():
    if not _account:
        _account.append(Account())
    return _account[0]


def main():
    try:
        agents.main()
    finally:
        for started in _account:
            started.stop()


__all__ = ["Account", "CLEAN", "EICAR", "REGION", "ROOT", "SECONDS", "Skip", "account", "agents",
           "main", "sys", "until"]
