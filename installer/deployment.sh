#!/bin/sh
# Installs Yagura's agent on this machine and has it join the console that gave this script: for user-data,
# images and hands. May be run again. Needs root, curl and openssl. The console fills the four values in.
set -eu

URL=@URL@
PIN=@PIN@
POLICY=@POLICY@
GROUP=@GROUP@
PACKAGES=${YAGURA_PACKAGES:-}
KEY=${YAGURA_PACKAGES_KEY:-}
HOME_FOLDER=/var/lib/yagura-deployment
CONTROL=/usr/sbin/yaguractl

usage() {
    cat <<'TEXT'
Usage: deployment.sh --packages URL --key BASE64 --token-file FILE [--dry-run]
       deployment.sh --uninstall [--dry-run]

  --packages URL     https:// folder, or a local one, with what ssm-package/build.sh wrote
  --key BASE64       the Ed25519 public key, 32 bytes, that its deployment.list is signed with
  --token-file FILE  holds the activation token; - is standard input. It is never an argument
  --dry-run          say what would be done; change nothing
  --uninstall        remove the agent; identity, quarantine and events stay

Environment: YAGURA_PACKAGES and YAGURA_PACKAGES_KEY stand for --packages and --key.
TEXT
}

say() {
    printf 'yagura: %s\n' "$*"
}

die() {
    printf 'yagura: %s\n' "$*" >&2
    exit 1
}

# --- what this machine is --------------------------------------------------------------------

os_release() {
    sed -n "s/^$1=//p" /etc/os-release 2>/dev/null | tail -n 1 | tr -d "\"'"
}

find_platform() {
    PLATFORM=$(os_release ID)
    PLATFORM_VERSION=$(os_release VERSION_ID)
    case $PLATFORM in
    amzn) PLATFORM=amazon ;;
    rhel) PLATFORM=redhat ;;
    ol) PLATFORM=oracle ;;
    sles | sles_sap) PLATFORM=suse ;;
    esac
    ARCHITECTURE=$(uname -m)
    [ "$ARCHITECTURE" != aarch64 ] || ARCHITECTURE=arm64
}

# --- the package -----------------------------------------------------------------------------

# fetch NAME: from PACKAGES into WORK.
fetch() {
    case $PACKAGES in
    https://*)
        curl --silent --show-error --fail --location --proto '=https' --tlsv1.2 --retry 5 --max-time 600 \
            --output "$WORK/$1" "${PACKAGES%/}/$1" || die "$PACKAGES/$1 could not be fetched"
        ;;
    /*) cp "${PACKAGES%/}/$1" "$WORK/$1" || die "$PACKAGES/$1 could not be read" ;;
    *) die "--packages must be https:// or the path of a folder" ;;
    esac
}

# The list is what is signed; it holds the checksum of every package.
check_signature() {
    {
        printf '\060\052\060\005\006\003\053\145\160\003\041\000'
        printf '%s' "$KEY" | openssl base64 -d -A
    } >"$WORK/key.der"
    [ "$(wc -c <"$WORK/key.der")" -eq 44 ] || die "--key is not the base64 of an Ed25519 key of 32 bytes"
    openssl pkeyutl -verify -rawin -pubin -keyform DER -inkey "$WORK/key.der" -in "$WORK/deployment.list" \
        -sigfile "$WORK/deployment.list.sig" >/dev/null 2>&1 ||
        die "the signature of $PACKAGES/deployment.list is not of this key: nothing was installed"
}

# Sets PACKAGE, CHECKSUM: of this release, else of any release of this platform.
choose_package() {
    for release in "$PLATFORM_VERSION" _any; do
        line=$(awk -v p="$PLATFORM" -v r="$release" -v a="$ARCHITECTURE" '$1 == p && $2 == r && $3 == a' "$WORK/deployment.list")
        [ -z "$line" ] || break
    done
    [ -n "$line" ] || die "there is no package for $PLATFORM $PLATFORM_VERSION on $ARCHITECTURE: see deployment.list in $PACKAGES"
    # shellcheck disable=SC2086  # five words
    set -- $line
    CHECKSUM=$4
    PACKAGE=$5
    case $PACKAGE in */* | .* | '') die "deployment.list names a package '$PACKAGE'" ;; esac
}

