#!/usr/bin/env bash
# usage: yaguractl_completion_test.bash YAGURACTL
# What bash offers after some words.
set -euo pipefail

expect() { # WANTED (a word that must be offered, or !WORD) LINE...
    local wanted=$1 offered
    shift
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    _yaguractl || true
    offered=" ${COMPREPLY[*]:-} "
    if [[ $wanted == !* ]]; then
        [[ $offered != *" ${wanted#!} "* ]] || fail "$* offers ${wanted#!}"
    else
        [[ $offered == *" $wanted "* ]] || fail "$* does not offer $wanted, but:$offered"
    fi
}

fail() {
    echo "not ok - $1"
    failed=1
}

main() {
    # shellcheck source=/dev/null
    source <("$1" completion)
    expect status yaguractl st
    expect --socket yaguractl --s
    expect quarantine yaguractl q
    expect '!quarantine list' yaguractl q
    expect list yaguractl quarantine ''
    expect release yaguractl -s /x quarantine re
    expect --exclude yaguractl quarantine restore --e
    expect '!--exclude' yaguractl quarantine list --e
    expect --follow yaguractl events --f
    expect critical yaguractl events --severity c
    expect '!critical' yaguractl events --module c
    expect --standalone yaguractl scan /srv --st
    expect /usr yaguractl scan /us
    [[ $failed -eq 0 ]] || exit 1
    echo "ok - completion"
}

failed=0
main "$@"
