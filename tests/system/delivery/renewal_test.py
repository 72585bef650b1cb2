"""Certificates: renewed in time, expired, and never lost whoever dies on the way."""
import json
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, agents, consoles  # noqa: E402


def identity_of(both):
    with open(os.path.join(both.agent.state, "console", "identity.json"), encoding="utf-8") as stream:
        return json.load(stream)


def joined(place, settings=""):
    both = Pair(place, settings=settings)
    both.agent.start()
    both.activate()
    return both


def shows(both, identity):
    """What the console says to a heartbeat with this certificate."""
    by_hand = consoles.Agent(both.console)
    with open(by_hand.path("key.pem"), "w", encoding="ascii") as stream:
        stream.write(identity["key"])
    by_hand.use(identity["certificate"])
    answer = by_hand.client.get("/agent/v1/policy")
    by_hand.client.close()
    return answer


def test_a_short_life(place):
    """Renewed at two thirds, with a new key; then the host is away for too long."""
    both = joined(place, 'certificate_life = "10s";\n')
    first = identity_of(both)
    both.until(lambda: len(both.agent.events("certificate_renewed")) >= 2, "two renewals")
    renewed = identity_of(both)
    assert renewed["agent_id"] == first["agent_id"]
    assert renewed["key"] != first["key"] and renewed["certificate"] != first["certificate"]
    assert shows(both, first).status == 401
    both.until(lambda: both.computer()["status"] == "Managed (Online)", "it is online")
    assert not both.agent.events("messenger_ended")

    both.agent.stop()
    computer = f"/api/v1/computers/{first['agent_id']}"
    both.until(lambda: both.admin.get(computer).json["status"] == "Reactivation Required",
               "it has expired")
    both.agent.start()
    status = both.agent.until(lambda status: status["console"]["state"] == "refused", "the refusal")
    assert "activate again" in status["console"]["problem"], status["console"]
    path = both.nudge()  # it is protected all the same
    both.agent.sync()
    assert path in both.agent.subjects("malware_found")
    both.activate()
    both.until(lambda: [event for event in both.events("&kind=malware_found")
                        if event["subject"] == path], "what happened meanwhile")
    assert identity_of(both)["agent_id"] == first["agent_id"]
    assert len(both.admin.get("/api/v1/computers").json["computers"]) == 1


def test_whoever_dies_while_it_is_renewed(place):
    """The console has signed the next certificate; the agent, or the console, is killed at once."""
    both = joined(place)
    name = identity_of(both)["agent_id"]
    for turn in range(6):
        both.console.query("UPDATE computers SET next_certificate = NULL, certificate_expires_ms = 1")
        both.nudge()
        both.until(lambda: both.console.query("SELECT 1 FROM computers WHERE"
                                              " certificate_expires_ms > 1"), "the next certificate")
        if turn % 3 == 2:
            both.console.stop(signal.SIGKILL)
            both.restart_console()
            both.agent.stop()  # its back-off is another test's matter
        else:
            both.agent.kill()
        both.agent.start()
        path = both.nudge()
        both.until(lambda: [event for event in both.events("&kind=malware_found")
                            if event["subject"] == path], f"turn {turn}: it is heard again")
        assert both.console_status()["agent_id"] == name
    both.until(lambda: both.computer()["status"] == "Managed (Online)", "it is online")
    assert shows(both, identity_of(both)).status == 200
    assert len(both.admin.get("/api/v1/computers").json["computers"]) == 1


def test_a_full_disk_keeps_the_certificate_before(place):
    """What cannot be written is not shown: the console would forget the one that can be read."""
    agents.own_mounts()
    agent = place.agent()
    folder = os.path.join(agent.state, "console")
    agents.mount_tmpfs(place, folder, "size=1m,mode=0700")
    both = Pair(place, agent=agent)
    both.agent.start()
    both.activate()
    first = identity_of(both)
    both.nudge()
    both.until(lambda: both.computer()["policy_in_force"], "the policy")
    filler = os.path.join(folder, "filler")
    agents.put(filler, b"")
    with open(filler, "ab", buffering=0) as stream:
        try:
            while True:
                stream.write(b"x" * 4096)
        except OSError:
            pass
    both.console.query("UPDATE computers SET certificate_expires_ms = 1")
    both.nudge()
    both.until(lambda: both.agent.events("identity_not_kept"), "the failure is told")
    assert identity_of(both) == first
    assert shows(both, first).status == 200
    os.unlink(filler)

    def renewed():
        both.console.query("UPDATE computers SET certificate_expires_ms = 1")
        return both.agent.events("certificate_renewed")
    both.until(renewed, "it is renewed")
    assert identity_of(both)["key"] != first["key"]


if __name__ == "__main__":
    agents.main()
