#!/bin/sh
# The quickstart catches the test file, may be run again, and takes away all it made.
set -eu

check() {
    name=$1
    shift
    if "$@" >"$PRIVATE/said" 2>&1; then
        PASSED=$((PASSED + 1))
    else
        FAILED=$((FAILED + 1))
        echo "FAILED: $name"
        tail -n 40 "$PRIVATE/said"
    fi
}

quickstart() {
    "$ROOT/installer/quickstart.sh" "$@"
}

runs() {
    pid=$(cat "$YAGURA_DEMO_DIRECTORY/$1.pid") && [ -d "/proc/$pid" ]
}

# The computer, its detection, and one password that the console takes.
in_console() {
    grep -q 'Managed (Online)' "$PRIVATE/run" && grep -q 'malware_found.*eicar\.txt' "$PRIVATE/run" &&
        [ "$(grep -c 'one-time password: [^ ]' "$PRIVATE/run")" -eq 1 ] &&
        ! grep -rqF "$(sed -n 's/.*one-time password: //p' "$PRIVATE/run")" "$YAGURA_DEMO_DIRECTORY" &&
        [ ! -e "$YAGURA_DEMO_DIRECTORY/token" ] && runs console
}

control() {
    "$ROOT/build/quickstart/bin/yaguractl" --socket "$YAGURA_DEMO_DIRECTORY/run/control.sock" "$@"
}

catches() {
    quickstart --demo-signatures >"$PRIVATE/run" 2>&1 || { cat "$PRIVATE/run"; return 1; }
    tail -n 1 "$PRIVATE/run" | grep -q '^Yagura caught the EICAR test file' &&
        grep -q 'malware_quarantined' "$PRIVATE/run" && [ ! -e "$YAGURA_DEMO_DIRECTORY/files/eicar.txt" ] && runs agent && in_console
}

catches_once_more() {
    first=$(cat "$YAGURA_DEMO_DIRECTORY/agent.pid")
    catches && [ "$first" != "$(cat "$YAGURA_DEMO_DIRECTORY/agent.pid")" ] && [ ! -d "/proc/$first" ]
}

# What a demo agent would do beside an installed one: it must answer on its own socket only.
keeps_to_itself() {
    control status --json | grep -q '"version"' &&
        ! grep -l "$YAGURA_DEMO_DIRECTORY" /run/yagura/* /etc/yagura/* /var/lib/yagura/* 2>/dev/null
}

stops_cleanly() {
    pid=$(cat "$YAGURA_DEMO_DIRECTORY/agent.pid")
    console=$(cat "$YAGURA_DEMO_DIRECTORY/console.pid")
    quickstart --stop && [ ! -e "$YAGURA_DEMO_DIRECTORY" ] && [ ! -d "/proc/$pid" ] && [ ! -d "/proc/$console" ]
}

stops_after_a_kill() {
    catches || return 1
    kill -KILL "$(cat "$YAGURA_DEMO_DIRECTORY/agent.pid")"
    quickstart --stop && [ ! -e "$YAGURA_DEMO_DIRECTORY" ]
}

# A number in the file that is another process now: that one is left alone.
never_ends_others() {
    mkdir "$YAGURA_DEMO_DIRECTORY"
    : >"$YAGURA_DEMO_DIRECTORY/made-by-quickstart"
    echo $$ >"$YAGURA_DEMO_DIRECTORY/agent.pid"
    quickstart --stop && [ ! -e "$YAGURA_DEMO_DIRECTORY" ]
}

refuses_what_it_did_not_make() {
    mkdir "$YAGURA_DEMO_DIRECTORY"
    echo mine >"$YAGURA_DEMO_DIRECTORY/file"
    ! quickstart --stop && ! quickstart --demo-signatures && [ -f "$YAGURA_DEMO_DIRECTORY/file" ]
}

refuses_unknown_options() {
    status=0
    quickstart --demo || status=$?
    [ "$status" -eq 2 ] && quickstart --help | grep -q '^Usage:'
}

clean_up() {
    rm -f "$PRIVATE/demo/file"
    quickstart --stop >/dev/null 2>&1 || true
    rm -rf "$PRIVATE"
}

main() {
    if [ "$(id -u)" -ne 0 ]; then
        echo "skipped: the quickstart needs root"
        exit 77
    fi
    ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/../../.." && pwd)
    PRIVATE=$(mktemp -d)
    export YAGURA_DEMO_DIRECTORY="$PRIVATE/demo"
    trap clean_up EXIT
    PASSED=0
    FAILED=0
    check "an unknown option is refused" refuses_unknown_options
    check "nothing to stop is no error" quickstart --stop
    check "the test file is caught" catches
    check "the demo keeps to itself" keeps_to_itself
    check "it may be run again" catches_once_more
    check "it stops and removes what it made" stops_cleanly
    check "it stops after its agent was killed" stops_after_a_kill
    check "another process of that number is left alone" never_ends_others
    check "a folder it did not make is left alone" refuses_what_it_did_not_make
    echo "$PASSED passed, $FAILED failed, 0 skipped"
    [ "$FAILED" -eq 0 ]
}

main "$@"
