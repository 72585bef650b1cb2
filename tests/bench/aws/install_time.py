"""How long an instance takes from State Manager's action until it is activated and watching, and how much of that is ours and
not the package manager's.

The whole chain of tests/system/ssm_package: the Distributor package with the real debs on a clean root of this release in which
what they depend on is installed, Parameter Store by moto with signatures and permissions checked, a real console. The time of
apt and dpkg is taken by a wrapper in their place; the rest is our own: scripts, start of the agent, the scanner's signatures, activation.
The Systems Manager agent's own random delay of up to 15 s before each package is not in it. Needs root.
"""
import os
import sys
import time

from machine import BenchError

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
WRAPPER = """#!/bin/sh
begun=$(date +%s.%N)
status=0
{real} "$@" || status=$?
echo "$begun $(date +%s.%N)" >>/var/log/package-manager-times
exit $status
"""


def wrap(machine, name):
    machine.must("mv", f"/usr/bin/{name}", f"/usr/bin/{name}.real")
    machine.write(f"/usr/bin/{name}", WRAPPER.format(real=f"/usr/bin/{name}.real"), 0o755)


def measure(case):
    """(seconds, of these the package manager's)."""
    case.setUp()
    try:
        case.parameters()
        wrap(case.machine, "apt-get")
        begun = time.monotonic()
        result = case.agent.configure()
        took = time.monotonic() - begun
        if result.status != "Success" or "activated as" not in result.output:
            raise BenchError(f"it failed: {result}")
        spans = [map(float, line.split()) for line in case.machine.read("/var/log/package-manager-times").splitlines()]
        return took, sum(end - begin for begin, end in spans)
    finally:
        case.doCleanups()


def install(bench):
    build = bench.build
    os.environ.update(YAGURA_BUILD=build, YAGURA_BIN=build + "/bin", YAGURA_PROGRAMS=build + "/bin",
                      YAGURA_SIGNATURES=ROOT + "/installer/demo-signatures",
                      YAGURA_PACKAGES=os.environ.get("YAGURA_PACKAGES", build + "/packages-for-tests"))
    sys.path.insert(0, os.path.join(ROOT, "tests/system/ssm_package"))
    import whole_chain_test  # pylint: disable=import-outside-toplevel
    chain = whole_chain_test.WholeChainTest
    try:
        chain.setUpClass()
        rows = sorted(measure(chain("test_an_instance_protects_itself")) for _ in range(bench.size(3, 1)))
    finally:
        chain.doClassCleanups()
    took, manager = rows[len(rows) // 2]
    bench.figure("from State Manager's action to activated and watching", took, "s", most=15,
                 note=f"median of {len(rows)}: {', '.join(f'{all_of_it:.2f}' for all_of_it, _ in rows)}")
    bench.figure("of these our own steps", took - manager, "s", most=3, note=f"apt and dpkg {manager:.2f} s")
