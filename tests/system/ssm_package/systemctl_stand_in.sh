#!/bin/sh
# Stands in for systemctl in a scratch root, where no systemd runs: starts what a unit's ExecStart
# names, in a session of its own with no stream of the caller's, and knows whether it still runs.
# Its environment is not the caller's, but what /etc/stand-in/environment says. A unit of Type=notify has started when the agent's control socket is there.
set -eu

RECORDS=/run/systemctl-stand-in
READY_TENTHS=300

unit_file() {
    for folder in /etc/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
        [ ! -f "$folder/$1" ] || { echo "$folder/$1"; return 0; }
    done
    return 1
}

unit_setting() {
    sed -n "s/^$2=//p" "$1" | head -n 1
}

pid_of() {
    pid=$(cat "$RECORDS/$1.pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && [ -d "/proc/$pid" ] && [ "$(sed 's/.*) //; s/ .*//' "/proc/$pid/stat")" != Z ] || return 1
    echo "$pid"
}

stop() {
    pid=$(pid_of "$1") || return 0
    kill -TERM "$pid" 2>/dev/null || return 0
    waited=0
    while pid_of "$1" >/dev/null; do
        [ "$waited" -lt "$READY_TENTHS" ] || kill -KILL "$pid"
        sleep 0.1
        waited=$((waited + 1))
    done
    rm -f "$RECORDS/$1.pid"
}

# make_folder PATH MODE
make_folder() {
    mkdir -p "$1"
    chmod "${2:-0755}" "$1"
}

make_folders() {
    for name in $(unit_setting "$1" StateDirectory); do
        make_folder "/var/lib/$name" "$(unit_setting "$1" StateDirectoryMode)"
    done
    for name in $(unit_setting "$1" RuntimeDirectory); do
        make_folder "/run/$name" "$(unit_setting "$1" RuntimeDirectoryMode)"
    done
}

# is_ready UNIT FILE
is_ready() {
    if [ "$(unit_setting "$2" Type)" = notify ]; then
        [ -S /run/yagura/control.sock ]
    else
        case $(readlink "/proc/$(cat "$RECORDS/$1.pid")/exe") in */setsid | */env | */dash | */sh) return 1 ;; esac
    fi
}

wait_until_ready() {
    waited=0
    until is_ready "$1" "$2"; do
        pid_of "$1" >/dev/null || return 1
        [ "$waited" -lt "$READY_TENTHS" ] || return 1
        sleep 0.1
        waited=$((waited + 1))
    done
}

start() {
    ! pid_of "$1" >/dev/null || return 0
    file=$(unit_file "$1") || {
        echo "Unit $1 not found." >&2
        return 5
    }
    mkdir -p "$RECORDS"
    make_folders "$file"
    # shellcheck disable=SC2046  # the words of a command line without quotes
    setsid env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin $(cat /etc/stand-in/environment 2>/dev/null) \
        $(unit_setting "$file" ExecStart) </dev/null >>"/var/log/$1.log" 2>&1 &
    echo $! >"$RECORDS/$1.pid"
    wait_until_ready "$1" "$file"
}

show() {
    case " $* " in
    *MainPID*) pid_of "$UNIT" || echo 0 ;;
    esac
}

main() {
    command=
    UNIT=
    now=no
    for word in "$@"; do
        case $word in
        --now) now=yes ;;
        MainPID | -*) ;;
        *)
            UNIT=${command:+$word}
            command=${command:-$word}
            ;;
        esac
    done
    case $UNIT in
    '' | *.*) ;;
    *) UNIT=$UNIT.service ;;
    esac
    case $command in
    start) start "$UNIT" ;;
    stop) stop "$UNIT" ;;
    restart)
        stop "$UNIT"
        start "$UNIT"
        ;;
    try-restart)
        pid_of "$UNIT" >/dev/null || return 0
        stop "$UNIT"
        start "$UNIT"
        ;;
    enable) [ "$now" = no ] || start "$UNIT" ;;
    disable) [ "$now" = no ] || stop "$UNIT" ;;
    is-active) pid_of "$UNIT" >/dev/null ;;
    show) show "$@" ;;
    esac
}

main "$@"
