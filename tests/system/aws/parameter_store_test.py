"""A host finds its console in Parameter Store: the way there, and everything that may be wrong."""
import contextlib
import json
import os
import socket
import sqlite3
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cloud import ALLOWED, Account, Cloud, agents, ssm  # noqa: E402

_account = []


def account():
    """moto starts once; parameters of one test are gone with the next."""
    if not _account:
        _account.append(Account())
    _account[0].post("/moto-api/reset", "")
    _account[0].guard(False)
    return _account[0]


def one_line(said):
    """What a person sees who ordered it: one line that says what is wrong."""
    lines = [line for line in said.splitlines() if line.strip()]
    assert len(lines) == 1, said
    return lines[0]


def certificate_of_2020(folder):
    """PEM of some certificate that is over."""
    settings = agents.put(folder + "/ca.conf", f"""[ca]
default_ca = own
[own]
database = {folder}/index
new_certs_dir = {folder}
serial = {folder}/serial
policy = any
[any]
commonName = supplied
""".encode())
    agents.put(folder + "/index", b"")
    subprocess.run(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=old",
                    "-keyout", folder + "/key", "-out", folder + "/request"], check=True,
                   capture_output=True)
    subprocess.run(["openssl", "ca", "-batch", "-selfsign", "-notext", "-md", "sha256", "-config",
                    settings, "-create_serial", "-startdate", "20200101000000Z", "-enddate",
                    "20200201000000Z", "-keyfile", folder + "/key", "-in", folder + "/request",
                    "-out", folder + "/certificate"], check=True, capture_output=True)
    with open(folder + "/certificate", encoding="ascii") as stream:
        return stream.read()


def test_an_instance_protects_itself(place):
    """Its role, its region, its parameters; nobody touches it."""
    cloud = Cloud(place, account(), agent_settings={"activate_from": "parameter-store"})
    parameters = cloud.parameters(group="web")
    cloud.account.put(values=parameters)
    cloud.role()
    os.environ.update(cloud.environment)
    cloud.agent.start()
    cloud.both.until(lambda: cloud.both.console_status()["state"] == "online", "activation")
    computer = cloud.both.computer()
    assert computer["status"] == "Managed (Online)", computer
    path = cloud.both.nudge()
    cloud.both.until(lambda: [event for event in cloud.both.events("&kind=malware_found")
                              if event["subject"] == path], "the detection in the console")
    assert cloud.metadata.refused == 0, "version 1 was asked"
    secrets = [parameters["/yagura/token"].encode(),
               json.loads(cloud.metadata.document)["SecretAccessKey"].encode()]
    for folder, _, names in os.walk(cloud.agent.home):
        for name in names:
            if os.path.isfile(os.path.join(folder, name)):
                with open(os.path.join(folder, name), "rb") as stream:
                    content = stream.read()
                assert not any(secret in content for secret in secrets), name
    for pid in agents.descendants(cloud.agent.process.pid):
        for part in ("cmdline", "environ"):
            with open(f"/proc/{pid}/{part}", "rb") as stream:
                content = stream.read()
            assert not any(secret in content for secret in secrets), (pid, part)
    # Stopped for longer than its certificate was valid, it activates anew.
    cloud.agent.stop()
    path = os.path.join(cloud.agent.state, "console", "identity.json")
    with open(path, encoding="utf-8") as stream:
        identity = json.load(stream)
    identity["certificate"] = certificate_of_2020(place.folder("old"))
    agents.put(path, json.dumps(identity).encode())
    cloud.agent.start()
    cloud.both.until(lambda: cloud.both.console_status()["state"] == "online", "the new identity")
    assert cloud.agent.events("certificate_over")
    # After a restart it is itself, and Parameter Store is not asked again.
    first = cloud.both.console_status()["agent_id"]
    cloud.account.guard(False)
    cloud.account.post("/moto-api/reset", "")
    cloud.agent.stop()
    cloud.agent.start()
    cloud.both.until(lambda: cloud.both.console_status()["state"] == "online", "the way back")
    assert cloud.both.console_status()["agent_id"] == first
    # Who leaves does not come back by itself, though the configuration is what it was.
    cloud.agent.control("deactivate")
    cloud.agent.stop()
    cloud.agent.start()
    assert cloud.both.console_status()["state"] == "none", cloud.both.console_status()


