"""A full disk, a locked and a corrupt database, clocks that jump, certificates that end. Nothing that
was acknowledged is lost, and the console says what to do."""

import glob
import os
import shutil
import sqlite3
import ssl
import struct
import subprocess
import threading
import time
import unittest

import harness
from harness import Agent, Client, Console, until

DAY_NS = 86400 * 10**9
CLOCK = os.environ.get("YAGURA_FAKE_CLOCK", "")


def logged(console, event):
    return [line for line in console.log if event in line]


class Fault(unittest.TestCase):
    def console(self, settings="", **more):
        console = Console(settings, **more)
        if console.database:
            self.skipTest("a matter of the built-in store")
        return console

    def agent(self, console, **more):
        agent = Agent(console, **more)
        agent.activate(console.run("token", "create").stdout.strip())
        return agent

    def stored(self, console, agent):
        return [int(row[0]) for row in console.query(
            "SELECT agent_number FROM events JOIN computers ON computers.number = events.computer"
            f" WHERE computers.id = '{agent.id}' AND module = 'malware' ORDER BY 1")]


class FullDiskTest(Fault):
    def test_nothing_acknowledged_is_lost(self):
        with self.console() as console:
            console.stop()
            shutil.move(console.data, console.folder + "/kept")
            os.mkdir(console.data)
            mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs",
                                      console.data], capture_output=True, check=False)
            if mounted.returncode:
                self.skipTest("no file system can be mounted here")
            try:
                shutil.copytree(console.folder + "/kept", console.data, dirs_exist_ok=True)
                console.start()
                self.fill(console)
                console.stop()
            finally:
                subprocess.run(["umount", "-l", console.data], check=True)

    def fill(self, console):
        agent = self.agent(console)
        batch, answer = [], None
        for _ in range(200):
            batch = [agent.event(detail={"text": "x" * 2000}) for _ in range(100)]
            answer = agent.heartbeat(batch, expect=None)
            if answer.status != 200:
                break
        self.assertEqual(answer.status, 503, answer)
        self.assertEqual(answer.json["code"], "disk_full")
        self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
        acknowledged = batch[0]["number"] - 1
        self.assertGreater(acknowledged, 0)
        self.assertEqual(self.stored(console, agent), list(range(1, acknowledged + 1)))

        def unhealthy():  # the console's own small writes may still fit, after which all seems well
            agent.heartbeat(batch, expect=503)
            health = console.api().get("/health", expect=None)
            return health.json if health.status == 503 else None
        self.assertIn("room", until(unhealthy)["detail"])
        until(lambda: unhealthy() and logged(console, "store_failed"))
        self.assertIn("make room on the disk", logged(console, "store_failed")[0])
        self.assertEqual(agent.heartbeat().json["acknowledged"]["number"], acknowledged)
        for _ in range(5):  # it stays up, and says the same
            self.assertEqual(agent.heartbeat(batch, expect=503).json["code"], "disk_full")

        subprocess.run(["mount", "-o", "remount,size=64m", console.data], check=True)
        answer = agent.heartbeat(batch, expect=200)
        self.assertEqual(answer.json["acknowledged"]["number"], batch[-1]["number"])
        self.assertEqual(self.stored(console, agent), list(range(1, batch[-1]["number"] + 1)))
        console.api().get("/health", expect=200)
        until(lambda: logged(console, "store_recovered"))


class LockedTest(Fault):
    def test_another_program_holds_the_database(self):
        with self.console() as console:
            agent = self.agent(console)
            agent.heartbeat([agent.event()])
            holder = sqlite3.connect(console.data + "/console.db", isolation_level=None,
                                     check_same_thread=False)
            holder.execute("BEGIN IMMEDIATE")
            answers = []
            other = Client(console, console.agents_port, certificate=agent.certificate)
            body = {"protocol": 1, "session": agent.session, "host": agent.host(),
                    "policy": {"digest": "", "problem": ""},
                    "store": {"epoch": agent.epoch, "dropped": 0}, "facts": {},
                    "events": [agent.event()], "results": []}
            thread = threading.Thread(target=lambda: answers.append(
                other.post("/agent/v1/heartbeat", body)))
            thread.start()
            for _ in range(5):
                agent.heartbeat()  # what carries nothing is answered meanwhile
            console.api().get("/health", expect=200)
            self.assertEqual(answers, [])
            holder.execute("COMMIT")
            holder.close()
            thread.join()
            self.assertEqual(answers[0].json["acknowledged"]["number"], 2)
            self.assertEqual(self.stored(console, agent), [1, 2])


