#!/bin/sh
# Builds the product (release-hardened) and breaks it under load, again and again; see README.md.
# YAGURA_BUILD_DIR: use this build folder instead.
set -eu

main() {
    source_dir=$(cd "$(dirname "$0")/../.." && pwd)
    build_dir=${YAGURA_BUILD_DIR:-$source_dir/build/release-hardened}
    if [ -z "${YAGURA_BUILD_DIR:-}" ]; then
        (cd "$source_dir" && cmake --preset release-hardened >/dev/null && cmake --build "$build_dir" >/dev/null)
    fi
    exec env YAGURA_PROGRAMS="$build_dir/bin" YAGURA_BIN="$build_dir/bin" \
        YAGURA_FAKE_CLOCK="$build_dir/tests/system/console/console_fake_clock.so" \
        YAGURA_SIGNATURES="$source_dir/installer/demo-signatures" \
        python3 -B "$source_dir/tests/faults/faults.py" "$@"
}

main "$@"
