#!/bin/sh
# Installs this version of Yagura's agent, or brings whatever is there to it, starts it, and has it
# join the console that Parameter Store names. Does nothing that is done already. Ends with 0 when the
# agent runs and has joined, or goes on trying to reach its console; with 1, the cause in the last
# line of standard error, when somebody must act.
#
# Additional arguments of the association, all optional:
#   SSM_YAGURA_PARAMETER_PREFIX  where the parameters stand (default /yagura)
#   SSM_YAGURA_REGION            whose Parameter Store (default: this machine's)
set -eu

# --- packages of the distribution ------------------------------------------------------------

# The zip is a repository of its own, and the only one that is asked: what the machine lacks comes
# from the zip, what it has stays, nothing is fetched.
apt_here() {
    logged env DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical NEEDRESTART_SUSPEND=1 \
        APT_LISTCHANGES_FRONTEND=none apt-get \
        -o "Dir::Etc::sourcelist=$WORK/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o "Dir::State::lists=$WORK/lists" -o "Dir::Cache=$WORK/cache" \
        -o APT::Sandbox::User=root -o Acquire::Languages=none -o APT::Update::Post-Invoke-Success::= \
        -o "DPkg::Lock::Timeout=$LOCK_SECONDS" -o Dpkg::Use-Pty=0 \
        -o DPkg::Options::=--force-confdef -o DPkg::Options::=--force-confold \
        -o APT::Install-Recommends=false -q -y "$@"
}

apt_is_locked() {
    grep -qE 'Could not get lock|is another process using it|dpkg frontend lock' "$LOG"
}

# An installation that was cut off, by a time limit or a reboot, is ended first; dpkg itself has no wait.
finish_dpkg() {
    [ -n "$(ls -A /var/lib/dpkg/updates 2>/dev/null)" ] || return 0
    waited=0
    until logged env DEBIAN_FRONTEND=noninteractive dpkg --configure -a --force-confdef --force-confold; do
        apt_is_locked && [ "$waited" -lt "$LOCK_SECONDS" ] || return 0
        sleep 1
        waited=$((waited + 1))
    done
}

open_repository() {
    ln -s "$PWD" "$WORK/repository"
    mkdir -p "$WORK/lists/partial" "$WORK/cache/archives/partial"
    printf 'deb [trusted=yes] file:%s ./\n' "$WORK/repository" >"$WORK/sources.list"
    finish_dpkg
    apt_here update
}

# install_apt NAME=VERSION...: in place of what is in REPLACED.
install_apt() {
    [ -e "$WORK/repository" ] || open_repository || return 1
    for package in $REPLACED; do
        set -- "$@" "$package-"
    done
    [ -n "$REPLACED" ] || set -- --no-remove "$@"
    apt_here --allow-downgrades install "$@"
}

# would_replace FILE...: whether rpm takes them once REPLACED is gone. It cannot do both in one step, so a copy of
# its database is asked before anything that protects this machine goes.
would_replace() {
    rm -rf -- "$WORK/rpm"
    logged cp -R "$(rpm --eval '%{_dbpath}')" "$WORK/rpm" || return 1
    # shellcheck disable=SC2086  # names without blanks
    logged rpm --dbpath "$WORK/rpm" --erase --justdb --nodeps --noscripts $REPLACED &&
        logged rpm --dbpath "$WORK/rpm" --upgrade --test --oldpackage --replacepkgs "$@"
}

by_rpm_alone() {
    if [ -n "$REPLACED" ]; then
        would_replace "$@" || return 1
        # shellcheck disable=SC2086
        logged rpm --erase $REPLACED || return 1
    fi
    logged rpm --upgrade --oldpackage --replacepkgs "$@"
}

# install_rpm NAME=VERSION...: in place of what is in REPLACED.
install_rpm() {
    wanted=-v
    case $1 in yagura-agent-portable=*) wanted= ;; esac
    # shellcheck disable=SC2046,SC2086  # names without blanks, all of this package
    set -- $(setting files | tr ' ' '\n' | grep $wanted '^yagura-agent-portable-' | sed 's,^,./,')
    if command -v dnf >/dev/null 2>&1; then
        logged timeout "$LOCK_SECONDS" dnf -y -q --disablerepo='*' --setopt=install_weak_deps=False --allowerasing install "$@" ||
            logged timeout "$LOCK_SECONDS" dnf -y -q --disablerepo='*' downgrade "$@"
    elif command -v zypper >/dev/null 2>&1; then
        for package in $REPLACED; do
            set -- "$@" "!$package" # which removes it, in the same transaction
        done
        logged env ZYPP_LOCK_TIMEOUT="$LOCK_SECONDS" zypper --non-interactive --no-refresh --no-remote install \
            --allow-unsigned-rpm --no-recommends --oldpackage "$@"
    else
        by_rpm_alone "$@"
    fi
}