class CorruptTest(Fault):
    def test_it_is_moved_aside_and_told(self):
        with self.console() as console:
            agent = self.agent(console)
            agent.heartbeat([agent.event() for _ in range(300)])
            backup = console.folder + "/backup"
            self.assertEqual(console.run("backup", backup).returncode, 0)
            console.stop()
            path = console.data + "/console.db"
            with open(path, "r+b") as file:
                for page in range(2, os.path.getsize(path) // 4096, 3):
                    file.seek(page * 4096)
                    file.write(b"\xa5" * 64)
            with open(path, "rb") as file:
                damaged = file.read()
            console.log.clear()
            console.start()
            line = logged(console, "database_rebuilt")[0]
            self.assertIn("yagura-console restore", line)
            aside = glob.glob(path + ".corrupt-*")
            with open(aside[0], "rb") as file:
                self.assertEqual(file.read(), damaged)
            agent.use(harness.read(agent.certificate[0]))
            new = [agent.event()]
            self.assertEqual(agent.heartbeat(new, expect=401).json["code"], "certificate_unknown")
            console.stop()
            done = console.run("restore", backup, "--force")
            self.assertEqual(done.returncode, 0, done.stderr)
            console.start()
            agent.use(harness.read(agent.certificate[0]))
            self.assertEqual(agent.heartbeat(new).json["acknowledged"]["number"], 301)
            self.assertEqual(self.stored(console, agent), list(range(1, 302)))

    def test_a_missing_database_is_told(self):
        with self.console() as console:
            self.assertFalse(logged(console, "database_missing"))  # the first start is none
            console.stop()
            for name in glob.glob(console.data + "/console.db*"):
                os.unlink(name)
            console.log.clear()
            console.start()
            self.assertIn("yagura-console restore", logged(console, "database_missing")[0])


@unittest.skipUnless(CLOCK, "YAGURA_FAKE_CLOCK is not set")
class ClockTest(Fault):
    def faked(self, settings=""):
        console = self.console(settings)
        self.clock = console.folder + "/clock"
        self.set_clock(0)
        console.environment = {"LD_PRELOAD": CLOCK, "YAGURA_TEST_CLOCK": self.clock,
                               "ASAN_OPTIONS": "verify_asan_link_order=0"}
        return console

    def set_clock(self, days, boot_days=0):
        """The wall clock shows so many days more; boot_days of them have passed."""
        with open(self.clock, "ab"):
            pass
        with open(self.clock, "r+b") as file:
            file.write(struct.pack("=qq", int(days * DAY_NS), int(boot_days * DAY_NS)))

    def hostnames(self, console):
        return sorted(row[0] for row in console.query("SELECT hostname FROM computers"))

    def test_a_jump_forward_and_back_removes_nobody(self):
        with self.faked('remove_computers_after = "10d";\n') as console:
            agent = self.agent(console, hostname="living")
            silent = self.agent(console, hostname="silent")
            agent.heartbeat([agent.event()])
            silent.heartbeat()
            self.set_clock(30)
            until(lambda: logged(console, "clock_jumped"))
            agent.heartbeat([agent.event()])
            rounds = len(logged(console, "retention_applied"))
            self.set_clock(30 + 0.1, 0.1)  # hours later: forgetting is due
            until(lambda: len(logged(console, "retention_applied")) > rounds)
            self.assertEqual(self.hostnames(console), ["living", "silent"])
            agent.heartbeat()  # which is written behind
            self.set_clock(0.1, 0.1)  # back: nobody has been seen in the future
            until(lambda: len(logged(console, "clock_jumped")) > 1)
            answer = agent.heartbeat([agent.event()])
            self.assertEqual(answer.json["acknowledged"]["number"], 3)
            ahead = (time.time() + 0.1 * 86400 + 600) * 1000
            until(lambda: all(int(row[0]) < ahead for row in
                              console.query("SELECT last_seen_ms FROM computers")))
            self.assertEqual(self.stored(console, agent), [1, 2, 3])
            self.assertIn("the chain is whole", console.run("verify-audit").stdout)

    def test_a_console_that_was_off_for_weeks_removes_nobody_at_once(self):
        with self.faked('remove_computers_after = "10d";\n') as console:
            agent = self.agent(console, hostname="living")
            silent = self.agent(console, hostname="silent")
            silent.heartbeat()
            agent.heartbeat()
            console.stop()
            self.set_clock(30, 30)
            console.log.clear()
            console.start()
            until(lambda: logged(console, "retention_applied"))
            self.assertEqual(self.hostnames(console), ["living", "silent"])
            agent.use(harness.read(agent.certificate[0]))
            agent.heartbeat()
            self.set_clock(31.1, 31.1)  # a day later, who did not come goes
            until(lambda: self.hostnames(console) == ["living"])
            self.assertIn("computer_not_seen_removed",
                          [row[0] for row in console.query("SELECT action FROM audit")])

    def test_a_clock_that_is_a_year_ahead_removes_no_event(self):
        with self.faked('certificate_life = "3650d";\n') as console:
            agent = self.agent(console)
            agent.heartbeat([agent.event() for _ in range(3)])
            console.stop()
            self.set_clock(365)
            console.log.clear()
            console.start()
            until(lambda: logged(console, "retention_applied"))
            self.assertIn("set this machine's clock", logged(console, "clock_doubted")[0])

            def context(certificate):  # the console's certificate is of the future
                unverified = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                unverified.check_hostname = False
                unverified.verify_mode = ssl.CERT_NONE
                unverified.load_cert_chain(*certificate)
                return unverified
            console.context = context
            agent.use(harness.read(agent.certificate[0]))
            agent.heartbeat([agent.event()])  # whose clock is right
            self.set_clock(365 + 0.1, 0.1)  # hours later
            until(lambda: len(logged(console, "retention_applied")) > 1)
            self.assertEqual(self.stored(console, agent), [1, 2, 3, 4])
            # A year has passed indeed, says the agent.
            agent.heartbeat([agent.event(time_ms=int((time.time() + 365 * 86400) * 1000))])
            self.set_clock(365 + 0.2, 0.2)
            until(lambda: logged(console, "clock_confirmed"))
            until(lambda: self.stored(console, agent) == [4, 5])

    def test_what_a_killed_command_left_is_swept(self):
        """Of yagura-console signatures put, while its scanner checks the list."""
        with self.faked() as console:
            scanner, fifo, path = (os.path.join(console.folder, name)
                                   for name in ("scanner", "fifo", "own.ndb"))
            os.mkfifo(fifo)
            for name, text in ((scanner, f"#!/bin/sh\nread -r line <{fifo}\n"),
                               (path, "Own.One:0:*:616263\n")):
                with open(name, "w", encoding="utf-8") as file:
                    file.write(text)
            os.chmod(scanner, 0o700)
            with open(console.config, "a", encoding="utf-8") as file:
                file.write(f'signatures = {{ scanner = "{scanner}"; }};\n')
            before = set(os.listdir(console.data))
            command = subprocess.Popen([os.path.join(harness.BIN, "yagura-console"), "--config",
                                        console.config, "signatures", "put", "own", "ndb", path])
            with open(fifo, "w", encoding="utf-8"):  # once the scanner runs
                command.kill()
                command.wait()
            self.assertEqual({name for name in set(os.listdir(console.data)) - before
                              if not name.startswith("console.db")}, set())
            left = glob.glob(console.data + "/mirror/signatures-*")
            self.assertEqual(len(left), 1)
            console.stop()
            self.set_clock(0.1, 0.1)
            console.start()
            until(lambda: not os.path.exists(left[0]))

    def certificate(self, console, name):
        text = subprocess.run(["openssl", "x509", "-noout", "-serial", "-enddate", "-pubkey", "-in",
                               f"{console.data}/{name}.crt"], capture_output=True, text=True,
                              check=True).stdout.splitlines()
        return text[0], text[1], "\n".join(text[2:])

    def test_the_servers_certificate_is_renewed(self):
        with self.faked() as console:
            first = self.certificate(console, "server")
            self.set_clock(500)  # it is long over
            until(lambda: self.certificate(console, "server")[0] != first[0])
            until(lambda: len(logged(console, "certificate_reloaded")) > 1)
            context = console.context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            import socket
            with socket.create_connection(("127.0.0.1", console.people_port)) as plain:
                with context.wrap_socket(plain) as tls:
                    shown = ssl.DER_cert_to_PEM_cert(tls.getpeercert(True))
            self.assertEqual(shown.strip(), harness.read(console.data + "/server.crt").strip())

    def test_a_certificate_of_a_clock_that_was_ahead_is_renewed(self):
        with self.faked() as console:
            self.set_clock(500)
            until(lambda: logged(console, "clock_jumped") and
                  self.verify(console, console.authority, 500) == "" and
                  "not yet valid" in self.verify(console, console.authority, 0))
            self.set_clock(0)  # the clock is right again: the certificate is of the future
            until(lambda: self.verify(console, console.authority, 0) == "")

    def test_an_agent_that_was_away_too_long(self):
        with self.faked() as console:
            agent = self.agent(console)
            agent.heartbeat([agent.event()])
            self.set_clock(100)
            until(lambda: logged(console, "clock_jumped"))
            agent.use(harness.read(agent.certificate[0]))
            self.assertEqual(agent.heartbeat(expect=401).json["code"], "certificate_expired")
            first = agent.id
            # The token is made by a console of the same day.
            environment = {**os.environ, **console.environment}
            token = subprocess.run([os.path.join(harness.BIN, "yagura-console"), "--config",
                                    console.config, "token", "create"], capture_output=True,
                                   text=True, check=True, env=environment).stdout.strip()
            agent.activate(token)
            self.assertEqual(agent.id, first)

    def verify(self, console, authority, days):
        """What is wrong with the server's certificate so many days from now; "": nothing."""
        checked = subprocess.run(["openssl", "verify", "-attime",
                                  str(int(time.time()) + days * 86400), "-CAfile", authority,
                                  console.data + "/server.crt"], capture_output=True, text=True,
                                 check=False)
        return checked.stderr if checked.returncode else ""

    def test_the_authority_is_renewed_with_its_key(self):
        with self.faked() as console:
            first = self.certificate(console, "authority")
            pin = console.pin
            old = console.folder + "/old-authority.crt"
            shutil.copy(console.authority, old)
            self.set_clock(8 * 365)
            until(lambda: logged(console, "authority_expires"))
            self.assertIn("restart the console", logged(console, "authority_expires")[0])
            console.stop()
            console.start()
            second = self.certificate(console, "authority")
            self.assertNotEqual(first[0], second[0])
            self.assertEqual(first[2], second[2])
            self.assertEqual(console.pin, pin)
            # Who only knows the old one still trusts what the console shows.
            self.assertEqual(self.verify(console, old, 8 * 365), "")
            self.set_clock(20 * 365)  # an authority that is over altogether
            until(lambda: logged(console, "authority_expired"))
            self.assertIn("expired", self.verify(console, console.authority, 20 * 365))
            console.stop()
            console.start()
            third = self.certificate(console, "authority")
            self.assertNotEqual(third[0], second[0])
            self.assertEqual((third[2], console.pin), (first[2], pin))
            self.assertEqual(self.verify(console, console.authority, 20 * 365), "")

    def test_an_authority_of_a_clock_that_was_ahead_is_renewed_by_a_restart(self):
        console = self.faked()
        self.set_clock(500)
        with console:
            first = self.certificate(console, "authority")
            self.set_clock(0)
            until(lambda: logged(console, "authority_not_yet_valid"))
            self.assertIn("restart the console", logged(console, "authority_not_yet_valid")[0])
            console.stop()
            console.start()
            second = self.certificate(console, "authority")
            self.assertNotEqual(second[0], first[0])
            self.assertEqual(second[2], first[2])
            self.assertEqual(self.verify(console, console.authority, 0), "")

    def test_a_start_with_a_clock_that_was_never_set_keeps_the_authority(self):
        with self.faked() as console:
            first = self.certificate(console, "authority")
            console.stop()
            self.set_clock(-int(time.time() / 86400) + 10 * 365)  # 1979
            console.start()
            self.assertEqual(self.certificate(console, "authority"), first)
            self.set_clock(0)
            until(lambda: self.verify(console, console.authority, 0) == "")


if __name__ == "__main__":
    harness.main()
