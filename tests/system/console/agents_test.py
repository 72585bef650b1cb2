"""Activation, heartbeats, events and commands over mutual TLS, as an agent does it."""

import base64
import json
import os
import signal
import ssl
import subprocess
import threading
import time
import uuid

import harness
from harness import Agent, Client, Console, ConsoleTest


class ActivationTest(ConsoleTest):
    def test_token_to_certificate(self):
        agent = Agent(self.console, hostname="web-1")
        answer = agent.activate(self.token())
        self.assertEqual(answer.json["heartbeat_seconds"], 60)
        text = subprocess.run(["openssl", "x509", "-noout", "-subject", "-ext",
                               "subjectAltName,extendedKeyUsage", "-in", agent.certificate[0]],
                              capture_output=True, text=True, check=True).stdout
        self.assertIn(agent.id, text)
        self.assertIn("URI:urn:uuid:" + agent.id, text)
        self.assertIn("TLS Web Client Authentication", text)
        self.assertNotIn("whatever", text)
        verified = subprocess.run(["openssl", "verify", "-CAfile", self.console.authority,
                                   "-purpose", "sslclient", agent.certificate[0]],
                                  capture_output=True, text=True, check=False)
        self.assertEqual(verified.returncode, 0, verified.stderr)
        agent.heartbeat()
        computer = self.admin.get(f"/api/v1/computers/{agent.id}", expect=200).json
        self.assertEqual(computer["hostname"], "web-1")
        self.assertEqual(computer["status"], "Managed (Online)")

    def refused(self, answer, reason):
        self.assertEqual(answer.json["code"], "token_refused")
        self.assertTrue(answer.json["detail"].endswith(": " + reason), answer)

    def test_bad_tokens(self):
        for token in ("", "yt1.x", "yt1." + "A" * 43):
            self.refused(Agent(self.console).activate(token, expect=403), "unknown")
        once = self.token(uses=1)
        Agent(self.console).activate(once)
        self.refused(Agent(self.console).activate(once, expect=403), "used_up")
        created = self.admin.post("/api/v1/tokens", {"name": "revoked"}, expect=201).json
        self.admin.delete("/api/v1/tokens/" + created["id"], expect=204)
        self.refused(Agent(self.console).activate(created["token"], expect=403), "revoked")
        self.admin.delete("/api/v1/tokens/" + created["id"], expect=404)
        elsewhere = self.token(cidrs=["10.0.0.0/8", "2001:db8::/32"])
        self.refused(Agent(self.console).activate(elsewhere, expect=403), "address")
        Agent(self.console).activate(self.token(cidrs=["127.0.0.0/30"]))
        self.refused(Agent(self.console).activate(self.token(), expect=403,
                                                  tenant_id=str(uuid.uuid4())), "tenant")
        tenant = self.admin.get("/api/v1/about").json["tenant_id"]
        Agent(self.console).activate(self.token(), tenant_id=tenant)

    def test_one_use_by_many_at_once(self):
        token = self.token(uses=3)
        agents = [Agent(self.console) for _ in range(8)]
        requests = [agent.make_request("new.pem") for agent in agents]
        answers = []

        def activate(agent, csr):
            client = Client(self.console, self.console.agents_port)
            answers.append(client.post("/agent/v1/activate", {
                "protocol": 1, "token": token, "csr": csr, "session": agent.session,
                "host": agent.host()}).status)
            client.close()

        threads = [threading.Thread(target=activate, args=pair) for pair in zip(agents, requests)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(answers), [201] * 3 + [403] * 5)

    def test_bad_requests(self):
        agent = Agent(self.console)
        token = self.token()
        for csr in ("x", agent.make_request("new.pem", ("rsa:2048",)),
                    agent.make_request("new.pem", ("ec", "-pkeyopt", "ec_paramgen_curve:P-384"))):
            answer = agent.activate(token, expect=400, csr=csr)
            self.assertEqual(answer.json["code"], "bad_csr")
        client = Client(self.console, self.console.agents_port)
        for body in (b"", b"{", b"[]", b'{"protocol":1,"protocol":1}', b'{"protocol":2}',
                     b'{"token":"\\u0000"}', b"[" * 5000):
            answer = client.post("/agent/v1/activate", body)
            self.assertEqual(answer.status, 400, body[:50])
            self.assertEqual(answer.json["code"], "bad_activation")

    def test_a_request_gets_nothing_but_a_certificate_of_its_key(self):
        agent = Agent(self.console)
        wishes = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign",
                  "subjectAltName=DNS:console.test", "extendedKeyUsage=serverAuth")
        csr = agent.make_request("new.pem", ("ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                                             *(word for wish in wishes for word in ("-addext", wish))))
        asked = subprocess.run(["openssl", "req", "-noout", "-text"], input=csr, capture_output=True,
                               text=True, check=True).stdout
        agent.activate(self.token(), csr=csr)
        given = subprocess.run(["openssl", "x509", "-noout", "-text", "-in", agent.certificate[0]],
                               capture_output=True, text=True, check=True).stdout
        for wish in ("CA:TRUE", "Certificate Sign", "CRL Sign", "DNS:console.test", "TLS Web Server Authentication"):
            self.assertIn(wish, asked)
            self.assertNotIn(wish, given)

    def test_no_certificate_no_service(self):
        client = Client(self.console, self.console.agents_port)
        for method, path in (("POST", "/agent/v1/heartbeat"), ("POST", "/agent/v1/renew"),
                             ("GET", "/agent/v1/policy"), ("POST", "/agent/v1/deactivate")):
            answer = client.request(method, path, expect=401)
            self.assertEqual(answer.json["code"], "certificate_missing")

    def test_a_foreign_certificate(self):
        agent = Agent(self.console)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x", "-days", "1",
                        "-keyout", agent.path("key.pem"), "-out", agent.path("certificate.pem")],
                       check=True, capture_output=True)
        client = Client(self.console, self.console.agents_port,
                        certificate=(agent.path("certificate.pem"), agent.path("key.pem")))
        answer = client.post("/agent/v1/heartbeat", {}, expect=401)
        self.assertEqual(answer.json["code"], "certificate_foreign")

    def test_the_servers_own_certificate_is_no_agents(self):
        data = self.console.data
        client = Client(self.console, self.console.agents_port,
                        certificate=(data + "/server.crt", data + "/server.key"))
        answer = client.post("/agent/v1/heartbeat", {}, expect=401)
        self.assertEqual(answer.json["code"], "certificate_foreign")

    def test_again_keeps_the_record(self):
        agent = self.agent()
        agent.heartbeat([agent.event()])
        first = agent.id
        agent.activate(self.token())
        self.assertEqual(agent.id, first)
        agent.heartbeat()
        events = self.admin.get(f"/api/v1/events?computer={first}").json["events"]
        self.assertEqual({event["kind"] for event in events},
                         {"activated", "reactivated", "malware_found"})

    def test_another_machine_with_a_copied_certificate(self):
        agent = self.agent()
        copy = Agent(self.console)
        copy.certificate = agent.certificate
        copy.activate(self.token())
        self.assertNotEqual(copy.id, agent.id)
        agent.heartbeat()
        kinds = [event["kind"] for event in
                 self.admin.get(f"/api/v1/events?computer={agent.id}").json["events"]]
        self.assertIn("clone_seen", kinds)

    def test_renewal(self):
        agent = self.agent()
        old = Client(self.console, self.console.agents_port, certificate=agent.certificate)
        csr = agent.make_request("new.pem")
        answer = agent.client.post("/agent/v1/renew", {"csr": csr}, expect=200)
        agent.heartbeat()  # the old one serves until the new is used
        os.rename(agent.path("new.pem"), agent.path("key.pem"))
        agent.use(answer.json["certificate"])
        agent.heartbeat()
        body = {"protocol": 1, "session": agent.session, "host": agent.host(),
                "store": {"epoch": agent.epoch, "dropped": 0}}
        self.assertEqual(old.post("/agent/v1/heartbeat", body).status, 401)

    def test_deactivation(self):
        agent = self.agent()
        agent.client.post("/agent/v1/deactivate", {}, expect=204)
        self.assertEqual(agent.heartbeat(expect=410).json["code"], "deactivated")
        status = self.admin.get(f"/api/v1/computers/{agent.id}").json["status"]
        self.assertEqual(status, "Deactivated")
        first = agent.id
        agent.activate(self.token())
        self.assertEqual(agent.id, first)
        agent.heartbeat()

    def test_by_the_administrator(self):
        agent = self.agent()
        answer = self.admin.post(f"/api/v1/computers/{agent.id}/deactivate", {}, expect=200)
        self.assertEqual(answer.json["status"], "Deactivated")
        agent.heartbeat(expect=410)
        self.admin.delete(f"/api/v1/computers/{agent.id}", expect=204)
        self.assertEqual(agent.heartbeat(expect=401).json["code"], "certificate_unknown")


