"""Signatures from the console: lists that people write, contents they allow and deny, files of its mirror."""
import hashlib
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pair import Pair, agents  # noqa: E402

LISTS = "/api/v1/signature-lists"
MIB = 1 << 20
SHOP = b"not wanted in the shop"


def joined(place, agent=None, **policy):
    scanner = os.path.join(agents.PROGRAMS, "yagura-scanner")
    both = Pair(place, agent=agent, settings=f'signatures = {{ scanner = "{scanner}"; }};\n')
    both.agent.values.update({key.replace("__", "."): value for key, value in policy.items()})
    both.put_policy("test", both.policy_text())
    both.agent.start()
    both.activate()
    both.nudge()
    both.until(lambda: both.computer()["policy_in_force"], "the first policy")
    return both


def put_list(both, name, kind, text, group="", expect=201, **headers):
    headers = headers or {"If_None_Match": "*"}
    return both.admin.put(f"{LISTS}/{name}", {"type": kind, "text": text, "group": group},
                          expect=expect, **headers)


def in_force(both, **wanted):
    """Until the agent has the console's set, and an engine with it."""
    def has():
        signatures = both.agent.status()["signatures"]
        return all(signatures[key] == value for key, value in wanted.items())
    both.until(has, f"signatures {wanted}")


def write(both, name, content):
    return agents.put(os.path.join(both.watched, name), content)


def is_gone(both, path, what):
    both.until(lambda: not os.path.exists(path), what)


def keeps(both, path):
    """It was scanned, and left."""
    both.agent.sync()
    assert os.path.exists(path), both.agent.events()[-3:]


def pattern(text):
    return text.encode().hex()


def test_a_custom_signature(place):
    both = joined(place)
    path = write(both, "before", b"nothing but an office-visitor-7731 here")
    keeps(both, path)
    answer = put_list(both, "office", "ndb", f"Office.Visitor:0:*:{pattern('office-visitor-7731')}\n")
    assert answer.json["entries"] == 1 and answer.json["revision"] == 1, answer.json
    is_gone(both, path, "what was clean before is scanned again")
    found = both.agent.events("malware_found")[-1]
    assert found["detail"]["signature"] == "Office.Visitor.UNOFFICIAL", found
    both.admin.delete(f"{LISTS}/office", expect=204)
    in_force(both, lists=0)
    both.until(lambda: not [name for name in os.listdir(both.agent.state + "/signatures")
                            if name.startswith("yagura-console-")], "the list leaves the disk")
    both.until(lambda: both.agent.status()["scanner"]["state"] == "ready", "an engine without it")

    def survives():
        again = write(both, "again", b"one more office-visitor-7731")
        both.agent.sync()
        return os.path.exists(again)
    both.until(survives, "it is no malware any more")


def test_a_wrong_signature_is_refused_with_its_line(place):
    both = joined(place)
    good = f"Good.One:0:*:{pattern('good-one-1')}\n"
    answer = put_list(both, "wrong", "ndb", good + "Bad.One:0:*:xyz\n", expect=422)
    assert "line 2" in answer.json["detail"], answer.json
    answer = put_list(both, "wrong", "deny", "0" * 64 + " fine\nnonsense\n", expect=422)
    assert "line 2" in answer.json["detail"], answer.json
    answer = put_list(both, "wrong", "ndb", good + good.replace("Good.One", "Yagura.Denied.one"), expect=422)
    assert "line 2" in answer.json["detail"] and "Yagura." in answer.json["detail"], answer.json
    put_list(both, "wrong", "yara", "rule broken { condition: import }", expect=422)
    put_list(both, "wrong", "exe", good, expect=400)
    put_list(both, "empty", "ndb", "\n", expect=422)
    assert both.admin.get(LISTS).json["lists"] == []
    put_list(both, "right", "ndb", good)
    tag = both.admin.get(f"{LISTS}/right").headers["ETag"]
    put_list(both, "right", "ndb", good + good, expect=412, If_Match='"7"')
    put_list(both, "right", "ndb", good + good.replace("Good", "Best"), expect=200, If_Match=tag)
    actions = [entry["action"] for entry in both.admin.get("/api/v1/audit").json["entries"]]
    assert "signatures_created" in actions and "signatures_changed" in actions, actions


