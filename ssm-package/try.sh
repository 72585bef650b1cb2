#!/bin/sh
# Executes the programs of a folder of packages here, on a machine they are for, and writes into the
# folder what was executed where (EXECUTED): build.sh puts nothing else into a manifest. Run on further
# distributions, it adds them.
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
}

# The folders with libraries among the packages, which a machine may lack.
library_path() {
    find "$ROOT" -name '*.so*' -printf '%h\n' | sort -u | tr '\n' ':'
}

# execute PATH: prints its version. The portable package's programs name a loader that is not in its place.
execute() {
    case $1 in
    */opt/yagura/bin/*)
        set -- "$(find "$ROOT/opt/yagura/lib" -name 'ld-linux*')" --library-path "$ROOT/opt/yagura/lib" "$1" --version
        "$@" </dev/null
        ;;
    *) LD_LIBRARY_PATH=$(library_path) "$1" --version </dev/null ;;
    esac || die "$1 of $FOLDER does not run here: see what it lacks, or try the portable package alone"
}

execute_all() {
    for name in yagura-agent yagura-scanner yagura-inspector yagura-guard yagura-messenger yaguractl; do
        find "$ROOT" -type f -perm -u+x -name "$name" >"$ROOT/found"
        [ -s "$ROOT/found" ] || die "there is no program $name in $FOLDER"
        while IFS= read -r program; do
            VERSION=$(execute "$program")
        done <"$ROOT/found"
    done
}

list_files() {
    (cd "$FOLDER" && find . -maxdepth 1 \( -name '*.deb' -o -name '*.rpm' \) -printf '%f\n' | sort | xargs sha256sum | sed 's/^/file /')
}

# Where the same files were executed before.
earlier_platforms() {
    [ -f "$FOLDER/EXECUTED" ] || return 0
    sed -n '/^file /p' "$FOLDER/EXECUTED" >"$ROOT/earlier"
    ! list_files | cmp -s - "$ROOT/earlier" || sed -n '/^platform /p' "$FOLDER/EXECUTED"
}

write_record() {
    find_platform
    {
        earlier_platforms
        echo "platform $PLATFORM ${PLATFORM_VERSION:-_any}"
    } | sort -u
    printf 'architecture %s\nprogram_version %s\n' "$ARCHITECTURE" "${VERSION##* }"
    list_files
}

main() {
    [ -d "${1:-}" ] || die "Usage: ssm-package/try.sh FOLDER-OF-PACKAGES"
    FOLDER=$(CDPATH='' cd -- "$1" && pwd)
    # shellcheck source=ssm-package/scripts/common.sh
    . "$(dirname "$0")/scripts/common.sh"
    ROOT=$(mktemp -d)
    trap 'rm -rf "$ROOT"' EXIT
    unpack
    execute_all
    write_record >"$ROOT/EXECUTED"
    mv "$ROOT/EXECUTED" "$FOLDER/EXECUTED"
    cat "$FOLDER/EXECUTED"
}

main "$@"
