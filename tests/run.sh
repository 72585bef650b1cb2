#!/bin/sh
# Builds Yagura in every way that matters, runs every test and every static check, and ends with one
# line: "N passed, N failed, N skipped". Asks nothing. Leaves nothing behind but build/.
# Steps and their order: see list_steps. What counts as a test: tests/README.md.
set -eu

# Static checks that compute for minutes: style does them last, and they are begun beside the system tests.
ANALYZERS="tidy cppcheck gcc_analyzer"
ALL_STEPS="packages build build-sanitized build-clang unit unit-sanitized system system-sanitized page fuzz instructions style clean"
QUICK_STEPS="packages build unit system page style clean"

usage() {
    cat <<'TEXT'
Usage: tests/run.sh [--quick] [--only STEP]... [--list] [--help]

Without options: installs what is missing, builds, tests and checks everything.
  --quick      the hardened build only: unit and system tests, static checks but the analyzers
  --only STEP  this step and the builds it needs; may be repeated; style/NAME is one check
  --list       names the steps
  --help       this text

Environment: YAGURA_FUZZ_SECONDS (default 3): seconds for each fuzz target.
             YAGURA_TEST_JOBS (default: number of processors): compilers and unit tests at once;
             of system tests twice as many.
TEXT
}

list_steps() {
    cat <<'TEXT'
packages          installs what building and testing need (apt-get), when something is missing
build             release-hardened build with the system's compiler, warnings are errors
build-sanitized   the same under AddressSanitizer and UndefinedBehaviorSanitizer
build-clang       the same with clang, for its warnings
unit              unit tests and fuzz corpora, hardened build
unit-sanitized    the same, sanitized build
system            real programs on real files, hardened build
system-sanitized  the same, sanitized build
page              the web page in a real browser
fuzz              libFuzzer, some seconds a target, starting from tests/fuzz/corpus
instructions      the hot paths cost as many instructions as recorded (callgrind)
style             all static checks; each is tests/style/NAME.sh and may be run as style/NAME:
TEXT
    for check in tests/style/*.sh; do
        name=$(basename "$check" .sh)
        [ "$name" = tap ] || printf '                  style/%s: %s\n' "$name" "$(sed -n '2s/^# *//p' "$check")"
    done
    echo "clean             the run left the source tree as it was"
}

# --- results ---------------------------------------------------------------------------------

note() {
    printf '%s\n' "$*" >&3
}

# record passed|failed|skipped NUMBER [WHAT]
record() {
    printf '%s %s\n' "$1" "$2" >>"$RESULTS"
    case $1 in
    failed) [ "$2" -eq 0 ] || printf '%s\n' "${3:-$STEP}" >>"$FAILURES" ;;
    skipped)
        if [ "$2" -gt 0 ]; then
            printf '%s\n' "${3:-$STEP}" >>"$SKIPS"
            note "   SKIPPED: ${3:-$STEP}"
        fi
        ;;
    esac
}

total_of() {
    awk -v kind="$1" '$1 == kind { n += $2 } END { print n + 0 }' "$RESULTS"
}

# logged NAME COMMAND...: runs it with its output in build/test-logs/NAME.log; shows the end of that
# when it fails.
logged() {
    log=$LOGS/$1.log
    shift
    if "$@" >"$log" 2>&1; then
        return 0
    fi
    note "   failed: $* (whole output: ${log#"$ROOT"/})"
    tail -n "${YAGURA_LOG_LINES:-150}" "$log" >&3
    return 1
}

# record_tap LOG: counts "ok", "not ok" and "# SKIP" lines, as fuzz and static checks print them.
record_tap() {
    while IFS= read -r line; do
        case $line in
        "ok "*"# SKIP"*) record skipped 1 "$STEP: ${line#ok - }" ;;
        "ok "*) record passed 1 ;;
        "not ok "*)
            record failed 1 "$STEP: ${line#not ok - }"
            note "   $line"
            ;;
        esac
    done <"$1"
}

# --- steps -----------------------------------------------------------------------------------

# Not an error: it cannot be installed. Nor silent: what needs it is skipped one by one, below.
note_unpackaged() {
    for program in $UNPACKAGED_PROGRAMS; do
        command -v "$program" >/dev/null 2>&1 ||
            record skipped 1 "packages: $program is missing, and no package of Debian has it; its tests are skipped (docs/development.md)"
    done
}

step_packages() {
    note_unpackaged
    if ! command -v apt-get >/dev/null 2>&1; then
        record skipped 1 "packages: no apt-get here; what is missing shows below"
        return
    fi
    # shellcheck disable=SC2086  # lists of words
    missing=$(packages_missing $BUILD_PACKAGES $TEST_PACKAGES)
    if [ -z "$missing" ]; then
        record passed 1
        return
    fi
    note "   installing $missing"
    # shellcheck disable=SC2086
    if logged packages packages_install $missing; then
        record passed 1
    else
        record failed 1 "packages: could not install $missing"
    fi
}

