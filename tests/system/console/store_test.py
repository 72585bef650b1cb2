"""The unit tests of the store on PostgreSQL: each test on an empty database of its own."""

import os
import subprocess
import unittest

import harness
from harness import BIN


class StoreTest(unittest.TestCase):
    def run_unit(self, name, databases=8):
        stores = " ".join(harness.postgres().database() for _ in range(databases))
        done = subprocess.run([os.path.join(BIN, "../unit", name)], capture_output=True, text=True,
                              env={**os.environ, "YAGURA_TEST_STORES": stores}, check=False,
                              timeout=120)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_the_store(self):
        self.run_unit("console_store_test", databases=10)

    def test_heartbeats_together(self):
        self.run_unit("console_heartbeat_batch_test")

    def test_pages(self):
        self.run_unit("console_event_pages_test")

    def test_lists_of_signatures(self):
        self.run_unit("console_signature_list_test")

    def test_facets(self):
        self.run_unit("console_event_facets_test")


if __name__ == "__main__":
    harness.main()
