"""What a function opens and starts, seen from inside its runtime: the request's own values, lists of
the policy, modes, and events. The protections of requests are off, so that only this is left."""
import json
import os
import shutil
import sys
import urllib.parse

from functions import FIXTURES, PROGRAMS, Run, Skip, http_event, main

OBJECT = os.path.join(os.path.dirname(PROGRAMS), "lib", "yagura-preload.so")
PYTHON = ["/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable, "-B",
          os.path.join(FIXTURES, "access.py")]
QUIET = "detection = { threshold = 1000; };\n"


def event(path, value):
    return http_event(path, "v=" + urllib.parse.quote(value, safe=""))


def runtime_of(name):
    if name == "python":
        return PYTHON
    node = shutil.which("node")
    if node is None:
        raise Skip("node is missing")
    return [node, os.path.join(FIXTURES, "access.mjs")]


def run(place, events, policy, runtime=None, mode="policy", **environment):
    """Under a layer of its own with that policy."""
    if not os.path.exists(OBJECT):
        raise Skip("there is no preload object in this build")
    home = os.path.join(place, "home")
    os.makedirs(os.path.join(home, "lib"), exist_ok=True)
    shutil.copy(OBJECT, os.path.join(home, "lib"))
    with open(os.path.join(home, "application.conf"), "w", encoding="ascii") as stream:
        stream.write(QUIET + policy)
    return Run(place, events, runtime or PYTHON,
               environment={"YAGURA_APPLICATION_HOME": home, "YAGURA_APPLICATION_MODE": "",
                            "YAGURA_APPLICATION_RUNTIME": mode, **environment})


def bodies(done):
    assert done.outcomes() == ["response"] * len(done.results), done.errors()
    return [json.loads(answer)["body"] for answer in done.answers()]


def findings(done):
    """Those of the runtime alone."""
    return [(line["kind"], line["subject"]) for line in done.lines if line["kind"].startswith("runtime")]


FILE, COMMAND = "Illegal File Access", "Remote Command Execution"
UP = "../" * 12 + "etc/hostname"
EVENTS = [event("/page", "/access.py"), event("/read", UP), event("/read", "access.py"),
          event("/run", "hello; echo injected"), event("/safe", "hello; echo quoted"),
          event("/read", "/etc/hostname"), event("/page", "/access.py")]


def check_language(place, name):
    runtime = runtime_of(name)
    before = bodies(Run(place, EVENTS, runtime, protected=False))
    assert before[1] == before[5] == "read True" or name == "node", before
    done = run(place, EVENTS, "", runtime)
    assert bodies(done) == before, (before, done.answers(), done.errors())
    told = findings(done)
    # Node joins "/etc/hostname" to its own folder: that leads nowhere.
    expected = [("runtime_reported", FILE), ("runtime_reported", COMMAND)] + \
        ([("runtime_reported", FILE)] if name == "python" else [])
    assert told == expected, (told, done.lines, done.errors())
    detail = [line["detail"] for line in done.lines if line["kind"] == "runtime_reported"]
    assert detail[0]["file"].endswith("etc/hostname") and detail[0]["value"] == UP, detail
    assert detail[1]["value"] == "hello; echo injected" and "echo hello" in detail[1]["command"], detail
    assert detail[0]["aws_request_id"] == done.results[1]["request_id"], detail
    assert detail[0]["function"] == "sample" and detail[0]["action"] == "report", detail
    done = run(place, EVENTS, 'protection = { illegal_file_access = "mitigate"; '
               'remote_command_execution = "mitigate"; };', runtime)
    refused = "PermissionError" if name == "python" else "EACCES"
    said = bodies(done)
    assert said[1] == refused and said[3] in (refused, "126", "127"), said
    assert [said[i] for i in (0, 2, 4, 6)] == [before[i] for i in (0, 2, 4, 6)], (before, said)
    assert set(kind for kind, _ in findings(done)) == {"runtime_blocked"}, done.lines


def test_python(place):
    check_language(place, "python")


def test_node(place):
    check_language(place, "node")


def test_lists_of_the_policy(place):
    """The policy's own lists: denied, allowed although the request names it, and what is in neither."""
    rules = ('runtime = { files = ( "allow:*/hostname", "deny:*/access.mjs" ); '
             'commands = ( "deny:*quoted*" ); };'
             'protection = { illegal_file_access = "mitigate"; remote_command_execution = "mitigate"; };')
    done = run(place, EVENTS + [event("/page", "/access.mjs")], rules)
    said = bodies(done)
    assert said[1] == said[5] == "read True" and said[7] == "PermissionError", (said, done.errors())
    assert said[4] == "PermissionError" and said[0] == "read True", said
    reasons = {line["detail"]["reason"] for line in done.lines if line["subject"] == FILE}
    assert reasons == {"a rule denies it"}, done.lines


def test_off_and_never_block(place):
    off = 'protection = { illegal_file_access = "off"; remote_command_execution = "off"; };'
    assert findings(run(place, EVENTS, off)) == []
    assert findings(run(place, EVENTS, "runtime = { correlation = false; };")) == []
    strict = off.replace("off", "mitigate")
    done = run(place, EVENTS[:4], strict, YAGURA_APPLICATION_MODE="report")
    assert bodies(done)[1] == "read True" and findings(done)[0] == ("runtime_reported", FILE), done.lines
    # The function's own variables come before the policy.
    done = run(place, EVENTS[:4], off, mode="mitigate")
    assert bodies(done)[1] == "PermissionError" and findings(done)[0] == ("runtime_blocked", FILE), done.lines
    assert findings(run(place, EVENTS[:4], strict, mode="off")) == []


def test_without_a_request_nothing_is_correlated(place):
    """What the last request said is forgotten with the next event, be it none of HTTP."""
    other = json.dumps({"rawPath": "/read", "rawQueryString": "v=" + UP, "detail": "of a queue"})
    done = run(place, [event("/safe", UP), other], "")
    assert bodies(done)[1] == "read True" and findings(done) == [], (done.answers(), done.lines)


def test_a_policy_with_wrong_rules_is_refused(place):
    done = run(place, EVENTS[:1], 'runtime = { files = ( "forbid:/etc/*" ); };')
    assert "runtime.files" in done.errors() and bodies(done)[0] == "read True", done.errors()


if __name__ == "__main__":
    main()
