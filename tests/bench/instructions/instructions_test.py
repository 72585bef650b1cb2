"""When counts may be compared, and how closely: an update of the tools must neither end the comparison nor fail it."""
import contextlib
import io
import unittest

import instructions

HERE = ["cc (Debian 12.2.0-14+deb12u1) 12.2.0", "x86_64", "AVX2", "libc6 2.36-9+deb12u14", "modsecurity-crs 3.3.4-1"]


def changed(before, after):
    return [tool.replace(before, after) for tool in HERE]


def failed(now, allowed):
    with contextlib.redirect_stdout(io.StringIO()):
        return instructions.compare({"path": now}, {"path": 1000}, allowed)


class Comparison(unittest.TestCase):
    def test_the_same_tools(self):
        self.assertEqual(instructions.tolerance(HERE, HERE), (instructions.TOLERANCE, ""))

    def test_an_update_within_the_release(self):
        for before, after in (("deb12u14", "deb12u15"), ("-14+deb12u1)", "-14+deb12u2)"), ("3.3.4-1", "3.3.4-2")):
            allowed, differ = instructions.tolerance(changed(before, after), HERE)
            self.assertEqual(allowed, instructions.WIDE_TOLERANCE, after)
            self.assertIn(after, differ)

    def test_another_release(self):
        for before, after in (("2.36", "2.41"), ("12.2.0", "14.2.0"), ("AVX2", "no AVX2"), ("3.3.4", "4.0.0")):
            self.assertIsNone(instructions.tolerance(changed(before, after), HERE)[0], after)

    def test_how_far(self):
        self.assertEqual([failed(now, 0.03) for now in (1030, 1031, 970, 969)], [0, 1, 0, 1])
        self.assertEqual([failed(now, 0.10) for now in (1100, 1101)], [0, 1])


if __name__ == "__main__":
    unittest.main()
