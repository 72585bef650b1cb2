# shellcheck shell=sh
# What the build scripts of this folder share. They set ROOT (the tree) and PROGRAM (who complains).

fail() {
    echo "${PROGRAM:?}: $*" >&2
    exit 1
}

need() { # TOOL...
    for tool in "$@"; do
        command -v "$tool" >/dev/null 2>&1 || fail "$tool is missing; see installer/dependencies.sh"
    done
}

project_version() {
    sed -n 's/^project(yagura VERSION \([0-9.]*\).*/\1/p' "${ROOT:?}/CMakeLists.txt"
}

# The time stamp of everything in a package: that of the commit; of a release tree, its CHANGELOG's.
source_time() {
    if [ -n "${SOURCE_DATE_EPOCH:-}" ]; then
        echo "$SOURCE_DATE_EPOCH"
    else
        git -C "$ROOT" log -1 --format=%ct 2>/dev/null || stat -c %Y "$ROOT/CHANGELOG.md"
    fi
}

# copy_source FOLDER: what git knows, or of a release tree everything but what was built there.
copy_source() {
    if [ -e "$ROOT/.git" ]; then
        git -C "$ROOT" ls-files -z --cached --others --exclude-standard |
            (cd "$ROOT" && tar --null --no-recursion --ignore-failed-read --warning=none -T - -cf -)
    else
        tar -C "$ROOT" --exclude=./build --exclude='./build-*' -cf - .
    fi | tar -C "$1" -xf -
}

# check_built_tree TREE VERSION: the programs of another kind of build must not get into a package.
check_built_tree() {
    [ -f "$1/CMakeCache.txt" ] || fail "$1 is not a build tree"
    for entry in CMAKE_BUILD_TYPE:STRING=RelWithDebInfo YAGURA_SANITIZE:STRING= YAGURA_COVERAGE:BOOL=OFF \
        "YAGURA_VERSION:STRING=$2"; do
        grep -qxF "$entry" "$1/CMakeCache.txt" || fail "$1 is no tree of the preset release-hardened: not $entry"
    done
    grep -qxE 'CMAKE_INSTALL_PREFIX:[A-Z]*=/usr' "$1/CMakeCache.txt" ||
        fail "$1 would not be installed in /usr; configure it again with --preset release-hardened"
}

# build_programs TREE VERSION JOBS: compiles them into TREE, without a cache that could answer with
# what another folder's build made.
build_programs() {
    (
        unset CMAKE_C_COMPILER_LAUNCHER CFLAGS CPPFLAGS LDFLAGS
        cmake -S "$ROOT" -B "$1" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DYAGURA_TESTS=OFF -DYAGURA_APPLICATION=OFF \
            -DCMAKE_INSTALL_PREFIX=/usr "-DYAGURA_VERSION=$2"
        cmake --build "$1" -j "$3"
    )
}

absolute() { # FOLDER
    CDPATH='' cd -- "$1" && pwd
}
