"""The rule engine beside libmodsecurity on the same rules and events, and what the product makes of
attacks, ordinary traffic and events that are no requests."""
import os
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import crs  # noqa: E402

BUILD = os.environ["YAGURA_BUILD"]
results = []


def check(name, held, said):
    results.append(held)
    print(f"{'ok' if held else 'not ok'} {name}: {said}", flush=True)


def check_exact(judges):
    rules = crs.load("crs-3.3.4-regression")
    parameters = crs.load("httpparams-sample")
    events = (rules + crs.load("aws-event-shapes") + parameters[::12] +
              crs.load("legitimate-sample")[::15] +
              crs.variations([event for event in parameters if event["label"] == "bad"], 300))
    count, same, other = crs.compare(judges.exact(events), judges.libmodsecurity(events))
    check("verdicts of --crs-exact", same >= 0.995 * count,
          f"{same} of {count} as libmodsecurity's {other[:5]}")
    passed, kept = crs.regression(rules, judges.exact(rules, 4), judges.libmodsecurity(rules, 4))
    check("regression tests of the rule set", passed > 2000 and kept >= 0.98 * passed,
          f"{kept} of the {passed} that libmodsecurity passes")


def check_product(judges):
    parameters = crs.load("httpparams-sample")
    bad = [event for event in parameters if event["label"] == "bad"]
    normal = [event for event in parameters if event["label"] == "ok"]
    legitimate = crs.load("legitimate-sample")
    caught = crs.found(judges.ours(bad))
    check("attacks in parameters", caught >= 0.98 * len(bad), f"{caught} of {len(bad)}")
    taken = crs.found(judges.ours(normal))
    check("normal parameters", taken == 0, f"{taken} of {len(normal)}")
    taken = crs.found(judges.ours(legitimate))
    check("legitimate traffic", taken <= 0.007 * len(legitimate), f"{taken} of {len(legitimate)}")
    for kind, most in (("webhooks", 0.01), ("graphql", 0)):
        of_kind = [event for event in legitimate if event["cat"] == kind]
        taken = crs.found(judges.ours(of_kind))
        check(kind, taken <= most * len(of_kind), f"{taken} of {len(of_kind)}")
    shapes = judges.ours(crs.load("aws-event-shapes"))
    http = sum(answer["http"] for answer in shapes)
    check("shapes of events", http >= 12 and crs.found(shapes) == 0,
          f"{http} of {len(shapes)} are requests, {crs.found(shapes)} taken for attacks")


def main():
    with tempfile.TemporaryDirectory(prefix="yagura-crs-") as folder:
        try:
            judges = crs.Judges(BUILD, folder)
            check_exact(judges)
            check_product(judges)
        except crs.Skip as reason:
            print(f"SKIPPED: {reason}\n0 passed, 0 failed, 1 skipped")
            sys.exit(77)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed, 0 skipped")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
