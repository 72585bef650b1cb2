"""Attacks and ordinary traffic of our own beside the product's verdicts, class by class: no class may
be missed, and what people write may not be taken for attacks."""
import collections
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import crs  # noqa: E402
import own_traffic  # noqa: E402
import own_traffic_later  # noqa: E402

# Least share of attacks found: of each class, and of all; most of ordinary values taken for attacks.
# The values are the hard ones, nearly every one with something in it that an attack would have.
SETS = [("own", own_traffic.ATTACKS, own_traffic.LEGITIMATE, 0.90, 0.98, 0.07),
        ("later", own_traffic_later.ATTACKS, own_traffic_later.LEGITIMATE, 0.60, 0.90, 0.10)]


def count(judges, rows):
    """Taken for attacks and all, by class and by writing."""
    answers = judges.ours([{"id": str(i), "event": row[3]} for i, row in enumerate(rows)])
    counts = collections.defaultdict(lambda: [0, 0])
    for row, answer in zip(rows, answers):
        for key in {row[0], "as " + row[2], "all"}:
            counts[key][0] += answer["action"] != "pass"
            counts[key][1] += 1
    return counts


def measure(judges):
    """(set, what, taken, of, bar, is an attack)."""
    for name, attacks, ordinary, least, least_all, most in SETS:
        for key, (taken, of) in count(judges, list(own_traffic.attacks(attacks))).items():
            yield name, key, taken, of, least_all if key == "all" else least, True
        for key, (taken, of) in count(judges, list(own_traffic.legitimate(ordinary))).items():
            yield name, key, taken, of, most if key == "all" else 1, False


def held(row):
    _, _, taken, of, bar, attack = row
    return taken >= bar * of if attack else taken <= bar * of


def main():
    with tempfile.TemporaryDirectory(prefix="yagura-own-") as folder:
        try:
            rows = list(measure(crs.Judges(os.environ["YAGURA_BUILD"], folder)))
        except crs.Skip as reason:
            print(f"SKIPPED: {reason}\n0 passed, 0 failed, 1 skipped")
            sys.exit(77)
    for row in rows:
        name, key, taken, of, _, attack = row
        print(f"{'ok' if held(row) else 'not ok'} {name}, {'attacks' if attack else 'ordinary'}, {key}: {taken} of {of}")
    bad = sum(not held(row) for row in rows)
    print(f"{len(rows) - bad} passed, {bad} failed, 0 skipped")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