def test_a_denied_hash(place):
    both = joined(place)
    content = b"a harmless tool, which is not wanted here\n" * 40
    path = write(both, "tool", content)
    keeps(both, path)
    digest = hashlib.sha256(content).hexdigest()
    both.admin.post(f"{LISTS}/denied/hashes", {"type": "deny", "hash": digest.upper(), "name": "tool"},
                    expect=201)
    is_gone(both, path, "a file that was clean before is found")
    found = both.agent.events("malware_found")[-1]
    assert found["detail"]["signature"] == "Yagura.Denied.tool.UNOFFICIAL", found
    both.admin.post(f"{LISTS}/denied/hashes", {"type": "deny", "hash": digest}, expect=200)
    md5 = hashlib.md5(b"by its MD5" * 9).hexdigest()
    both.admin.post(f"{LISTS}/denied/hashes", {"type": "deny", "hash": md5}, expect=201)

    def found_by_md5():
        other = write(both, "other", b"by its MD5" * 9)
        both.agent.sync()
        return not os.path.exists(other)
    both.until(found_by_md5, "an MD5 is found, too")
    both.admin.delete(f"{LISTS}/denied", expect=204)
    in_force(both, lists=0)

    def stays():
        again = write(both, "tool", content)
        both.agent.sync()
        return os.path.exists(again)
    both.until(stays, "no longer denied")


def test_an_allowed_hash(place):
    """A false positive is allowed everywhere, restored, and not found again, also after a restart."""
    both = joined(place)
    path = write(both, "eicar", agents.EICAR)
    is_gone(both, path, "quarantine")
    both.until(lambda: both.agent.events("malware_quarantined"), "the quarantine")
    digest = hashlib.sha256(agents.EICAR).hexdigest()
    both.admin.post(f"{LISTS}/allowed/hashes", {"type": "allow", "hash": digest, "name": "eicar"},
                    expect=201)
    in_force(both, allowed=1)
    entry = both.agent.events("malware_quarantined")[-1]
    both.agent.control("quarantine", "restore", entry["detail"]["id"])
    keeps(both, path)
    found = len(both.agent.events("malware_found"))
    both.agent.stop()
    both.agent.start()
    path = write(both, "eicar-again", agents.EICAR)
    keeps(both, path)
    assert len(both.agent.events("malware_found")) == found
    both.admin.delete(f"{LISTS}/allowed", expect=204)
    in_force(both, allowed=0)
    path = write(both, "eicar-once-more", agents.EICAR)
    is_gone(both, path, "no longer allowed")


