"""An instance proves what it is, to a console that asks for it."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cloud import Amazon, Cloud, agents  # noqa: E402


def on_ec2(place):
    amazon = Amazon(place.folder("pinned"))
    cloud = Cloud(place, console=f'instance_identity = {{ check = "required"; '
                                 f'certificates = "{amazon.folder}"; '
                                 'accounts = ("123456789012"); };\n')
    cloud.metadata.identity = amazon.identity(cloud.metadata.instance_id)
    os.environ.update(cloud.environment)
    return cloud, amazon


def test_the_document_goes_along(place):
    cloud, _ = on_ec2(place)
    both = cloud.both
    both.agent.start()
    both.activate()
    computer = both.computer()
    assert (computer["instance_id"], computer["account"], computer["region"]) == \
        (cloud.metadata.instance_id, "123456789012", "eu-west-1"), computer
    # Heartbeats say the same, also after a restart and without the metadata: no copy, no other.
    first = both.console_status()["agent_id"]
    cloud.metadata.off = True
    both.agent.stop()
    both.agent.start()
    path = both.nudge()
    both.until(lambda: [event for event in both.events("&kind=malware_found")
                        if event["subject"] == path], "a heartbeat after the restart")
    assert both.console_status()["agent_id"] == first
    assert len(both.admin.get("/api/v1/computers").json["computers"]) == 1


def test_what_a_console_refuses(place):
    """The reason of the console, and where it lies on the host, in the log."""
    cloud, amazon = on_ec2(place)
    both = cloud.both
    both.agent.start()
    cloud.metadata.identity = amazon.identity(cloud.metadata.instance_id, account="210987654321")
    both.activate(accept=(2,))
    assert "this AWS account are not accepted" in both.console_status()["problem"], both.console_status()
    document, _ = amazon.identity(cloud.metadata.instance_id)
    cloud.metadata.identity = (document, amazon.identity("i-00000000000000001")[1])
    both.activate(accept=(2,))
    assert "not signed by AWS" in both.console_status()["problem"], both.console_status()
    cloud.metadata.off = True
    both.activate(accept=(2,))
    assert "instance identity document" in both.console_status()["problem"], both.console_status()
    with open(both.agent.log, encoding="utf-8") as stream:
        assert "instance_identity_missing" in stream.read()
    cloud.metadata.off = False
    cloud.metadata.identity = amazon.identity(cloud.metadata.instance_id)
    assert "activated as" in both.activate()


if __name__ == "__main__":
    agents.main()
