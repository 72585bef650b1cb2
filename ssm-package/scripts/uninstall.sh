#!/bin/sh
# Removes Yagura's agent, of whatever version and however much of it is there. The identity, the
# quarantine and the events stay, because the Systems Manager agent runs this also when an update
# failed, and installs again after it; a protected agent goes only with a removal code of the console.
#
# Additional arguments, all optional:
#   SSM_YAGURA_PURGE=yes  leaves the console and removes identity, quarantine and events too
#   SSM_YAGURA_PARAMETER_PREFIX, SSM_YAGURA_REGION  as for install.sh; where removal-code stands
set -eu

# --- protection ------------------------------------------------------------------------------

# The code is the console's signed word. yaguractl checks it, with or without an agent that runs, and
# takes the file away; here it passes through a pipe and this shell, not through arguments or the log.
check_protection() {
    [ -e "$STATE/protection" ] || return 0
    [ -x "$CONTROL" ] ||
        die "this agent is protected, and $CONTROL, which checks removal codes, is missing: install this package again, then uninstall"
    code=$(read_parameter removal-code) ||
        die "this agent is protected, and $(cat "$WORK/cause"): send the agent release_protection from the console, or put a removal code of the console into $PREFIX/removal-code (SecureString), then uninstall again"
    printf '%s\n' "$code" | timeout 120 "$CONTROL" release - >>"$LOG" 2>"$WORK/refusal" ||
        die "this agent is protected, and $PREFIX/removal-code does not release it: $(tail -n 1 "$WORK/refusal" | sed 's/^yaguractl: //')"
    [ ! -e "$STATE/protection" ] ||
        die "this agent is protected, and its release did not take $STATE/protection away: see $LOG, then uninstall again"
}

# --- removing --------------------------------------------------------------------------------

# Everything of ours that the package database knows, in whatever state, but a console.
our_debs() {
    command -v dpkg-query >/dev/null 2>&1 || return 0
    # shellcheck disable=SC2016
    dpkg-query -W -f='${Package} ${db:Status-Status}\n' 'yagura*' 2>/dev/null </dev/null |
        while read -r package state; do
            case $package in yagura-console*) continue ;; esac
            case $state in
            not-installed) ;;
            config-files) [ "$PURGE" != yes ] || echo "$package" ;;
            *) echo "$package" ;;
            esac
        done
}

our_rpms() {
    command -v rpm >/dev/null 2>&1 || return 0
    rpm -qa --qf '%{NAME}\n' 'yagura*' 2>/dev/null </dev/null | grep -v '^yagura-console' || true
}

dpkg_once() {
    logged env DEBIAN_FRONTEND=noninteractive dpkg --force-remove-reinstreq "$([ "$PURGE" = yes ] && echo --purge || echo --remove)" "$@"
}

# dpkg gives up at once when another one works; this waits for it.
remove_debs() {
    waited=0
    until dpkg_once "$@"; do
        if ! tail -n 3 "$LOG" | grep -qE 'lock'; then
            die "the packages could not be removed: $(last_words); see $LOG"
        fi
        [ "$waited" -lt "$LOCK_SECONDS" ] ||
            die "the package database has been locked for $LOCK_SECONDS s by $(lock_holder): let it end, then uninstall again"
        sleep 1
        waited=$((waited + 1))
    done
}

remove_rpms() {
    logged timeout "$LOCK_SECONDS" rpm --erase "$@" ||
        die "the packages could not be removed: $(last_words); see $LOG"
}

remove_packages() {
    # shellcheck disable=SC2046  # one word a package
    set -- $(our_debs)
    [ $# -eq 0 ] || remove_debs "$@"
    # shellcheck disable=SC2046
    set -- $(our_rpms)
    [ $# -eq 0 ] || remove_rpms "$@"
}

leave_console() {
    if [ "$PURGE" = yes ] && service_pid >/dev/null && [ -x "$CONTROL" ]; then
        logged timeout 10 "$CONTROL" deactivate || say "the console could not be told within 10 s"
    fi
}

stop_service() {
    logged timeout "$START_SECONDS" systemctl disable --now "$SERVICE" || true
}

remove_data() {
    rm -f -- "$SETTINGS"
    if [ "$PURGE" = yes ]; then
        rm -rf -- "$STATE"
    fi
}

main() {
    begin uninstalling
    begin_log
    choose_parameters
    PURGE=${SSM_YAGURA_PURGE:-no}
    # What packages otherwise do when they are removed: leave the console.
    export YAGURA_KEEP_ACTIVATION=yes
    check_protection
    leave_console
    stop_service
    remove_packages
    if service_pid >/dev/null; then
        die "the agent still runs after its removal: see systemctl status $SERVICE"
    fi
    remove_data
    if [ "$PURGE" = yes ]; then
        say "removed, with identity, quarantine and events"
    else
        say "removed; identity, quarantine and events stay in $STATE"
    fi
}

if [ ! -s common.sh ]; then
    echo "yagura: the package in $PWD is not whole: run the association again" >&2
    exit 1
fi
# shellcheck source=ssm-package/scripts/common.sh
. ./common.sh
main