def test_lists_of_groups(place):
    """A list of a group reaches its computers alone, and those who are limited to it."""
    both = joined(place)
    group = both.admin.post("/api/v1/groups", {"name": "shop"}, expect=201).json["id"]
    both.admin.post("/api/v1/groups", {"name": "office"}, expect=201)
    put_list(both, "for-shop", "deny", hashlib.sha256(SHOP).hexdigest(), group="shop")
    put_list(both, "for-all", "deny", hashlib.sha256(b"for all computers").hexdigest())
    in_force(both, lists=1)
    keeps(both, write(both, "shop", SHOP))
    identifier = both.console_status()["agent_id"]
    both.admin.patch(f"/api/v1/computers/{identifier}", {"group": "shop"}, expect=200)

    def found():
        path = write(both, "shop", SHOP)
        both.agent.sync()
        return not os.path.exists(path)
    both.until(found, "the group's list counts")
    both.admin.delete(f"/api/v1/groups/{group}", expect=409)

    made = both.admin.post("/api/v1/keys", {"name": "keeper", "role": "operator", "groups": [group]},
                           expect=201).json
    keeper = both.console.api(key=made["key"])
    assert [row["name"] for row in keeper.get(LISTS).json["lists"]] == ["for-all", "for-shop"]
    keeper.delete(f"{LISTS}/for-all", expect=403)
    keeper.put(f"{LISTS}/mine", {"type": "deny", "text": "0" * 64}, expect=403, If_None_Match="*")
    keeper.put(f"{LISTS}/mine", {"type": "deny", "text": "0" * 64, "group": "office"}, expect=403,
               If_None_Match="*")
    keeper.put(f"{LISTS}/mine", {"type": "deny", "text": "0" * 64, "group": "shop"}, expect=201,
               If_None_Match="*")
    key = both.admin.post("/api/v1/keys", {"name": "reader", "role": "reader"}, expect=201).json["key"]
    reader = both.console.api(key=key)
    reader.get(f"{LISTS}/mine", expect=200)
    reader.delete(f"{LISTS}/mine", expect=403)


# ---- the mirror ----

def hash_file(path, lines):
    """Signatures that nothing has, and one for b"mirrored"."""
    with open(path, "w", encoding="ascii") as stream:
        for number in range(lines):
            stream.write(f"{hashlib.md5(str(number).encode()).hexdigest()}:{number + 1}:Filler.{number}\n")
        stream.write(f"{hashlib.md5(b'mirrored').hexdigest()}:8:Mirrored.File\n")
    return path


def import_files(both, folder, *options, code=0):
    done = both.console.run("signatures", "import", folder, *options)
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout


def without_signatures(place):
    return place.agent(databases=[place.folder("no-signatures")])


def test_the_mirror(place):
    """A host without signatures of its own is told to be degraded, fetches the console's, and scans what came
    meanwhile; it goes on after kill -9 where it was; what is older is refused at the console."""
    agent = without_signatures(place)
    both = Pair(place, agent=agent, settings='signatures = { scanner = "%s"; };\n' %
                os.path.join(agents.PROGRAMS, "yagura-scanner"))
    agent.values.update({"signatures.source": "console", "signatures.rate": "1M",
                         "signatures.jitter": "0s"})
    both.put_policy("test", both.policy_text())
    agent.start()
    both.activate()
    both.until(lambda: (both.computer() or {}).get("policy_in_force"), "the first policy")
    early = write(both, "early", b"mirrored")
    both.agent.until(lambda status: status["state"] == "degraded"
                     and status["scanner"]["state"] == "no-signatures", "told that there are no signatures")
    folder = place.folder("to-import")
    size = os.path.getsize(hash_file(os.path.join(folder, "own.hdb"), 120000))
    assert size > 5 * MIB
    assert "own.hdb" not in import_files(both, folder)
    assert "own.hdb\ttaken" in import_files(both, folder, "--unsigned")
    assert "own.hdb\tthere already" in import_files(both, folder, "--unsigned")
    both.until(lambda: agent.status()["signatures"]["fetched_bytes"] >= MIB, "the first piece")
    agent.kill()
    spool = os.path.join(agent.state, "signatures/spool")
    held = max(os.path.getsize(os.path.join(spool, name)) for name in os.listdir(spool))
    assert MIB <= held < size, held
    agent.start()
    resumed = agent.status()["signatures"]["fetched_bytes"]
    assert resumed >= held or not agent.status()["signatures"]["fetching"], (resumed, held)
    is_gone(both, early, "what came before the signatures is scanned")
    in_force(both, files=1, fetching="", problem="")
    assert os.listdir(spool) == []
    assert agent.status()["signatures"]["source"] == "console"
    [row] = both.admin.get("/api/v1/signature-files").json["files"]
    assert row["name"] == "own.hdb" and row["size"] == size and row["source"] == "import", row
    assert both.agent.events("signatures_fetched"), both.agent.events()[-5:]


