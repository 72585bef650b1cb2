#!/bin/sh
# usage: yaguractl_manual_test.sh YAGURACTL MANUAL
# Every command and every option of yaguractl is in its manual page.
set -eu

missing=0

require() { # WHAT PATTERN
    grep -qF -e "$2" "$manual" && return
    echo "not ok - the manual lacks $1"
    missing=$((missing + 1))
}

options_of() { # the long options that --help lists before "Everywhere:"
    sed '/^Everywhere:/,$d' | sed -n 's/^  \(-., \|    \)--\([a-z-]*\).*/\2/p'
}

roff() {
    printf '%s\n' "$1" | sed 's/-/\\-/g'
}

check_command() {
    require "the command $1" "$(roff ".SS $1")"
    # shellcheck disable=SC2086 # two words
    for option in $("$yaguractl" $1 --help | options_of); do
        require "--$option of $1" "$(roff "--$option")"
    done
}

main() {
    "$yaguractl" --help | sed -n '/^Commands:/,/^$/s/^  \(.*\)/\1/p' | sed 's/   *.*//' >"$list"
    count=0
    while IFS= read -r command; do
        check_command "$command"
        count=$((count + 1))
    done <"$list"
    [ "$count" -ge 20 ] || {
        echo "not ok - only $count commands were found in --help"
        missing=$((missing + 1))
    }
    [ "$missing" -eq 0 ] || exit 1
    echo "ok - the manual has all $count commands and their options"
}

yaguractl=$1
manual=$2
list=$(mktemp)
trap 'rm -f "$list"' EXIT
main
