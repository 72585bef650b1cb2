"""moto in the place of S3, SQS and SNS, and yagura-storage on it."""
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
spec = importlib.util.spec_from_file_location(
    "agent_harness", os.path.join(ROOT, "tests/system/agent/harness.py"))
agents = importlib.util.module_from_spec(spec)
spec.loader.exec_module(agents)
EICAR, CLEAN, Skip, SECONDS = agents.EICAR, agents.CLEAN, agents.Skip, agents.SECONDS
REGION = "eu-west-1"


def strangers_environment():
    """What programs may see of this machine's: nothing of AWS, of us, or of a way out."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith(("AWS_", "YAGURA_", "_HANDLER")) and not name.lower().endswith("_proxy")}


class Account:
    """A moto server; one for a test program."""

    def __init__(self):
        program = shutil.which("moto_server")
        if importlib.util.find_spec("boto3") is None:
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
        self.use_key("testing", "x")

    def client(self, service):
        import boto3  # pylint: disable=import-outside-toplevel
        return boto3.client(service, region_name=REGION, endpoint_url=self.url,
                            aws_access_key_id=self.key[0], aws_secret_access_key=self.key[1])

    def use_key(self, identity, secret):
        """Ours, and from now on that of the programs."""
        self.key = identity, secret
        self.s3, self.sqs, self.sns = map(self.client, ("s3", "sqs", "sns"))

    def check_signatures(self):
        """From now on moto believes a request by its signature and its user's permissions alone."""
        iam = self.client("iam")
        iam.create_user(UserName="scanner")
        iam.put_user_policy(UserName="scanner", PolicyName="all", PolicyDocument=json.dumps({
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": ["s3:*", "sqs:*", "sns:*"], "Resource": "*"}]}))
        made = iam.create_access_key(UserName="scanner")["AccessKey"]
        request = urllib.request.Request(self.url + "/moto-api/reset-auth", data=b"0",
                                         headers={"Content-Type": "text/plain"})
        with urllib.request.urlopen(request):
            self.use_key(made["AccessKeyId"], made["SecretAccessKey"])

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
        return {**strangers_environment(), "AWS_ENDPOINT_URL": self.url, "AWS_REGION": REGION,
                "AWS_ACCESS_KEY_ID": self.key[0], "AWS_SECRET_ACCESS_KEY": self.key[1],
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


class Programs:
    """yagura-storage in its modes, with an environment; ended with the place."""
    program = os.path.join(agents.PROGRAMS, "yagura-storage")

    def __init__(self, place, values):
        self.place, self.values, self.processes = place, values, []
        place.cleanups.append(self.end)

    @staticmethod
    def named(settings):
        return {"YAGURA_" + key.upper(): str(value) for key, value in settings.items()}

    def start(self, mode="poller", before=(), **settings):
        """before: what runs the program."""
        log = open(f"{self.place.root}/{mode}{len(self.processes)}.log", "wb+")
        process = subprocess.Popen([*before, self.program, mode], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env={**self.values, **self.named(settings)})
        process.log = log
        self.processes.append(process)
        return process

    def said(self, process=None):
        text = ""
        for one in [process] if process else self.processes:
            with open(one.log.name, encoding="utf-8", errors="replace") as stream:
                text += stream.read()
        return text

    def stop(self, process, accept=(0,)):
        process.terminate()
        code = process.wait(timeout=SECONDS)
        assert code in accept, (code, self.said(process)[-4000:])

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(timeout=40)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            process.log.close()


class Storage(Programs):
    """A bucket, a queue of its events, a topic, a queue of what is published; and the programs on
    them. Everything has a name of its own."""
    number = 0

    def __init__(self, place, versions=True, notify=True, url=None, **settings):
        Storage.number += 1
        self.cloud = account()
        name = f"storage-{os.getpid()}-{Storage.number}"
        self.bucket = self.cloud.bucket(name, versions)
        self.queue = self.cloud.queue(name + "-events")
        self.results_queue = self.cloud.queue(name + "-results")
        arn = "arn:aws:sqs:" + REGION + ":123456789012:" + name
        self.topic = self.cloud.sns.create_topic(Name=name)["TopicArn"]
        self.cloud.sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn + "-results",
                                 Attributes={"RawMessageDelivery": "true"})
        if notify:
            self.cloud.s3.put_bucket_notification_configuration(
                Bucket=name, NotificationConfiguration={"QueueConfigurations": [
                    {"QueueArn": arn + "-events", "Events": ["s3:ObjectCreated:*"]}]})
        self.results = []
        endpoint = {"AWS_ENDPOINT_URL_S3": url} if url else {}
        self.folder = place.folder(f"space{Storage.number}")
        super().__init__(place, {**self.cloud.environment(**endpoint), **self.named({
            "queue_url": self.queue, "topic_arn": self.topic, "wait": "1s", "scanner_workers": 2,
            "scanner_program": os.path.join(agents.PROGRAMS, "yagura-scanner"),
            "scanner_databases": agents.SIGNATURES, "directory": self.folder, **settings})})

    def put(self, key, body, **more):
        return self.cloud.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def tags(self, key, version=None):
        more = {"VersionId": version} if version else {}
        found = self.cloud.s3.get_object_tagging(Bucket=self.bucket, Key=key, **more)["TagSet"]
        return {tag["Key"]: tag["Value"] for tag in found}

    def collect(self):
        """All results so far."""
        while True:
            found = self.cloud.sqs.receive_message(
                QueueUrl=self.results_queue, MaxNumberOfMessages=10, WaitTimeSeconds=0,
                MessageAttributeNames=["All"]).get("Messages", [])
            if not found:
                return self.results
            for message in found:
                result = json.loads(message["Body"])
                result["attributes"] = {name: value["StringValue"] for name, value in
                                        message.get("MessageAttributes", {}).items()}
                self.results.append(result)
                self.cloud.sqs.delete_message(QueueUrl=self.results_queue,
                                              ReceiptHandle=message["ReceiptHandle"])

    def result(self, key, count=1, **wanted):
        """The count-th result of that object."""
        def find():
            found = [result for result in self.collect() if result["file_name"] == key and
                     all(result[name] == value for name, value in wanted.items())]
            return found[count - 1] if len(found) >= count else None
        return until(find, f"a result of {key}", on_wait=lambda: self.said()[-6000:])

    def left(self):
        """Messages in the queue of events: visible, hidden."""
        found = self.cloud.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["All"])
        return (int(found["Attributes"]["ApproximateNumberOfMessages"]),
                int(found["Attributes"]["ApproximateNumberOfMessagesNotVisible"]))

    def until_done(self):
        until(lambda: self.left() == (0, 0), "an empty queue",
              on_wait=lambda: f"{self.left()}\n{self.said()[-6000:]}")

    def send(self, body, queue=None):
        return self.cloud.sqs.send_message(
            QueueUrl=queue or self.queue,
            MessageBody=body if isinstance(body, str) else json.dumps(body))["MessageId"]

    def event(self, key, etag, version=None, size=None, bucket=None, name="ObjectCreated:Put"):
        """S3's own notification, as AWS writes it."""
        entry = {"key": urllib.parse.quote_plus(key, safe="/"), "eTag": etag.strip('"'),
                 "sequencer": "0055AED6DCD90281E5"}
        if version:
            entry["versionId"] = version
        if size is not None:
            entry["size"] = size
        return {"Records": [{
            "eventVersion": "2.6", "eventSource": "aws:s3", "awsRegion": REGION,
            "eventName": name, "responseElements": {"x-amz-request-id": "REQUEST"},
            "s3": {"configurationId": "c", "bucket": {"name": bucket or self.bucket},
                   "object": entry}}]}


def is_sanitized():
    """Such a build has libraries that nobody gets, and memory that is not the programs' own."""
    with open(os.path.join(agents.PROGRAMS, "yagura-storage"), "rb") as stream:
        return b"__asan_init" in stream.read()


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


__all__ = ["Account", "CLEAN", "EICAR", "REGION", "ROOT", "SECONDS", "Skip", "Storage", "account", "agents",
           "is_sanitized", "main", "sys", "until"]
