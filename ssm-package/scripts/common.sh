# shellcheck shell=sh disable=SC2034
# What install.sh, uninstall.sh and validate.sh share. They are run as "sh NAME.sh" by the Systems
# Manager agent: as root, in the package's directory, with /dev/null as standard input, and the step
# lasts until nobody holds standard output any more. So every program started here writes to
# $LOG, never to the step's output, and what a person must know is the last line of standard error.
# No secret passes through here: the token goes from Parameter Store to the agent.

PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH
LC_ALL=C
export LC_ALL
umask 022

# Set by tests that have no hour to spare.
LOCK_SECONDS=${YAGURA_LOCK_SECONDS:-600}
START_SECONDS=60
JOIN_SECONDS=10
# Beside what the packages say they take, in kB.
SPARE_KB=32768

STATE=/var/lib/yagura
SETTINGS=/etc/yagura/ssm-package.conf
LOG=/var/log/yagura-ssm-package.log
SERVICE=yagura-agent.service
CONTROL=/usr/sbin/yaguractl

say() {
    printf 'yagura: %s\n' "$*"
}

# The cause, and what to do, in one line; nothing is written after it.
die() {
    printf 'yagura: %s\n' "$*" >&2
    FINISHED=yes
    exit 1
}

# Whatever ends a script, a failing command or a signal, ends it with 0 or 1: the Systems Manager
# agent gives 168, 169 and 194 meanings of their own.
at_exit() {
    status=$?
    trap - EXIT
    if [ -n "${WORK:-}" ]; then
        rm -rf -- "$WORK"
    fi
    if [ "$status" -ne 0 ] && [ "${FINISHED:-no}" = no ]; then
        printf 'yagura: %s was interrupted or failed at an unexpected place; see %s\n' "$ACTION" "$LOG" >&2
    fi
    if [ "$status" -eq 0 ]; then
        exit 0
    fi
    exit 1
}

# begin ACTION: before anything else.
begin() {
    ACTION=$1
    FINISHED=no
    trap at_exit EXIT
    trap 'exit 1' HUP INT TERM
    [ "$(id -u)" -eq 0 ] || die "$ACTION needs root"
}

begin_log() {
    (umask 077 && : >"$LOG") || die "$LOG cannot be written: make room on the disk of /var/log"
    WORK=$(mktemp -d /tmp/yagura-ssm.XXXXXXXX) || die "no temporary directory can be made: make room on the disk of /tmp"
}

# logged COMMAND...: neither reads nor writes the step's streams.
logged() {
    printf '+ %s\n' "$*" >>"$LOG"
    "$@" </dev/null >>"$LOG" 2>&1
}

# What a package manager gave as the reason, in one line, for a message.
last_words() {
    for pattern in ' : Depends: ' '^(E:|dpkg: error|error:|Error|Problem)'; do
        words=$(grep -E "$pattern" "$LOG" 2>/dev/null | tail -n 1 | sed 's/^ *//' | cut -c1-300)
        [ -z "$words" ] || break
    done
    printf '%s' "${words:-}"
}

# --- what this package is --------------------------------------------------------------------

# setting NAME: of package.conf, lines of NAME=value.
setting() {
    sed -n "s/^$1=//p" package.conf 2>/dev/null
}

read_package() {
    VERSION=$(setting version)
    KIND=$(setting kind)
    if [ -z "$VERSION" ] || [ -z "$KIND" ]; then
        die "the package in $PWD is not whole: run the association again"
    fi
}

# --- what this machine is --------------------------------------------------------------------

os_release() {
    sed -n "s/^$1=//p" /etc/os-release 2>/dev/null | tail -n 1 | tr -d "\"'"
}

# Sets PLATFORM, PLATFORM_VERSION and ARCHITECTURE by the names Distributor uses.
find_platform() {
    PLATFORM=$(os_release ID)
    PLATFORM_VERSION=$(os_release VERSION_ID)
    case $PLATFORM in
    amzn) PLATFORM=amazon ;;
    rhel) PLATFORM=redhat ;;
    ol) PLATFORM=oracle ;;
    sles | sles_sap) PLATFORM=suse ;;
    '') PLATFORM=unknown ;;
    esac
    case $(uname -m) in
    x86_64) ARCHITECTURE=x86_64 ;;
    aarch64) ARCHITECTURE=arm64 ;;
    *) ARCHITECTURE=$(uname -m) ;;
    esac
}

# platform_listed LIST: words "platform:version"; a version is exact, "9.*" or "_any".
platform_listed() {
    for listed in $1; do
        [ "${listed%%:*}" = "$PLATFORM" ] || continue
        case ${listed#*:} in
        _any | "$PLATFORM_VERSION") return 0 ;;
        *.\*)
            case $PLATFORM_VERSION. in "${listed#*:}" | "$(printf %s "${listed#*:}" | sed 's/\.\*$//')".*) return 0 ;; esac
            ;;
        esac
    done
    return 1
}

check_machine() {
    find_platform
    if [ "$ARCHITECTURE" != "$(setting architecture)" ]; then
        die "this package is for $(setting architecture), this machine is $ARCHITECTURE: correct the package's manifest"
    fi
    platforms=$(setting platforms)
    platform_listed "$platforms" ||
        die "this package is for $platforms, this machine is $PLATFORM $PLATFORM_VERSION: it is not supported by this package"
    [ -d /run/systemd/system ] ||
        die "systemd does not run this machine, and Yagura's service needs it: it is not supported"
}

