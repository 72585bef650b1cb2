"""The console changes its signing key; the agent follows without a hand on the host, and not back."""
import os
import shutil
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, agents  # noqa: E402


def obeyed(both, what):
    """A policy with another text is in force."""
    obeyed.count = getattr(obeyed, "count", 0) + 1
    both.put_policy("test", both.policy_text() + f'description = "{obeyed.count}";\n')
    both.until(lambda: both.computer()["policy_in_force"], what)


def test_the_agent_follows(place):
    both = Pair(place)
    both.agent.start()
    both.activate()
    obeyed(both, "the first key's policy")
    first = both.admin.get("/api/v1/signing-key", expect=200).json
    second = both.admin.post("/api/v1/signing-key/change", {}, expect=200).json
    assert first["id"] != second["id"] and second["changes"] == 1
    obeyed(both, "the second key's policy")
    assert len(both.agent.events("console_key_changed")) == 1
    assert both.command("heartbeat")["state"] == "done"
    # Two more while the agent is away, by hand beside the running console.
    both.agent.stop()
    for _ in range(2):
        done = both.console.run("keys", "rotate", "--retire-now")
        assert done.returncode == 0, done.stderr
    both.console.process.send_signal(signal.SIGHUP)
    both.until(lambda: both.admin.get("/api/v1/signing-key").json["changes"] == 3, "the reload")
    assert both.admin.get("/api/v1/signing-key").json["id"] == done.stdout.strip()
    both.agent.start()
    obeyed(both, "the fourth key's policy")
    assert both.command("heartbeat")["state"] == "done"
    both.agent.stop()
    both.agent.start()
    obeyed(both, "what it followed is kept")
    assert not both.agent.events("order_refused")
    # A computer that activates now begins with the new key.
    late = place.agent(name="late")
    late.start()
    both.activate(agent=late)
    identity = os.path.join(late.state, "console", "identity.json")
    with open(identity, encoding="utf-8") as stream:
        assert both.admin.get("/api/v1/signing-key").json["key"] in stream.read()


def test_not_back_to_a_key_that_was_retired(place):
    """Who stole the old key and the server's place is not obeyed."""
    both = Pair(place)
    data = both.console.data
    shutil.copy(data + "/signing.key", place.root + "/stolen.key")
    both.agent.start()
    both.activate()
    both.admin.post("/api/v1/signing-key/change", {"retire_now": True}, expect=200)
    obeyed(both, "the new key's policy")
    both.console.stop()
    shutil.copy(place.root + "/stolen.key", data + "/signing.key")
    os.unlink(data + "/signing.links")
    both.restart_console()
    both.put_policy("test", both.policy_text() + 'description = "stolen";\n')
    both.nudge()
    both.until(lambda: both.agent.events("order_refused"), "the refusal")
    assert not both.computer()["policy_in_force"]


if __name__ == "__main__":
    agents.main()
