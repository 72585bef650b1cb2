"""A bucket, a queue of its events and a topic on tests/stand-ins/small_aws, and yagura-storage on them: needs nothing
but Python."""
import json
import os
import subprocess
import sys

from harness import ROOT, SECONDS, Programs, agents, strangers_environment

sys.path.insert(0, os.path.join(ROOT, "tests/stand-ins/small_aws"))
from small_aws import SmallAws  # noqa: E402


class Stage(Programs):
    def __init__(self, place, notify=True, **settings):
        self.aws = SmallAws()
        self.aws.__enter__()
        place.cleanups.append(lambda: self.aws.__exit__(None))
        queue = self.aws.queue("events")
        self.aws.queue("results")
        self.bucket = self.aws.bucket("uploads", "events" if notify else None)
        self.topic = self.aws.topic("topic", "results")
        super().__init__(place, {**strangers_environment(), **self.aws.environment(), **self.named({
            "queue_url": queue, "topic_arn": self.topic, "wait": "1s", "scanner_workers": 2,
            "scanner_program": os.path.join(agents.PROGRAMS, "yagura-scanner"),
            "scanner_databases": agents.SIGNATURES, "directory": place.folder("space"), **settings})})

    def run(self, *words, **settings):
        done = subprocess.run([self.program, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env={**self.values, **self.named(settings)}, timeout=SECONDS, check=False)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def results(self, key=None):
        """What is published so far."""
        with self.aws.changed:
            found = [json.loads(json.loads(message.body)["Message"]) for message in self.aws.queues["results"]]
        return [one for one in found if key in (None, one["file_name"])]

    def result(self, key, count=1):
        assert self.aws.wait(lambda: len(self.results(key)) >= count, SECONDS), (key, self.said()[-6000:])
        return self.results(key)[count - 1]

    def event(self, key):
        """S3's own notification of what is there last."""
        return self.aws.event(self.bucket, key, self.aws.latest(self.bucket, key))

    def until_acknowledged(self):
        assert self.aws.wait(lambda: not self.aws.queues["events"], SECONDS), self.said()[-6000:]
