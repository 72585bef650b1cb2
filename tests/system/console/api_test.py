"""The REST API: signing in, roles and groups, lists, policies, audit."""

import base64
import csv
import hmac
import io
import json
import re
import signal
import socket
import sqlite3
import struct
import subprocess
import time
import urllib.parse

import harness
from harness import PASSWORD, Agent, Client, Console, ConsoleTest


class SignInTest(ConsoleTest):
    def test_one_time_password_must_be_changed(self):
        self.admin.post("/api/v1/users", {"name": "new", "role": "reader",
                                          "password": "given by someone"}, expect=201)
        client = self.console.api()
        answer = client.sign_in("new", "given by someone")
        cookie = answer.headers["Set-Cookie"]
        for word in ("__Host-yagura=", "Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
            self.assertIn(word, cookie)
        self.assertTrue(answer.json["must_change_password"])
        self.assertEqual(client.get("/api/v1/computers", expect=403).json["code"],
                         "password_change_required")
        client.put("/api/v1/session/password", {"old": "wrong wrong wrong", "new": PASSWORD},
                   expect=403)
        told = self.admin.get("/api/v1/audit?limit=1").json["entries"][0]
        self.assertEqual((told["action"], told["subject"], told["detail"]),
                         ("password_change_failed", "user:new", None))
        client.put("/api/v1/session/password", {"old": "given by someone", "new": "short"},
                   expect=400)
        client.put("/api/v1/session/password", {"old": "given by someone", "new": PASSWORD},
                   expect=204)
        client.get("/api/v1/session", expect=401)
        client.sign_in("new", PASSWORD)
        client.get("/api/v1/computers", expect=200)
        client.delete("/api/v1/session", expect=204)
        client.get("/api/v1/session", expect=401)

    def test_failures_are_limited(self):
        client = self.console.api()
        for _ in range(5):
            answer = client.post("/api/v1/session", {"name": "nobody", "password": "x"}, expect=401)
            self.assertEqual(answer.json["code"], "wrong_credentials")
        answer = client.post("/api/v1/session", {"name": "nobody", "password": "x"}, expect=429)
        self.assertGreater(int(answer.headers["Retry-After"]), 200)
        self.admin.get("/api/v1/session", expect=200)

    def test_changes_need_the_token_against_forgery(self):
        body = {"name": "forged"}
        cookie = {"Cookie": self.admin.headers["Cookie"]}
        client = self.console.api()
        client.headers = dict(cookie)
        client.get("/api/v1/tokens", expect=200)
        client.post("/api/v1/tokens", body, expect=401)
        client.headers["X-CSRF-Token"] = "A" * 43
        client.post("/api/v1/tokens", body, expect=401)
        self.admin.post("/api/v1/tokens", body, expect=403, Sec_Fetch_Site="cross-site")
        self.admin.post("/api/v1/tokens", body, expect=201, Sec_Fetch_Site="same-origin")
        self.admin.post("/api/v1/tokens", b'{"name":"x"}', expect=415, Content_Type="text/plain")

    def test_second_factor(self):
        def code(secret, step):
            done = hmac.digest(base64.b32decode(secret), struct.pack(">Q", step), "sha1")
            offset = done[-1] & 15
            return f"{(struct.unpack('>I', done[offset:offset + 4])[0] & 0x7FFFFFFF) % 1000000:06}"

        user = self.admin.post("/api/v1/users", {"name": "two", "role": "reader",
                                                 "password": "given by someone"}, expect=201).json
        client = self.console.api()
        client.sign_in("two", "given by someone")
        client.put("/api/v1/session/password", {"old": "given by someone", "new": PASSWORD},
                   expect=204)
        client.sign_in("two", PASSWORD)
        client.put("/api/v1/session/totp", {"code": "123456"}, expect=403)
        secret = client.post("/api/v1/session/totp", expect=201).json["secret"]
        client.sign_in("two", PASSWORD)  # not asked for before it was confirmed
        now = int(time.time()) // 30
        client.put("/api/v1/session/totp", {"code": code(secret, now - 5)}, expect=403)
        client.put("/api/v1/session/totp", {"code": code(secret, now)}, expect=204)
        client.post("/api/v1/session/totp", expect=409)
        self.assertNotIn(secret, self.console.dump())
        body = {"name": "two", "password": PASSWORD}
        other = self.console.api()
        answer = other.post("/api/v1/session", body, expect=401)
        self.assertEqual(answer.json["code"], "code_required")
        used = {**body, "code": code(secret, now)}
        self.assertEqual(other.post("/api/v1/session", used, expect=401).json["code"],
                         "wrong_credentials")
        fresh = {**body, "code": code(secret, now + 1)}
        other.post("/api/v1/session", fresh, expect=201)
        other.post("/api/v1/session", fresh, expect=401)
        entries = self.admin.get("/api/v1/audit?limit=10").json["entries"]
        failed = [entry for entry in entries if entry["action"] == "sign_in_failed"]
        self.assertEqual([entry["subject"] for entry in failed], ["two", "two"], entries)
        self.admin.patch("/api/v1/users/" + user["id"], {"password": "given once more"}, expect=204)
        client.sign_in("two", "given once more")

    def test_passwords_are_kept_as_argon2id(self):
        for name in ("one-of-two", "two-of-two"):
            self.admin.post("/api/v1/users", {"name": name, "role": "reader", "password": PASSWORD}, expect=201)
        hashes = [row[0] for row in self.console.query("SELECT password FROM users")]
        for each in hashes:
            self.assertRegex(each, r"^\$argon2id\$v=19\$m=65536,t=3,p=1\$[\w+/]{22}\$[\w+/]{43}$")
        self.assertEqual(len(hashes), len(set(hashes)))

    def test_keys(self):
        made = self.admin.post("/api/v1/keys", {"name": "ci", "role": "reader"}, expect=201).json
        client = self.console.api(made["key"])
        client.get("/api/v1/computers", expect=200)
        client.get("/api/v1/users", expect=403)
        client.post("/api/v1/tokens", {"name": "x"}, expect=403)
        client.put("/api/v1/session/password", {"old": "a", "new": "b" * 12}, expect=403)
        self.admin.delete("/api/v1/keys/" + made["id"], expect=204)
        client.get("/api/v1/computers", expect=401)
        self.console.api("yk1.nothing").get("/api/v1/computers", expect=401)
        ending = self.admin.post("/api/v1/keys", {"name": "ends", "role": "reader", "days": 1},
                                 expect=201).json
        client = self.console.api(ending["key"])
        client.get("/api/v1/computers", expect=200)
        self.console.query(f"UPDATE api_keys SET expires_ms = 1 WHERE id = '{ending['id']}'")
        client.get("/api/v1/computers", expect=401)
        for days in (0, 731):
            self.admin.post("/api/v1/keys", {"name": "x", "role": "reader", "days": days}, expect=400)
        dump = self.console.dump()
        for secret in (made["key"], self.token(), PASSWORD,
                       self.admin.headers["Cookie"].split("=")[1]):
            self.assertNotIn(secret, dump)

    def test_a_session_ends_by_itself(self):
        self.admin.post("/api/v1/users", {"name": "brief", "role": "reader",
                                          "password": "given by someone"}, expect=201)
        client = self.console.api()
        client.sign_in("brief", "given by someone")
        client.get("/api/v1/session", expect=200)
        self.console.query("UPDATE sessions SET expires_ms = 1 WHERE user_id ="
                           " (SELECT id FROM users WHERE name = 'brief')")
        client.get("/api/v1/session", expect=401)

    def test_the_audit_log_says_what_was_changed(self):
        made = self.admin.post("/api/v1/users", {"name": "grows", "role": "reader",
                                                 "password": "given by someone"}, expect=201).json
        self.admin.patch("/api/v1/users/" + made["id"], {"role": "operator"}, expect=204)
        self.admin.patch("/api/v1/users/" + made["id"], {"password": "given once more"}, expect=204)
        self.admin.post("/api/v1/tokens", {"name": "t1", "tags": ["prod"], "uses": 3}, expect=201)
        told = [(entry["action"], entry["detail"])
                for entry in self.admin.get("/api/v1/audit?limit=4").json["entries"]]
        self.assertEqual(told[::-1], [
            ("user_created", {"name": "grows", "role": "reader", "password": "set"}),
            ("user_changed", {"role": "operator"}), ("user_changed", {"password": "set"}),
            ("token_created", {"name": "t1", "tags": ["prod"], "uses": 3})])
        dump = self.console.dump()
        for secret in ("given by someone", "given once more"):
            self.assertNotIn(secret, dump)

    def test_the_last_administrator_stays(self):
        me = [user for user in self.admin.get("/api/v1/users").json["users"]
              if user["name"] == "admin"][0]
        path = "/api/v1/users/" + me["id"]
        self.admin.patch(path, {"role": "reader"}, expect=409)
        self.admin.patch(path, {"disabled": True}, expect=409)
        self.admin.delete(path, expect=409)
        self.admin.get("/api/v1/session", expect=200)


class ComputersTest(ConsoleTest):
    def test_tags_and_the_policy_that_counts(self):
        group = self.admin.post("/api/v1/groups", {"name": "tagged"}, expect=201).json["id"]
        agent = Agent(self.console, hostname="tagged-1")
        agent.activate(self.token(group="tagged", tags=["prod", 'a "b"']))
        for tag, found in (("prod", True), ('a "b"', True), ("pro", False), ("%", False)):
            path = "/api/v1/computers?tag=" + urllib.parse.quote(tag)
            rows = self.admin.get(path, expect=200).json["computers"]
            self.assertEqual([row["hostname"] for row in rows], ["tagged-1"] if found else [], tag)
        for policy, change in (("base", None), ("base2", group)):
            if change:
                self.admin.put("/api/v1/policies/base2", {"text": 'parent = "base";\n'},
                               If_None_Match="*", expect=201)
                self.admin.patch("/api/v1/groups/" + group, {"policy": "base2"}, expect=204)
            computer = self.admin.get("/api/v1/computers/" + agent.id).json
            self.assertEqual((computer["policy"], computer["effective_policy"]), (None, policy))


class RolesTest(ConsoleTest):
    READ = ("/metrics", "/api/v1/about", "/api/v1/overview", "/api/v1/computers", "/api/v1/events",
            "/api/v1/groups", "/api/v1/policies", "/api/v1/policies/base")

    def key(self, role, groups=()):
        made = self.admin.post("/api/v1/keys", {"name": role, "role": role,
                                                "groups": list(groups)}, expect=201)
        return self.console.api(made.json["key"])

    def test_each_role(self):
        allowed = {"administrator": {"audit", "tokens", "users"}, "operator": {"tokens"},
                   "auditor": {"audit"}, "reader": set()}
        for role, more in allowed.items():
            client = self.key(role)
            for path in self.READ:
                client.get(path, expect=200)
            for name in ("audit", "tokens", "users"):
                client.get("/api/v1/" + name, expect=200 if name in more else 403)
            client.put("/api/v1/policies/x", {"text": "wrong ="}, If_None_Match="*",
                       expect=422 if role in ("administrator", "operator") else 403)

    def test_every_route_for_every_role(self):
        """The description says who may; the console does so, for each of them."""
        allowed = {"administrator": {"self", "read", "operate", "policy", "audit", "admin"},
                   "operator": {"self", "read", "operate", "policy"},
                   "auditor": {"self", "read", "audit"}, "reader": {"self", "read"}}
        nobody = self.console.api()
        described = self.admin.get("/api/v1/openapi.json").json["paths"]
        routes = [(method.upper(), re.sub(r"{\w+}", "none-such", path), operation["x-permission"])
                  for path, operations in described.items()
                  for method, operation in operations.items()]
        self.assertGreater(len(routes), 60)
        for method, path, permission in routes:
            if permission != "none":
                answer = nobody.request(method, path)
                self.assertEqual((answer.status, answer.json["code"]), (401, "not_signed_in"), path)
        for role, permissions in allowed.items():
            client = self.key(role)
            for method, path, permission in routes:
                if permission == "none" or path == "/api/v1/stream":
                    continue
                answer = client.request(method, path, {} if method in ("POST", "PUT", "PATCH")
                                        else None)
                refused = (answer.status == 403 and
                           answer.json["detail"] == f"the role {role} may not do this")
                self.assertEqual(refused, permission not in permissions,
                                 f"{role}: {method} {path}: {answer}")
                self.assertNotIn(answer.status, (401, 500, 503), f"{role}: {method} {path}")

    def test_groups_are_fences(self):
        made = {}
        for name in ("east", "west"):
            group = self.admin.post("/api/v1/groups", {"name": name}, expect=201).json["id"]
            agent = Agent(self.console, hostname=name + "-1")
            agent.activate(self.token(group=name))
            agent.heartbeat([agent.event()])
            made[name] = (group, agent)
        client = self.key("operator", [made["east"][0]])
        east, west = made["east"][1].id, made["west"][1].id
        names = [c["hostname"] for c in client.get("/api/v1/computers").json["computers"]]
        self.assertEqual(names, ["east-1"])
        events = client.get("/api/v1/events").json["events"]
        self.assertEqual({event["computer"] for event in events}, {east})
        all_events = self.admin.get("/api/v1/events?severity=critical").json["events"]
        foreign = [event for event in all_events if event["computer"] == west][0]["number"]
        self.assertEqual(client.get(f"/api/v1/events?computer={west}").json["events"], [])
        for severity in ("critical", "info,critical"):
            found = client.get(f"/api/v1/events?severity={severity}").json["events"]
            self.assertEqual({event["computer"] for event in found}, {east})
        client.get(f"/api/v1/events/{foreign}", expect=404)
        client.get(f"/api/v1/computers/{west}", expect=404)
        client.patch(f"/api/v1/computers/{west}", {"display_name": "x"}, expect=404)
        client.delete(f"/api/v1/computers/{west}", expect=404)
        client.post(f"/api/v1/computers/{west}/deactivate", {}, expect=404)
        client.post(f"/api/v1/computers/{west}/commands", {"type": "scan_full"}, expect=404)
        self.admin.post(f"/api/v1/computers/{west}/commands", {"type": "scan_full"}, expect=201)
        self.assertEqual(client.get(f"/api/v1/computers/{west}/commands").json["commands"], [])
        self.console.query("UPDATE commands SET bundle = 'AAAA'")
        owed = self.admin.get(f"/api/v1/computers/{west}/commands").json["commands"][0]["id"]
        self.admin.get(f"/api/v1/computers/{west}/commands/{owed}/bundle", expect=200)
        for computer in (west, east):  # another's, also under the name of one's own
            client.get(f"/api/v1/computers/{computer}/commands/{owed}/bundle", expect=404)
        for path in ("computers", "events", "events?severity=critical", "tokens", "groups"):
            text = client.get("/api/v1/" + path, expect=200, Accept="text/csv").body.decode()
            self.assertNotIn("west", text, path)
            self.assertNotIn(west, text, path)
        client.patch(f"/api/v1/computers/{east}", {"group": "west"}, expect=404)
        client.patch(f"/api/v1/computers/{east}", {"group": ""}, expect=404)
        client.patch(f"/api/v1/computers/{east}", {"display_name": "mine"}, expect=200)
        client.post("/api/v1/tokens", {"name": "x"}, expect=404)
        client.post("/api/v1/tokens", {"name": "x", "group": "west"}, expect=404)
        client.post("/api/v1/tokens", {"name": "x", "group": "east"}, expect=201)
        self.assertEqual({t["group"] for t in client.get("/api/v1/tokens").json["tokens"]}, {"east"})
        self.assertEqual([g["name"] for g in client.get("/api/v1/groups").json["groups"]], ["east"])
        client.post("/api/v1/groups", {"name": "new"}, expect=403)
        client.delete("/api/v1/policies/base", expect=404)
        overview = client.get("/api/v1/overview").json
        self.assertEqual(overview["computers"]["all"], 1)
        self.assertNotIn("events_24h", overview)
        client.get("/api/v1/events/counts", expect=403)
        client.get("/metrics", expect=403)
        for name in ("east", "west"):
            self.admin.post("/api/v1/rules", {"name": name, "group": name}, expect=201)
        self.assertEqual([r["group"] for r in client.get("/api/v1/rules").json["rules"]], ["east"])
        for agent in (east, west):
            self.admin.patch(f"/api/v1/computers/{agent}", {"policy": "base"}, expect=200)
        counted = {p["name"]: p["computers"] for p in client.get("/api/v1/policies").json["policies"]}
        self.assertEqual(counted["base"], 1)
        self.admin.delete("/api/v1/groups/" + made["east"][0], expect=409)

    def test_for_how_many_computers_a_policy_counts(self):
        """Their own, their group's, or base; the list of computers says the same."""
        group = self.admin.post("/api/v1/groups", {"name": "counted"}, expect=201).json["id"]
        self.admin.put("/api/v1/policies/counted", {"text": 'parent = "base";\n'}, expect=201,
                       If_None_Match="*")
        before = self.effective_counts()
        self.assertEqual(before["counted"], 0)
        agents = [Agent(self.console, hostname=f"counted-{i}") for i in range(3)]
        for agent in agents:
            agent.activate(self.token(group="counted"))
        self.assertEqual(self.effective_counts(), {**before, "base": before["base"] + 3})
        self.admin.patch(f"/api/v1/groups/{group}", {"policy": "counted"}, expect=204)
        self.assertEqual(self.effective_counts(), {**before, "counted": 3})
        self.admin.patch(f"/api/v1/computers/{agents[0].id}", {"policy": "base"}, expect=200)
        counted = {**before, "base": before["base"] + 1, "counted": 2}
        self.assertEqual(self.effective_counts(), counted)
        for name, count in counted.items():
            path = f"/api/v1/computers?limit=200&effective_policy={name}"
            self.assertEqual(len(self.admin.get(path, expect=200).json["computers"]), count, name)
        self.assertEqual(self.effective_counts(self.key("reader", [group])),
                         {**dict.fromkeys(before, 0), "base": 1, "counted": 2})

    def effective_counts(self, client=None):
        rows = (client or self.admin).get("/api/v1/policies", expect=200).json["policies"]
        return {row["name"]: row["effective_computers"] for row in rows}

    def test_sentences_in_another_language(self):
        said = self.console.api().get("/api/v1/sentences/ja", expect=200).json
        self.assertEqual(said["this name is taken"], "この名前はすでに使われています")
        self.console.api().get("/api/v1/sentences/xx", expect=404)

    def test_an_administrator_of_groups_stays_in_them(self):
        """Nor does an auditor of groups read what all others did."""
        group = self.admin.post("/api/v1/groups", {"name": "small"}, expect=201).json["id"]
        for role, paths in (("administrator", ("users", "keys", "destinations", "audit")),
                            ("auditor", ("audit",))):
            client = self.key(role, [group])
            client.get("/api/v1/computers", expect=200)
            for path in paths:
                refused = client.get("/api/v1/" + path, expect=403).json
                self.assertIn("limited to groups", refused["detail"])
        client = self.key("administrator", [group])
        client.post("/api/v1/keys", {"name": "out", "role": "administrator"}, expect=403)
        client.post("/api/v1/users", {"name": "out", "role": "administrator",
                                      "password": PASSWORD}, expect=403)
        client.post("/api/v1/signing-key/change", {}, expect=403)

    def test_a_deleted_computer_hides_nobody(self):
        group = self.admin.post("/api/v1/groups", {"name": "north"}, expect=201).json["id"]
        stays, goes = Agent(self.console, hostname="stays"), Agent(self.console, hostname="goes")
        for agent, events in ((stays, 1), (goes, 5)):
            agent.activate(self.token(group="north"))
            agent.heartbeat([agent.event() for _ in range(events)])
        client = self.key("reader", [group])
        page = "/api/v1/events?severity=critical&limit=1"
        self.assertEqual(client.get(page).json["events"][0]["computer"], goes.id)
        self.admin.delete(f"/api/v1/computers/{goes.id}", expect=204)
        self.assertEqual([e["computer"] for e in client.get(page).json["events"]], [stays.id])


class ListTest(ConsoleTest):
    def test_what_is_no_text_is_refused(self):
        """Not passed on to a database that would call itself broken."""
        for query in ("computers?hostname=%ff", "computers?cursor=_w", "events?kind=%c3",
                      "computers?cursor=YQBi", "computers?cursor=%00", "events?cursor=LTE"):
            self.admin.get("/api/v1/" + query, expect=400)
        self.admin.get("/health", expect=200)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        token = cls.admin.post("/api/v1/tokens", {"name": "t"}, expect=201).json["token"]
        cls.agents = []
        for i in range(3):
            agent = Agent(cls.console, hostname=f"host-{i}")
            agent.activate(token)
            cls.agents.append(agent)
        for i, agent in enumerate(cls.agents):
            agent.heartbeat([agent.event("found" if n % 2 else "gap",
                                         ("info", "high", "critical")[n % 3],
                                         ("malware", "watch")[n % 2]) for n in range(30)])

    def pages(self, path, name):
        """Every row, page by page."""
        rows, cursor = [], ""
        while True:
            separator = "&" if "?" in path else "?"
            answer = self.admin.get(f"{path}{separator}limit=7{cursor}", expect=200).json
            rows += answer[name]
            self.assertLessEqual(len(answer[name]), 7)
            if answer["next"] is None:
                return rows
            cursor = "&cursor=" + urllib.parse.quote(answer["next"])

    def test_pages_are_whole_and_in_order(self):
        rows = self.pages("/api/v1/events", "events")
        numbers = [row["number"] for row in rows]
        self.assertEqual(len([row for row in rows if row["kind"] != "formula"]), 93)
        self.assertEqual(numbers, sorted(set(numbers), reverse=True))
        names = [row["hostname"] for row in self.pages("/api/v1/computers", "computers")]
        self.assertEqual(names, ["host-0", "host-1", "host-2"])

    def test_filters_agree_with_the_whole(self):
        rows = self.pages("/api/v1/events", "events")
        agent = self.agents[1].id
        tests = {
            "severity=high": lambda row: row["severity"] == "high",
            "severity=info,critical": lambda row: row["severity"] in ("info", "critical"),
            "module=watch": lambda row: row["module"] == "watch",
            "module=watch&severity=high": lambda row: (row["module"], row["severity"]) == ("watch", "high"),
            "kind=gap": lambda row: row["kind"] == "gap",
            f"computer={agent}": lambda row: row["computer"] == agent,
            f"computer={agent}&severity=critical,high":
                lambda row: row["computer"] == agent and row["severity"] in ("critical", "high"),
            "module=malware&kind=gap":
                lambda row: (row["module"], row["kind"]) == ("malware", "gap"),
            f"computer={agent}&module=watch&severity=high,low":
                lambda row: (row["computer"], row["module"]) == (agent, "watch")
                and row["severity"] in ("high", "low"),
            f"computer={agent}&kind=gap":
                lambda row: (row["computer"], row["kind"]) == (agent, "gap"),
            "since=2100-01-01T00:00:00Z": lambda row: False,
            "until=2100-01-01T00:00:00%2B09:00": lambda row: True,
        }
        middle = rows[40]["received"]
        tests[f"since={middle}"] = lambda row: row["received"] >= middle
        tests[f"until={middle}&severity=info"] = (
            lambda row: row["received"] < middle and row["severity"] == "info")
        for query, wanted in tests.items():
            found = self.pages("/api/v1/events?" + query, "events")
            self.assertEqual([row["number"] for row in found],
                             [row["number"] for row in rows if wanted(row)], query)

    def test_bad_queries(self):
        for query in ("x=1", "limit=0", "limit=201", "limit=-1", "limit=1&limit=2", "cursor=!",
                      "cursor=YWJj", "severity=bad", "since=yesterday", "since=2026-01-01",
                      f"computer={self.agents[0].id}&sensor=x", "module=%zz", "module=%00"):
            answer = self.admin.get("/api/v1/events?" + query, expect=400)
            self.assertIn(answer.json["code"], ("bad_filter", "bad_limit", "bad_cursor"), query)
        self.admin.get("/api/v1/computers?status=sleeping", expect=400)

    def test_csv_of_the_whole_filtered_list(self):
        answer = self.admin.get("/api/v1/events?severity=high&limit=7", Accept="text/csv", expect=200)
        self.assertEqual(answer.headers["Content-Type"], "text/csv; charset=utf-8")
        rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
        wanted = self.pages("/api/v1/events?severity=high", "events")
        self.assertEqual([int(row["number"]) for row in rows], [row["number"] for row in wanted])
        agent = self.agents[0]
        agent.heartbeat([agent.event("formula", subject='=cmd|"/c calc"!A1')])
        text = self.admin.get("/api/v1/events?kind=formula", Accept="text/csv").body.decode()
        row = list(csv.DictReader(io.StringIO(text)))[0]
        self.assertEqual(row["subject"], "'=cmd|\"/c calc\"!A1")

    def test_computers_by_filter(self):
        def names(query):
            return [c["hostname"] for c in self.pages("/api/v1/computers?" + query, "computers")]
        self.assertEqual(names("hostname=host-1"), ["host-1"])
        self.assertEqual(names("hostname=host"), ["host-0", "host-1", "host-2"])
        self.assertEqual(names("status=online"), ["host-0", "host-1", "host-2"])
        self.assertEqual(names("status=offline"), [])

    def test_counts_by_hour(self):
        counts = self.admin.get("/api/v1/events/counts").json["counts"]
        total = {}
        for each in counts:
            self.assertTrue(each["hour"].endswith(":00:00Z") or each["hour"].endswith(":00:00.000Z"))
            total[each["severity"]] = total.get(each["severity"], 0) + each["count"]
        overview = {}
        for each in self.admin.get("/api/v1/overview").json["events_24h"]:
            overview[each["severity"]] = overview.get(each["severity"], 0) + each["count"]
        self.assertTrue(total)
        self.assertEqual(total, overview)
        self.assertEqual(self.admin.get("/api/v1/events/counts?hours=744", expect=200).json["counts"],
                         counts)
        for bad in ("0", "745", "-1", "1x", ""):
            self.admin.get(f"/api/v1/events/counts?hours={bad}", expect=400)

    def test_counts_are_read_without_the_events(self):
        paths = ("/api/v1/overview", "/api/v1/events/counts", "/metrics")
        before = [self.admin.get(path, expect=200) for path in paths]
        self.console.query("ALTER TABLE events RENAME TO hidden")
        self.addCleanup(self.admin.get, "/api/v1/events", expect=200)
        self.addCleanup(self.console.query, "ALTER TABLE hidden RENAME TO events")
        self.assertGreaterEqual(self.admin.get("/api/v1/events").status, 500)
        for path, answer in list(zip(paths, before))[:2]:
            self.assertEqual(self.admin.get(path, expect=200).json, answer.json, path)
        self.admin.get(paths[2], expect=200)

    def test_overview_counts(self):
        overview = self.admin.get("/api/v1/overview").json
        self.assertEqual(overview["computers"]["online"], 3)
        counts = {(c["module"], c["severity"]): c["count"] for c in overview["events_24h"]}
        self.assertEqual(counts[("watch", "high")], 15)
        self.assertEqual(overview["events_24h_before"], [])
        self.assertEqual(set(overview["alerts"]), {"open", "acknowledged"})


class PolicyTest(ConsoleTest):
    def put(self, name, text, expect, **headers):
        return self.admin.put("/api/v1/policies/" + name, {"text": text}, expect=expect, **headers)

    def test_revisions(self):
        self.put("a", 'parent = "base";\n', 428)
        answer = self.put("a", 'parent = "base";\n', 201, If_None_Match="*")
        self.assertEqual(answer.headers["ETag"], '"1"')
        self.put("a", "", 412, If_None_Match="*")
        self.put("a", "", 412, If_Match='"7"')
        answer = self.put("a", 'parent = "base";\nscan = { heuristics = false; };\n', 200,
                          If_Match='"1"')
        self.assertEqual(answer.json["revision"], 2)
        revisions = self.admin.get("/api/v1/policies/a/revisions").json["revisions"]
        self.assertEqual([r["revision"] for r in revisions], [2, 1])
        self.assertEqual(self.admin.get("/api/v1/policies/a/revisions/1").json["text"],
                         'parent = "base";\n')
        values = self.admin.get("/api/v1/policies/a/effective", expect=200).json["values"]
        heuristics = [v for v in values if v["key"] == "scan.heuristics"][0]
        self.assertEqual((heuristics["value"], heuristics["origin"]), ("false", "a.conf:2"))
        rules = {v["key"]: (v["type"], v["bounds"]) for v in values}
        self.assertEqual(rules["scan.heuristics"], ("boolean", ""))
        self.assertEqual(rules["scan.max_time"], ("duration", "1s..1h"))
        self.assertEqual(rules["respond.action"], ("choice", "pass|quarantine|delete"))
        self.assertEqual(rules["watch.paths"], ("list", ""))
        self.assertEqual(rules["log_inspection.rules"], ("list", "group"))
        self.assertIn("ディレクトリ", {v["key"]: v["meaning_ja"] for v in values}["watch.paths"])

    def test_a_bad_policy_changes_nothing(self):
        for text, said in (("x = ;", "bad.conf:1"), ("unknown_key = 1;", "unknown_key"),
                           ('scan = { heuristics = "maybe"; };', "scan.heuristics"),
                           ('parent = "nowhere";', "nowhere"), ('parent = "bad";', "circle"),
                           ('@include "/etc/passwd"', "bad.conf")):
            answer = self.put("bad", text, 422, If_None_Match="*")
            self.assertEqual(answer.json["code"], "policy_refused")
            self.assertIn(said, answer.json["detail"])
            self.assertNotIn(self.console.folder, answer.json["detail"])
        self.admin.get("/api/v1/policies/bad", expect=404)

    def test_a_trial_changes_nothing(self):
        path = "/api/v1/policies/trial/validate"
        self.assertEqual(self.admin.post(path, {"text": 'parent = "base";\n'}, expect=200).json,
                         {"valid": True, "problem": None})
        answer = self.admin.post(path, {"text": '\n\nscan = { heuristics = "maybe"; };'}, expect=200)
        problem = answer.json["problem"]
        self.assertEqual((answer.json["valid"], problem["file"], problem["line"], problem["key"]),
                         (False, "trial.conf", 3, "scan.heuristics"))
        answer = self.admin.post(path, {"text": "x = ;"}, expect=200).json
        self.assertEqual((answer["valid"], answer["problem"]["line"]), (False, 1))
        self.admin.get("/api/v1/policies/trial", expect=404)

    def test_a_parent_may_not_break_its_children(self):
        self.put("parent", 'scan = { heuristics = true; };', 201, If_None_Match="*")
        self.put("child", 'parent = "parent";', 201, If_None_Match="*")
        self.put("parent", 'parent = "child";', 422, If_Match='"1"')
        self.admin.delete("/api/v1/policies/parent", expect=409)
        self.admin.delete("/api/v1/policies/child", expect=204)
        self.admin.delete("/api/v1/policies/parent", expect=204)

    def test_by_group(self):
        self.put("grouped", 'parent = "base";', 201, If_None_Match="*")
        group = self.admin.post("/api/v1/groups", {"name": "g", "policy": "grouped"},
                                expect=201).json["id"]
        agent = Agent(self.console)
        agent.activate(self.token(group="g"))
        names = [t["name"] for t in json.loads(
            agent.client.get("/agent/v1/policy").json["document"])["texts"]]
        self.assertEqual(names, ["base", "grouped"])
        self.admin.patch("/api/v1/groups/" + group, {"policy": ""}, expect=204)
        names = [t["name"] for t in json.loads(
            agent.client.get("/agent/v1/policy").json["document"])["texts"]]
        self.assertEqual(names, ["base"])


class AuditTest(ConsoleTest):
    def test_the_chain(self):
        self.admin.post("/api/v1/tokens", {"name": "audited"}, expect=201)
        entries = self.admin.get("/api/v1/audit").json["entries"]
        self.assertEqual((entries[0]["action"], entries[0]["subject"], entries[0]["actor"]),
                         ("token_created", "audited", "user:admin"))
        done = self.console.run("verify-audit")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("the chain is whole", done.stdout)
        self.console.query("UPDATE audit SET subject = 'x' WHERE number ="
                           " (SELECT number FROM audit ORDER BY number LIMIT 1 OFFSET 1)")
        done = self.console.run("verify-audit")
        self.assertEqual(done.returncode, 1)
        self.assertIn("was changed", done.stderr)

    def test_a_missing_end(self):
        with Console() as console:
            console.administrator().post("/api/v1/tokens", {"name": "x"}, expect=201)
            console.query("DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)")
            done = console.run("verify-audit")
            self.assertEqual(done.returncode, 1)
            self.assertIn("end of the audit log is missing", done.stderr)


class ProgramTest(harness.unittest.TestCase):
    def test_first_start_prints_the_password_once(self):
        with Console(password=None) as console:
            console.stop()
            password = re.search(r"password: (\S{24})\n", console.stdout).group(1)
            console.stdout = ""
            console.start()
            console.api().sign_in("admin", password)
            console.stop()
            self.assertEqual(console.stdout, "")

    def test_life(self):
        with Console() as console:
            pin = console.run("pin").stdout.strip()
            self.assertTrue(pin.startswith("sha256//"), pin)
            self.assertEqual(pin, console.pin)
            token = console.run("token", "create", "--uses", "1").stdout.strip()
            agent = Agent(console)
            agent.activate(token)
            self.assertEqual(console.run("token", "create", "--uses", "0").returncode, 2)
            self.assertEqual(console.run("nothing").returncode, 2)
            reset = console.run("user", "reset-password", "admin").stdout.strip()
            client = console.api()
            client.sign_in("admin", reset)
            self.assertEqual(console.run("user", "reset-password", "nobody").returncode, 1)
            agent.heartbeat([agent.event()])
            self.assertEqual(console.stop(), 0)
            console.start()
            self.assertEqual(console.pin, pin)
            agent.use(harness.read(agent.certificate[0]))
            self.assertEqual(agent.heartbeat().json["acknowledged"]["number"], 1)

    def test_second_factors_of_older_versions_are_sealed(self):
        with Console() as console:
            console.stop()
            console.query("UPDATE users SET totp = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'")
            console.start()
            self.assertTrue(console.query("SELECT totp FROM users")[0][0].startswith("s1."))
            client = console.api()
            body = {"name": "admin", "password": "first one-time password"}
            self.assertEqual(client.post("/api/v1/session", body, expect=401).json["code"],
                             "code_required")
            console.stop()
            harness.os.unlink(console.data + "/secrets.key")
            console.start()
            self.assertEqual(console.api().post("/api/v1/session", body, expect=503).json["code"],
                             "secret_unreadable")

    def shown(self, console):
        """The certificates that TLS shows."""
        return [harness.ssl.get_server_certificate(("127.0.0.1", port))
                for port in (console.agents_port, console.people_port)]

    def kept(self, console):
        """What the console keeps, on both ports."""
        return [harness.read(console.data + "/server.crt")] * 2

    def reload(self, console, said):
        lines = len(console.log)
        console.process.send_signal(signal.SIGHUP)
        harness.until(lambda: any(said in line for line in console.log[lines:]))
        return [line for line in console.log[lines:] if said in line][0]

    def test_reload_shows_a_new_certificate(self):
        with Console() as console:
            first = self.kept(console)
            self.assertEqual(self.shown(console), first)
            with open(console.data + "/server.crt", "w", encoding="ascii") as file:
                file.write("broken")
            self.assertEqual(self.shown(console), first)
            self.reload(console, "certificate_reloaded")
            self.assertEqual(self.shown(console), self.kept(console))
            self.assertNotEqual(self.shown(console), first)
            console.api().get("/health", expect=200)

    def test_a_certificate_made_by_hand(self):
        """Of the console's authority, for the same names and a key of its own."""
        with Console() as console:
            data, made = console.data, console.folder + "/made"
            names = self.openssl("x509", "-noout", "-ext", "subjectAltName", "-in", data + "/server.crt")
            with open(made + ".ext", "w", encoding="ascii") as file:
                file.write("subjectAltName=" + names.splitlines()[1].replace("IP Address", "IP").replace(" ", ""))
            self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                         "/CN=by hand", "-keyout", made + ".key", "-out", made + ".csr")
            self.openssl("x509", "-req", "-in", made + ".csr", "-CA", data + "/authority.crt", "-CAkey",
                         data + "/authority.key", "-set_serial", "7", "-days", "30", "-extfile", made + ".ext",
                         "-out", made + ".crt")
            wanted = [harness.read(made + ".crt")] * 2
            before = self.shown(console)
            with open(data + "/server.key", "w", encoding="ascii") as file:
                file.write("no key")
            said = self.reload(console, "certificate_not_reloaded")
            self.assertIn("server.key", said)
            self.assertEqual(self.shown(console), before)
            console.api().get("/health", expect=200)
            for kind in ("key", "crt"):
                harness.os.replace(f"{made}.{kind}", f"{data}/server.{kind}")
            self.reload(console, "certificate_reloaded")
            self.assertEqual(self.shown(console), wanted)
            console.api().get("/health", expect=200)
            self.assertEqual(self.kept(console), wanted)

    def openssl(self, *arguments):
        return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=True).stdout

    def test_retention(self):
        """What is old goes, what is not stays; the clock is the rows' own."""
        with Console('keep_events = "30d";\nremove_computers_after = "3s";\n') as console:
            token = console.run("token", "create").stdout.strip()
            old, new = Agent(console, hostname="old"), Agent(console, hostname="new")
            for agent in (old, new):
                agent.activate(token)
                agent.heartbeat([agent.event() for _ in range(5)])
            console.stop()
            day = 86400000
            console.query(f"UPDATE events SET number = number - {31 * day} * 4194304"
                          " WHERE agent_number IN (1, 2)")
            console.query(f"UPDATE computers SET last_seen_ms = {int(time.time() * 1000) + 240000}"
                          " WHERE hostname = 'new'")
            console.log.clear()
            console.start()
            harness.until(lambda: [line for line in console.log if "computers=1" in line])
            lines = [line for line in console.log if "retention_applied" in line]
            self.assertIn("events=4 computers=0", lines[0])  # all get the time to come back
            self.assertEqual(console.query("SELECT hostname FROM computers"), [["new"]])
            self.assertEqual(console.query(
                "SELECT count(*) FROM events WHERE module = 'malware'"), [["6"]])
            old.use(harness.read(old.certificate[0]))
            self.assertEqual(old.heartbeat(expect=401).json["code"], "certificate_unknown")
            self.assertEqual(console.run("verify-audit").returncode, 0)

    def refused_start(self, text, password=None):
        """What a console says that cannot start."""
        environment = dict(harness.os.environ)
        if password:
            environment["YAGURA_CONSOLE_PASSWORD_FILE"] = self.folder + "/password"
            with open(self.folder + "/password", "w", encoding="ascii") as file:
                file.write(password)
        with open(self.folder + "/c.conf", "w", encoding="ascii") as file:
            file.write(text)
        done = subprocess.run([harness.os.path.join(harness.BIN, "yagura-console"), "--config",
                               self.folder + "/c.conf"], capture_output=True, text=True, check=False, timeout=60,
                              env=environment)
        self.assertEqual(done.returncode, 1)
        return done.stderr

    def make_folder(self):
        self.folder = harness.tempfile.mkdtemp(prefix="yagura-console-")
        self.addCleanup(harness.shutil.rmtree, self.folder)

    def test_bad_settings_say_where(self):
        self.make_folder()
        said = self.refused_start("data = \"/x\";\nagents = { prot = 1; };\n")
        self.assertIn("settings_refused", said)
        self.assertIn("c.conf:2", said)
        self.assertIn("agents.prot", said)
        said = self.refused_start(f'data = "{self.folder}/d"; database = "mysql://x";')
        self.assertIn("database: must be a URL postgresql://", said)
        self.assertFalse(harness.os.path.exists(self.folder + "/d"))

    def test_what_keeps_it_from_starting_is_said_with_the_cure(self):
        self.make_folder()
        ports = "agents = { port = 0; }; people = { port = 0; };"
        data = f'data = "{self.folder}/d"; '
        said = self.refused_start(data + 'database = "postgresql://127.0.0.1:1/x"; ' + ports)
        self.assertIn("database_unusable", said)
        self.assertIn("look whether PostgreSQL runs", said)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            said = self.refused_start(data + "agents = { port = 0; }; people = { address ="
                                      f' "127.0.0.1"; port = {port}; }};')
            other = self.refused_start(data + f'agents = {{ address = "127.0.0.1"; port = {port}; }};'
                                       " people = { port = 0; };")
        for each, setting in ((said, "people.port"), (other, "agents.port")):
            self.assertRegex(each, f"cannot_listen .*{setting}")
        self.assertIn("give another port", said)
        base = sqlite3.connect(self.folder + "/d/console.db")
        version = base.execute("PRAGMA user_version").fetchone()[0]
        base.execute("PRAGMA user_version = 99")
        base.close()
        self.assertIn("a newer yagura-console has used it", self.refused_start(data + ports))
        base = sqlite3.connect(self.folder + "/d/console.db")
        base.execute(f"PRAGMA user_version = {version}")
        base.close()
        for name, event in (("secrets.key", "secrets_unusable"), ("authority.key", "identity_unusable")):
            with open(f"{self.folder}/d/{name}", "w", encoding="ascii") as file:
                file.write("damaged")
            said = self.refused_start(data + ports)
            self.assertRegex(said, f"{event} .*{name}")
            self.assertIn("restore it from a backup", said)
        with open(self.folder + "/file", "w", encoding="ascii"):
            pass
        said = self.refused_start(f'data = "{self.folder}/file";')
        self.assertIn("data_folder_unusable", said)
        self.assertIn("name in data a folder", said)
        said = self.refused_start(f'data = "{self.folder}/new"; ' + ports, password="too short")
        self.assertIn("password_file_unusable", said)
        self.assertIn("write 12 to 256 characters", said)


if __name__ == "__main__":
    harness.main()
