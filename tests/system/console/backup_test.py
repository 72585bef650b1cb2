"""Backup under load, restore, and the move to PostgreSQL: every row, and the agents come along."""

import json
import os
import shutil
import signal
import ssl
import sqlite3
import subprocess
import threading
import unittest

import harness
from harness import PASSWORD, Agent, Console, ConsoleTest


def rows(console, table, order):
    return console.query(f"SELECT * FROM {table} ORDER BY {order}")


TABLES = {"computers": "number", "events": "number", "policies": "id", "policy_revisions":
          "policy_id, revision", "groups": "id", "tokens": "id", "commands": "id", "users": "id",
          "api_keys": "id", "audit": "number", "deliveries": "computer, epoch", "meta": "name",
          "event_counts": "hour, module, severity", "activation_rules": "id"}


class BackupTest(ConsoleTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.agents_there = cls("test_a_damaged_backup").fill()

    def fill(self):
        self.admin.post("/api/v1/groups", {"name": "all"}, expect=201)
        self.admin.put("/api/v1/policies/web", {"text": 'parent = "base";\n'}, expect=201,
                       If_None_Match="*")
        self.admin.post("/api/v1/rules", {"name": "to all", "group": "all"}, expect=201)
        agents = [self.agent(hostname=f"host{i}") for i in range(3)]
        for agent in agents:
            agent.heartbeat([agent.event(detail={"text": "\u6a13'\"\\\n"}) for _ in range(400)])
        self.admin.post(f"/api/v1/computers/{agents[0].id}/commands", {"type": "scan_full"},
                        expect=201)
        return agents

    def backup(self, name, code=0):
        path = os.path.join(self.console.folder, name)
        done = self.console.run("backup", path)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return path, done

    def sign_in(self):
        type(self).admin = self.console.api()
        self.admin.sign_in("admin", PASSWORD)

    def restart(self):
        self.console.start()
        self.sign_in()

    def test_under_load_and_back(self):
        agents = self.agents_there
        stop, failures = threading.Event(), []

        def load(agent):
            while not stop.is_set():
                try:
                    agent.heartbeat([agent.event() for _ in range(20)])
                except (OSError, ssl.SSLError, AssertionError) as error:
                    failures.append(error)
                    return

        threads = [threading.Thread(target=load, args=(agent,)) for agent in agents]
        for thread in threads:
            thread.start()
        path, done = self.backup("under load")
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o700)
        self.assertIn("computers\t", done.stdout)
        # One moment of the database: every agent's numbers are without a hole, and acknowledged.
        total = 0
        with sqlite3.connect(path + "/console.db") as copy:
            self.assertEqual(copy.execute("PRAGMA integrity_check").fetchone(), ("ok",))
            for computer, acknowledged in copy.execute("SELECT computer, acknowledged FROM deliveries"):
                numbers = [row[0] for row in copy.execute(
                    "SELECT agent_number FROM events WHERE computer = ? AND module = 'malware'"
                    " ORDER BY 1", (computer,))]
                self.assertEqual(numbers, list(range(1, acknowledged + 1)))
                total += acknowledged
        copy.close()
        self.assertGreaterEqual(total, 1200)
        with open(path + "/manifest.json", encoding="ascii") as file:
            manifest = json.load(file)
        self.assertGreaterEqual(manifest["computers"], 3)

        self.assertIn("is there already", self.backup("under load", code=1)[1].stderr)
        if self.console.database:
            return  # back into PostgreSQL: below, into an empty one
        done = self.console.run("restore", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("a console runs on", done.stderr)
        self.console.stop()
        done = self.console.run("restore", path)
        self.assertEqual(done.returncode, 1)
        self.assertIn("is there already", done.stderr)
        self.assertEqual(self.console.run("restore", path, "--force").returncode, 0)
        aside = [name for name in os.listdir(self.console.data) if name.startswith("before-restore")]
        self.assertTrue(os.path.exists(f"{self.console.data}/{aside[0]}/signing.key"))
        self.restart()
        for agent in agents:
            agent.use(harness.read(agent.certificate[0]))
            answer = agent.heartbeat([agent.event()]).json
            self.assertEqual(answer["acknowledged"]["number"], agent.number)
        self.assertIn("the chain is whole", self.console.run("verify-audit").stdout)
        self.assertIn("backup_restored", [entry["action"] for entry in
                                          self.admin.get("/api/v1/audit").json["entries"]])

    def test_on_a_new_machine(self):
        """The folder is all that is needed; the agents do not notice, policies go on."""
        agent = self.agent()
        agent.heartbeat()
        before = json.loads(agent.client.get("/agent/v1/policy", expect=200).json["document"])
        path, _ = self.backup("for a new machine")
        expected = {table: rows(self.console, table, order) for table, order in TABLES.items()
                    if table not in ("audit", "meta", "computers")}
        other = Console()
        if self.console.database:
            other.database = harness.postgres().database()
        os.makedirs(other.folder, exist_ok=True)
        other.password = None
        with open(other.config, "w", encoding="utf-8") as file:
            file.write(harness.read(self.console.config).replace(self.console.data, other.data)
                       .replace(self.console.database or "-", other.database or "-"))
        done = other.run("restore", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        other.start()
        for table, was in expected.items():
            self.assertEqual(rows(other, table, TABLES[table]), was, table)
        agent.console = other
        agent.use(harness.read(agent.certificate[0]))
        agent.heartbeat([agent.event()])
        after = json.loads(agent.client.get("/agent/v1/policy", expect=200).json["document"])
        self.assertEqual(after["digest"], before["digest"])
        self.assertGreater(after["revision"], before["revision"] + 1000)
        admin = other.api()
        admin.sign_in("admin", PASSWORD)
        self.assertEqual(admin.get("/api/v1/about").json["tenant_id"],
                         self.admin.get("/api/v1/about").json["tenant_id"])
        self.assertIn("the chain is whole", other.run("verify-audit").stdout)
        self.assertEqual(other.stop(), 0)
        shutil.rmtree(other.folder)

    def test_a_damaged_backup(self):
        path, _ = self.backup("damaged")
        for name in ("console.db", "authority.key", "signing.key"):
            copy = path + "-" + name
            shutil.copytree(path, copy)
            with open(f"{copy}/{name}", "r+b") as file:
                file.seek(100)
                file.write(b"XXXX")
            done = self.console.run("restore", copy)
            self.assertEqual(done.returncode, 1)
            self.assertIn(name + " is not what was backed up", done.stderr)
        os.unlink(path + "/authority.crt")
        self.assertEqual(self.console.run("restore", path).returncode, 1)
        self.assertEqual(self.console.run("restore", self.console.folder).returncode, 1)
        self.assertEqual(self.console.run("restore").returncode, 2)
        self.assertEqual(self.console.run("backup").returncode, 2)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_of_another_user(self):
        """Files that root restored are none that the console's user could read."""
        path, _ = self.backup("by root")
        data = os.path.join(self.console.folder, "of another user")
        os.mkdir(data, 0o700)
        os.chown(data, 65534, 65534)
        config = data + ".conf"
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'data = "{data}";\n')
        done = subprocess.run([os.path.join(harness.BIN, "yagura-console"), "--config", config, "restore", path],
                              capture_output=True, text=True, check=False, timeout=60)
        self.assertEqual(done.returncode, 1)
        self.assertIn("run this as the console's user", done.stderr)
        self.assertEqual(os.listdir(data), [])

    def test_one_console_a_folder(self):
        with self.assertRaises(RuntimeError) as raised:
            twin = Console()
            twin.config, folder, twin.password = self.console.config, twin.folder, None
            try:
                twin.start()
            finally:
                twin.process.stdout.close()
                twin.process.stderr.close()
                shutil.rmtree(folder)
        self.assertIn("data_folder_locked", str(raised.exception))


class MigrationTest(ConsoleTest):
    def test_every_row(self):
        if self.console.database:
            self.skipTest("begins with the built-in store")
        url = harness.postgres().database()
        self.admin.post("/api/v1/groups", {"name": "all"}, expect=201)
        agents = [self.agent(hostname=f"host{i}") for i in range(2)]
        for agent in agents:
            for _ in range(5):
                agent.heartbeat([agent.event(detail={"text": "\u6a13'\"\\\n"}) for _ in range(500)])
        done = self.console.run("migrate", url)
        self.assertEqual(done.returncode, 1)
        self.assertIn("a console runs on", done.stderr)
        self.console.stop()
        expected = {table: rows(self.console, table, order) for table, order in TABLES.items()}
        self.assertEqual(self.console.run("migrate", "mysql://x").returncode, 2)
        done = self.console.run("migrate", "postgresql:///none?host=/nowhere&user=x")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nothing was migrated", done.stderr)
        done = self.console.run("migrate", url)
        self.assertEqual(done.returncode, 0, done.stderr)
        counts = dict(line.split("\t") for line in done.stdout.splitlines())
        again = self.console.run("migrate", url)
        self.assertEqual(again.returncode, 1)
        self.assertIn("holds rows already", again.stderr)
        self.console.database = url
        with open(self.console.config, "a", encoding="utf-8") as file:
            file.write(f'database = "{url}";\n')
        for table, was in expected.items():
            self.assertEqual(int(counts[table]), len(was), table)
            if not any("\n" in value for row in was for value in row):
                now = [[value or "None" for value in row] for row in rows(self.console, table,
                                                                          TABLES[table])]
                self.assertEqual(sorted(now), sorted([value or "None" for value in row]
                                                     for row in was), table)
        os.rename(self.console.data + "/console.db", self.console.data + "/old.db")
        self.console.start()
        type(self).admin = self.console.api()
        self.admin.sign_in("admin", PASSWORD)
        for agent in agents:
            agent.use(harness.read(agent.certificate[0]))
            answer = agent.heartbeat([agent.event()]).json
            self.assertEqual(answer["acknowledged"]["number"], 2501)
        page = self.admin.get(f"/api/v1/events?computer={agents[0].id}&limit=2").json["events"]
        self.assertEqual(page[1]["detail"], {"text": "\u6a13'\"\\\n"})
        self.assertIn("the chain is whole", self.console.run("verify-audit").stdout)
        Agent(self.console).activate(self.token())
        path = os.path.join(self.console.folder, "of postgres")
        self.assertEqual(self.console.run("backup", path).returncode, 0)


if __name__ == "__main__":
    harness.main()
