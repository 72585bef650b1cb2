"""Policies' revisions, the signing key, and the subcommands for administrators."""

import base64
import json
import os
import re
import signal
import subprocess

import harness
from harness import Agent, ConsoleTest


class RevisionTest(ConsoleTest):
    def put(self, text, revision=None, expect=200):
        match = {"If_Match": f'"{revision}"'} if revision else {"If_None_Match": "*"}
        return self.admin.put("/api/v1/policies/web", {"text": text}, expect=expect, **match)

    def test_difference_and_return(self):
        first = 'parent = "base";\nrespond = { action = "pass"; };\n'
        second = 'parent = "base";\n# stricter\nrespond = { action = "quarantine"; };\n'
        self.put(first, expect=201)
        self.put(second, 1)
        listed = self.admin.get("/api/v1/policies/web/revisions").json["revisions"]
        self.assertEqual([(entry["revision"], entry["author"]) for entry in listed],
                         [(2, "user:admin"), (1, "user:admin")])
        diff = self.admin.get("/api/v1/policies/web/diff?from=1&to=2", expect=200).json
        self.assertEqual([(line["change"], line["line"]) for line in diff["lines"]],
                         [("same", 'parent = "base";'),
                          ("removed", 'respond = { action = "pass"; };'),
                          ("added", "# stricter"),
                          ("added", 'respond = { action = "quarantine"; };')])
        same = self.admin.get("/api/v1/policies/web/diff?from=2&to=2", expect=200).json
        self.assertEqual({line["change"] for line in same["lines"]}, {"same"})
        for query in ("from=1", "from=1&to=x", "from=0&to=1", "to=1", "from=-1&to=1"):
            self.admin.get("/api/v1/policies/web/diff?" + query, expect=400)
        self.admin.get("/api/v1/policies/web/diff?from=1&to=9", expect=404)
        self.admin.get("/api/v1/policies/none/diff?from=1&to=1", expect=404)

        agent = self.agent()
        self.admin.patch(f"/api/v1/computers/{agent.id}", {"policy": "web"}, expect=200)
        target = agent.heartbeat().json["policy_digest"]
        path = "/api/v1/policies/web/revisions/1/restore"
        self.admin.post(path, expect=428)
        self.admin.post(path, expect=412, If_Match='"1"')
        self.admin.post("/api/v1/policies/web/revisions/7/restore", expect=404, If_Match='"2"')
        answer = self.admin.post(path, expect=200, If_Match='"2"')
        self.assertEqual((answer.json["revision"], answer.json["text"]), (3, first))
        self.assertNotEqual(agent.heartbeat().json["policy_digest"], target)
        self.assertIn("policy_restored", [entry["action"] for entry in
                                          self.admin.get("/api/v1/audit").json["entries"]])

    def test_an_old_text_that_is_wrong_today(self):
        """Its parent is gone: refused, and nothing changes."""
        self.admin.put("/api/v1/policies/parent", {"text": ""}, expect=201, If_None_Match="*")
        self.admin.put("/api/v1/policies/child", {"text": 'parent = "parent";'}, expect=201,
                       If_None_Match="*")
        self.admin.put("/api/v1/policies/child", {"text": ""}, expect=200, If_Match='"1"')
        self.admin.delete("/api/v1/policies/parent", expect=204)
        answer = self.admin.post("/api/v1/policies/child/revisions/1/restore", expect=422,
                                 If_Match='"2"')
        self.assertIn("parent", answer.json["detail"])
        self.assertEqual(self.admin.get("/api/v1/policies/child").json["revision"], 2)

    def test_who_may_not(self):
        key = self.admin.post("/api/v1/keys", {"name": "r", "role": "reader"}, expect=201).json["key"]
        client = self.console.api(key)
        client.post("/api/v1/policies/base/revisions/1/restore", expect=403, If_Match='"1"')
        client.post("/api/v1/signing-key/change", {}, expect=403)


