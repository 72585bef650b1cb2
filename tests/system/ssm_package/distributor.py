"""What the Systems Manager agent does with a Distributor package (aws:configurePackage), as read in
the source of amazon-ssm-agent 3.3.987.0 and seen when it runs: which script it calls when, in what
environment, how long it waits, what it makes of the exit status, and what it forgets.
Not in it: the service's own checks, downloads by presigned URLs, State Manager's schedule.
"""
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
import zipfile

IN_PLACE = "In-place update"
REINSTALL = "Uninstall and reinstall"
NAMES = {"amzn": "amazon", "rhel": "redhat", "ol": "oracle", "sles": "suse"}


class Result:
    def __init__(self):
        self.status = "Success"
        self.said = []      # the agent's own words
        self.steps = []     # (script, exit status) in order
        self.output = ""    # of all scripts
        self.error = ""

    @property
    def scripts(self):
        return [name for name, _ in self.steps]

    @property
    def cause(self):
        lines = [line for line in self.error.splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def __repr__(self):
        return f"<{self.status} {self.steps} {self.said}\n{self.output}{self.error}>"


def match(packages, platform, version, architecture):
    """The file for a platform, by the agent's rules; None when there is none."""
    versions = packages.get(platform, packages.get("_any", {}))
    found = versions.get(version)
    if found is None:
        wild = [key for key in versions
                if key.endswith(".*") and (version + ".").startswith(key[:-1])]
        key = max(wild, key=len, default=None) or next((k for k in ("_any", "*") if k in versions), None)
        found = versions.get(key, {})
    entry = found.get(architecture, found.get("_any"))
    return entry["file"] if entry else None


class Distributor:
    """One machine's agent. publish() is what the owner of the package does."""

    def __init__(self, machine, name="Yagura", seconds=3600):
        self.machine = machine
        self.name = name
        self.seconds = seconds
        self.home = f"/var/lib/amazon/ssm/packages/{name}"
        self.documents = {}
        self.default = None
        self.environment = {}

    # --- the service's side

    def publish(self, folder, default=True):
        """A built package: manifest.json and its zips."""
        with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
        self.documents[manifest["version"]] = (manifest, folder)
        if default:
            self.default = manifest["version"]
        return manifest["version"]

    # --- the agent's side

    def configure(self, action="Install", version=None, how=IN_PLACE, arguments=None):
        result = Result()
        self.arguments = arguments or {}
        if any(not key.startswith("SSM_") for key in self.arguments):
            return self._fail(result, "keys need to start with SSM_")
        state = self._state()
        if action == "Uninstall":
            return self._uninstall(result, state)
        try:
            wanted = version or self.default
            file = self._file_for(wanted)
        except LookupError as problem:
            return self._fail(result, str(problem))
        self._install(result, state, wanted, file, how)
        return result

    def _install(self, result, state, wanted, file, how):
        old = state.get("lastinstalledversion", "")
        if state["state"] == "Installed" and old == wanted:
            if not self._has(wanted, "validate.sh"):
                result.said.append("already installed")
                return
            if self._run(result, wanted, "validate") == 0:
                result.said.append("already installed")
                return
            first = "update" if how == IN_PLACE else "install"
            self._finish(result, wanted, first)
            return
        if state["state"] == "Failed" and not old:
            self._unpack(wanted, file)
            self._finish(result, wanted, "update" if how == IN_PLACE else "install")
            return
        if old and old != wanted:
            self._change(result, old, wanted, file, how)
            return
        self._unpack(wanted, file)
        self._finish(result, wanted, "install")

    def _change(self, result, old, wanted, file, how):
        self._unpack(old, file)  # the new files, over those of the old version
        self._unpack(wanted, file)
        if how == REINSTALL:
            if self._run(result, old, "uninstall") != 0:
                self._keep("Failed", wanted, old)
                self._fail(result, "failed to uninstall version " + old)
                return
            self._finish(result, wanted, "install", old)
            return
        if not self._has(wanted, "update.sh"):
            self._keep("Failed", wanted, old)
            self._fail(result, "missing update script")
            return
        if self._step(result, wanted, "update") and self._step(result, wanted, "validate"):
            self._keep("Installed", wanted, wanted)
            shutil.rmtree(self.machine.path(f"{self.home}/{old}"))
            return
        # "Rollback": the new files are all there is.
        self._run(result, wanted, "uninstall")
        self._run(result, old, "install")
        self._keep("Installed", old, old)
        self._fail(result, "failed to update; rolled back to " + old)

    def _finish(self, result, wanted, first, old=""):
        """The step and its validation, with the reboot that 194 asks for."""
        if first == "update" and not self._has(wanted, "update.sh"):
            self._keep("Failed", wanted, old)
            self._fail(result, "missing update script")
            return
        status = self._run(result, wanted, first)
        if status == 194:
            result.said.append("reboot")
            if not self._has(wanted, "validate.sh"):
                self._keep("Installed", wanted, wanted)
                return
            good = self._run(result, wanted, "validate") == 0 or self._step(result, wanted, "install")
        else:
            good = status in (0, 168)
        if good and self._step(result, wanted, "validate"):
            self._keep("Installed", wanted, wanted)
            return
        self._keep("Failed", wanted, old)
        self._fail(result, f"failed to {first} version {wanted}")

    def _uninstall(self, result, state):
        version = state.get("version", "")
        if state["state"] == "None" or not version:
            result.said.append("not installed")
            return result
        if not self._step(result, version, "uninstall"):
            self._keep("Failed", version, state.get("lastinstalledversion", ""))
            return self._fail(result, "failed to uninstall")
        shutil.rmtree(self.machine.path(f"{self.home}/{version}"))
        self._keep("None", "", "")
        return result

    # --- files

    def _state(self):
        path = f"{self.home}/installstate"
        if not self.machine.exists(path):
            return {"state": "None"}
        return json.loads(self.machine.read(path))

    def _keep(self, state, version, installed):
        self.machine.write(f"{self.home}/installstate", json.dumps(
            {"name": self.name, "version": version, "state": state, "lastinstalledversion": installed}))

    def forget(self):
        """As on a machine where it was never installed by this agent."""
        os.unlink(self.machine.path(f"{self.home}/installstate"))

    def _platform(self):
        text = self.machine.read("/etc/os-release")
        fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text, re.M))
        return NAMES.get(fields["ID"], fields["ID"]), fields.get("VERSION_ID", "")

    def _file_for(self, version):
        if version not in self.documents:
            raise LookupError(f"no version {version}")
        manifest, folder = self.documents[version]
        platform, release = self._platform()
        name = match(manifest["packages"], platform, release, self.machine.architecture)
        if name is None:
            raise LookupError(f"no manifest found for platform: {platform}, version {release}, "
                              f"architecture {self.machine.architecture}")
        path = os.path.join(folder, name)
        with open(path, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        if digest != manifest["files"][name]["checksums"]["sha256"]:
            raise LookupError(f"checksum of {name} is wrong")
        return path

    def _unpack(self, version, zip_path):
        """Over whatever is there; what is there and not in the zip stays."""
        folder = self.machine.path(f"{self.home}/{version}")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        os.chmod(folder, 0o700)
        with zipfile.ZipFile(zip_path) as archive:
            for entry in archive.infolist():
                if ".." in entry.filename or entry.filename.startswith("/"):
                    raise ValueError(entry.filename)
                archive.extract(entry, folder)
                os.chmod(os.path.join(folder, entry.filename), entry.external_attr >> 16 & 0o777)
        self.check(folder)

    @staticmethod
    def check(folder):
        names = os.listdir(folder)
        if len(names) < 2:
            raise ValueError("Package is incomplete")
        if ("install.sh" in names) == ("install.ps1" in names):
            raise ValueError("Package is not supported (package is missing install action)")
        if "manifest.json" in names:
            with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
                if not json.load(file).get("name"):
                    raise ValueError("empty package name")

    def _has(self, version, script):
        return self.machine.exists(f"{self.home}/{version}/{script}")

    # --- scripts

    def _fail(self, result, words):
        result.status = "Failed"
        result.said.append(words)
        return result

    def _step(self, result, version, action):
        """A script that may be missing; whether it counts as done."""
        if not self._has(version, action + ".sh"):
            return True
        return self._run(result, version, action) in (0, 168)

    def _environment(self):
        platform, release = self._platform()
        return {
            "PATH": "/usr/bin:/bin", "BWS_PLATFORM_NAME": platform, "BWS_PLATFORM_VERSION": release,
            "BWS_ARCHITECTURE": self.machine.architecture, "BWS_INIT_SYSTEM": "systemd",
            "BWS_INSTANCE_ID": "i-0123456789abcdef0", "BWS_INSTANCE_TYPE": "t3.micro",
            "BWS_REGION": "us-east-1", "BWS_AVAILABILITY_ZONE": "us-east-1a", "BWS_ACCOUNT_ID": "",
            "http_proxy": "", "https_proxy": "", "no_proxy": "",
            "AWS_SSM_INSTANCE_ID": "i-0123456789abcdef0", "AWS_SSM_REGION_NAME": "us-east-1",
            "AWS_SSM_PLATFORM_NAME": platform, "AWS_SSM_PLATFORM_VERSION": release,
            "SSM_COMMAND_ID": "00000000-0000-4000-8000-000000000000",
            **self.environment, **self.arguments,
        }

    def _run(self, result, version, action):
        """sh SCRIPT as root in the package's folder; lasts until nobody holds its output any more."""
        script = f"echo Running sh {action}.sh\nsh {action}.sh\n"
        process = subprocess.Popen(
            self.machine.command("sh", "-c", script, cwd=f"{self.home}/{version}"),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True, env={**self._environment(), "BWS_ACTION_NAME": action})
        begun = time.monotonic()
        try:
            output, error = process.communicate(timeout=self.seconds)
            status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, error = process.communicate()
            status = 137
            result.said.append("TimedOut")
        self.took = time.monotonic() - begun
        result.steps.append((action, status))
        result.output += output[:24000]
        result.error += error[:24000]
        return status
