"""Who may activate, as what, and where the computer belongs: EC2 identity, rules, copies."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import uuid

import harness
from harness import Agent, Client, Console, ConsoleTest

ACCOUNT = "123456789012"


class Amazon:
    """Signs instance identity documents as a region of EC2 does: a self-signed certificate,
    PKCS #7 with SHA-256, the document inside or beside it."""

    def __init__(self, folder, region):
        self.folder, self.region = folder, region
        os.makedirs(folder + "/pinned", exist_ok=True)
        self.certificate = f"{folder}/pinned/{region}.pem"
        self.key = f"{folder}/{region}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256",
                        "-subj", "/C=US/O=Amazon Web Services LLC/CN=" + region, "-days", "100",
                        "-keyout", self.key, "-out", self.certificate],
                       check=True, capture_output=True)

    def document(self, instance, account=ACCOUNT, region=None):
        return json.dumps({"accountId": account, "architecture": "x86_64", "imageId": "ami-1",
                           "instanceId": instance, "instanceType": "t3.micro",
                           "pendingTime": "2026-11-22T00:00:00Z", "privateIp": "10.0.0.5",
                           "region": region or self.region, "version": "2017-09-30"}, indent=2)

    def sign(self, document, *options):
        path = self.folder + "/document"
        with open(path, "w", encoding="utf-8") as file:
            file.write(document)
        done = subprocess.run(["openssl", "cms", "-sign", "-binary", "-md", "sha256", "-signer",
                               self.certificate, "-inkey", self.key, "-outform", "DER", "-in", path,
                               *options], check=True, capture_output=True)
        return base64.encodebytes(done.stdout).decode()  # with line ends, as EC2 gives it

    def identity(self, instance, **more):
        document = self.document(instance, **more)
        return {"document": document, "rsa2048": self.sign(document, "-nodetach", "-nocerts")}