class SigningKeyTest(ConsoleTest):
    def verify(self, envelope, public):
        folder = self.console.folder
        for name, data in (("key.der", bytes.fromhex("302a300506032b6570032100")
                            + base64.b64decode(public)),
                           ("document", envelope["document"].encode()),
                           ("signature", base64.b64decode(envelope["signature"]))):
            with open(f"{folder}/{name}", "wb") as file:
                file.write(data)
        return subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey",
                               folder + "/key.der", "-rawin", "-in", folder + "/document", "-sigfile",
                               folder + "/signature"], capture_output=True, check=False).returncode

    def test_a_change(self):
        agent = self.agent()
        first = self.admin.get("/api/v1/signing-key", expect=200).json
        envelope = agent.client.get("/agent/v1/policy", expect=200).json
        known = len(envelope.get("successors", []))
        second = self.admin.post("/api/v1/signing-key/change", {}, expect=200).json
        self.assertEqual(self.admin.get("/api/v1/about").json["signing_key_id"], second["id"])
        envelope = agent.client.get("/agent/v1/policy", expect=200).json
        self.assertEqual(envelope["key_id"], second["id"])
        self.assertEqual(self.verify(envelope, second["key"]), 0)
        self.assertNotEqual(self.verify(envelope, first["key"]), 0)
        link = envelope["successors"][-1]
        self.assertEqual(len(envelope["successors"]), known + 1)
        self.assertEqual(link["key_id"], first["id"])
        self.assertEqual(self.verify(link, first["key"]), 0)
        named = json.loads(link["document"])
        self.assertEqual((named["purpose"], named["key"]), ("signing_key", second["key"]))
        self.assertAlmostEqual(named["retires_ms"] - named["issued_ms"], 30 * 86400000, delta=1000)
        self.assertIn("signing_key_change", [entry["action"] for entry in
                                             self.admin.get("/api/v1/audit").json["entries"]])

    def test_it_survives_a_restart_and_a_crash_between_its_files(self):
        before = self.console.run("keys", "show").stdout.split()
        data = self.console.data
        old = harness.read(data + "/signing.key")
        done = self.console.run("keys", "rotate")
        self.assertEqual(done.returncode, 0, done.stderr)
        after = self.console.run("keys", "show").stdout.split()
        self.assertEqual((after[0], int(after[2])), (done.stdout.strip(), int(before[2]) + 1))
        self.console.stop()
        # As if the power had gone before the last step.
        os.rename(data + "/signing.key", data + "/signing.next")
        with open(data + "/signing.key", "w", encoding="ascii") as file:
            file.write(old)
        self.console.start()
        type(self).admin = self.console.api()
        self.admin.sign_in("admin", harness.PASSWORD)
        self.assertEqual(self.admin.get("/api/v1/signing-key").json["id"], after[0])
        self.assertFalse(os.path.exists(data + "/signing.next"))
        # A next key that nobody heard of is no harm.
        with open(data + "/signing.next", "w", encoding="ascii") as file:
            file.write("half a key")
        self.console.process.send_signal(signal.SIGHUP)
        self.admin.post("/api/v1/signing-key/change", {}, expect=200)

    def test_many_changes_stay_bounded(self):
        for _ in range(18):
            self.admin.post("/api/v1/signing-key/change", {}, expect=200)
        envelope = self.agent().client.get("/agent/v1/policy", expect=200).json
        self.assertEqual(len(envelope["successors"]), 16)


