#!/bin/sh
# Usage: reproducible.sh [--record FILE] [build-deb.sh|build-rpm.sh]. Builds the packages (default: both kinds) twice, from
# copies of the tree in two folders, in two time zones, and compares them byte by byte. Takes some minutes.
# --record FILE: the sums as a page (docs/reproducible.md).
set -eu

# build_twice SCRIPT: both builds' packages in $private/SCRIPT-one and -another.
build_twice() {
    for copy in one another/and-deeper; do
        mkdir -p "$private/$copy"
        git -C "$root" archive HEAD | tar -C "$private/$copy" -x
        "$private/$copy/packaging/$1" --output "$private/$1-${copy%%/*}" >/dev/null
        rm -rf "${private:?}/${copy%%/*}"
        export TZ=Asia/Tokyo
    done
    unset TZ
}

write_record() {
    printf '# Two builds, last run\n\n'
    # shellcheck disable=SC1091,SC2016  # of another machine; Markdown
    printf '`tests/system/packaging/reproducible.sh%s`, %s, %s, %s, %s: two copies of the tree in folders of other names, two time zones.\n\n' \
        "$kinds_given" "$(date -u +%F)" "$commit" "$(. /etc/os-release && echo "$PRETTY_NAME")" "$(cc --version | head -n 1)"
    printf '| package | SHA-256 | of the other build |\n| --- | --- | --- |\n'
    for kind in $kinds; do
        (cd "$private/$kind-one" && sha256sum -- *) | while read -r sum name; do
            said=the\ same
            cmp -s "$private/$kind-one/$name" "$private/$kind-another/$name" || said='**another**'
            # shellcheck disable=SC2016  # Markdown
            printf '| %s | `%s` | %s |\n' "$name" "$sum" "$said"
        done
    done
}

main() {
    root=$(CDPATH='' cd -- "$(dirname -- "$0")/../../.." && pwd)
    record=
    kinds=
    while [ $# -gt 0 ]; do
        case $1 in
        --record) record=$2 && shift ;;
        *) kinds="$kinds $1" ;;
        esac
        shift
    done
    kinds_given=$kinds
    kinds=${kinds:-build-deb.sh build-rpm.sh}
    commit=$("$root/tests/commit.sh")
    private=$(mktemp -d)
    trap 'rm -rf "$private"' EXIT
    SOURCE_DATE_EPOCH=$(git -C "$root" log -1 --format=%ct)
    export SOURCE_DATE_EPOCH
    differ=0
    for kind in $kinds; do
        build_twice "$kind"
        (cd "$private/$kind-one" && sha256sum -- *) >"$private/sums"
        (cd "$private/$kind-another" && sha256sum -c "$private/sums") || differ=1
    done
    [ -z "$record" ] || write_record >"$record"
    return "$differ"
}

main "$@"
