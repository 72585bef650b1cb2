"""AWS's own runtime client for Node.js as the judge: functions that it runs are answered as before, and
an injection with 403 without its handler."""
import json
import os
import shutil
import subprocess

from functions import BAD, FIXTURES, GOOD, PROGRAMS, Run, Skip, http_event, main
from runtimes_test import check, program

VERSION = "3.3.0"


def install():
    """Once for all builds below build/: its native part is compiled, a minute of CPU."""
    tree = os.path.dirname(PROGRAMS)
    builds = os.path.dirname(tree)
    folder = os.path.join(builds if os.path.basename(builds) == "build" else tree, "aws-lambda-ric")
    client = os.path.join(folder, "node_modules", "aws-lambda-ric")
    done = os.path.join(folder, "installed-" + VERSION)
    if os.path.exists(done):
        return client
    for name in ("npm", "cmake", "c++"):
        program(name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    begun = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--prefix", folder, "aws-lambda-ric@" + VERSION],
                           capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                           env={**os.environ, "MAKEFLAGS": "-j2"})
    if begun.returncode != 0 or not os.path.exists(os.path.join(client, "dist", "rapid-client.node")):
        raise Skip("AWS's runtime client for Node.js cannot be installed: npm says " + begun.stderr[-300:])
    with open(done, "w", encoding="ascii"):
        return client


def ric(handler):
    client = os.environ.get("YAGURA_TEST_LAMBDA_RIC") or install()
    return [program("node"), os.path.join(client, "bin", "index.mjs"), handler]


def test_awss_own_client_for_node(place):
    os.chdir(FIXTURES)
    check(place, ric("index.handler"), raw=False)


def test_awss_own_client_for_node_tells_errors(place):
    os.chdir(FIXTURES)
    events = [http_event("/boom"), GOOD]
    before, after = Run(place, events, ric("index.handler"), protected=False), \
        Run(place, events, ric("index.handler"))
    assert before.outcomes() == after.outcomes() == ["error", "response"], after.errors()
    assert json.loads(after.answers()[0])["errorMessage"] == "boom"


def test_awss_own_client_for_node_streams(place):
    """Chunks and error trailers as without us; a blocked request is answered as a stream."""
    os.chdir(FIXTURES)
    events = [GOOD, BAD, http_event("/boom")]
    before, after = Run(place, events, ric("index.streaming"), protected=False), \
        Run(place, events, ric("index.streaming"))
    assert after.answers()[0] == before.answers()[0] == "one two three", after.results
    assert after.answers()[2] == before.answers()[2]
    names = [[line.partition(":")[0] for line in run.results[2]["trailers"].splitlines()]
             for run in (before, after)]
    assert names[0] == names[1] and "Lambda-Runtime-Function-Error-Type" in names[1], names
    assert "streaming" in after.results[1]["head"], after.results[1]
    prelude, _, body = after.answers()[1].partition("\0" * 8)
    assert json.loads(prelude)["statusCode"] == 403 and json.loads(body) == {"message": "Forbidden"}


if __name__ == "__main__":
    main()
