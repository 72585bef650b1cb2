"""What the tests and the bench of the rule engine share: rule table, events, and who judges them."""
import gzip
import json
import os
import subprocess
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
DATA = os.path.join(ROOT, "..", "shared", "data", "application")
RULES = "/usr/share/modsecurity-crs"
SETUP = "/etc/modsecurity/crs/crs-setup.conf"


class Skip(unittest.SkipTest):
    """What is needed is not here."""


class Judges:
    """Builds the table in folder; programs are those of the build tree."""

    def __init__(self, build, folder):
        self.inspect = os.path.join(build, "bin", "yagura-inspect")
        self.oracle = os.path.join(build, "tools", "crs_oracle")
        self.table = os.path.join(folder, "crs.table")
        if not os.path.isdir(RULES) or not os.path.exists(SETUP):
            raise Skip("the package modsecurity-crs is not installed")
        self.said = subprocess.run(
            [os.path.join(build, "bin", "yagura-rules-compiler"), "--output", self.table, SETUP,
             RULES], check=True, capture_output=True, text=True, timeout=60).stdout.strip()

    def ours(self, events, *options):
        """One answer for each event."""
        return self._run([self.inspect, "--rules", self.table, *options], events)

    def exact(self, events, paranoia=1):
        return self.ours(events, "--crs-exact", "--paranoia", str(paranoia))

    def libmodsecurity(self, events, paranoia=1, cpu=False):
        rules = sorted(os.path.join(RULES, "rules", name)
                       for name in os.listdir(os.path.join(RULES, "rules"))
                       if name.endswith(".conf"))
        options = ["--paranoia", str(paranoia)] + (["--cpu"] if cpu else [])
        return self._run([self.oracle, *options, SETUP, *rules], events)

    @staticmethod
    def _run(command, events):
        lines = "".join(json.dumps({"id": event["id"], "event": event["event"]}) + "\n"
                        for event in events)
        done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=900,
                              check=True)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == len(events), f"{len(answers)} answers to {len(events)} events"
        return answers


def load(name):
    path = os.path.join(DATA, name + ".jsonl.gz")
    if not os.path.exists(path):
        raise Skip(f"{name} is not here: the sample events stand in ../shared/data/application")
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def variations(events, count):
    """Attacks as they are also written: another case, more encoding, comments, other blanks."""
    changes = [
        lambda text: text.swapcase(),
        lambda text: "".join(f"%{ord(c):02x}" if ord(c) < 256 else c for c in text),
        lambda text: text.replace(" ", "/**/"),
        lambda text: text.replace(" ", "\t"),
        lambda text: "x" + text + "\u00e9",
        lambda text: text.replace("'", "\\u0027").replace("<", "\\x3c"),
    ]
    made = []
    for event in events:
        body = event["event"].get("body")
        if not body or not body.startswith("{"):
            continue
        try:
            value = json.loads(body)["param"]
        except (ValueError, KeyError):
            continue
        copy = json.loads(json.dumps(event))
        copy["event"]["body"] = json.dumps({"param": changes[len(made) % len(changes)](value)})
        copy["event"]["headers"].pop("content-length", None)
        copy["id"] += f"-v{len(made)}"
        made.append(copy)
        if len(made) == count:
            break
    return made


def compare(ours, theirs):
    """HTTP events, those with the same verdict, and the others' ids."""
    pairs = [(a, b) for a, b in zip(ours, theirs) if b["http"]]
    assert all(a["http"] == b["http"] for a, b in zip(ours, theirs))
    other = [a["id"] for a, b in pairs if (a["action"] == "block") != b["denied"]]
    return len(pairs), len(pairs) - len(other), other


def fulfils(event, rules):
    return set(event["expect"]) <= rules and not set(event["noexpect"]) & rules


def regression(events, ours, theirs):
    """Tests that libmodsecurity passes, and how many of these we pass."""
    passed = [(event, a) for event, a, b in zip(events, ours, theirs)
              if fulfils(event, set(b["rules"]))]
    kept = [event["id"] for event, a in passed
            if fulfils(event, {finding["rule"] for finding in a["findings"]})]
    return len(passed), len(kept)


def found(answers):
    return sum(answer["action"] != "pass" for answer in answers)