# build_tree FOLDER CONFIGURE-ARGUMENT...: configures and builds build/FOLDER once a run.
build_tree() {
    folder=$1
    shift
    case " $BUILT " in *" $folder "*) return 0 ;; esac
    case " $BROKEN " in *" $folder "*) return 1 ;; esac
    if logged "configure-$folder" cmake -S . "$@" &&
        logged "build-$folder" cmake --build "build/$folder" -j "$JOBS"; then
        BUILT="$BUILT $folder"
        record passed 1
    else
        BROKEN="$BROKEN $folder"
        record failed 1 "build of build/$folder"
        return 1
    fi
}

build_hardened() {
    build_tree release-hardened --preset release-hardened
}

build_sanitized() {
    build_tree asan-ubsan --preset asan-ubsan
}

build_clang() {
    if ! command -v clang >/dev/null 2>&1; then
        case " $BROKEN " in *" clang "*) ;; *) record skipped 1 "build-clang: no clang" ;; esac
        BROKEN="$BROKEN clang"
        return 1
    fi
    build_tree clang -B build/clang -G Ninja -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=RelWithDebInfo
}

step_build() {
    build_hardened || true
}

step_build_sanitized() {
    build_sanitized || true
}

step_build_clang() {
    build_clang || true
}

# run_ctest PRESET LABEL: runs the tests with this label and counts their cases.
run_ctest() {
    tree=$ROOT/build/$1
    junit=$LOGS/$2-$1.xml
    rm -f "$junit"
    passed=true
    jobs=$JOBS
    [ "$2" != system ] || jobs=$((JOBS * 2)) # which wait for disks and for each other's processes most of the time
    logged "$2-$1" ctest --test-dir "$tree" -L "^$2\$" -j "$jobs" --timeout 300 \
        --output-on-failure --no-tests=ignore --test-output-size-passed 1000000 \
        --test-output-size-failed 1000000 --output-junit "$junit" || passed=false
    if [ ! -s "$junit" ]; then
        record failed 1 "$STEP: ctest wrote no results"
        return
    fi
    names=$LOGS/$2-$1.failed
    counts=$(python3 tests/count_results.py "$junit" 2>"$names")
    # shellcheck disable=SC2086  # three numbers
    set -- $counts
    if [ "$2" -eq 0 ] && [ "$passed" = false ]; then
        record failed 1 "$STEP: ctest failed"
    fi
    record passed "$1"
    record failed "$2" "$STEP: $(cat "$names")"
    record skipped "$3" "$STEP: $3 test cases; see ${junit#"$ROOT"/}"
    [ "$(($1 + $2 + $3))" -gt 0 ] || record skipped 1 "$STEP: there are no such tests"
}

step_unit() {
    if build_hardened; then run_ctest release-hardened unit; fi
}

step_unit_sanitized() {
    if build_sanitized; then run_ctest asan-ubsan unit; fi
}

# start_analyzers: they take minutes and only compute, the system tests mostly wait: they have what time these leave, and
# style then finds their findings remembered.
start_analyzers() {
    case " $STEPS " in *" style "*) ;; *) return 0 ;; esac
    if [ "$QUICK" = false ] && build_clang && build_hardened; then
        # A session of its own, which end_analyzers ends, and whose share of the processors is the least: where the kernel
        # shares them among sessions, what is idle in one would take from another's tests.
        # shellcheck disable=SC2016  # the inner shell's
        setsid chrt --idle 0 sh -c '{ echo 19 >"/proc/$$/autogroup"; } 2>/dev/null
            for check in $1; do sh "tests/style/$check.sh"; done' sh "$ANALYZERS" >/dev/null 2>&1 &
        BESIDE=$!
    fi
}

end_analyzers() {
    [ -z "$BESIDE" ] || kill -- -"$BESIDE" 2>/dev/null || true
}

step_system() {
    start_analyzers
    if build_hardened; then run_ctest release-hardened system; fi
}

step_system_sanitized() {
    if build_sanitized; then run_ctest asan-ubsan system; fi
}

step_page() {
    build_hardened || return 0
    logged page env YAGURA_BIN="$ROOT/build/release-hardened/bin" tests/system/page/run.sh || true
    record_tap "$LOGS/page.log"
    grep -q '^\(not \)\{0,1\}ok ' "$LOGS/page.log" || record failed 1 "page: run.sh said nothing"
}

step_fuzz() {
    logged fuzz tests/fuzz/run.sh --seconds "${YAGURA_FUZZ_SECONDS:-3}" --jobs "$JOBS" || true
    record_tap "$LOGS/fuzz.log"
    grep -q '^\(not \)\{0,1\}ok ' "$LOGS/fuzz.log" || record failed 1 "fuzz: run.sh said nothing"
}

step_instructions() {
    build_hardened || return 0
    logged instructions tests/bench/instructions/instructions.py build/release-hardened || true
    record_tap "$LOGS/instructions.log"
    grep -q '^\(not \)\{0,1\}ok ' "$LOGS/instructions.log" ||
        record failed 1 "instructions: instructions.py said nothing"
}

