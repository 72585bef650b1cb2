"""A bucket, a queue of its events and a topic on tests/stand-ins/small_aws, and yagura-storage on them: needs nothing
but Python."""
import json
import os
import subprocess
import sys

from harness import ROOT, SECONDS, agents

sys.path.insert(0, os.path.join(ROOT, "tests/stand-ins/small_aws"))
from small_aws import SmallAws  # noqa: E402

PROGRAM = os.path.join(agents.PROGRAMS, "yagura-storage")


class Stage:
    def __init__(self, place, notify=True, **settings):
        self.place = place
        self.aws = SmallAws()
        self.aws.__enter__()
        place.cleanups.append(lambda: self.aws.__exit__(None))
        queue = self.aws.queue("events")
        self.aws.queue("results")
        self.bucket = self.aws.bucket("uploads", "events" if notify else None)
        self.topic = self.aws.topic("topic", "results")
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("AWS_", "YAGURA_", "_HANDLER")) and not name.lower().endswith("_proxy")}
        self.values = {**kept, **self.aws.environment(), **self.named({
            "queue_url": queue, "topic_arn": self.topic, "wait": "1s", "scanner_workers": 2,
            "scanner_program": os.path.join(agents.PROGRAMS, "yagura-scanner"),
            "scanner_databases": agents.SIGNATURES, "directory": place.folder("space"), **settings})}
        self.processes = []
        place.cleanups.append(self.end)

    @staticmethod
    def named(settings):
        return {"YAGURA_" + key.upper(): str(value) for key, value in settings.items()}

    def start(self, mode="poller", before=(), **settings):
        """before: what runs the program."""
        log = open(f"{self.place.root}/{mode}{len(self.processes)}.log", "wb+")
        process = subprocess.Popen([*before, PROGRAM, mode], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env={**self.values, **self.named(settings)})
        process.log = log
        self.processes.append(process)
        return process

    def run(self, *words, **settings):
        done = subprocess.run([PROGRAM, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env={**self.values, **self.named(settings)}, timeout=SECONDS, check=False)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def said(self, process=None):
        text = ""
        for one in [process] if process else self.processes:
            with open(one.log.name, encoding="utf-8", errors="replace") as stream:
                text += stream.read()
        return text

    def stop(self, process):
        process.terminate()
        assert process.wait(timeout=SECONDS) == 0, self.said(process)[-4000:]

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
