"""An older state of the agent's disk or of the console's database comes back: what happened since, and what happens
next, is in the console, once."""
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


def test_a_backup_of_the_console_takes_its_place(place):
    both = Pair(place)
    both.agent.start()
    both.activate()
    early = [drop(both, f"early{number}") for number in range(3)]
    both.until(lambda: len(found_in_console(both)) == 3, "the first events are in the console")
    backup = os.path.join(place.root, "backup")
    assert both.console.run("backup", backup).returncode == 0
    late = [drop(both, f"late{number}") for number in range(6)]
    both.until(lambda: len(found_in_console(both)) == 9, "the later events are in the console")
    both.console.stop()
    done = both.console.run("restore", backup, "--force")
    assert done.returncode == 0, done.stderr
    meanwhile = [drop(both, f"meanwhile{number}") for number in range(3)]
    both.restart_console()
    wanted = sorted(agents.escaped(path) for path in early + late + meanwhile)
    both.until(lambda: sorted(found_in_console(both)) == wanted, "all events are in the console, once")
    assert "console_rewound" in both.agent.log_end()


if __name__ == "__main__":
    agents.main()
