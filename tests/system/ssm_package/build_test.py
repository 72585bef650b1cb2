"""The builder: what it writes, that it writes the same again, and what it refuses."""
import hashlib
import json
import os
import re
import shutil
import tempfile
import unittest
import zipfile

import distributor
import package_case
import scratch_root
import small_packages

SCRIPTS = {"install.sh", "uninstall.sh", "update.sh", "validate.sh", "common.sh"}


class BuildTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="yagura-build-")
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.packages = cls.folder + "/packages"
        small_packages.make_packages(cls.packages, "1.0")
        cls.output = cls.folder + "/output"
        small_packages.build(cls.output, "1.0", cls.packages)
        with open(cls.output + "/manifest.json", encoding="utf-8") as file:
            cls.manifest = json.load(file)

    def copy(self, name, executed=lambda text: text):
        folder = f"{self.folder}/{name}"
        shutil.copytree(self.packages, folder)
        with open(folder + "/EXECUTED", encoding="ascii") as file:
            text = executed(file.read())
        with open(folder + "/EXECUTED", "w", encoding="ascii") as file:
            file.write(text)
        return folder

    def refused(self, words, *folders, version="1.0"):
        done = small_packages.build(tempfile.mkdtemp(dir=self.folder), version, *folders, good=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(words, done.stderr)

    def test_manifest(self):
        self.assertEqual(self.manifest["schemaVersion"], "2.0")
        self.assertEqual(self.manifest["version"], "1.0")
        zips = sorted(name for name in os.listdir(self.output) if name.endswith(".zip"))
        self.assertEqual(sorted(self.manifest["files"]), zips)
        for name in zips:
            with open(f"{self.output}/{name}", "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            self.assertEqual(self.manifest["files"][name]["checksums"]["sha256"], digest)

    def test_only_what_was_executed(self):
        """One distribution, one architecture: what try.sh ran on, and nothing that was not given."""
        with open(self.packages + "/EXECUTED", encoding="ascii") as file:
            platform, version = re.search(r"^platform (\S+) (\S+)$", file.read(), re.M).groups()
        self.assertEqual(self.manifest["packages"],
                         {platform: {version: {scratch_root.architecture(): {"file": f"yagura-agent_1.0_{platform}-{version}_"
                                                                             f"{scratch_root.architecture()}.zip"}}}})

    def test_zip(self):
        """Flat, whole, no link, no manifest of the other schema."""
        for name in self.manifest["files"]:
            with zipfile.ZipFile(f"{self.output}/{name}") as archive:
                entries = {entry.filename: entry for entry in archive.infolist()}
                self.assertFalse([entry for entry in entries if "/" in entry or "%" in entry])
                self.assertTrue(SCRIPTS <= set(entries))
                self.assertNotIn("manifest.json", entries)
                self.assertNotIn("EXECUTED", entries)
                sums = dict(reversed(line.split("  ")) for line in
                            archive.read("SHA256SUMS").decode().splitlines())
                self.assertEqual(set(sums), set(entries) - {"SHA256SUMS"})
                for entry, digest in sums.items():
                    self.assertEqual(hashlib.sha256(archive.read(entry)).hexdigest(), digest)
                self.assertFalse([entry for entry in archive.infolist() if entry.external_attr >> 28 == 0o12])

    def test_reproducible(self):
        """The same packages elsewhere, at another time, with another umask: the same bytes."""
        other = self.copy("elsewhere")
        for name in os.listdir(other):
            os.utime(f"{other}/{name}", (1, 1))
            os.chmod(f"{other}/{name}", 0o600)
        before = os.umask(0o077)
        try:
            small_packages.build(self.folder + "/again", "1.0", other)
        finally:
            os.umask(before)
        for name in os.listdir(self.output):
            with open(f"{self.output}/{name}", "rb") as one, open(f"{self.folder}/again/{name}", "rb") as two:
                self.assertEqual(one.read(), two.read(), name)

    def test_several(self):
        """Folders of several distributions and architectures, and which one a machine is given."""
        def on(platform, architecture):
            return lambda text: re.sub(r"^platform .*\narchitecture .*$",
                                       f"platform {platform}\narchitecture {architecture}", text, flags=re.M)
        folders = [self.copy("several-" + architecture + platform.replace(" ", "-"), on(platform, architecture))
                   for platform, architecture in (("debian 12", "x86_64"), ("debian 12", "arm64"), ("ubuntu 24.04", "x86_64"),
                                                  ("amazon 2023", "arm64"), ("debian 13", "x86_64"))]
        output = self.folder + "/several"
        small_packages.build(output, "1.0", *folders)
        with open(output + "/manifest.json", encoding="utf-8") as file:
            packages = json.load(file)["packages"]
        found = {(p, v, a): distributor.match(packages, p, v, a)
                 for p in ("debian", "ubuntu", "amazon", "rocky") for v in ("12", "13", "24.04", "2023")
                 for a in ("x86_64", "arm64")}
        self.assertEqual({key for key, name in found.items() if name}, {
            ("debian", "12", "x86_64"), ("debian", "12", "arm64"), ("debian", "13", "x86_64"),
            ("ubuntu", "24.04", "x86_64"), ("amazon", "2023", "arm64")})
        for (platform, version, architecture), name in found.items():
            if name:
                self.assertEqual(name, f"yagura-agent_1.0_{platform}-{version}_{architecture}.zip")

    def test_refused(self):
        never = self.copy("never")
        os.unlink(never + "/EXECUTED")
        self.refused("was never executed", never)
        changed = self.copy("changed")
        name = next(name for name in os.listdir(changed) if name.startswith("yagura-agent"))
        with open(f"{changed}/{name}", "ab") as file:
            file.write(b"x")
        self.refused("is not what was executed", changed)
        more = self.copy("more")
        shutil.copyfile(f"{more}/{name}", f"{more}/more.deb")
        self.refused("more.deb was never executed", more)
        mixed = self.copy("mixed")
        with open(mixed + "/x.rpm", "wb"):
            pass
        with open(mixed + "/EXECUTED", "a", encoding="ascii") as file:
            file.write(f"file {hashlib.sha256(b'').hexdigest()}  x.rpm\n")
        self.refused("several kinds", mixed)
        self.refused("same platform", self.packages, self.copy("twice"))
        for version in ("", "1 0", "1/0", "x" * 129):
            self.refused("--version", self.packages, version=version)


if __name__ == "__main__":
    package_case.main()
