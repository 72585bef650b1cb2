"""Two consoles on one PostgreSQL behind a TCP balancer: one is killed under load."""

import os
import shutil
import signal
import time

import harness
from balancer import Balancer
from harness import FixedConsole
from load_test import Load, LoadTest


class ClusterTest(LoadTest):
    EVENTS = 2
    HEARTBEAT = 10

    def test_one_of_two_nodes_dies_and_no_agent_goes_offline(self):
        url = harness.postgres().database()
        settings = f'heartbeat = "{self.HEARTBEAT}s";\n'
        first = FixedConsole(settings, database=url)
        second = FixedConsole(settings, database=url)
        with first:
            os.mkdir(second.data)
            for name in ("authority.key", "authority.crt", "signing.key"):
                shutil.copy2(os.path.join(first.data, name), second.data)
            with second:
                balancer = Balancer([first.agents_port, second.agents_port])
                self.addCleanup(balancer.close)
                first.administrator()
                self.assertEqual(second.pin, first.pin)
                with Load(first, balancer.port, 24, self.EVENTS) as load:
                    load.wait_for_more(200)
                    self.watch(second, load, first)
                    acknowledged = load.stop()
                second.stop()
                self.assert_exact(second, acknowledged)
                self.assertEqual(second.run("verify-audit").returncode, 0)

    def watch(self, second, load, first):
        """From the kill until every status must have changed if it were to."""
        client = second.api()
        client.sign_in("admin", harness.PASSWORD)
        first.stop(signal.SIGKILL)
        end = time.monotonic() + 2.5 * self.HEARTBEAT
        while time.monotonic() < end:
            rows = client.get("/api/v1/computers?limit=100", expect=200).json["computers"]
            self.assertEqual({row["status"] for row in rows}, {"Managed (Online)"}, rows)
            self.assertEqual(len(rows), 24)
            load.wait_for_more(50)


if __name__ == "__main__":
    harness.main()
