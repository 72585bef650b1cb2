#!/bin/sh
# Builds the rpm packages of this tree. See usage.
set -eu

usage() {
    cat <<'TEXT'
Usage: packaging/build-rpm.sh [--output FOLDER] [--version VERSION] [--jobs N] [--built TREE]

Builds yagura-agent, yagura-scanner and yagura-console into FOLDER (default build/packages) and prints
the path of each. To be run on the distribution they are for: Amazon Linux 2023 or Enterprise Linux 9.
Options and environment as of build-deb.sh.
TEXT
}

parse_options() {
    OUTPUT=$ROOT/build/packages
    VERSION=$(project_version)
    JOBS=$(nproc)
    BUILT=
    while [ $# -gt 0 ]; do
        case $1 in
        --output | --version | --jobs | --built)
            [ $# -ge 2 ] || fail "$1 needs a value"
            case $1 in
            --output) OUTPUT=$2 ;;
            --version) VERSION=$2 ;;
            --jobs) JOBS=$2 ;;
            --built) BUILT=$2 ;;
            esac
            shift
            ;;
        --help | -h)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 2
            ;;
        esac
        shift
    done
}

# rpm's own database says what is missing; where rpm is a guest (Debian) it knows nothing.
dependencies() {
    if command -v dpkg-query >/dev/null 2>&1; then echo --nodeps; fi
}

main() {
    PROGRAM=build-rpm.sh
    ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
    # shellcheck source=packaging/functions.sh
    . "$ROOT/packaging/functions.sh"
    parse_options "$@"
    need rpmbuild cmake
    PRIVATE=$(mktemp -d)
    trap 'rm -rf "$PRIVATE"' EXIT
    umask 022
    mkdir -p "$OUTPUT"
    OUTPUT=$(absolute "$OUTPUT")
    SOURCE_DATE_EPOCH=$(source_time)
    export SOURCE_DATE_EPOCH
    unset CMAKE_C_COMPILER_LAUNCHER
    set -- --define "source_tree $ROOT"
    if [ -n "$BUILT" ]; then
        check_built_tree "$BUILT" "$VERSION"
        set -- "$@" --define "built_tree $(absolute "$BUILT")"
    fi
    # Debian's rpmbuild strips nothing and makes no packages of debug symbols.
    [ -z "$(dependencies)" ] || set -- "$@" --nodeps --define "strip_here 1" --define "debug_package %{nil}"
    # These hold only on the command line, not in the spec.
    rpmbuild -bb --quiet "$@" --define "_topdir $PRIVATE/rpm" --define "_smp_mflags -j$JOBS" \
        --define "yagura_version $VERSION" --define "_buildhost yagura" \
        --define "use_source_date_epoch_as_buildtime 1" --define "clamp_mtime_to_source_date_epoch 1" \
        --target "$(uname -m)-linux" "$ROOT/packaging/rpm/yagura.spec" >"$PRIVATE/log" 2>&1 || {
        tail -n 60 "$PRIVATE/log" >&2
        fail "rpmbuild failed"
    }
    for package in "$PRIVATE"/rpm/RPMS/*/*.rpm; do
        cp "$package" "$OUTPUT/"
        echo "$OUTPUT/$(basename "$package")"
    done
}

main "$@"