# free_kb PATH: of the nearest directory that is there.
free_kb() {
    place=$1
    while [ ! -d "$place" ]; do
        place=$(dirname "$place")
    done
    df -Pk "$place" 2>/dev/null | awk 'NR == 2 { print $4 }'
}

check_space() {
    needed=$(($(setting installed_kb) + SPARE_KB))
    for place in /usr /opt /var/lib; do
        free=$(free_kb "$place")
        [ "${free:-$needed}" -ge "$needed" ] ||
            die "the disk of $place is too full: $((free / 1024)) MB are free, $((needed / 1024)) MB are needed; make room, then run the association again"
    done
}

# --- the service -----------------------------------------------------------------------------

# service_pid: of the running service; nothing when it does not run.
service_pid() {
    systemctl is-active --quiet "$SERVICE" >/dev/null 2>&1 </dev/null || return 1
    pid=$(systemctl show --property MainPID --value "$SERVICE" 2>/dev/null </dev/null) || return 1
    case $pid in '' | 0 | *[!0-9]*) return 1 ;; esac
    echo "$pid"
}

# Whether the service runs, and runs the program that is installed, not one that was replaced.
service_is_current() {
    pid=$(service_pid) || return 1
    program=$(readlink "/proc/$pid/exe" 2>/dev/null) || return 1
    agent=/opt/yagura/bin/yagura-agent
    [ -e "$agent" ] || agent=/usr/sbin/yagura-agent
    [ "$program" = "$(readlink -f "$agent")" ]
}

# --- packages --------------------------------------------------------------------------------

# installed_version NAME: nothing unless it is wholly installed.
installed_version() {
    case $KIND in
    apt)
        # shellcheck disable=SC2016  # dpkg-query expands it
        dpkg-query -W -f='${db:Status-Status} ${Version}' "$1" 2>/dev/null </dev/null | sed -n 's/^installed //p'
        ;;
    rpm) rpm -q --qf '%{VERSION}-%{RELEASE}' "$1" 2>/dev/null </dev/null | grep -v ' ' || true ;;
    esac
}

# all_installed NAME=VERSION...: whether each is, in this version. Nothing is not all.
all_installed() {
    [ $# -gt 0 ] || return 1
    for package in "$@"; do
        [ "$(installed_version "${package%%=*}")" = "${package#*=}" ] || return 1
    done
}

# packages_are_right: whether this version is installed, as the distribution's packages or with its own
# libraries.
packages_are_right() {
    # shellcheck disable=SC2046  # one word a package
    all_installed $(setting packages) || all_installed $(setting portable)
}

# lock_holder: who has the package database, for a message.
lock_holder() {
    for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/rpm/.rpm.lock; do
        inode=$(stat -c %i "$lock" 2>/dev/null) || continue
        pid=$(awk -v inode=":$inode" 'index($6, inode) == length($6) - length(inode) + 1 { print $5; exit }' /proc/locks)
        if [ -n "$pid" ] && [ "$pid" -gt 0 ]; then
            printf 'process %s, %s' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" 2>/dev/null | cut -c1-80)"
            return 0
        fi
    done
    printf 'another package manager'
}

# --- parameters ------------------------------------------------------------------------------

# Sets PREFIX and REGION; both become arguments and text of a file.
choose_parameters() {
    PREFIX=${SSM_YAGURA_PARAMETER_PREFIX:-/yagura}
    REGION=${SSM_YAGURA_REGION:-${BWS_REGION:-${AWS_SSM_REGION_NAME:-}}}
    case $PREFIX in
    /*[!A-Za-z0-9_./-]* | [!/]*) die "SSM_YAGURA_PARAMETER_PREFIX is '$PREFIX': it must begin with / and have no character but A-Z a-z 0-9 _ . / -" ;;
    esac
    case $REGION in
    *[!a-z0-9-]*) die "SSM_YAGURA_REGION is '$REGION': that is no region" ;;
    esac
}

# aws_refusal: why the aws command failed, from what it wrote, for a message.
aws_refusal() {
    case $(cat "$WORK/aws") in
    *AccessDenied* | *"not authorized"*) echo "its role may not read it: allow ssm:GetParameters, and kms:Decrypt for its key" ;;
    *InvalidSignature* | *SignatureDoesNotMatch* | *UnrecognizedClient* | *InvalidClientToken* | *ExpiredToken*)
        echo "AWS does not accept the machine's credentials" ;;
    *"locate credentials"*) echo "the machine has no credentials of AWS: give it a role" ;;
    *) echo "the aws command failed: $(grep . "$WORK/aws" | tail -n 1 | cut -c1-200)" ;;
    esac
}

# read_parameter NAME: prints a parameter's decrypted value, by AWS's own command, with the permission that
# the agent itself needs; or fails, and $WORK/cause says why.
read_parameter() {
    name=$PREFIX/$1
    set -- ssm get-parameters --names "$name" --with-decryption --query 'Parameters[0].Value' --output text
    [ -z "$REGION" ] || set -- "$@" --region "$REGION"
    if ! PATH=$PATH:/usr/local/bin command -v aws >/dev/null 2>&1; then
        echo "the aws command, which would read $name, is not installed" >"$WORK/cause"
        return 1
    fi
    if ! value=$(PATH=$PATH:/usr/local/bin timeout 120 aws "$@" 2>"$WORK/aws" </dev/null); then
        cat "$WORK/aws" >>"$LOG"
        echo "$name cannot be read: $(aws_refusal)" >"$WORK/cause"
        return 1
    fi
    if [ -z "$value" ] || [ "$value" = None ]; then
        echo "there is no parameter $name, or it is empty" >"$WORK/cause"
        return 1
    fi
    printf '%s\n' "$value"
}