def test_other_ways(place):
    """One host joins, leaves, and joins again."""
    cloud = Cloud(place, account())
    cloud.agent.start()
    by_the_names_of_trend(cloud)
    cloud.agent.control("deactivate")
    by_files_that_only_root_may_read(cloud)
    cloud.agent.control("deactivate")
    with a_clock_that_is_off(cloud) as service:
        said = cloud.order(AWS_ENDPOINT_URL_SSM=service.url, AWS_ACCESS_KEY_ID="A",
                           AWS_SECRET_ACCESS_KEY="s", AWS_REGION="eu-west-1")
        assert "activated as" in said, said
        assert service.refused == 1 and service.answered == 1, vars(service)


def by_the_names_of_trend(cloud):
    """dsm:// and no pin under these names: the one below our prefix is used."""
    url = cloud.both.url.replace("https://", "dsm://") + "/"
    cloud.account.put(kind="String", dsActivationUrl=url, dsManagerUrl="https://unused.test:443",
                      dsTenantId=" ", dsToken=cloud.both.token())
    cloud.account.put(values={"/fleet/ca-pin": cloud.both.console.pin})
    cloud.role()
    assert "activated as" in cloud.order("--prefix", "/fleet")
    assert cloud.both.console_status()["url"] == cloud.both.url + "/"


def by_files_that_only_root_may_read(cloud):
    """As the Systems Manager agent gives them to an install script."""
    cloud.account.put(values=cloud.parameters())
    key, secret = cloud.account.keys(ALLOWED)
    cloud.account.guard(True)
    folder = cloud.place.folder("private")
    os.chmod(folder, 0o700)
    path = os.path.join(folder, "credentials")
    agents.put(path, f"[default]\naws_access_key_id = {key}\n"
                     f"aws_secret_access_key = {secret}\n".encode())
    os.chmod(path, 0o600)
    cloud.metadata.off = True
    assert "activated as" in cloud.order(AWS_SHARED_CREDENTIALS_FILE=path, BWS_REGION="eu-west-1")
    said = cloud.order(AWS_SHARED_CREDENTIALS_FILE=path, BWS_REGION="eu-west-1")
    assert "activated as" in said, said  # already: nothing changes
    with open(os.path.join(cloud.agent.state, "console", "cloud.json"), "rb") as stream:
        assert secret.encode() not in stream.read()


def a_clock_that_is_off(cloud):
    """The service's is an hour ahead of ours: the first signature is refused, the second is not."""
    service = ssm.Ssm(cloud.parameters())
    service.clock_offset = 3600
    return service


def test_what_is_wrong_with_parameters(place):
    cloud = Cloud(place, account())
    right = cloud.parameters()
    cloud.role()
    cloud.agent.start()

    def refused(said, **changes):
        cloud.account.clear(right)
        cloud.account.put(values={**right, **changes})
        cloud.account.guard(True)
        line = one_line(cloud.order(accept=(2,)))
        assert said in line, line
        assert cloud.both.console_status()["state"] == "refused"

    refused("no value for /yagura/token: aws ssm put-parameter --type SecureString",
            **{"/yagura/token": " "})
    refused("no value for /yagura/activation-url", **{"/yagura/activation-url": " "})
    refused("/yagura/token holds ciphertext", **{"/yagura/token": "AQICAHhBQUFB" + "A" * 60})
    refused("/yagura/activation-url must be https://HOST:4120",
            **{"/yagura/activation-url": "http://console.test"})
    refused("/yagura/tenant-id, /yagura/policy or /yagura/group is too long",
            **{"/yagura/policy": "x" * 300})
    refused("the console answered 403", **{"/yagura/token": "yt1" + "x" * 40})
    refused("not trusted", **{"/yagura/ca-pin": "sha256//" + "A" * 43 + "="})
    refused("the pin in Parameter Store cannot be read", **{"/yagura/ca-pin": "sha256//short"})
    with contextlib.closing(sqlite3.connect(cloud.both.console.data + "/console.db",
                                            timeout=20)) as base:
        with base:
            base.execute("UPDATE tokens SET expires_ms = 1")
    refused("the console answered 403")
    # Somebody corrects it.
    cloud.account.put(values=cloud.parameters())
    cloud.account.guard(True)
    assert "activated as" in cloud.order()


