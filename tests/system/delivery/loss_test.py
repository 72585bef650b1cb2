"""Nothing is lost and nothing doubled, whichever end dies; numbers are compared."""
import collections
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, agents  # noqa: E402

# A console that was lost is tried again after the back-off and up to two minutes more.
RECONNECT_SECONDS = 240


def joined(place):
    both = Pair(place)
    both.agent.start()
    both.activate()
    return both


def compare(both):
    """Every event of the agent is in the console, once."""
    both.agent.sync()
    wanted = collections.Counter(event["id"] for event in both.agent.events())
    both.nudge()

    def all_there():
        events = both.events()
        found = collections.Counter(event["id"] for event in events)
        return found if not wanted - found else None
    found = both.until(all_there, f"all {len(wanted)} events", RECONNECT_SECONDS)
    assert max(found.values()) == 1, [key for key, count in found.items() if count > 1]
    return len(wanted)


def drop(both, count, name):
    for number in range(count):
        agents.put(os.path.join(both.watched, f"{name}-{number}"), agents.EICAR)


def test_the_console_is_killed_while_events_flow(place):
    both = joined(place)
    for turn in range(3):
        drop(both, 40, f"turn{turn}")
        both.console.stop(signal.SIGKILL)
        drop(both, 20, f"away{turn}")
        both.restart_console()
    assert compare(both) >= 180


def test_a_long_absence(place):
    both = joined(place)
    both.console.stop(signal.SIGKILL)
    drop(both, 1000, "absent")
    both.agent.sync(120)
    assert len(both.agent.events()) >= 2000
    both.restart_console()
    assert compare(both) >= 2000


def test_the_agent_is_killed_again_and_again(place):
    both = joined(place)
    for turn in range(4):
        drop(both, 15, f"turn{turn}")
        both.agent.kill()
        both.agent.start()
    assert compare(both) >= 60


def test_the_messenger_is_killed_again_and_again(place):
    both = joined(place)
    for turn in range(3):
        drop(both, 10, f"turn{turn}")
        starts = both.console_status()["messenger_starts"]
        for pid in agents.descendants(both.agent.process.pid):
            if agents.command_of(pid).startswith("yagura-messeng"):
                os.kill(pid, signal.SIGKILL)
        both.until(lambda: both.console_status()["messenger_starts"] > starts and
                   both.console_status()["state"] == "online", "another messenger")
    assert compare(both) >= 30
    assert both.agent.events("messenger_ended")


if __name__ == "__main__":
    agents.main()
