#!/bin/sh
# clang-format leaves every C file as it is
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

need clang-format "C files are formatted"
# shellcheck disable=SC2046  # no blanks in our file names: see files.sh
empty "C files are formatted" \
    "$(clang-format --dry-run $(files '*.c' '*.h') 2>&1 | grep -E 'warning|error' | sed 's/:.*//' | sort | uniq -c || true)"
finish