class SubcommandTest(ConsoleTest):
    def run_command(self, *arguments, code=0):
        done = self.console.run(*arguments)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def refused(self, words, *arguments):
        """In words that say what to do, not in errno's."""
        done = self.console.run(*arguments)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertIn(words, done.stderr)

    def table(self, *arguments):
        lines = self.run_command(*arguments).splitlines()
        names = lines[0].split("\t")
        return [dict(zip(names, line.split("\t"))) for line in lines[1:]]

    def test_tokens(self):
        self.admin.post("/api/v1/groups", {"name": "cli group"}, expect=201)
        token = self.run_command("token", "create", "--name", "by hand", "--uses", "1", "--group",
                                 "cli group", "--tag", "a", "--tag", "b", "--cidr",
                                 "127.0.0.0/8").strip()
        agent = Agent(self.console)
        agent.activate(token)
        computer = self.admin.get(f"/api/v1/computers/{agent.id}").json
        self.assertEqual((computer["group"], computer["tags"]), ("cli group", ["a", "b"]))
        listed = [row for row in self.table("token", "list") if row["name"] == "by hand"][0]
        self.assertEqual((listed["uses"], listed["left"], listed["group"]), ("1", "0", "cli group"))
        token = self.run_command("token", "create").strip()
        newest = self.table("token", "list")[0]["id"]
        self.run_command("token", "revoke", newest)
        Agent(self.console).activate(token, expect=403)
        self.refused("no such", "token", "revoke", newest)
        self.refused("no such group", "token", "create", "--group", "none")
        self.refused("no such group, policy", "token", "create", "--policy", "none")
        for wrong in (["--group", "none"], ["--policy", "none"]):
            self.refused("cannot make a sensor key: there is no such", "sensor-key", "create",
                         "storage", *wrong)
        for wrong in (["--days", "0"], ["--cidr", "10/8"], ["--uses", "-1"], ["more"], ["--tag", ""]):
            self.run_command("token", "create", *wrong, code=2)

    def test_keys(self):
        self.admin.post("/api/v1/groups", {"name": "keyed"}, expect=201)
        key = self.run_command("api-key", "create", "--role", "operator", "--group", "keyed",
                               "--days", "1", "--name", "cli").strip()
        client = self.console.api(key)
        self.assertEqual([g["name"] for g in client.get("/api/v1/groups").json["groups"]], ["keyed"])
        client.get("/api/v1/tokens", expect=200)
        client.get("/api/v1/users", expect=403)
        row = [row for row in self.table("api-key", "list") if row["name"] == "cli"][0]
        self.assertEqual((row["role"], row["revoked"]), ("operator", "-"))
        self.run_command("api-key", "revoke", row["id"])
        client.get("/api/v1/groups", expect=401)
        plain = self.console.api(self.run_command("api-key", "create").strip())
        plain.get("/api/v1/computers", expect=200)
        plain.get("/api/v1/tokens", expect=403)
        for group in ("none", ""):  # never a key without limits by mistake
            self.refused("no such group", "api-key", "create", "--group", group)
            self.refused("no such group", "user", "create", "--group", group, "nobody")
        for wrong in (["--days", "731"], ["--role", "god"], ["more"]):
            self.run_command("api-key", "create", *wrong, code=2)

    def test_users(self):
        password = self.run_command("user", "create", "--role", "operator", "hanako").strip()
        client = self.console.api()
        self.assertTrue(client.sign_in("hanako", password).json["must_change_password"])
        row = [row for row in self.table("user", "list") if row["name"] == "hanako"][0]
        self.assertEqual((row["role"], row["state"]), ("operator", "active"))
        self.run_command("user", "disable", "hanako")
        client.get("/api/v1/session", expect=401)
        self.run_command("user", "enable", "hanako")
        client.sign_in("hanako", password)
        again = self.run_command("user", "reset-password", "hanako").strip()
        self.assertNotEqual(again, password)
        client.sign_in("hanako", again)
        self.refused("no administrator would be left", "user", "disable", "admin")
        self.refused("name is taken", "user", "create", "hanako")
        self.refused("no such", "user", "disable", "nobody")
        self.run_command("user", "create", "--role", "god", "x", code=2)
        self.run_command("user", "create", "--group", "none", "x", code=1)
        self.run_command("user", code=2)
        for wrong in (["pin", "more"], ["verify-audit", "more"], ["completion", "more"]):
            self.run_command(*wrong, code=2)
        said = self.console.run("nothing")
        self.assertIn('no command "nothing"', said.stderr)
        said = self.console.run("user", "create", "--role", "god", "x")
        self.assertIn('--role does not take "god"', said.stderr)
        self.assertNotIn("sensor-key", said.stderr)  # of this command only

    def test_rules(self):
        self.admin.post("/api/v1/groups", {"name": "webs"}, expect=201)
        self.run_command("rule", "create", "--hostname", "cli-*", "--cidr", "127.0.0.1",
                         "web by cli", "--group", "webs", "--add-tag", "placed")
        agent = Agent(self.console, hostname="cli-7")
        agent.activate(self.token())
        computer = self.admin.get(f"/api/v1/computers/{agent.id}").json
        self.assertEqual((computer["group"], computer["tags"]), ("webs", ["placed"]))
        rows = self.table("rule", "list")
        self.assertEqual(json.loads(rows[0]["when"]), {"hostnames": ["cli-*"], "cidrs": ["127.0.0.1"]})
        self.refused("name is taken", "rule", "create", "web by cli")
        self.run_command("rule", "delete", "web by cli")
        self.run_command("rule", "delete", "web by cli", code=1)
        self.run_command("rule", "create", "--account", "12", "x", code=2)

    def test_the_manual_names_all(self):
        """Every subcommand, option and setting that the program has."""
        root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
        page = harness.read(root + "/packaging/man/yagura-console.8").replace("\\-", "-")
        page = re.sub(r"^\.[A-Z]+ |\\f[BIR]|\"", "", page, flags=re.MULTILINE)
        usage = self.run_command("--help")
        commands = re.findall(r"(?:^  |\| )([a-z-]+(?: [a-z-]+\b(?!:))?)", usage, flags=re.MULTILINE)
        known = self.run_command("completion")
        names = {name.split(" ")[0] for name in commands}
        self.assertLessEqual({"token", "api-key", "restore", "migrate", "completion"}, names)
        for name in sorted(set(commands) | set(re.findall(r"--[a-z-]+", usage))):
            self.assertIn(name, page)
        for name in names:
            self.assertIn(name, known)
        settings = re.findall(r'X\(\w+,\s*"([a-z_.]+)"',
                              harness.read(root + "/console/program/console_settings.h"))
        self.assertGreater(len(settings), 10)
        for name in settings:
            self.assertIn(name, page)

    def test_all_of_it_is_audited(self):
        self.run_command("token", "create", "--name", "audited")
        entries = self.admin.get("/api/v1/audit").json["entries"]
        found = [entry for entry in entries if entry["subject"] == "audited"]
        self.assertTrue(re.fullmatch(r"console:uid=\d+", found[0]["actor"]), found)
        self.assertIn("the chain is whole", self.run_command("verify-audit"))


if __name__ == "__main__":
    harness.main()
