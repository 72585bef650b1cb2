#!/bin/sh
# every header compiles on its own, and has the include guard of its path
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

self_contained() {
    flags=$(pkg-config --cflags libclamav libconfig sqlite3 libcrypto jansson libseccomp)
    files '*.h' | while IFS= read -r header; do
        # shellcheck disable=SC2086  # flags are words
        printf '#include "%s"\n' "$header" | "${CC:-cc}" -std=gnu17 -D_GNU_SOURCE \
            -D_FILE_OFFSET_BITS=64 -DYAGURA_VERSION='""' -I. $flags -Wall -Wextra -Werror \
            -include common/banned.h -fsyntax-only -x c - 2>&1 |
            sed -n "s,^,$header: ,; 1,4p"
    done
}

guards() {
    files '*.h' | while IFS= read -r header; do
        guard=$(printf '%s' "$header" | tr 'a-z/.-' 'A-Z___')
        grep -q "^#ifndef $guard\$" "$header" && grep -q "^#define $guard\$" "$header" ||
            echo "$header: wants the guard $guard"
    done
}

empty "headers are self-contained" "$(self_contained)"
empty "include guards are named by path" "$(guards)"
finish
