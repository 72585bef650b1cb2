"""The mirror's folder, as freshclam fills it."""

import os
import tempfile

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
        self.assertIn("there is no yagura-scanner", "".join(self.console.log))
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


if __name__ == "__main__":
    harness.main()
