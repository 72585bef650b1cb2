#!/bin/sh
# groff formats every man page without a warning, and every program has one
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

need groff "man pages are clean"
pages=$(files '*.[1-8]' '*.[1-8].in')
[ -n "$pages" ] || skip "man pages are clean" "there are none yet"
for page in $pages; do
    empty "groff $page" "$(groff -man -Tutf8 -ww -Wbreak "$page" 2>&1 >/dev/null || true)"
done
programs=$(files '*/CMakeLists.txt' | tr '\n' '\0' | xargs -0 sed -n 's/^ *yagura_program(\([a-z-]*\).*/\1/p')
for program in $programs; do
    if printf '%s\n' "$pages" | grep -qE "/$program\.[18](\.in)?\$"; then
        pass "$program has a man page"
    else
        fail "$program has a man page" "packaging/man/$program.8 or .1 is missing"
    fi
done
finish
