#!/bin/sh
# Builds the product and the bench tools (release-hardened) and runs the benchmarks; see README.md.
# --application first: application protection; --console first: the console's benchmarks instead. YAGURA_BUILD_DIR: use this build folder instead.
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
    if [ "${1:-}" = --application ]; then
        export PYTHONDONTWRITEBYTECODE=1
        python3 "$source_dir/tests/bench/application/detection.py" "$build_dir" || status=$?
        python3 "$source_dir/tests/bench/relay/bench.py" "$build_dir" || status=$?
        exit "$status"
    fi
    if [ "${1:-}" = --console ]; then
        shift
        YAGURA_BUILD_DIR=$build_dir PYTHONDONTWRITEBYTECODE=1 \
            python3 "$source_dir/tests/bench/console/bench.py" "$@" || status=$?
        exit "$status"
    fi
    PYTHONDONTWRITEBYTECODE=1 python3 "$source_dir/tests/bench/bench.py" --build "$build_dir" "$@" ||
        status=$?
    exit "$status"
}

main "$@"
