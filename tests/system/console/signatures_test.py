"""The mirror's folder, as freshclam fills it; sets of signatures beside heartbeats."""

import os
import subprocess
import tempfile
import threading

import harness
from harness import ConsoleTest, until


def head(version):
    text = (f"ClamAV-VDB:22 Nov 2026 08-00 -0500:{version}:10:90:{'0' * 32}:signature:builder:"
            "1764000000")
    return text.encode().ljust(512) + b"a database"


class FolderTest(ConsoleTest):
    """Without yagura-scanner on this machine, which would refuse these databases."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="yagura-folder-")
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.settings = (f'mirror = {{ folder = "{cls.folder}"; period = "1s"; unsigned = true; }};\n'
                        'signatures = { scanner = "/nonexistent/yagura-scanner"; };\n')
        super().setUpClass()

    def put(self, name, content):
        """As freshclam does: whole, at once."""
        with open(self.folder + "/part", "wb") as file:
            file.write(content)
        os.rename(self.folder + "/part", os.path.join(self.folder, name))

    def files(self):
        return {row["name"]: row["version"] for row in
                self.admin.get("/api/v1/signature-files", expect=200).json["files"]}

    def look(self, *names):
        """A whole look at the folder: the second file is found after the end of the first's."""
        for name in names:
            self.put(name, b"Own.One:0:*:616263\n")
            until(lambda name=name: name in self.files())

    def test_only_newer_files_are_taken(self):
        self.put("daily.cvd", head(20))
        until(lambda: self.files().get("daily.cvd") == 20)
        self.assertRegex("".join(self.console.log), "mirror_file_not_checked .*there is no yagura-scanner")
        os.remove(self.folder + "/daily.cvd")
        self.put("daily.cld", head(21))
        until(lambda: self.files().get("daily.cld") == 21)
        self.assertNotIn("daily.cvd", self.files())
        os.remove(self.folder + "/daily.cld")
        self.put("daily.cvd", head(19))
        self.look("one.ndb", "other.ndb")
        self.assertEqual(self.files(), {"daily.cld": 21, "one.ndb": 0, "other.ndb": 0})
        self.put("daily.cvd", head(22))
        until(lambda: self.files().get("daily.cvd") == 22)
        self.assertNotIn("daily.cld", self.files())


class DeskTest(ConsoleTest):
    agents = "threads = 1; "

    def test_heartbeats_do_not_wait_for_sets(self):
        """One event loop serves all, and the set that an agent asks for cannot be read for now."""
        if not self.console.database:
            self.skipTest("SQLite has no lock that stops a reader")
        self.admin.put("/api/v1/signature-lists/own", {"type": "allow", "text": "a" * 64},
                       expect=201, If_None_Match="*")
        asking, other = self.agent(), self.agent()
        asking.heartbeat()
        answers = []
        with subprocess.Popen([harness.postgres().bin + "/psql", "-X", "-q", self.console.database],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as psql:
            psql.stdin.write("BEGIN; LOCK TABLE signature_sets IN ACCESS EXCLUSIVE MODE;\n"
                             "\\echo locked\n")
            psql.stdin.flush()
            self.assertEqual(psql.stdout.readline(), "locked\n")
            thread = threading.Thread(
                target=lambda: answers.append(asking.client.get("/agent/v1/signatures")))
            thread.start()
            # It is the reading of the content that waits, not the console's own look at the digests.
            until(lambda: self.console.query(
                "SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE NOT granted AND query LIKE '%content%'"))
            for _ in range(20):
                other.heartbeat([other.event()])
            self.assertEqual(answers, [])
            psql.stdin.close()
        thread.join()
        self.assertEqual(answers[0].status, 200)


if __name__ == "__main__":
    harness.main()
