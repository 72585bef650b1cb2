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

fail() {
    echo "build-deb.sh: $*" >&2
    exit 1
}

need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 || fail "$tool is missing; apt-get install debhelper dpkg-dev cmake ninja-build"
    done
}

# What git knows, or in a release tree everything but what was built there.
copy_source() {
    if [ -e "$ROOT/.git" ]; then
        git -C "$ROOT" ls-files -z --cached --others --exclude-standard |
            (cd "$ROOT" && tar --null --no-recursion --ignore-failed-read --warning=none -T - -cf -)
    else
        tar -C "$ROOT" --exclude=./build --exclude='./build-*' -cf - .
    fi | tar -C "$SOURCE" -xf -
    cp -R "$ROOT/packaging/debian" "$SOURCE/debian"
    rm -f "$SOURCE/debian/README.md"
}

commit_time() {
    git -C "$ROOT" log -1 --format=%ct 2>/dev/null || echo 1798761600
}

# The programs of another kind of build must not get into a package.
check_built_tree() {
    [ -n "$BUILT" ] || return 0
    [ -f "$BUILT/CMakeCache.txt" ] || fail "$BUILT is not a build tree"
    BUILT=$(CDPATH='' cd -- "$BUILT" && pwd)
    for entry in CMAKE_BUILD_TYPE:STRING=RelWithDebInfo YAGURA_SANITIZE:STRING= YAGURA_COVERAGE:BOOL=OFF \
        "YAGURA_VERSION:STRING=$VERSION"; do
        grep -qxF "$entry" "$BUILT/CMakeCache.txt" || fail "$BUILT is no tree of the preset release-hardened: not $entry"
    done
    grep -qxE 'CMAKE_INSTALL_PREFIX:[A-Z]*=/usr' "$BUILT/CMakeCache.txt" ||
        fail "$BUILT would not be installed in /usr; configure it again with --preset release-hardened"
    export YAGURA_BUILT_TREE="$BUILT"
}

write_changelog() {
    printf 'yagura (%s) unstable; urgency=medium\n\n  * %s\n\n -- %s  %s\n' "$VERSION" \
        "Release $VERSION." \
        "Yagura maintainers <maintainers@yagura.dev>" \
        "$(LC_ALL=C date -u -d "@$SOURCE_DATE_EPOCH" '+%a, %d %b %Y %H:%M:%S +0000')" >"$SOURCE/debian/changelog"
}

parse_options() {
    OUTPUT=$ROOT/build/packages
    VERSION=$(sed -n 's/^project(yagura VERSION \([0-9.]*\).*/\1/p' "$ROOT/CMakeLists.txt")
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
    ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
    parse_options "$@"
    check_built_tree
    need dh dpkg-buildpackage cmake ninja
    PRIVATE=$(mktemp -d)
    trap 'rm -rf "$PRIVATE"' EXIT
    SOURCE=$PRIVATE/yagura
    mkdir -p "$SOURCE" "$OUTPUT"
    OUTPUT=$(CDPATH='' cd -- "$OUTPUT" && pwd)
    copy_source
    export SOURCE_DATE_EPOCH="${SOURCE_DATE_EPOCH:-$(commit_time)}"
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
