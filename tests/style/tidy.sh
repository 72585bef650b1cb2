#!/bin/sh
# clang-tidy (see .clang-tidy) has nothing to say about the programs; needs the clang build
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

look() {
    status=0
    said=$(timeout 300 clang-tidy --quiet -p build/clang --extra-arg=-include \
        "--extra-arg=$ROOT/tests/style/analyzer.h" --warnings-as-errors='*' "$1" 2>/dev/null) || status=$?
    if [ "$status" -gt 1 ]; then
        echo "$ROOT/$1:1: error: clang-tidy ended with status $status"
        return 1
    fi
    printf '%s\n' "$said" | grep -E '(warning|error):' | sort -u || true
}

if [ "${1:-}" = --one ]; then
    remembered tidy "$2" "$(cat .clang-tidy tests/style/analyzer.h && clang-tidy --version)" look "$2"
    exit
fi
need clang-tidy "clang-tidy"
if [ ! -f build/clang/compile_commands.json ]; then
    skip "clang-tidy" "no build/clang"
    exit 0
fi
list=$(files '*.c' | grep -vE '^(tests/|console/web/vendor/)' | while IFS= read -r source; do
    ! grep -qF "/$source\"" build/clang/compile_commands.json || printf '%s\n' "$source"
done)
said=$(printf '%s\n' "$list" | look_at_each tidy | sort -u)
for source in $list; do
    empty "clang-tidy $source" "$(printf '%s\n' "$said" | grep -F "/$source:" || true)"
done
empty "clang-tidy on headers" "$(printf '%s\n' "$said" | grep -vE '\.c:[0-9]' || true)"
finish