unpack() {
    fetch "$PACKAGE"
    [ "$(sha256sum <"$WORK/$PACKAGE" | cut -d' ' -f1)" = "$CHECKSUM" ] ||
        die "$PACKAGES/$PACKAGE is not what was signed: nothing was installed"
    rm -rf "$HOME_FOLDER/new"
    mkdir -p "$HOME_FOLDER/new"
    chmod 0700 "$HOME_FOLDER"
    tar -C "$HOME_FOLDER/new" --no-same-owner -xf "$WORK/$PACKAGE" || die "$PACKAGE could not be unpacked: make room in $HOME_FOLDER"
    rm -rf "$HOME_FOLDER/package"
    mv "$HOME_FOLDER/new" "$HOME_FOLDER/package"
}

# --- what is asked for -----------------------------------------------------------------------

join() {
    set -- activate --url "$URL" --token-file "$TOKEN" --wait 30s
    [ -z "$PIN" ] || set -- "$@" --ca-pin "$PIN"
    [ -z "$POLICY" ] || set -- "$@" --policy "$POLICY"
    [ -z "$GROUP" ] || set -- "$@" --group "$GROUP"
    "$CONTROL" "$@" || die "the agent is installed and watches, but has not joined $URL; yaguractl status says why"
}

install_agent() {
    [ -n "$PACKAGES" ] || die "--packages is missing; --help explains"
    [ -n "$KEY" ] || die "--key is missing: packages are installed only with a signature"
    [ -n "$TOKEN" ] || die "--token-file is missing; - reads the token from standard input"
    [ "$TOKEN" = - ] || [ -s "$TOKEN" ] || die "there is no token in $TOKEN"
    fetch deployment.list
    fetch deployment.list.sig
    check_signature
    choose_package
    if [ "$DRY_RUN" = yes ]; then
        say "would install $PACKAGE from $PACKAGES and join $URL${POLICY:+, policy $POLICY}${GROUP:+, group $GROUP}"
        return
    fi
    unpack
    (cd "$HOME_FOLDER/package" && YAGURA_JOIN=no sh install.sh </dev/null)
    join
}

uninstall_agent() {
    if [ ! -f "$HOME_FOLDER/package/uninstall.sh" ]; then
        say "this script has installed nothing here"
    elif [ "$DRY_RUN" = yes ]; then
        say "would remove the agent; identity, quarantine and events stay"
    else
        (cd "$HOME_FOLDER/package" && sh uninstall.sh </dev/null)
        rm -rf "$HOME_FOLDER"
    fi
}

parse_options() {
    TOKEN=
    DRY_RUN=no
    UNINSTALL=no
    while [ $# -gt 0 ]; do
        case $1 in
        --packages | --key | --token-file)
            [ $# -ge 2 ] || die "$1 needs a value"
            case $1 in
            --packages) PACKAGES=$2 ;;
            --key) KEY=$2 ;;
            --token-file) TOKEN=$2 ;;
            esac
            shift
            ;;
        --dry-run) DRY_RUN=yes ;;
        --uninstall) UNINSTALL=yes ;;
        --help)
            usage
            exit 0
            ;;
        *) die "unknown option $1; --help explains" ;;
        esac
        shift
    done
}

main() {
    PATH=/usr/sbin:/usr/bin:/sbin:/bin
    umask 077
    parse_options "$@"
    [ "$(id -u)" -eq 0 ] || die "this needs root"
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
    if [ "$UNINSTALL" = yes ]; then
        uninstall_agent
        return
    fi
    for tool in curl openssl tar sha256sum; do
        command -v "$tool" >/dev/null 2>&1 || die "$tool is missing: install it first"
    done
    find_platform
    install_agent
}

main "$@"
