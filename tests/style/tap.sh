#!/bin/sh
# Shared by the static checks: results as TAP lines, and the files of the tree.
# shellcheck shell=sh

# The tree that is checked; tests of the checks point it at a broken one.
ROOT=${YAGURA_STYLE_ROOT:-$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)}
cd "$ROOT" || exit 1
FAILED_CHECKS=0

pass() {
    printf 'ok - %s\n' "$1"
}

# fail NAME [EXPLANATION]: explanation lines are shown as comments.
fail() {
    FAILED_CHECKS=$((FAILED_CHECKS + 1))
    [ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/# /'
    printf 'not ok - %s\n' "$1"
}

skip() {
    printf 'ok - %s # SKIP %s\n' "$1" "$2"
}

# empty NAME FINDINGS: passes when there are none.
empty() {
    if [ -z "$2" ]; then
        pass "$1"
    else
        fail "$1" "$2"
    fi
}

# need TOOL NAME: ends the check as skipped when the tool is missing.
need() {
    if ! command -v "$1" >/dev/null 2>&1; then
        skip "$2" "no $1 here"
        exit 0
    fi
}

# shellcheck disable=SC2120  # no patterns: all files
# files [PATTERN...]: files of the tree (tracked, or new and not ignored), one a line.
files() {
    if [ -e .git ]; then
        git ls-files -co --exclude-standard -- "$@" | while IFS= read -r path; do
            [ ! -f "$path" ] || printf '%s\n' "$path"
        done | sort -u
    elif [ $# -eq 0 ]; then
        find . -type f -not -path './build/*' | sed 's,^\./,,' | sort
    else
        for pattern in "$@"; do
            find . -type f -path "./$pattern" -not -path './build/*' | sed 's,^\./,,'
        done | sort -u
    fi
}

# code_of FILE...: "path:line:code" of each line, with comments and the content of strings left out.
code_of() {
    awk 'FNR == 1 { inside = 0 }
    {
        line = $0; out = ""
        while (line != "") {
            if (inside) {
                at = index(line, "*/")
                if (!at) break
                inside = 0; line = substr(line, at + 2)
            } else if (match(line, /"([^"\\]|\\.)*"|\/\*|\/\//)) {
                found = substr(line, RSTART, RLENGTH); out = out substr(line, 1, RSTART - 1)
                line = substr(line, RSTART + RLENGTH)
                if (found == "//") break
                if (found == "/*") inside = 1
                else out = out "\"\""
            } else { out = out line; break }
        }
        print FILENAME ":" FNR ":" out
    }' "$@"
}

# Called last: the exit status of the check.
finish() {
    [ "$FAILED_CHECKS" -eq 0 ]
}
