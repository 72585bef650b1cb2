#!/bin/sh
# Usage: reproducible.sh [build-deb.sh|build-rpm.sh]. Builds the packages (default: Debian's) twice, from
# copies of the tree in two folders, and compares them byte by byte. Takes some minutes.
set -eu

main() {
    root=$(CDPATH='' cd -- "$(dirname -- "$0")/../../.." && pwd)
    private=$(mktemp -d)
    trap 'rm -rf "$private"' EXIT
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
    export SOURCE_DATE_EPOCH
    for copy in one another/and-deeper; do
        mkdir -p "$private/$copy"
        git -C "$root" archive HEAD | tar -C "$private/$copy" -x
        "$private/$copy/packaging/${1:-build-deb.sh}" --output "$private/packages-${copy%%/*}" >/dev/null
        export TZ=Asia/Tokyo
    done
    (cd "$private/packages-one" && sha256sum -- *) >"$private/sums"
    (cd "$private/packages-another" && sha256sum -c "$private/sums")
}

main "$@"