class IdentityTest(ConsoleTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yagura-amazon-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.amazon = Amazon(cls.folder, "eu-west-1")
        cls.tokyo = Amazon(cls.folder, "ap-northeast-1")
        cls.settings = ('instance_identity = { check = "required"; '
                        f'certificates = "{cls.folder}/pinned"; accounts = ("{ACCOUNT}"); '
                        'regions = ("eu-west-1", "us-east-1"); };\nheartbeat = 60;\n')
        super().setUpClass()

    def on_ec2(self, instance=None, **more):
        agent = Agent(self.console, **more)
        agent.instance = instance or "i-" + uuid.uuid4().hex[:17]
        return agent

    def activate(self, agent, identity=None, expect=201):
        return agent.activate(self.token(), expect=expect,
                              instance_identity=identity or self.amazon.identity(agent.instance))

    def refused(self, agent, identity, code):
        answer = self.activate(agent, identity, expect=403)
        self.assertEqual(answer.json["code"], code, answer)

    def kinds(self, agent):
        return [event["kind"] for event in
                self.admin.get(f"/api/v1/events?computer={agent.id}").json["events"]]

    def test_a_signed_document(self):
        agent = self.on_ec2()
        self.activate(agent)
        agent.heartbeat()
        computer = self.admin.get(f"/api/v1/computers/{agent.id}").json
        self.assertEqual((computer["account"], computer["region"], computer["instance_id"]),
                         (ACCOUNT, "eu-west-1", agent.instance))
        detached = self.on_ec2()
        document = self.amazon.document(detached.instance)
        self.activate(detached, {"document": document, "rsa2048": self.amazon.sign(document)})

    def test_none(self):
        answer = self.on_ec2().activate(self.token(), expect=403)
        self.assertEqual(answer.json["code"], "identity_missing")

    def test_forged(self):
        agent = self.on_ec2()
        good = self.amazon.identity(agent.instance)
        other = self.amazon.document("i-00000000000000001")
        self.refused(agent, {**good, "document": good["document"] + " "}, "identity_signature")
        self.refused(agent, {**good, "document": good["document"].replace(ACCOUNT, ACCOUNT[::-1])},
                     "identity_signature")
        self.refused(agent, {**good, "document": other}, "identity_signature")
        self.refused(agent, {**good, "rsa2048": good["rsa2048"][:-20] + "=\n"}, "identity_format")
        self.refused(agent, {**good, "rsa2048": "*"}, "identity_format")
        self.refused(agent, {**good, "document": "{}"}, "identity_format")
        self.refused(agent, {**good, "document": "[" * 2000}, "identity_format")

    def test_the_certificate_inside_is_not_believed(self):
        """An attacker's own certificate, carried in the message, with the same names."""
        folder = tempfile.mkdtemp(dir=self.folder)
        attacker = Amazon(folder, "eu-west-1")
        agent = self.on_ec2()
        document = attacker.document(agent.instance)
        self.refused(agent, {"document": document,
                             "rsa2048": attacker.sign(document, "-nodetach")}, "identity_signature")

    def test_a_weak_digest(self):
        agent = self.on_ec2()
        document = self.amazon.document(agent.instance)
        signature = self.amazon.sign(document, "-nodetach", "-nocerts", "-md", "sha1")
        self.refused(agent, {"document": document, "rsa2048": signature}, "identity_signature")

    def test_of_others(self):
        agent = self.on_ec2()
        self.refused(agent, self.amazon.identity(agent.instance, account="999999999999"),
                     "identity_account")
        self.refused(agent, self.tokyo.identity(agent.instance), "identity_region")  # not allowed
        self.refused(agent, self.amazon.identity(agent.instance, region="us-east-1"),
                     "identity_region")  # allowed, but nothing is pinned
        self.refused(agent, self.amazon.identity("i-00000000000000002"), "identity_instance")
        tokyo_as_ireland = self.tokyo.document(agent.instance, region="eu-west-1")
        self.refused(agent, {"document": tokyo_as_ireland,
                             "rsa2048": self.tokyo.sign(tokyo_as_ireland, "-nodetach")},
                     "identity_signature")

    def test_one_instance_is_one_computer(self):
        agent = self.on_ec2()
        identity = self.amazon.identity(agent.instance)
        self.activate(agent, identity)
        agent.heartbeat([agent.event()])
        thief = self.on_ec2(agent.instance)
        answer = self.activate(thief, identity, expect=409)
        self.assertEqual(answer.json["code"], "instance_taken")
        agent.heartbeat()  # it is not disturbed
        self.assertIn("clone_seen", self.kinds(agent))
        self.assertIn("clone_refused", [entry["action"] for entry in
                                        self.admin.get("/api/v1/audit").json["entries"]])
        self.set_offline(agent)
        self.activate(thief, identity, expect=409)  # another disk: still not

    def test_a_reinstalled_agent_keeps_its_record(self):
        agent = self.on_ec2()
        identity = self.amazon.identity(agent.instance)
        self.activate(agent, identity)
        agent.heartbeat([agent.event()])
        again = self.on_ec2(agent.instance, machine=agent.machine)
        self.activate(again, identity, expect=409)  # the old one may still live
        self.set_offline(agent)
        self.activate(again, identity)
        self.assertEqual(again.id, agent.id)
        again.heartbeat()
        self.assertEqual(agent.heartbeat(expect=401).json["code"], "certificate_unknown")
        self.assertIn("malware_found", self.kinds(again))

    def test_again_with_the_old_certificate(self):
        agent = self.on_ec2()
        self.activate(agent)
        first = agent.id
        self.activate(agent)
        self.assertEqual(agent.id, first)

    def test_a_wrong_folder_is_said(self):
        folder = tempfile.mkdtemp(dir=self.folder)
        with open(folder + "/eu-west-1.pem", "w", encoding="ascii") as file:
            file.write("no certificate\n")
        for where in (folder, self.folder + "/absent", tempfile.mkdtemp(dir=self.folder)):
            console = Console(f'instance_identity = {{ check = "given"; certificates = "{where}"; }};')
            with self.assertRaises(RuntimeError) as raised:
                console.__enter__()
            console.process.stdout.close()
            console.process.stderr.close()
            shutil.rmtree(console.folder)
            self.assertIn("instance_certificates_unusable", str(raised.exception))


class RuleTest(ConsoleTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yagura-amazon-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.amazon = Amazon(cls.folder, "eu-west-1")
        cls.settings = f'instance_identity = {{ check = "given"; certificates = "{cls.folder}/pinned"; }};'
        super().setUpClass()
        for name in ("web", "data", "ireland", "local", "rest"):
            cls.admin.post("/api/v1/groups", {"name": name}, expect=201)
        for name in ("strict", "loose"):
            cls.admin.put("/api/v1/policies/" + name, {"text": 'parent = "base";\n'}, expect=201,
                          If_None_Match="*")

    def setUp(self):
        for rule in self.rules():
            self.admin.delete("/api/v1/rules/" + rule["id"], expect=204)

    def rules(self):
        return self.admin.get("/api/v1/rules", expect=200).json["rules"]

    def rule(self, name, expect=201, **more):
        return self.admin.post("/api/v1/rules", {"name": name, **more}, expect=expect).json

    def place(self, token=None, hostname="host.test", **more):
        agent = Agent(self.console, hostname=hostname)
        if "instance_identity" in more:
            agent.instance = json.loads(more["instance_identity"]["document"])["instanceId"]
        agent.activate(token or self.token(), **more)
        computer = self.admin.get(f"/api/v1/computers/{agent.id}").json
        return computer["group"], computer["policy"], computer["tags"]

    def test_the_first_that_matches(self):
        self.rule("web hosts", when={"hostnames": ["web-*", "WWW?"]}, group="web", policy="strict",
                  tags=["front"])
        self.rule("all", group="rest")
        self.assertEqual(self.place(hostname="web-1.test"), ("web", "strict", ["front"]))
        self.assertEqual(self.place(hostname="www1"), ("web", "strict", ["front"]))
        self.assertEqual(self.place(hostname="db-1"), ("rest", None, []))
        first = self.rule("before", position=1, when={"hostnames": ["web-1*"]}, group="data")
        self.assertEqual([rule["name"] for rule in self.rules()], ["before", "web hosts", "all"])
        self.assertEqual(self.place(hostname="web-1.test"), ("data", None, []))
        self.admin.put("/api/v1/rules/" + first["id"], {"name": "before", "group": "local",
                                                        "when": {"hostnames": ["none"]}}, expect=204)
        self.assertEqual(self.place(hostname="web-1.test"), ("web", "strict", ["front"]))

    def test_the_rule_wins_over_the_token_and_that_over_the_agent(self):
        token = self.token(group="data", policy="loose", tags=["a", "b"])
        self.rule("tagged", when={"tags": ["b"]}, policy="strict", tags=["b", "c"])
        self.assertEqual(self.place(token), ("data", "strict", ["a", "b", "c"]))
        self.assertEqual(self.place(group="web", policy="loose"), ("web", "loose", []))

    def test_every_kind_of_condition(self):
        made = self.admin.post("/api/v1/tokens", {"name": "known"}, expect=201).json
        self.rule("by token", when={"tokens": [made["id"]]}, group="data")
        self.rule("by region and account", when={"regions": ["eu-west-1"], "accounts": [ACCOUNT]},
                  group="ireland")
        self.rule("by network", when={"cidrs": ["10.0.0.0/8", "127.0.0.0/30"],
                                      "hostnames": ["n*"]}, group="local")
        self.assertEqual(self.place(made["token"])[0], "data")
        identity = self.amazon.identity("i-0123456789abcdef0")
        self.assertEqual(self.place(instance_identity=identity)[0], "ireland")
        other = self.amazon.identity("i-0123456789abcdef1", account="210987654321")
        self.assertIsNone(self.place(instance_identity=other)[0])
        self.assertEqual(self.place(hostname="near")[0], "local")
        self.assertIsNone(self.place(hostname="far")[0])

    def test_a_known_computer_stays_where_it_is(self):
        agent = self.agent()
        self.rule("all", group="rest")
        agent.activate(self.token())
        self.assertIsNone(self.admin.get(f"/api/v1/computers/{agent.id}").json["group"])

    def test_bad_rules(self):
        for body in ({}, {"name": ""}, {"name": "x", "when": []}, {"name": "x", "when": {"who": []}},
                     {"name": "x", "when": {"cidrs": ["10/8"]}}, {"name": "x", "position": -1},
                     {"name": "x", "when": {"accounts": ["12"]}}, {"name": "x", "colour": "red"},
                     {"name": "x", "when": {"hostnames": [""]}}, {"name": "x", "when": {"tags": "a"}}):
            self.admin.post("/api/v1/rules", body, expect=400)
        self.rule("x", group="nowhere", expect=404)
        self.rule("x")
        self.rule("x", expect=409)
        unknown = str(uuid.uuid4())
        self.admin.put("/api/v1/rules/" + unknown, {"name": "y"}, expect=404)
        self.admin.put("/api/v1/rules/y", {"name": "y"}, expect=404)
        self.admin.delete("/api/v1/rules/" + unknown, expect=404)

    def test_what_a_rule_names_stays(self):
        self.admin.post("/api/v1/groups", {"name": "kept"}, expect=201)
        group = [g for g in self.admin.get("/api/v1/groups").json["groups"] if g["name"] == "kept"][0]
        self.admin.put("/api/v1/policies/kept", {"text": ""}, expect=201, If_None_Match="*")
        rule = self.rule("keeps", group="kept", policy="kept")
        self.admin.delete("/api/v1/groups/" + group["id"], expect=409)
        self.admin.delete("/api/v1/policies/kept", expect=409)
        self.admin.delete("/api/v1/rules/" + rule["id"], expect=204)
        self.admin.delete("/api/v1/groups/" + group["id"], expect=204)
        self.admin.delete("/api/v1/policies/kept", expect=204)

    def test_who_is_limited_to_groups_may_not(self):
        group = self.admin.get("/api/v1/groups").json["groups"][0]["id"]
        key = self.admin.post("/api/v1/keys", {"name": "limited", "role": "operator",
                                               "groups": [group]}, expect=201).json["key"]
        client = self.console.api(key)
        client.post("/api/v1/rules", {"name": "mine"}, expect=403)


class CloneTest(ConsoleTest):
    def clone_of(self, agent, **more):
        copy = Agent(self.console, **more)
        copy.certificate = agent.certificate
        return copy

    def events(self, agent):
        return {event["kind"]: event for event in
                self.admin.get(f"/api/v1/events?computer={agent.id}").json["events"]}

    def test_a_copy_comes_back_by_itself(self):
        """A disk copied with its identity, and no token on it."""
        self.admin.post("/api/v1/groups", {"name": "golden"}, expect=201)
        agent = Agent(self.console, hostname="original")
        agent.activate(self.token(group="golden", tags=["image"], uses=3))
        agent.heartbeat([agent.event()])
        copy = self.clone_of(agent, hostname="copy")
        copy.client = Client(self.console, self.console.agents_port, certificate=agent.certificate)
        self.assertEqual(copy.heartbeat(expect=409).json["code"], "clone")
        answer = copy.activate("")
        self.assertNotEqual(copy.id, agent.id)
        move = json.loads(json.loads(answer.json["move"])["document"])
        self.assertEqual((move["purpose"], move["agent_id"], move["successor_id"]),
                         ("move", agent.id, copy.id))
        copy.heartbeat([copy.event()])
        agent.heartbeat()
        shown = self.admin.get(f"/api/v1/computers/{copy.id}").json
        self.assertEqual((shown["group"], shown["tags"], shown["hostname"]),
                         ("golden", ["image"], "copy"))
        self.assertEqual(self.events(agent)["clone_seen"]["detail"].get("clone", copy.id), copy.id)
        self.assertEqual(self.events(copy)["activated_as_clone"]["detail"], {"original": agent.id})
        self.assertIn("malware_found", self.events(agent))
        actions = {entry["action"]: entry["subject"] for entry in
                   self.admin.get("/api/v1/audit").json["entries"]}
        self.assertEqual((actions["clone_seen"], actions["clone_activated"]), ("original", "copy"))
        self.clone_of(agent).activate("")  # the third use of the token
        answer = self.clone_of(agent).activate("", expect=403)
        self.assertTrue(answer.json["detail"].endswith("used_up"), answer)

    def test_two_that_look_the_same(self):
        """A copy with the machine-id of its original: told apart by living at once."""
        agent = self.agent()
        agent.heartbeat()
        copy = self.clone_of(agent, machine=agent.machine)
        copy.client = Client(self.console, self.console.agents_port, certificate=agent.certificate)
        copy.heartbeat()  # looks like a restart
        self.console.query("UPDATE computers SET session_ms = session_ms - 60000"
                           f" WHERE id = '{agent.id}'")
        agent.heartbeat()
        copy.heartbeat(expect=409)
        copy.activate("")
        self.assertNotEqual(copy.id, agent.id)
        copy.heartbeat()
        agent.heartbeat()

    def test_three_that_look_the_same(self):
        """More runs than two take turns; the first that ever was stays."""
        agent = self.agent()
        agent.heartbeat()
        copies = [self.clone_of(agent, machine=agent.machine) for _ in range(2)]
        for copy in copies:
            copy.client = Client(self.console, self.console.agents_port,
                                 certificate=agent.certificate)
            copy.heartbeat()
        self.console.query("UPDATE computers SET session_ms = session_ms - 60000"
                           f" WHERE id = '{agent.id}'")
        agent.heartbeat()
        for copy in copies:
            copy.heartbeat(expect=409)
            copy.activate("")
            copy.heartbeat()
        agent.heartbeat()
        self.assertEqual(len({agent.id, *(copy.id for copy in copies)}), 3)
        self.assertIn("clone_refused", [entry["action"] for entry in
                                        self.admin.get("/api/v1/audit").json["entries"]])

    def test_the_original_itself_needs_a_token(self):
        agent = self.agent()
        self.assertEqual(agent.activate("", expect=403).json["code"], "token_refused")

    def test_who_may_not_vouch(self):
        token = self.admin.post("/api/v1/tokens", {"name": "image"}, expect=201).json
        agent = Agent(self.console)
        agent.activate(token["token"])
        self.clone_of(agent).activate("")
        self.console.query(f"UPDATE tokens SET expires_ms = 1 WHERE id = '{token['id']}'")
        self.clone_of(agent).activate("")  # images live longer than tokens
        deactivated = self.agent()
        deactivated.client.post("/agent/v1/deactivate", {}, expect=204)
        self.clone_of(deactivated).activate("", expect=403)
        deleted = self.agent()
        self.admin.delete(f"/api/v1/computers/{deleted.id}", expect=204)
        self.clone_of(deleted).activate("", expect=403)
        self.admin.delete("/api/v1/tokens/" + token["id"], expect=204)
        answer = self.clone_of(agent).activate("", expect=403)
        self.assertTrue(answer.json["detail"].endswith("revoked"), answer)


class BucketTest(ConsoleTest):
    agents = "activations_per_second = 3; policies_per_second = 1; "
    settings = "mirror = { pieces_per_second = 1; };\n"

    def test_too_many_activations(self):
        token = self.token()
        client = Client(self.console, self.console.agents_port)
        busy = []
        while len(busy) < 5:  # faster than three a second, whatever the machine
            answer = client.post("/agent/v1/activate", {"protocol": 1})
            self.assertIn(answer.status, (400, 429))
            busy += [answer] if answer.status == 429 else []
        for answer in busy:
            self.assertEqual(answer.json["code"], "busy")
            self.assertTrue(5 <= int(answer.headers["Retry-After"]) <= 30)
        agent = Agent(self.console)
        harness.until(lambda: agent.activate(token, expect=None).status == 201)

    def test_too_many_policies(self):
        agent = Agent(self.console)
        token = self.token()
        harness.until(lambda: agent.activate(token, expect=None).status == 201)
        harness.until(lambda: agent.client.get("/agent/v1/policy").status == 429)
        agent.heartbeat()  # these go on
        harness.until(lambda: agent.client.get("/agent/v1/policy").status == 200)

    def test_who_is_unknown_takes_no_set_of_signatures(self):
        agent = Agent(self.console)
        token = self.token()
        harness.until(lambda: agent.activate(token, expect=None).status == 201)
        self.admin.post(f"/api/v1/computers/{agent.id}/deactivate", {}, expect=200)
        self.admin.delete(f"/api/v1/computers/{agent.id}", expect=204)
        for _ in range(40):
            agent.client.get("/agent/v1/signatures", expect=401)
            agent.client.get("/agent/v1/signatures/files/" + "0" * 64, expect=401)


class ShareTest(ConsoleTest):
    def test_one_computer_takes_no_more_than_its_share(self):
        greedy, other = Agent(self.console), Agent(self.console)
        for agent in (greedy, other):
            agent.activate(self.token())
        for path in ("/agent/v1/signatures", "/agent/v1/signatures/files/" + "0" * 64):
            answers = []
            while len(answers) < 5:  # faster than its share, whatever the machine
                answer = greedy.client.get(path)
                answers += [answer] if answer.status == 429 else []
            for answer in answers:
                self.assertEqual((answer.json["code"], answer.headers["Retry-After"]), ("busy", "1"))
            self.assertEqual(other.client.get(path).status, 404)
            harness.until(lambda path=path: greedy.client.get(path).status == 404)


if __name__ == "__main__":
    harness.main()
