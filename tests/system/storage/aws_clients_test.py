"""The clients of S3, SQS and SNS against moto: the C program says what it found."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from harness import Account, Skip  # noqa: E402


def main():
    try:
        cloud = Account()
    except Skip as reason:
        print(f"SKIPPED: {reason}\n0 passed, 0 failed, 1 skipped")
        sys.exit(77)
    try:
        cloud.bucket("plain")
        cloud.bucket("versions", versions=True)
        queue = cloud.queue("results")
        topic = cloud.sns.create_topic(Name="topic")["TopicArn"]
        cloud.sns.subscribe(TopicArn=topic, Protocol="sqs",
                            Endpoint="arn:aws:sqs:eu-west-1:123456789012:results")
        done = subprocess.run([os.environ["YAGURA_AWS_CLIENTS"]], env=cloud.environment(
            TEST_QUEUE=queue, TEST_TOPIC=topic), timeout=120, check=False,
            stdin=subprocess.DEVNULL)
    finally:
        cloud.stop()
    sys.exit(done.returncode)


main()