run_style() {
    case $1 in
    hardening | layers | units | gcc_analyzer) build_hardened || return 0 ;;
    tidy) build_clang || return 0 ;;
    esac
    if is_analyzer "$1" && [ -n "$BESIDE" ]; then
        wait "$BESIDE" || true
        BESIDE=
    fi
    STEP=style/$1
    started=$(date +%s)
    logged "style-$1" sh "tests/style/$1.sh" || true
    record_tap "$LOGS/style-$1.log"
    grep -q '^\(not \)\{0,1\}ok ' "$LOGS/style-$1.log" || record failed 1 "$STEP: it said nothing"
    note "   style/$1 ($(($(date +%s) - started)) s)"
}

is_analyzer() {
    case " $ANALYZERS " in *" $1 "*) true ;; *) false ;; esac
}

step_style() {
    for check in tests/style/*.sh; do
        check=$(basename "$check" .sh)
        [ "$check" = tap ] || is_analyzer "$check" || run_style "$check"
    done
    [ "$QUICK" = false ] || return 0
    for check in $ANALYZERS; do
        run_style "$check"
    done
}

# What git sees, so that a test that litters is found out.
tree_state() {
    git status --porcelain 2>/dev/null || true
}

step_clean() {
    if [ ! -e .git ]; then
        record skipped 1 "clean: not a git clone"
    elif [ "$(tree_state)" = "$TREE_BEFORE" ]; then
        record passed 1
    else
        tree_state >&3
        record failed 1 "clean: the run changed the source tree"
    fi
}

run_step() {
    STEP=$1
    begun=$(date +%s)
    note "== $STEP"
    case $STEP in
    packages) step_packages ;;
    build) step_build ;;
    build-sanitized) step_build_sanitized ;;
    build-clang) step_build_clang ;;
    unit) step_unit ;;
    unit-sanitized) step_unit_sanitized ;;
    system) step_system ;;
    system-sanitized) step_system_sanitized ;;
    page) step_page ;;
    fuzz) step_fuzz ;;
    instructions) step_instructions ;;
    style) step_style ;;
    style/*) run_style "${STEP#style/}" ;;
    clean) step_clean ;;
    esac
    note "   ${1} took $(($(date +%s) - begun)) s"
}

# --- the run ---------------------------------------------------------------------------------

parse_options() {
    QUICK=false
    STEPS=
    while [ $# -gt 0 ]; do
        case $1 in
        --quick) QUICK=true ;;
        --only)
            [ $# -ge 2 ] || fail_usage "--only needs the name of a step"
            shift
            known_step "$1" || fail_usage "there is no step '$1'; --list names them"
            STEPS="$STEPS $1"
            ;;
        --list)
            list_steps
            exit 0
            ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) fail_usage "unknown option '$1'" ;;
        esac
        shift
    done
    if [ -z "$STEPS" ]; then
        STEPS=$ALL_STEPS
        [ "$QUICK" = false ] || STEPS=$QUICK_STEPS
    fi
}

known_step() {
    case $1 in
    style/tap | style/*/*) return 1 ;;
    style/*) [ -f "tests/$1.sh" ] ;;
    *) case " $ALL_STEPS " in *" $1 "*) true ;; *) false ;; esac ;;
    esac
}

fail_usage() {
    echo "tests/run.sh: $1" >&2
    usage >&2
    exit 2
}

prepare() {
    LOGS=$ROOT/build/test-logs
    mkdir -p "$LOGS"
    RESULTS=$LOGS/results
    FAILURES=$LOGS/failures
    SKIPS=$LOGS/skips
    : >"$RESULTS"
    : >"$FAILURES"
    : >"$SKIPS"
    BUILT=
    BROKEN=
    BESIDE=
    JOBS=${YAGURA_TEST_JOBS:-$(nproc)}
    TREE_BEFORE=$(tree_state)
    export LC_ALL=C.UTF-8
    export CTEST_OUTPUT_ON_FAILURE=1
    export ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1"
    export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1"
    if command -v ccache >/dev/null 2>&1; then
        export CMAKE_C_COMPILER_LAUNCHER=ccache
    fi
}

summarize() {
    if [ -s "$SKIPS" ]; then
        note "Skipped:"
        sed 's/^/  /' "$SKIPS" >&3
    fi
    if [ -s "$FAILURES" ]; then
        note "Failed:"
        sed 's/^/  /' "$FAILURES" >&3
    fi
    failed=$(total_of failed)
    took=$(($(date +%s) - RUN_BEGUN))
    note "The run took $((took / 60)) min $((took % 60)) s on $(nproc) processors, load now $(cut -d ' ' -f 1 /proc/loadavg)."
    note "$(total_of passed) passed, $failed failed, $(total_of skipped) skipped"
    [ "$failed" -eq 0 ]
}

main() {
    exec 3>&1 </dev/null
    RUN_BEGUN=$(date +%s)
    ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
    cd "$ROOT"
    parse_options "$@"
    # shellcheck source=installer/dependencies.sh
    . installer/dependencies.sh
    prepare
    trap end_analyzers EXIT
    trap 'exit 130' INT TERM
    for step in $STEPS; do
        run_step "$step"
    done
    summarize
}

main "$@"
