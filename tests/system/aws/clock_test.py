"""A host whose clock is an hour off: joins where that is possible, and is told where it is not. The host has this machine's
clock; Parameter Store and the console have the other one."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cloud import Cloud, agents, ssm  # noqa: E402

HOUR = 3600
KEYS = {"AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "eu-west-1"}


def clock(seconds):
    return {"LD_PRELOAD": os.environ["YAGURA_SHIFTED_CLOCK"], "SHIFTED_CLOCK": str(seconds)}


def shift(cloud, seconds, name="console.test"):
    """The console with another clock; under a new name it makes itself a new certificate."""
    console = cloud.both.console
    console.stop()
    with open(console.config, encoding="utf-8") as stream:
        text = stream.read()
    agents.put(console.config, text.replace("console.test", name).encode())
    console.environment = clock(seconds)
    console.start()
    cloud.both.admin.connection.close()
    cloud.both.admin.connection.port = console.people_port


def join(cloud, token, seconds, accept=(0,)):
    """What is said; Parameter Store took the second signature, made with its own time."""
    values = {"/yagura/activation-url": cloud.both.url, "/yagura/token": token, "/yagura/ca-pin": cloud.both.console.pin}
    with ssm.Ssm(values) as service:
        service.clock_offset = seconds
        said = cloud.order(accept=accept, AWS_ENDPOINT_URL_SSM=service.url, **KEYS)
        assert (service.refused, service.answered) == (1, 1), vars(service)
    return said


def test_an_hour_off(place):
    cloud = Cloud(place, environment=clock(-HOUR))  # all that this console makes is an hour old for the host
    token = cloud.both.token()
    cloud.agent.start()
    for seconds in (-HOUR, HOUR):
        if seconds > 0:
            shift(cloud, seconds)
        assert "activated as" in join(cloud, token, seconds)
        cloud.both.until(lambda: cloud.both.console_status()["state"] == "online", "the heartbeat")
        path = cloud.both.nudge()
        cloud.both.until(lambda path=path: [event for event in cloud.both.events("&kind=malware_found") if event["subject"] == path],
                         "the detection")
        cloud.agent.control("deactivate")
    # A certificate that is younger than an hour is of this host's future.
    shift(cloud, HOUR, name="renamed.test")
    said = join(cloud, token, HOUR, accept=(2,)).strip()
    assert len(said.splitlines()) == 1 and "not yet valid" in said and "correct this host's clock" in said, said
    assert cloud.both.console_status()["state"] == "refused", cloud.both.console_status()


if __name__ == "__main__":
    agents.main()
