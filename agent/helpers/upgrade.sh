#!/bin/sh
# Upgrades the agent by the host's package manager. yagura-agent runs it when the console asks for
# upgrade; it outlives the agent, which the package restarts, and leaves in RESULT what came of it.
#
#   yagura-upgrade start RESULT [VERSION]   begins and returns at once
#   yagura-upgrade run RESULT [VERSION]     does it
#
# VERSION comes from the network: it is looked at here, too. Without one: the newest.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
PACKAGE=yagura-agent

is_version() {
    case "$1" in
    [!0-9]* | *[!0-9A-Za-z.+:~-]*) return 1 ;;
    esac
    [ "${#1}" -le 64 ]
}

has_deb() {
    command -v dpkg-query >/dev/null &&
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$PACKAGE" 2>/dev/null)" = installed ]
}

has_rpm() {
    command -v rpm >/dev/null && rpm -q --quiet "$PACKAGE"
}

installed_version() {
    if has_deb; then
        dpkg-query -W -f '${Version}' "$PACKAGE"
    else
        rpm -q --qf '%{VERSION}-%{RELEASE}' "$PACKAGE"
    fi
}

# Whether version $1 of a package is the wanted $2, which may leave the packaging revision out.
is_wanted() {
    case "${1#*:}" in
    "$2" | "$2"-*) return 0 ;;
    esac
    [ "$1" = "$2" ]
}

# The version as the repositories write it.
offered_deb() {
    apt-cache show "$PACKAGE" | sed -n 's/^Version: //p' | while read -r offered; do
        if is_wanted "$offered" "$1"; then
            echo "$offered"
            break
        fi
    done
}

upgrade_deb() {
    DEBIAN_FRONTEND=noninteractive
    export DEBIAN_FRONTEND
    apt-get -q update || echo "not every repository could be read"
    wanted=$PACKAGE
    if [ -n "$1" ]; then
        offered=$(offered_deb "$1")
        if [ -z "$offered" ]; then
            echo "no repository offers $PACKAGE $1"
            return 1
        fi
        wanted=$PACKAGE=$offered
    fi
    apt-get -q -y -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef \
        -o Dpkg::Options::=--force-confold --only-upgrade --no-remove install "$wanted"
}

upgrade_rpm() {
    if command -v zypper >/dev/null; then
        zypper --non-interactive refresh || echo "not every repository could be read"
        zypper --non-interactive install --no-recommends "$PACKAGE${1:+=$1}"
    elif command -v dnf >/dev/null; then
        dnf -y --refresh upgrade "$PACKAGE${1:+-$1}"
    else
        yum -y upgrade "$PACKAGE${1:+-$1}"
    fi
}

upgrade() {
    before=$(installed_version)
    if has_deb; then upgrade_deb "$1"; else upgrade_rpm "$1"; fi
    after=$(installed_version)
    echo "$PACKAGE: $before before, $after now"
    if [ -n "$1" ] && ! is_wanted "$after" "$1"; then
        echo "$1 was wanted"
        return 1
    fi
}

run() {
    umask 077
    said=$(mktemp)
    trap 'rm -f "$said"' EXIT
    # Not as a condition: "set -e" would not hold in it.
    set +e
    (set -e && upgrade "$2") >"$said" 2>&1 </dev/null
    status=$?
    set -e
    {
        echo "status=$status"
        tail -c 1800 "$said"
    } >"$1.new"
    mv -f "$1.new" "$1"
}

start() {
    if ! has_deb && ! has_rpm; then
        echo "this host has no package $PACKAGE: upgrade it as it was installed"
        exit 1
    fi
    if [ -d /run/systemd/system ]; then
        # A unit of its own: the agent's ends with the agent.
        exec systemd-run --quiet --collect --no-block --unit=yagura-upgrade \
            --description="Upgrade of $PACKAGE" "$0" run "$@"
    fi
    setsid "$0" run "$@" </dev/null >/dev/null 2>&1 &
}

main() {
    verb=${1:-}
    if [ $# -ne 2 ] && [ $# -ne 3 ]; then
        verb=
    elif [ $# -eq 3 ] && ! is_version "$3"; then
        echo "$3 does not look like a version"
        exit 2
    fi
    case "$verb" in
    start) start "$2" ${3:+"$3"} ;;
    run) run "$2" "${3:-}" ;;
    *)
        echo "Usage: yagura-upgrade start|run RESULT [VERSION]" >&2
        exit 2
        ;;
    esac
}

main "$@"