class HeartbeatTest(ConsoleTest):
    def events(self, agent, **more):
        query = "&".join(f"{name}={value}" for name, value in more.items())
        return self.admin.get(f"/api/v1/events?limit=200&computer={agent.id}&{query}",
                              expect=200).json["events"]

    def test_events_once(self):
        agent = self.agent()
        events = [agent.event() for _ in range(3)]
        answer = agent.heartbeat(events).json
        self.assertEqual(answer["acknowledged"], {"epoch": agent.epoch, "number": 3})
        self.assertEqual(agent.heartbeat(events).json["acknowledged"]["number"], 3)
        overlap = events[1:] + [agent.event()]
        self.assertEqual(agent.heartbeat(overlap).json["acknowledged"]["number"], 4)
        self.assertEqual(agent.heartbeat().json["acknowledged"]["number"], 4)
        stored = [event for event in self.events(agent) if event["module"] == "malware"]
        self.assertEqual([event["subject"] for event in stored],
                         ["/srv/4", "/srv/3", "/srv/2", "/srv/1"])
        self.assertEqual(stored[0]["hostname"], "host.test")

    def test_a_rebuilt_store_starts_anew(self):
        agent = self.agent()
        agent.heartbeat([agent.event(), agent.event()])
        agent.epoch = str(uuid.uuid4())
        agent.number = 0
        answer = agent.heartbeat([agent.event()]).json
        self.assertEqual(answer["acknowledged"], {"epoch": agent.epoch, "number": 1})
        self.assertEqual(len([e for e in self.events(agent) if e["module"] == "malware"]), 3)

    def test_lost_events_are_an_event(self):
        agent = self.agent()
        agent.heartbeat(dropped=7)
        agent.heartbeat(dropped=7)
        agent.heartbeat([agent.event()], dropped=9)
        lost = [e["detail"]["events"] for e in self.events(agent) if e["kind"] == "events_lost"]
        self.assertEqual(lost, [2, 7])

    def test_bad_events_are_refused_whole(self):
        agent = self.agent()
        good = agent.event()
        for change in ({"number": 0}, {"number": -1}, {"severity": "awful"}, {"module": "A b"},
                       {"id": "x"}, {"detail": []}, {"detail": None}, {"subject": 5},
                       {"subject": "x" * 8193}, {"time_ms": "now"}, {"number": 1.5}):
            answer = agent.heartbeat([good, {**agent.event(), **change}], expect=400)
            self.assertEqual(answer.json["code"], "bad_heartbeat")
        descending = agent.event()
        agent.heartbeat([descending, {**descending, "number": descending["number"] - 1}], expect=400)
        agent.heartbeat([agent.event() for _ in range(501)], expect=400)
        self.assertEqual([e for e in self.events(agent) if e["module"] == "malware"], [])
        agent.heartbeat([good])

    def test_common_heartbeats_need_no_write(self):
        agent = self.agent()
        agent.heartbeat([agent.event()])

        def metric(name):
            text = self.admin.get("/metrics").body.decode()
            return int(text.split(f"\nyagura_console_{name} ")[1].split("\n")[0])

        before = metric("heartbeats_without_write_total")
        for _ in range(5):
            self.assertEqual(agent.heartbeat().json["acknowledged"]["number"], 1)
        self.assertEqual(metric("heartbeats_without_write_total"), before + 5)

    def test_another_machine_is_a_clone(self):
        agent = self.agent()
        agent.heartbeat()
        machine, agent.machine = agent.machine, uuid.uuid4().hex
        self.assertEqual(agent.heartbeat(expect=409).json["code"], "clone")
        agent.machine = machine
        agent.heartbeat()
        self.assertIn("clone_seen", [event["kind"] for event in self.events(agent)])
        actions = [entry["action"] for entry in self.admin.get("/api/v1/audit").json["entries"]]
        self.assertIn("clone_refused", actions)

    def test_two_runs_of_one_identity(self):
        agent = self.agent()
        agent.heartbeat()
        first, second = agent.session, str(uuid.uuid4())
        agent.session = second
        agent.heartbeat()  # looks like a restart
        self.console.query("UPDATE computers SET session_ms = session_ms - 60000"
                           f" WHERE id = '{agent.id}'")
        agent.session = first
        agent.heartbeat()  # the first is alive: it is the original
        agent.session = second
        self.assertEqual(agent.heartbeat(expect=409).json["code"], "clone")
        agent.session = first
        agent.heartbeat()
        self.assertEqual([e["kind"] for e in self.events(agent)].count("clone_seen"), 1)

    def test_commands(self):
        agent = self.agent()
        path = f"/api/v1/computers/{agent.id}/commands"
        for body in ({"type": "format_disk"}, {"type": "scan"},
                     {"type": "scan", "arguments": {"path": "relative"}},
                     {"type": "cancel", "arguments": {"x": "y"}},
                     {"type": "scan_full", "expires_seconds": 0}, {"type": "scan_full", "x": 1}):
            self.admin.post(path, body, expect=400)
        created = self.admin.post(path, {"type": "scan", "arguments": {"path": "/srv"}},
                                  expect=201).json["id"]
        answer = agent.heartbeat().json
        self.assertEqual(len(answer["commands"]), 1)
        document = json.loads(answer["commands"][0]["document"])
        self.assertEqual((document["id"], document["agent_id"], document["arguments"]),
                         (created, agent.id, {"path": "/srv"}))
        self.check_signature(answer["commands"][0])
        self.assertEqual(agent.heartbeat().json["commands"], [])
        state = self.admin.get(path).json["commands"][0]
        self.assertEqual(state["state"], "delivered")
        agent.heartbeat(results=[{"command_id": created, "good": True, "output": "12 files"}])
        state = self.admin.get(path).json["commands"][0]
        self.assertEqual((state["state"], state["output"]), ("done", "12 files"))
        stranger = self.agent()
        other = self.admin.post(path, {"type": "scan_quick"}, expect=201).json["id"]
        stranger.heartbeat(results=[{"command_id": other, "good": True, "output": ""}])
        self.assertEqual(self.admin.get(path).json["commands"][0]["state"], "queued")

    def check_signature(self, envelope):
        about = self.admin.get("/api/v1/about").json
        self.assertEqual(envelope["key_id"], about["signing_key_id"])
        folder = self.console.folder
        prefix = bytes.fromhex("302a300506032b6570032100")
        with open(folder + "/key.der", "wb") as file:
            file.write(prefix + base64.b64decode(about["signing_key"]))
        with open(folder + "/document", "wb") as file:
            file.write(envelope["document"].encode())
        with open(folder + "/signature", "wb") as file:
            file.write(base64.b64decode(envelope["signature"]))
        done = subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER",
                               "-inkey", folder + "/key.der", "-rawin", "-in",
                               folder + "/document", "-sigfile", folder + "/signature"],
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_policies(self):
        agent = self.agent()
        base = agent.heartbeat().json["policy_digest"]
        self.assertEqual(len(base), 64)
        envelope = agent.client.get("/agent/v1/policy", expect=200).json
        self.check_signature(envelope)
        document = json.loads(envelope["document"])
        self.assertEqual([text["name"] for text in document["texts"]], ["base"])
        self.assertEqual(document["digest"], base)
        self.admin.put("/api/v1/policies/web",
                       {"text": 'parent = "base";\nrespond = { action = "pass"; };\n'},
                       expect=201, If_None_Match="*")
        self.admin.patch(f"/api/v1/computers/{agent.id}", {"policy": "web"}, expect=200)
        target = agent.heartbeat().json["policy_digest"]
        self.assertNotEqual(target, base)
        changed = json.loads(agent.client.get("/agent/v1/policy").json["document"])
        self.assertEqual([text["name"] for text in changed["texts"]], ["base", "web"])
        self.assertGreater(changed["revision"], document["revision"])
        agent.heartbeat(policy={"digest": target, "problem": ""})
        self.assertTrue(self.admin.get(f"/api/v1/computers/{agent.id}").json["policy_in_force"])
        agent.heartbeat(policy={"digest": "", "problem": "web.conf:3: no"})
        computer = self.admin.get(f"/api/v1/computers/{agent.id}").json
        self.assertEqual(computer["policy_problem"], "web.conf:3: no")


