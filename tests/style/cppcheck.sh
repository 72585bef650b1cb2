#!/bin/sh
# cppcheck has nothing to say about the programs that tests/style/cppcheck.txt does not explain
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

look() {
    timeout 300 cppcheck --quiet --enable=warning,performance,portability --inconclusive --std=c11 --library=posix,gnu \
        -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 '-DYAGURA_VERSION=""' -I. --suppress=missingIncludeSystem \
        --template='{file}:{line}: {id}: {message}' "$1" 2>&1
}

if [ "${1:-}" = --one ]; then
    remembered cppcheck "$2" "$(cat "$SELF" && cppcheck --version)" look "$2"
    exit
fi
need cppcheck "cppcheck"
judge_each cppcheck cppcheck "$(files '*.c' | grep -vE '^(tests/|console/web/vendor/)')"
finish