# --- installing ------------------------------------------------------------------------------

# What was not there before a failed installation goes again. What was there stays as it is.
undo() {
    for package in $NEW; do
        case $KIND in
        apt) logged dpkg --force-depends --remove "$package" || true ;;
        rpm) logged rpm --erase --nodeps "$package" || true ;;
        esac
    done
}

# installed_of NAME...: those that are.
installed_of() {
    for name in "$@"; do
        [ -z "$(installed_version "$name")" ] || echo "$name"
    done
}

# try_packages NAME=VERSION...
try_packages() {
    [ $# -gt 0 ] || return 1
    NEW=
    for package in "$@"; do
        [ -n "$(installed_version "${package%%=*}")" ] || NEW="${package%%=*} $NEW"
    done
    case $1 in
    yagura-agent-portable=*) REPLACED=$(installed_of yagura-agent yagura-scanner) ;;
    *) REPLACED=$(installed_of yagura-agent-portable) ;;
    esac
    "install_$KIND" "$@" && packages_are_right
}

# The distribution's libraries are mended by the distribution, so packages that use them come first. A
# machine that lacks them, and whose zip does not bring them, gets the programs with libraries of their
# own; where these are installed, they stay.
choose_packages() {
    # shellcheck disable=SC2046  # one word a package
    if [ -z "$(installed_of yagura-agent-portable)" ] || [ -z "$(setting portable)" ]; then
        ! try_packages $(setting packages) || return 0
        [ -z "$(setting packages)" ] || lacks_libraries || return 1
    fi
    # shellcheck disable=SC2046
    try_packages $(setting portable)
}

lacks_libraries() {
    grep -qE 'unmet dependencies|Unmet dependencies|Failed dependencies|nothing provides' "$LOG"
}

install_packages() {
    if packages_are_right; then
        return 0
    fi
    check_space
    if choose_packages; then
        return 0
    fi
    if apt_is_locked; then
        die "the package database has been locked for $LOCK_SECONDS s by $(lock_holder): let it end, then run the association again"
    fi
    cause=$(last_words)
    undo
    if grep -qi 'no space left on device' "$LOG"; then
        die "the disk is full: make room, then run the association again; nothing was installed ($LOG)"
    fi
    die "the packages could not be installed: ${cause:-see $LOG}"
}

start_service() {
    logged systemctl daemon-reload || true
    logged systemctl enable "$SERVICE" || true
    if service_is_current; then
        return 0
    fi
    logged timeout "$START_SECONDS" systemctl restart "$SERVICE" ||
        die "the agent is installed but does not start: see journalctl -u $SERVICE, and $LOG"
    service_is_current || die "the agent is installed but ended at once: see journalctl -u $SERVICE"
}

# --- joining the console ---------------------------------------------------------------------

# The agent fetches address and token itself, with the credentials that this script was given, and goes on
# trying where it cannot yet. Only what a person must mend is a failure here.
join_console() {
    set -- activate --parameter-store --prefix "$PREFIX" --wait "${JOIN_SECONDS}s"
    [ -z "$REGION" ] || set -- "$@" --region "$REGION"
    status=0
    "$CONTROL" "$@" >"$WORK/said" 2>&1 </dev/null || status=$?
    cat "$WORK/said" >>"$LOG"
    words=$(tail -n 1 "$WORK/said" | sed 's/^yaguractl: //' | cut -c1-500)
    case $status:$words in
    0:*) JOINED=${words:-joined already} ;;
    *:not\ yet:*) JOINED="it joins its console: $words" ;;
    *) die "the agent is installed and watches, but could not join its console: $words" ;;
    esac
}

keep_settings() {
    mkdir -p "$(dirname "$SETTINGS")"
    printf '# Written by install.sh of the Distributor package.\nversion=%s\nprefix=%s\nregion=%s\n' \
        "$VERSION" "$PREFIX" "$REGION" >"$SETTINGS.new"
    mv "$SETTINGS.new" "$SETTINGS"
}

main() {
    begin installing
    begin_log
    # Packages that take the place of others do not leave the console.
    export YAGURA_KEEP_ACTIVATION=yes
    read_package
    check_machine
    choose_parameters
    install_packages
    start_service
    # The deployment script joins by a token of its own.
    JOINED="it joins no console by itself"
    [ "${YAGURA_JOIN:-yes}" = no ] || join_console
    keep_settings
    say "$VERSION is installed and watching; $JOINED"
}

if ! sha256sum --check --strict --status SHA256SUMS 2>/dev/null; then
    echo "yagura: the package in $PWD is not whole or was damaged: run the association again, and publish the package anew if that does not help" >&2
    exit 1
fi
# shellcheck source=ssm-package/scripts/common.sh
. ./common.sh
main