class OfflineTest(ConsoleTest):
    settings = 'heartbeat = "1h";\n'

    def test_two_missed_heartbeats_are_offline(self):
        """Not fewer, with their jitter, and not more."""
        agent = self.agent()
        agent.heartbeat()
        path = f"/api/v1/computers/{agent.id}"
        for hours, status, word in ((2.4, "Managed (Online)", "online"), (2.7, "Managed (Offline)", "offline")):
            self.set_last_seen(agent, int((time.time() - hours * 3600) * 1000))
            self.assertEqual(self.admin.get(path).json["status"], status, hours)
            counts = self.admin.get("/api/v1/overview").json["computers"]
            for each in ("online", "offline"):
                found = self.admin.get("/api/v1/computers?status=" + each).json["computers"]
                self.assertEqual((len(found), counts[each]), (int(each == word),) * 2, (hours, each))


class KillTest(ConsoleTest):
    def test_nothing_acknowledged_is_lost(self):
        """kill -9 under load, again and again: what was acknowledged is there, once."""
        agents = [self.agent() for _ in range(4)]
        acknowledged = {agent.id: 0 for agent in agents}
        for _ in range(3):
            enough = threading.Event()
            counts = {}

            def load(agent):
                sent = 0
                while not enough.is_set() or sent == 0:
                    batch = [agent.event() for _ in range(5)]
                    try:
                        answer = agent.heartbeat(batch)
                    except (OSError, ssl.SSLError, harness.http.client.HTTPException):
                        agent.number -= 5
                        return
                    sent += 1
                    counts[agent.id] = sent
                    acknowledged[agent.id] = answer.json["acknowledged"]["number"]
                    if sent == 20:
                        ready.release()

            ready = threading.Semaphore(0)
            threads = [threading.Thread(target=load, args=(agent,)) for agent in agents]
            for thread in threads:
                thread.start()
            ready.acquire()
            self.console.stop(signal.SIGKILL)
            enough.set()
            for thread in threads:
                thread.join()
            self.console.start()
            for agent in agents:
                agent.use(harness.read(agent.certificate[0]))
        for agent in agents:
            numbers = [int(row[0]) for row in self.console.query(
                "SELECT agent_number FROM events JOIN computers ON computers.number = computer"
                f" WHERE computers.id = '{agent.id}' AND module = 'malware' ORDER BY agent_number")]
            self.assertEqual(len(numbers), len(set(numbers)))
            self.assertEqual(numbers[:acknowledged[agent.id]],
                             list(range(1, acknowledged[agent.id] + 1)))
            self.assertGreater(acknowledged[agent.id], 0)


if __name__ == "__main__":
    harness.main()
