#!/bin/sh
# clang-tidy (see .clang-tidy) has nothing to say about the programs; needs the clang build
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

need clang-tidy "clang-tidy"
if [ ! -f build/clang/compile_commands.json ]; then
    skip "clang-tidy" "no build/clang"
    exit 0
fi
list=$(files '*.c' | grep -vE '^(tests/|console/web/vendor/)')
jobs=${YAGURA_TEST_JOBS:-$(nproc)}
# One program an argument, so that a slow file holds up only one processor.
said=$(printf '%s\n' "$list" | xargs -P "$jobs" -n 1 timeout 120 \
    clang-tidy --quiet -p build/clang --extra-arg=-include "--extra-arg=$ROOT/tests/style/analyzer.h" --warnings-as-errors='*' 2>/dev/null |
    grep -E '(warning|error):' | sort -u || true)
for source in $list; do
    grep -qF "/$source\"" build/clang/compile_commands.json || continue
    empty "clang-tidy $source" "$(printf '%s\n' "$said" | grep -F "/$source:" || true)"
done
empty "clang-tidy on headers" "$(printf '%s\n' "$said" | grep -E '\.h:[0-9]' || true)"
finish
