#!/bin/sh
# clang-tidy (see .clang-tidy) has nothing to say about the programs; needs the clang build
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

# What decides about the findings in a file: itself with all it includes, the checks, the tool.
key_of() {
    {
        # shellcheck disable=SC2046  # flags are words
        clang -E -P -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DYAGURA_VERSION='""' -I. \
            $(pkg-config --cflags libclamav libconfig sqlite3 libcrypto jansson libseccomp) "$1" 2>&1 || true
        cat "$1" .clang-tidy tests/style/analyzer.h
        clang-tidy --version
    } | sha256sum | cut -c1-64
}

# Findings are remembered in the build tree: the analyzer takes seconds a file.
tidy_one() {
    remembered=build/tidy/$(key_of "$1")
    if [ ! -f "$remembered" ]; then
        status=0
        timeout 300 clang-tidy --quiet -p build/clang --extra-arg=-include \
            "--extra-arg=$ROOT/tests/style/analyzer.h" --warnings-as-errors='*' "$1" \
            >"$remembered.$$" 2>/dev/null || status=$?
        if [ "$status" -gt 1 ]; then
            rm -f "$remembered.$$"
            echo "$ROOT/$1:1: error: clang-tidy ended with status $status"
            return
        fi
        grep -E '(warning|error):' "$remembered.$$" | sort -u >"$remembered.new$$" || true
        mv "$remembered.new$$" "$remembered"
        rm -f "$remembered.$$"
    fi
    cat "$remembered"
}

mkdir -p build/tidy
if [ "${1:-}" = --one ]; then
    tidy_one "$2"
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
said=$(printf '%s\n' "$list" | xargs -P "${YAGURA_TEST_JOBS:-$(nproc)}" -n 1 sh "$0" --one | sort -u)
for source in $list; do
    empty "clang-tidy $source" "$(printf '%s\n' "$said" | grep -F "/$source:" || true)"
done
empty "clang-tidy on headers" "$(printf '%s\n' "$said" | grep -E '\.h:[0-9]' || true)"
finish
