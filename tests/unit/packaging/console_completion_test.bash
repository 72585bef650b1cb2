#!/usr/bin/env bash
# usage: console_completion_test.bash YAGURA_CONSOLE
# What bash offers after some words; every option of the help text is among them.
set -euo pipefail

offered() { # LINE...
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    _yagura_console yagura-console "${COMP_WORDS[COMP_CWORD]}" || true
    echo " ${COMPREPLY[*]:-} "
}

expect() { # WANTED (a word that must be offered, or !WORD) LINE...
    local wanted=$1 words
    shift
    words=$(offered "$@")
    if [[ $wanted == !* ]]; then
        [[ $words != *" ${wanted#!} "* ]] || fail "$* offers ${wanted#!}"
    else
        [[ $words == *" $wanted "* ]] || fail "$* does not offer $wanted, but:$words"
    fi
}

fail() {
    echo "not ok - $1"
    failed=1
}

main() {
    local option found command commands
    # shellcheck source=/dev/null
    source <("$1" completion)
    expect backup yagura-console b
    expect --config yagura-console --c
    expect rotate yagura-console keys ''
    expect --retire-now yagura-console keys rotate --r
    expect '!--cidr' yagura-console keys rotate --
    expect --cidr yagura-console --config /etc/x token create --c
    expect /usr yagura-console backup /us
    commands=$(offered yagura-console '')
    for option in $("$1" --help | grep -oE -- '--[a-z-]+' | sort -u); do
        found=
        for command in '' $commands; do
            # shellcheck disable=SC2086
            [[ $(offered yagura-console $command "$option") != *" $option "* ]] || found=1
        done
        [[ -n $found ]] || fail "$option is in the help, and is not offered"
    done
    [[ $failed -eq 0 ]] || exit 1
    echo "ok - completion of yagura-console"
}

failed=0
main "$@"
