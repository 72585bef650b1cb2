#!/bin/sh
# Builds the Debian packages of this tree. See usage. The same tree gives the same bytes wherever and
# whenever it is built: time stamps are those of the last commit.
set -eu

usage() {
    cat <<'TEXT'
Usage: packaging/build-deb.sh [--output FOLDER] [--version VERSION] [--jobs N] [--built TREE]

Builds yagura-agent, yagura-scanner and yagura-console (and their debug symbols) from this tree, as it
is, into FOLDER (default build/packages). Prints the path of each package.
  --version VERSION  of packages and programs; default: that of CMakeLists.txt
  --jobs N           compilers at once; default: number of processors
  --built TREE       package the programs of this build tree (preset release-hardened) instead of
                     compiling them: the same bytes, sooner
Environment: SOURCE_DATE_EPOCH: the time stamp of everything in the packages.
TEXT
}

write_changelog() {
    printf 'yagura (%s) unstable; urgency=medium\n\n  * %s\n\n -- %s  %s\n' "$VERSION" \
        "Release $VERSION." \
        "Yagura maintainers <maintainers@yagura.dev>" \
        "$(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')" >"$SOURCE/debian/changelog"
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

main() {
    PROGRAM=build-deb.sh
    ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
    # shellcheck source=packaging/functions.sh
    . "$ROOT/packaging/functions.sh"
    parse_options "$@"
    need dh dpkg-buildpackage cmake ninja
    if [ -n "$BUILT" ]; then
        check_built_tree "$BUILT" "$VERSION"
        YAGURA_BUILT_TREE=$(absolute "$BUILT")
        export YAGURA_BUILT_TREE
    fi
    PRIVATE=$(mktemp -d)
    trap 'rm -rf "$PRIVATE"' EXIT
    SOURCE=$PRIVATE/yagura
    mkdir -p "$SOURCE" "$OUTPUT"
    OUTPUT=$(absolute "$OUTPUT")
    copy_source "$SOURCE"
    cp -R "$ROOT/packaging/debian" "$SOURCE/debian"
    rm -f "$SOURCE/debian/README.md"
    SOURCE_DATE_EPOCH=$(source_time)
    export SOURCE_DATE_EPOCH
    write_changelog
    # A cache may answer with what another folder's build made; --built is the way to be quick.
    unset CMAKE_C_COMPILER_LAUNCHER
    cd "$SOURCE"
    if ! DEB_BUILD_OPTIONS="nocheck parallel=$JOBS" LC_ALL=C.UTF-8 \
        YAGURA_CMAKE_OPTIONS="-DYAGURA_VERSION=$VERSION" dpkg-buildpackage -b -us -uc >"$PRIVATE/log" 2>&1; then
        tail -n 60 "$PRIVATE/log" >&2
        fail "the build failed"
    fi
    for package in "$PRIVATE"/*.deb; do
        cp "$package" "$OUTPUT/"
        echo "$OUTPUT/$(basename "$package")"
    done
}

main "$@"
