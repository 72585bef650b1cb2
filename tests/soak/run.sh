#!/bin/sh
# Builds the product and works it for a long time; see README.md. --sanitized: the ASan and UBSan build. Other options: soak.py.
set -eu

main() {
    source_dir=$(cd "$(dirname "$0")/../.." && pwd)
    preset=release-hardened
    if [ "${1:-}" = --sanitized ]; then
        preset=asan-ubsan
        # Freed memory is kept back for a while; less of it, so that growth is the product's.
        export ASAN_OPTIONS="detect_leaks=1:quarantine_size_mb=8"
        export UBSAN_OPTIONS="print_stacktrace=1"
        shift
    fi
    build_dir=$source_dir/build/$preset
    (cd "$source_dir" && cmake --preset "$preset" >/dev/null && cmake --build "$build_dir" >/dev/null)
    exec env YAGURA_PROGRAMS="$build_dir/bin" YAGURA_BIN="$build_dir/bin" \
        YAGURA_SIGNATURES="$source_dir/installer/demo-signatures" \
        python3 -B "$source_dir/tests/soak/soak.py" "$@"
}

main "$@"
