#!/bin/sh
# Builds every fuzz target with clang's libFuzzer and the sanitizers and lets each run for a while,
# starting from its corpus. One TAP line a target. Findings stay in build/fuzz/findings/TARGET.
set -eu

usage() {
    cat <<'TEXT'
Usage: tests/fuzz/run.sh [--seconds N | --minutes N] [--jobs N] [--record FILE] [TARGET...]

  --seconds N  time for each target (default 60)
  --minutes N  the same in minutes
  --jobs N     targets at once (default: number of processors)
  --record F   the results as a page (docs/fuzzing.md)
TEXT
}

have_fuzzer() {
    command -v clang >/dev/null 2>&1 || return 1
    probe=$(mktemp -d)
    printf '%s\n' '#include <stddef.h>' '#include <stdint.h>' \
        'int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);' \
        'int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) { return data == 0 && size; }' >"$probe/a.c"
    result=0
    clang -fsanitize=fuzzer,address "$probe/a.c" -o "$probe/a" >/dev/null 2>&1 || result=1
    rm -rf "$probe"
    return "$result"
}

# inputs_in FOLDER...
inputs_in() {
    find "$@" -type f 2>/dev/null | wc -l
}

# run_target NAME: grown inputs go to the build tree; the corpus in the source tree is only read.
run_target() {
    findings=$ROOT/build/fuzz/findings/$1
    grown=$ROOT/build/fuzz/grown/$1
    corpus=$ROOT/tests/fuzz/corpus/$1
    log=$ROOT/build/fuzz/$1.log
    mkdir -p "$findings" "$grown"
    [ -d "$corpus" ] || corpus=$grown
    if "$ROOT/build/fuzz/fuzz/${1}_fuzz" -max_total_time="$SECONDS_EACH" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="$findings/" "$grown" "$corpus" >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        printf 'ok - fuzz %s (%s executions, corpus of %s, now %s)\n' "$1" "${runs:-?}" \
            "$(inputs_in "$ROOT/tests/fuzz/corpus/$1")" "$(inputs_in "$ROOT/tests/fuzz/corpus/$1" "$grown")"
    else
        printf '%s\n' "$(tail -n 40 "$log")" | sed 's/^/# /'
        printf 'not ok - fuzz %s; inputs in %s\n' "$1" "$findings"
    fi
}

parse_options() {
    SECONDS_EACH=60
    JOBS=$(nproc)
    while [ $# -gt 0 ]; do
        case $1 in
        --seconds) SECONDS_EACH=$2 && shift ;;
        --minutes) SECONDS_EACH=$(($2 * 60)) && shift ;;
        --jobs) JOBS=$2 && shift ;;
        --record) RECORD=$2 && shift ;;
        --one) ONE=$2 && shift ;;
        --help | -h)
            usage
            exit 0
            ;;
        -*)
            usage >&2
            exit 2
            ;;
        *) TARGETS="$TARGETS $1" ;;
        esac
        shift
    done
}

# in_words SECONDS
in_words() {
    if [ "$1" -lt 120 ]; then
        printf '%s seconds' "$1"
    else
        awk "BEGIN { printf \"%.3g minutes\", $1 / 60 }"
    fi
}

# write_record RESULTS
write_record() {
    printf '# Fuzzing, last run\n\n'
    # shellcheck disable=SC2016  # Markdown
    printf '`tests/fuzz/run.sh --seconds %s`, %s, %s, clang %s, AddressSanitizer and UBSan, %s at once on %s processors, load %s.\n' \
        "$SECONDS_EACH" "$(date -u +%F)" "$COMMIT" "$(clang -dumpversion)" "$JOBS" "$(nproc)" "$(cut -d ' ' -f 1 /proc/loadavg)"
    printf '%s targets found nothing, %s found something, in %s each. ' \
        "$(grep -c '^ok' "$1" || true)" "$(grep -c '^not ok' "$1" || true)" \
        "$(in_words "$SECONDS_EACH")"
    printf 'A longer run may find what this one did not.\n\n'
    printf '| target | executions | corpus | with what runs added | findings |\n| --- | --- | --- | --- | --- |\n'
    sed -n -e 's/^ok - fuzz \([a-z_0-9]*\) (\([0-9?]*\) executions, corpus of \([0-9]*\), now \([0-9]*\))$/| \1 | \2 | \3 | \4 | none |/p' \
        -e 's/^not ok - fuzz \([a-z_0-9]*\);.*$/| \1 | | | | **something** |/p' "$1" | sort
}

main() {
    ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
    cd "$ROOT"
    TARGETS=
    ONE=
    RECORD=
    parse_options "$@"
    if [ -n "$ONE" ]; then
        run_target "$ONE"
        return
    fi
    if ! have_fuzzer; then
        echo "ok - fuzz targets # SKIP no clang with libFuzzer (packages clang and libclang-rt-dev)"
        return
    fi
    COMMIT=$(tests/commit.sh)
    log=build/fuzz-build.log
    mkdir -p build
    if ! { cmake --preset fuzz && cmake --build build/fuzz -j "$JOBS" --target yagura_fuzzers; } >"$log" 2>&1; then
        tail -n 60 "$log" | sed 's/^/# /'
        echo "not ok - build of the fuzz targets"
        return 1
    fi
    [ -n "$TARGETS" ] || TARGETS=$(cat build/fuzz/fuzz/targets)
    results=build/fuzz/results
    # shellcheck disable=SC2086  # names are words
    printf '%s\n' $TARGETS | xargs -P "$JOBS" -I '{}' "$0" --seconds "$SECONDS_EACH" --one '{}' | tee "$results"
    [ -z "$RECORD" ] || write_record "$results" >"$RECORD"
    ! grep -q '^not ok' "$results"
}

main "$@"
