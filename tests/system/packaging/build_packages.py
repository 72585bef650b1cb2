"""Usage: build_packages.py BUILD OUTPUT. Builds the packages of all kinds, once for all tests that install some."""
import os
import shutil
import sys

import supply


def main():
    build_tree, output = sys.argv[1:]
    shutil.rmtree(output, ignore_errors=True)
    done = 0
    for kind in supply.SCRIPTS:
        folder = os.path.join(output, kind)
        try:
            print("\n".join(supply.build(kind, build_tree, folder)))
            done += 1
        except supply.Missing as reason:
            shutil.rmtree(folder, ignore_errors=True)
            print(f"SKIPPED: {kind}: {reason}")
    print(f"{done} passed, 0 failed, {len(supply.SCRIPTS) - done} skipped")
    sys.exit(0 if done else 77)


main()
