#!/bin/sh
# Builds the product and the bench tools (release-hardened) and runs the benchmarks; see README.md.
# YAGURA_BUILD_DIR: use this build folder instead.
set -eu

die()
{
    echo "run.sh: $*" >&2
    exit 2
}

build()
{
    if [ ! -f "$build_dir/build.ninja" ]; then
        (cd "$source_dir" && cmake --preset release-hardened -B "$build_dir") >"$log" 2>&1 ||
            { cat "$log" >&2; die "configuring failed"; }
    fi
    cmake --build "$build_dir" >"$log" 2>&1 || { tail -n 50 "$log" >&2; die "the build failed"; }
}

main()
{
    source_dir=$(cd "$(dirname "$0")/../.." && pwd)
    build_dir=${YAGURA_BUILD_DIR:-$source_dir/build/release-hardened}
    command -v python3 >/dev/null || die "python3 is needed"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    case " $* " in
    *" --list "* | *" --help "* | *" -h "*) ;;
    *) build ;;
    esac
    status=0
    PYTHONDONTWRITEBYTECODE=1 python3 "$source_dir/tests/bench/bench.py" --build "$build_dir" "$@" || status=$?
    exit "$status"
}

main "$@"
