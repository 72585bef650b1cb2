"""Weeks without a console, in an outbox that is too small: what is dropped is counted and told, and
malware goes last."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, agents  # noqa: E402

MALWARE, OTHERS = 120, 700  # about 0.3 MB and 1.5 MB of events


def test_a_small_outbox(place):
    both = Pair(place, agent=place.agent(store__max_size="1M", respond__action="pass",
                                         scan__max_file_size="1K"))
    both.agent.start()
    both.activate()
    both.nudge()
    both.until(lambda: both.computer()["policy_in_force"], "the policy")
    both.console.stop(signal.SIGKILL)

    folder = both.watched  # with a name so long that the limit is soon reached
    for _ in range(9):
        folder = os.path.join(folder, "d" * 200)
        os.mkdir(folder)
    both.agent.sync()
    paths = [agents.put(os.path.join(folder, f"malware-{number}"), agents.EICAR)
             for number in range(MALWARE)]
    for number in range(OTHERS):  # too large to be scanned whole, which is told
        agents.put(os.path.join(folder, f"large-{number}"), b"x" * 1025)
    both.agent.sync(120)
    status = both.agent.until(lambda status: status["store"]["dropped"] > 0, "the limit")
    assert status["store"]["bytes"] <= 1.2 * 2 ** 20, status["store"]
    assert {event["subject"] for event in both.agent.events("malware_found")} >= set(paths)

    both.restart_console()
    both.agent.kill()  # which spares the back-off, and is another chance to lose something
    both.agent.start()
    both.until(lambda: both.admin.get("/api/v1/computers").json["computers"][0]["status"] ==
               "Managed (Online)" and not set(paths) - {
                   event["subject"] for event in both.events("&kind=malware_found")},
               "every detection")
    # The last number may be of an event that was dropped itself.
    status = both.agent.until(lambda status: status["store"]["acknowledged_number"] >= max(
        event["number"] for event in both.agent.events()), "all is delivered")
    both.until(lambda: sum(event["detail"]["events"] for event in both.events("&kind=events_lost"))
               == status["store"]["dropped"], "the gap is told")
    # What the console has, what was dropped, and nothing else: the numbers say so.
    numbers = [int(row[0]) for row in both.console.query("SELECT agent_number FROM events WHERE"
                                                         " agent_number > 0")]
    assert len(numbers) == len(set(numbers)), "an event was stored twice"
    missing = set(range(1, max(numbers) + 1)) - set(numbers)
    # One that is dropped while it is on its way has arrived, and is counted all the same.
    assert 0 < len(missing) <= status["store"]["dropped"], (len(missing), status["store"])
    assert status["store"]["dropped"] - len(missing) <= 500, (len(missing), status["store"])
    assert both.agent.events("events_dropped")


if __name__ == "__main__":
    agents.main()
