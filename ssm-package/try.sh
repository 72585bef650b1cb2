#!/bin/sh
# Executes the programs of a folder of packages here, on a machine they are for, and writes into the
# folder what was executed where (EXECUTED): build.sh puts nothing else into a manifest.
# Installs nothing: the packages are unpacked into a folder of their own that goes again.
set -eu

die() {
    printf 'try.sh: %s\n' "$*" >&2
    exit 1
}

unpack() {
    for file in "$FOLDER"/*.deb; do
        [ ! -e "$file" ] || dpkg-deb --extract "$file" "$ROOT"
    done
    for file in "$FOLDER"/*.rpm; do
        [ ! -e "$file" ] || (cd "$ROOT" && rpm2cpio "$file" | cpio --quiet -idm)
    done
    for file in "$FOLDER"/*.tar.xz; do
        [ ! -e "$file" ] || tar -C "$ROOT" --no-same-owner -xJf "$file"
    done
}

# The folders with libraries among the packages, which a machine may lack.
library_path() {
    find "$ROOT" -name '*.so*' -printf '%h\n' | sort -u | tr '\n' ':'
}

# execute NAME: prints its version.
execute() {
    program=$(find "$ROOT" -type f -perm -u+x -name "$1" | head -n 1)
    [ -n "$program" ] || die "there is no program $1 in $FOLDER"
    LD_LIBRARY_PATH=$(library_path) "$program" --version </dev/null || die "$1 of $FOLDER does not run here"
}

write_record() {
    for program in yagura-scanner yagura-inspector yagura-messenger yaguractl; do
        execute "$program" >/dev/null
    done
    version=$(execute yagura-agent)
    find_platform
    printf 'platform %s %s\narchitecture %s\nprogram_version %s\n' \
        "$PLATFORM" "${PLATFORM_VERSION:-_any}" "$ARCHITECTURE" "${version##* }"
    (cd "$FOLDER" && find . -maxdepth 1 \( -name '*.deb' -o -name '*.rpm' -o -name '*.tar.xz' \) -printf '%f\n' | sort |
        xargs sha256sum | sed 's/^/file /')
}

main() {
    [ -d "${1:-}" ] || die "Usage: ssm-package/try.sh FOLDER-OF-PACKAGES"
    FOLDER=$(CDPATH='' cd -- "$1" && pwd)
    # shellcheck source=ssm-package/scripts/common.sh
    . "$(dirname "$0")/scripts/common.sh"
    ROOT=$(mktemp -d)
    trap 'rm -rf "$ROOT"' EXIT
    unpack
    write_record >"$ROOT/EXECUTED"
    mv "$ROOT/EXECUTED" "$FOLDER/EXECUTED"
    cat "$FOLDER/EXECUTED"
}

main "$@"
