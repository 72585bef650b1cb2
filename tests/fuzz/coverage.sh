#!/bin/sh
# Builds with gcov's counters, runs fuzz corpora and unit tests, and says which lines of the parsers they reach.
# Usage: tests/fuzz/coverage.sh [--corpora] [--record docs/coverage.md]; --corpora: without the unit tests, in a third of the time.
set -eu

main() {
    root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
    build=$root/build/coverage
    target=all
    tests='.*'
    if [ "${1:-}" = --corpora ]; then
        target=yagura_fuzzers
        tests='^fuzz/[a-z_]*$'
    fi
    cd "$root"
    cmake --preset coverage >/dev/null
    cmake --build "$build" --target "$target" -j "${YAGURA_TEST_JOBS:-$(nproc)}" >/dev/null
    find "$build" -name '*.gcda' -delete
    # Tests that fail are for tests/run.sh to tell; what they reached counts all the same.
    ctest --test-dir "$build" -L '^unit$' -R "$tests" -E '_starved$' -j "${YAGURA_TEST_JOBS:-$(nproc)}" --timeout 300 >/dev/null || true
    exec python3 -B "$root/tests/fuzz/coverage.py" "$build" "$@"
}

main "$@"
