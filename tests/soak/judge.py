"""What the events of a run say: each malicious file's two, once, and nothing that the load did not cause."""
import collections

# How often the load causes them: of each malicious file one, of the run so many.
OF_A_FILE = ("malware_found", "malware_quarantined")
OF_THE_RUN = {"agent_started": 1, "scanner_ready": 1, "policy_applied": 1, "activated": 2}  # the agent's own and the console's


def faults(events, at_agent, files):
    """As lines. events: the console's; at_agent: those that the agent keeps; files: subjects of all malicious files."""
    found = []
    ids = collections.Counter(event["id"] for event in events)
    twice = [identifier for identifier, times in ids.items() if times > 1]
    if twice:
        found.append(f"{len(twice)} events are in the console twice, {twice[0]}")
    lost = [event for event in at_agent if event["id"] not in ids]
    if lost:
        found.append(f"{len(lost)} events of the agent are not in the console, {lost[0]['kind']} {lost[0]['subject']}")
    once = {event["id"]: event for event in [*at_agent, *events]}.values()
    return found + of_files(once, files) + of_the_run(once)


def of_files(events, files):
    found = []
    for kind in OF_A_FILE:
        told = collections.Counter(event["subject"] for event in events if event["kind"] == kind)
        for what, wrong in (("not told of", files - set(told)), ("no files of ours", set(told) - files),
                            ("told of more than once", {name for name, times in told.items() if times > 1})):
            if wrong:
                found.append(f"{kind}: {len(wrong)} are {what}, {min(wrong)}")
    return found


def of_the_run(events):
    found = []
    for kind, times in collections.Counter(event["kind"] for event in events).items():
        if kind not in OF_A_FILE and times > OF_THE_RUN.get(kind, 0):
            last = [event for event in events if event["kind"] == kind][-1]
            found.append(f"{times} events {kind} that nothing here caused, {last['subject']}")
    return found


def blind_spots(events, at_agent, files):
    """Which damages of good events are not noticed, as lines: none."""
    malware = next(event for event in events if event["kind"] == "malware_quarantined")
    damages = {
        "an event twice": (events + [malware], at_agent, files),
        "a detection told again": (events + [{**malware, "id": "another"}], at_agent, files),
        "an event that was lost": ([event for event in events if event is not malware], at_agent + [malware], files),
        "a file nobody told of": (events, at_agent, files | {"/another"}),
        "a file of others": (events + [{**malware, "id": "another", "subject": "/another"}], at_agent, files),
        "a process that died": (events + [{**malware, "id": "another", "kind": "agent_died"}], at_agent, files),
        "a second start": (events + [{**malware, "id": "another", "kind": "agent_started", "subject": ""},
                                     {**malware, "id": "more", "kind": "agent_started", "subject": ""}], at_agent, files),
        "a gap that only the agent knows": (events, at_agent + [{**malware, "id": "another", "kind": "watch_gap"}], files),
    }
    return [f"the soak does not notice {name}" for name, damaged in damages.items() if not faults(*damaged)]
