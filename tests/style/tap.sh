#!/bin/sh
# Shared by the static checks: results as TAP lines, and the files of the tree.
# shellcheck shell=sh

SELF=$(realpath "$0")
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

# Findings of tools that take seconds a file are remembered in the build tree.
# content_of FILE: what decides about them, the file with all that it includes.
content_of() {
    # shellcheck disable=SC2046  # flags are words
    cc -E -P -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DYAGURA_VERSION='""' -I. \
        $(pkg-config --cflags libclamav libconfig sqlite3 libcrypto jansson libseccomp) "$1" 2>&1 || true
    cat "$1"
}

# remembered TOOL FILE EXTRA COMMAND...: what COMMAND prints, or printed when FILE and EXTRA (a text) were the same.
# A COMMAND that fails is not remembered.
remembered() {
    tool=$1 key=$({ content_of "$2" && printf '%s\n' "$3"; } | sha256sum | cut -c1-64)
    shift 3
    mkdir -p "build/$tool"
    if [ ! -f "build/$tool/$key" ]; then
        if ! "$@" >"build/$tool/$key.$$"; then
            cat "build/$tool/$key.$$"
            rm -f "build/$tool/$key.$$"
            return 0
        fi
        mv "build/$tool/$key.$$" "build/$tool/$key"
    fi
    cat "build/$tool/$key"
}

# look_at_each CHECK: what this script with --one says of each file named on standard input.
look_at_each() {
    xargs -r -P "${YAGURA_TEST_JOBS:-$(nproc)}" -n 1 sh "$SELF" --one || echo "$1: it did not look at every file"
}

# unexplained LIST: of the findings on standard input ("FILE:LINE: ..."), those that LIST does not explain, and lines of
# LIST that explain nothing. A line of LIST: FILE, or * | part of the finding | reason.
unexplained() {
    awk -F ' \\| ' -v list="$1" '
        BEGIN {
            while ((getline line <list) > 0) {
                if (line ~ /^#/ || line == "") continue
                if (split(line, cell, " \\| ") != 3) { print list ": not understood: " line; continue }
                file[++count] = cell[1]; part[count] = cell[2]
            }
        }
        {
            for (i = 1; i <= count; i++)
                if ((file[i] == "*" || index($0, file[i] ":") == 1) && index($0, part[i])) { met[i] = 1; next }
            print
        }
        END { for (i = 1; i <= count; i++) if (!met[i]) print list ": explains nothing: " file[i] " | " part[i] }'
}

# judge_each CHECK WHAT FILES: a result for each of these files (a list of lines) and one for headers: what this script with
# --one says of them and tests/style/CHECK.txt does not explain.
judge_each() {
    said=$(printf '%s\n' "$3" | look_at_each "$1" | sort -u | unexplained "tests/style/$1.txt")
    for source in $3; do
        empty "$2 $source" "$(printf '%s\n' "$said" | grep "^$source:" || true)"
    done
    empty "$2 on headers, and its list" "$(printf '%s\n' "$said" | grep -v '^[^:]*\.c:' || true)"
}

# Called last: the exit status of the check.
finish() {
    [ "$FAILED_CHECKS" -eq 0 ]
}
