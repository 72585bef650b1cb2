"""An older state of the agent's disk comes back, as from a snapshot: what happens next is not lost."""
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, agents  # noqa: E402


def found_in_console(both):
    return [event["subject"] for event in both.events("&kind=malware_found")]


def drop(both, name):
    return agents.put(os.path.join(both.watched, name), agents.EICAR)


def test_a_snapshot_comes_back(place):
    both = Pair(place)
    both.agent.start()
    both.activate()
    early = [drop(both, f"early{number}") for number in range(3)]
    both.until(lambda: len(found_in_console(both)) == 3, "the first events are in the console")
    both.agent.stop()
    snapshot = shutil.copytree(both.agent.state, os.path.join(place.root, "snapshot"))
    both.agent.start()
    late = [drop(both, f"late{number}") for number in range(6)]
    both.until(lambda: len(found_in_console(both)) == 9, "the later events are in the console")
    before = both.agent.status()["store"]["epoch"]
    both.agent.kill()
    shutil.rmtree(both.agent.state)
    shutil.copytree(snapshot, both.agent.state)

    both.agent.start()
    after = [drop(both, f"after{number}") for number in range(3)]
    wanted = sorted(agents.escaped(path) for path in early + late + after)
    both.until(lambda: sorted(found_in_console(both)) == wanted, "new events are in the console, all once")
    both.until(lambda: both.events("&kind=store_rewound"), "and that it was rewound")
    assert both.agent.status()["store"]["epoch"] != before


if __name__ == "__main__":
    agents.main()
