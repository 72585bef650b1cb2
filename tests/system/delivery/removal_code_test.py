"""Removal codes of the console: whom they release, without a console in reach and without an agent that runs."""
import json
import os
import signal
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, agents  # noqa: E402


def protected(place, **more):
    both = Pair(place, **more)
    both.agent.start()
    both.activate()
    both.nudge()
    both.put_policy("test", both.policy_text(protection__enabled=True))
    both.until(lambda: both.agent.status()["protected"], "the protection")
    both.identity = both.console_status()["agent_id"]
    return both


def hand_over(agent, code, language="C"):
    """The code on standard input: the exit code, and what was said."""
    environment = {**os.environ, "LC_ALL": language}
    done = subprocess.run([os.path.join(agents.PROGRAMS, "yaguractl"), "--config", agent.config, "release", "-"],
                          input=code, capture_output=True, text=True, check=False, env=environment)
    return done.returncode, done.stderr.strip() or done.stdout.strip()


def make(both, path, **body):
    return both.admin.post(f"/api/v1/{path}removal-code", body, expect=201).json["code"]


def file_of(agent, name="protection"):
    return os.path.join(agent.state, name)


def group_of(both):
    with open(os.path.join(both.agent.state, "console", "orders.json"), encoding="utf-8") as stream:
        return json.load(stream)["group_id"]


def test_a_code_releases_without_a_console(place):
    both = protected(place)
    code = make(both, f"computers/{both.identity}/")
    both.console.stop()
    assert hand_over(both.agent, "yr1.AAAA\n") == (2, "yaguractl: this is no removal code: hand over the whole text "
                                                   "that the console gave")
    assert "解除コードではありません" in hand_over(both.agent, "", "ja_JP.UTF-8")[1]
    assert os.path.exists(file_of(both.agent)) and both.agent.status()["protected"]
    refused = both.until(lambda: both.agent.events("release_refused"), "the event")[0]
    assert refused["detail"]["reason"] == "no_code", refused
    assert hand_over(both.agent, code + "\n")[0] == 0
    assert not os.path.exists(file_of(both.agent)), "gone when the answer comes"
    assert not both.agent.status()["protected"]
    told = both.until(lambda: both.agent.events("protection_released"), "the event")[0]
    assert told["severity"] == "high" and told["detail"]["by"] == "code", told
    assert told["detail"]["created_by"] == "user:admin" and told["detail"]["scope"] == "computer", told
    both.agent.control("deactivate")


def test_a_code_is_for_whom_it_was_made(place):
    both = protected(place)
    other = place.agent(name="other")
    other.start()
    both.activate(agent=other)
    identity = other.status()["console"]["agent_id"]
    assert "another computer" in hand_over(both.agent, make(both, f"computers/{identity}/"))[1]
    group = both.admin.post("/api/v1/groups", {"name": "web"}, expect=201).json["id"]
    code = make(both, f"groups/{group}/", expires_seconds=604800)
    assert "a group that this host is not in" in hand_over(both.agent, code)[1]
    both.admin.patch(f"/api/v1/computers/{both.identity}", {"group": "web"}, expect=200)
    both.nudge()
    both.until(lambda: group_of(both) == group, "the agent knows its group")
    assert hand_over(both.agent, code)[0] == 0
    assert both.agent.status()["protected"] is False
    assert not both.agent.events("order_refused")
    # The next identity begins anew, also with a code for everybody.
    everybody = make(both, "")
    both.agent.control("deactivate")
    assert "no console" in hand_over(both.agent, everybody)[1]


def test_without_an_agent(place):
    """Nobody runs: the code is asked for all the same, and the next start tells."""
    both = protected(place)
    code = make(both, "")
    both.agent.stop()
    reset = [os.path.join(agents.PROGRAMS, "yaguractl"), "--config", both.agent.config, "reset"]
    refused = subprocess.run(reset, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert refused.returncode == 2 and "yaguractl release" in refused.stderr, refused
    status, said = hand_over(both.agent, code[:-9] + "AAAAAAAAA")
    assert status == 2 and os.path.exists(file_of(both.agent)), said
    assert hand_over(both.agent, code)[0] == 0
    assert not os.path.exists(file_of(both.agent))
    both.agent.start()
    assert not both.agent.status()["protected"], "the hour goes on"
    told = both.until(lambda: both.agent.events("protection_released"), "the event")[-1]
    assert told["detail"]["scope"] == "all" and told["severity"] == "high", told
    assert not os.path.exists(file_of(both.agent, "protection-released"))


def test_keys(place):
    """A code goes with the key that signed it; a host that has not heard of the next key follows it."""
    both = protected(place)
    old = make(both, f"computers/{both.identity}/")
    both.agent.stop()
    assert both.console.run("keys", "rotate", "--retire-now").returncode == 0
    done = both.console.run("removal-code", "--computer", both.identity, "--hours", "1")
    assert done.returncode == 0 and done.stdout.startswith("yr1."), done
    assert hand_over(both.agent, done.stdout)[0] == 0
    both.console.process.send_signal(signal.SIGHUP)
    both.until(lambda: both.admin.get("/api/v1/signing-key").json["changes"] == 1, "the console signs with it")
    both.agent.start()
    both.put_policy("test", both.policy_text(protection__enabled=True) + 'description = "again";\n')
    both.until(lambda: both.agent.events("console_key_changed"), "the next key")
    assert "not signed by this host's console" in hand_over(both.agent, old)[1]


def test_who_may_have_one(place):
    both = protected(place)
    computer = f"/api/v1/computers/{both.identity}/removal-code"
    for seconds in (0, 604801, "1"):
        both.admin.post(computer, {"expires_seconds": seconds}, expect=400)
    both.admin.post("/api/v1/computers/unknown/removal-code", {}, expect=404)
    both.admin.post("/api/v1/groups/unknown/removal-code", {}, expect=404)
    group = both.admin.post("/api/v1/groups", {"name": "far"}, expect=201).json["id"]
    entry = both.admin.get("/api/v1/audit?limit=1", expect=200).json["entries"][0]
    assert entry["action"] != "removal_code_created"
    both.admin.post(computer, {}, expect=201)
    entry = both.admin.get("/api/v1/audit?limit=1", expect=200).json["entries"][0]
    assert entry["action"] == "removal_code_created" and "yr1." not in json.dumps(entry), entry
    key = both.admin.post("/api/v1/keys", {"name": "far", "role": "operator", "groups": [group]}, expect=201).json["key"]
    limited = both.console.api(key=key)
    limited.post(computer, {}, expect=404)
    limited.post("/api/v1/removal-code", {}, expect=403)
    limited.post(f"/api/v1/groups/{group}/removal-code", {}, expect=201)
    reader = both.admin.post("/api/v1/keys", {"name": "reader", "role": "reader"}, expect=201).json["key"]
    both.console.api(key=reader).post(computer, {}, expect=403)
    for words in ([], ["--all", "--computer", "x"], ["--group", "none"], ["--all", "--hours", "169"], ["--all", "--all"]):
        assert both.console.run("removal-code", *words).returncode in (1, 2), words


if __name__ == "__main__":
    agents.main()