def credentials_that_are_not_accepted(cloud):
    key, secret = cloud.account.keys(ALLOWED)
    cloud.account.guard(True)
    line = one_line(cloud.order(accept=(2,), AWS_ACCESS_KEY_ID=key,
                                AWS_SECRET_ACCESS_KEY=secret[:-1] + "x"))
    assert "does not accept the credentials" in line and "SignatureDoesNotMatch" in line, line
    line = one_line(cloud.order(accept=(2,), AWS_ACCESS_KEY_ID="UNKNOWN",
                                AWS_SECRET_ACCESS_KEY=secret))
    assert "does not accept the credentials" in line, line
    line = one_line(cloud.order(accept=(2,), AWS_ACCESS_KEY_ID=key))
    assert "only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in line, line
    assert "activated as" in cloud.order(AWS_ACCESS_KEY_ID=key, AWS_SECRET_ACCESS_KEY=secret)


def test_what_the_role_may_not(place):
    """Nothing there; then no permission to read what is there."""
    cloud = Cloud(place, account())
    cloud.role()
    cloud.agent.start()
    line = one_line(cloud.order(accept=(2,)))
    assert "Parameter Store in eu-west-1 has no value for /yagura/activation-url" in line, line
    # It goes on trying, and says when.
    status = cloud.agent.status()["console"]
    assert status["state"] == "refused" and "/yagura/activation-url" in status["problem"], status
    assert "next try" in cloud.agent.control("status"), cloud.agent.control("status")
    cloud.account.put(values=cloud.parameters())
    cloud.role(policy={"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["ssm:DescribeParameters"], "Resource": "*"}]})
    line = one_line(cloud.order(accept=(2,)))
    assert "/yagura/activation-url in eu-west-1 may not be read with the instance's role reader" in \
        line and "allow ssm:GetParameters" in line, line
    credentials_that_are_not_accepted(cloud)


def out_of_reach(cloud):
    """No person must act: it is tried again. The proxy is named."""
    keys = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1"}
    with socket.socket() as bound:  # nobody listens there
        bound.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{bound.getsockname()[1]}"
        cloud.order(accept=(2,), wait="1s", AWS_ENDPOINT_URL_SSM="http://ssm.invalid",
                    https_proxy=nowhere, **keys)
        cloud.both.until(lambda: "cannot be reached by the proxy" in
                         cloud.both.console_status()["problem"], "what is said of the proxy", 200)
    assert cloud.both.console_status()["state"] == "activating"


def orders_that_cannot_be(cloud):
    line = one_line(cloud.order("--prefix", "no/slash", accept=(2,)))
    assert "prefix" in line, line
    line = one_line(cloud.order(accept=(2,), AWS_REGION="x" * 100))
    assert "AWS_REGION is too long" in line, line
    line = one_line(cloud.order("--region", "eu-west-1/evil", accept=(2,), AWS_ACCESS_KEY_ID="A",
                                AWS_SECRET_ACCESS_KEY="s"))
    assert "is no name of an AWS region" in line, line
    assert subprocess.run([os.path.join(agents.PROGRAMS, "yaguractl"), "--socket",
                           cloud.agent.socket, "activate", "--parameter-store", "--url",
                           "https://x", "--token-file", "/x"], capture_output=True,
                          check=False).returncode == 2


def test_before_anything_is_read(place):
    cloud = Cloud(place)
    cloud.environment["AWS_ENDPOINT_URL_SSM"] = "http://127.0.0.1:1"
    cloud.agent.start()
    line = one_line(cloud.order(accept=(2,)))
    assert "the instance has no role: attach an instance profile" in line, line
    cloud.metadata.role = "reader"
    cloud.metadata.document = json.dumps({"Code": "AssumeRoleUnauthorizedAccess",
                                          "Message": "EC2 cannot assume the role"})
    line = one_line(cloud.order(accept=(2,)))
    assert "EC2 cannot assume the role" in line, line
    cloud.metadata.off = True
    line = one_line(cloud.order(accept=(2,)))
    assert "metadata are switched off" in line, line
    cloud.metadata.off, cloud.metadata.hop_limit_1 = False, True
    line = one_line(cloud.order(accept=(2,)))
    assert "hop limit of 1" in line and "http-put-response-hop-limit 2" in line, line
    orders_that_cannot_be(cloud)
    out_of_reach(cloud)


if __name__ == "__main__":
    try:
        agents.main()
    finally:
        for started in _account:
            started.stop()