def test_signed_files_are_judged_before_agents_get_them(place):
    both = joined(place)
    folder = place.folder("to-import")

    def head(version):
        text = (f"ClamAV-VDB:22 Nov 2026 08-00 -0500:{version}:10:90:{'0' * 32}:signature:builder:1764000000")
        return text.encode().ljust(512) + b"no database"
    agents.put(os.path.join(folder, "daily.cvd"), head(20))
    agents.put(os.path.join(folder, "main.cvd"), b"\0" * 600)
    said = import_files(both, folder, code=1)
    assert "daily.cvd\trefused" in said and "main.cvd\trefused" in said, said
    assert both.admin.get("/api/v1/signature-files").json["files"] == []
    in_force(both, files=0)


def test_a_console_that_is_away(place):
    """The fetch goes on when the console is back; what is loaded stays meanwhile."""
    both = joined(place, signatures__source="both", signatures__rate="1M", signatures__jitter="0s")
    folder = place.folder("to-import")
    hash_file(os.path.join(folder, "own.hdb"), 120000)
    import_files(both, folder, "--unsigned")
    both.until(lambda: both.agent.status()["signatures"]["fetched_bytes"] >= MIB, "the first piece")
    both.console.stop()
    is_gone(both, write(both, "eicar", agents.EICAR), "the host's own signatures count")
    both.restart_console()

    def found():
        path = write(both, "mirrored", b"mirrored")
        both.agent.sync()
        return not os.path.exists(path)
    both.until(found, "the mirror's signatures count")


def test_only_the_first_fetch_is_at_once(place):
    """A fleet that has signatures fetches newer ones spread over the jitter; lists do not wait for that."""
    both = joined(place, signatures__source="both", signatures__rate="1G", signatures__jitter="24h")
    folder = place.folder("to-import")
    hash_file(os.path.join(folder, "first.hdb"), 10)
    import_files(both, folder, "--unsigned")
    in_force(both, files=1, fetching="")
    hash_file(os.path.join(folder, "second.hdb"), 20)
    import_files(both, folder, "--unsigned")
    in_force(both, files=2, fetching="second.hdb")
    put_list(both, "office", "ndb", f"Office.Visitor:0:*:{pattern('office-visitor-7731')}\n")
    in_force(both, lists=1, files=2, fetching="second.hdb", fetched_bytes=0)
    is_gone(both, write(both, "visitor", b"an office-visitor-7731"), "the list counts meanwhile")
    assert both.agent.status()["signatures"]["fetching"] == "second.hdb", "it did not wait"
    both.put_policy("test", both.policy_text(signatures__jitter="0s"))
    both.until(lambda: json.loads(both.agent.control("--json", "policy", "explain", "signatures.jitter"))["value"].startswith("0"), "no more jitter")
    both.admin.delete(f"{LISTS}/office", expect=204)
    in_force(both, lists=0, files=2, fetching="")


def test_no_room_for_the_mirror(place):
    """A full disk is told, and what is loaded stays; with room the fetch goes on."""
    agents.own_mounts()
    both = joined(place, signatures__source="both", signatures__rate="1G", signatures__jitter="0s")
    spool = os.path.join(both.agent.state, "signatures/spool")
    both.agent.stop()
    agents.mount_tmpfs(place, spool, "size=2M,mode=0700")
    both.agent.start()
    folder = place.folder("to-import")
    hash_file(os.path.join(folder, "own.hdb"), 120000)
    import_files(both, folder, "--unsigned")
    both.until(lambda: "make room" in both.agent.status()["signatures"]["problem"], "it is told")
    assert both.agent.status()["state"] == "degraded"
    assert [event for event in both.agent.events("signatures_not_fetched")
            if "make room" in event["detail"]["reason"]]
    is_gone(both, write(both, "eicar", agents.EICAR), "the host's own signatures count")


if __name__ == "__main__":
    agents.main()
