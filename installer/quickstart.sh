#!/bin/sh
# From a fresh clone to caught malware in a console: installs what building needs, builds, starts a
# console and an agent of its own on a demo folder, has the agent join the console, drops the EICAR
# test file there and shows what happened to it, on the host and in the console.
# Touches nothing installed: own folders, own socket, ports of this machine that are free, reached
# from this machine only. --stop takes everything away but packages.
set -eu

# Below a folder that only root may write: nobody can put something in the way.
DEMO=${YAGURA_DEMO_DIRECTORY:-/var/lib/yagura-demo}
# The installed agent does not know this path; the demo's own agent watches only this folder.
WATCHED=$DEMO/files
SOCKET=$DEMO/run/control.sock
LOG=$DEMO/agent.log
CONSOLE_LOG=$DEMO/console.log
# A full ClamAV database takes this much memory once compiled, in kB.
FULL_DATABASE_KB=2500000
DOWNLOAD_SECONDS=90
READY_SECONDS=90
CONSOLE_SECONDS=30

usage() {
    cat <<'TEXT'
Usage: installer/quickstart.sh [--demo-signatures] [--stop] [--help]

Builds Yagura, starts a console and an agent, and shows them catching the EICAR test file. Needs root, or sudo. May be run again.

  --demo-signatures  do not look for, or download, ClamAV's signatures; use the small set in
                     installer/demo-signatures, which knows EICAR and ClamAV's own test files
  --stop             stop the demo's agent and console and remove what they made
  --help             this text

Environment: YAGURA_DEMO_DIRECTORY (default /var/lib/yagura-demo).
TEXT
}

say() {
    printf '\n== %s\n' "$*"
}

die() {
    printf '\nquickstart: %s\n' "$*" >&2
    exit 1
}

# --- stopping --------------------------------------------------------------------------------

# demo_pid agent|console: what this script started, by its program and configuration; nothing else is
# ever ended.
demo_pid() {
    pid=$(cat "$DEMO/$1.pid" 2>/dev/null) || return 1
    case $pid in '' | *[!0-9]*) return 1 ;; esac
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "yagura-$1 --config $DEMO/$1.conf " || return 1
    echo "$pid"
}

stop_one() {
    pid=$(demo_pid "$1") || return 0
    kill -TERM "$pid" 2>/dev/null || return 0
    waited=0
    while [ -d "/proc/$pid" ] && [ "$waited" -lt 150 ]; do
        sleep 0.1
        waited=$((waited + 1))
    done
    if demo_pid "$1" >/dev/null; then
        echo "the demo $1 did not end within 15 s: killed"
        kill -KILL "$pid" 2>/dev/null || true
    fi
}

remove_demo() {
    [ -e "$DEMO" ] || return 0
    if [ -L "$DEMO" ] || [ ! -f "$DEMO/made-by-quickstart" ]; then
        die "$DEMO was not made by this script; it stays. Set YAGURA_DEMO_DIRECTORY to another path."
    fi
    rm -rf -- "$DEMO"
}

stop_demo() {
    if [ ! -e "$DEMO" ]; then
        echo "There is no demo: nothing to stop."
        return
    fi
    stop_one agent
    stop_one console
    remove_demo
    echo "Stopped the demo's agent and console and removed $DEMO. Packages, and the build in $BUILD, stay."
}

# --- building --------------------------------------------------------------------------------

install_build_packages() {
    say "Packages"
    # shellcheck disable=SC2086  # a list of words
    missing=$(packages_missing $BUILD_PACKAGES)
    if [ -z "$missing" ]; then
        echo "all are installed"
        return
    fi
    command -v apt-get >/dev/null 2>&1 ||
        die "this is no Debian or Ubuntu. Install the equivalents of: $missing, then see README.md."
    echo "installing $missing"
    # shellcheck disable=SC2086
    packages_install $missing >"$BUILD_LOG" 2>&1 || {
        tail -n 20 "$BUILD_LOG" >&2
        die "apt-get could not install the packages (above; whole output: $BUILD_LOG)"
    }
}

build() {
    say "Build ($BUILD)"
    # Warnings of a compiler newer than ours are no reason to fail here.
    if ! { cmake -S "$ROOT" -B "$BUILD" -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        -DYAGURA_TESTS=OFF -DYAGURA_APPLICATION=OFF -DYAGURA_WERROR=OFF &&
        cmake --build "$BUILD" --target yagura-agent yagura-scanner yagura-guard yagura-inspector \
            yagura-messenger yaguractl yagura-console; } >"$BUILD_LOG" 2>&1; then
        tail -n 40 "$BUILD_LOG" >&2
        die "the build failed (above; whole output: $BUILD_LOG)"
    fi
    # The clone belongs to whoever called sudo.
    [ -z "${SUDO_UID:-}" ] || chown -R "$SUDO_UID:${SUDO_GID:-$SUDO_UID}" "$ROOT/build"
    "$BUILD/bin/yagura-agent" --version
}

# --- signatures ------------------------------------------------------------------------------

has_database() {
    for part in main daily; do
        found=false
        for name in "/var/lib/clamav/$part.cvd" "/var/lib/clamav/$part.cld" "/var/lib/clamav/$part.cud"; do
            [ ! -s "$name" ] || found=true
        done
        [ "$found" = true ] || return 1
    done
}

enough_memory() {
    available=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
    [ "${available:-0}" -ge "$FULL_DATABASE_KB" ]
}

# Where the package starts a freshclam of its own, that one downloads, and ours only waits for it.
download_database() {
    echo "downloading ClamAV's signatures with freshclam (at most $DOWNLOAD_SECONDS s)"
    deadline=$(($(date +%s) + DOWNLOAD_SECONDS))
    # shellcheck disable=SC2086
    packages_install $SIGNATURE_PACKAGES >>"$BUILD_LOG" 2>&1 || return 1
    timeout "$DOWNLOAD_SECONDS" freshclam --quiet >>"$BUILD_LOG" 2>&1 || true
    until has_database; do
        pidof freshclam >/dev/null && [ "$(date +%s)" -lt "$deadline" ] || return 1
        sleep 1
    done
}

# Sets SIGNATURES, libconfig text, and SIGNATURES_ARE, for people. The demo's own are always among them:
# what is dropped must be found whatever else there is.
choose_signatures() {
    say "Signatures"
    SIGNATURES="\"$DEMO/signatures\""
    SIGNATURES_ARE="a small set that knows EICAR and ClamAV's test files only"
    if [ "$DEMO_SIGNATURES" = false ]; then
        if ! enough_memory; then
            echo "less than $((FULL_DATABASE_KB / 1000)) MB of memory are free: too little for ClamAV's database"
        elif has_database || download_database; then
            SIGNATURES="\"/var/lib/clamav\", $SIGNATURES"
            SIGNATURES_ARE="ClamAV's database in /var/lib/clamav"
        else
            echo "there is no database in /var/lib/clamav, and freshclam could not fetch one now"
        fi
    fi
    echo "using $SIGNATURES_ARE"
}

# --- the demo --------------------------------------------------------------------------------

scanner_user() {
    for user in yagura-scanner nobody; do
        if getent passwd "$user" >/dev/null; then
            echo "$user"
            return
        fi
    done
}

make_demo() {
    umask 077
    mkdir -p -- "$(dirname -- "$DEMO")"
    mkdir -- "$DEMO"
    chmod 0755 "$DEMO"
    : >"$DEMO/made-by-quickstart"
    mkdir -m 0755 "$WATCHED" "$DEMO/signatures"
    cp "$ROOT"/installer/demo-signatures/* "$DEMO/signatures/"
    chmod 0644 "$DEMO"/signatures/*
    cat >"$DEMO/agent.conf" <<TEXT
# The demo agent of installer/quickstart.sh.
state_directory = "$DEMO/state";
runtime_directory = "$DEMO/run";
control_socket = "$SOCKET";
policy = "$DEMO/policy.conf";
policy_directory = "$ROOT/policies";
program_directory = "$BUILD/bin";
database_directories = [$SIGNATURES];
scanner_user = "$(scanner_user)";
TEXT
    cat >"$DEMO/console.conf" <<TEXT
# The demo console of installer/quickstart.sh.
data = "$DEMO/console";
web = "$ROOT/console/web";
agents = { address = "127.0.0.1"; port = 0; };
people = { address = "127.0.0.1"; port = 0; };
TEXT
    cat >"$DEMO/policy.conf" <<TEXT
# In force until the console's policy "demo" comes, which says the same.
watch = { paths = ["$WATCHED"]; };
respond = { action = "quarantine"; };
TEXT
}

control() {
    "$BUILD/bin/yaguractl" --socket "$SOCKET" "$@"
}

# show_log_and_die WHAT [LOG]
show_log_and_die() {
    tail -n 20 "${2:-$LOG}" >&2 || true
    die "$1 (log: ${2:-$LOG})"
}

# --- the console -----------------------------------------------------------------------------

# Sets AGENTS_PORT, PEOPLE_PORT and PIN from what the console says when it is ready.
start_console() {
    say "Console"
    # The first one-time password goes nowhere: new_password makes the one that is shown.
    setsid "$BUILD/bin/yagura-console" --config "$DEMO/console.conf" </dev/null >/dev/null 2>>"$CONSOLE_LOG" &
    started=$!
    echo "$started" >"$DEMO/console.pid"
    deadline=$(($(date +%s) + CONSOLE_SECONDS))
    until ready=$(grep -m 1 ' console_ready ' "$CONSOLE_LOG" 2>/dev/null); do
        readlink "/proc/$started/exe" >/dev/null || show_log_and_die "the console ended" "$CONSOLE_LOG"
        [ "$(date +%s)" -lt "$deadline" ] ||
            show_log_and_die "the console was not ready within $CONSOLE_SECONDS s" "$CONSOLE_LOG"
        sleep 0.1
    done
    AGENTS_PORT=$(printf '%s\n' "$ready" | sed -n 's/.* agents_port=\([0-9]*\).*/\1/p')
    PEOPLE_PORT=$(printf '%s\n' "$ready" | sed -n 's/.* people_port=\([0-9]*\).*/\1/p')
    PIN=$(console pin) || exit 1
    echo "agents: https://127.0.0.1:$AGENTS_PORT   people: https://127.0.0.1:$PEOPLE_PORT   (this machine only)"
}

# A subcommand of the console, beside the one that runs.
console() {
    "$BUILD/bin/yagura-console" --config "$DEMO/console.conf" "$@" ||
        show_log_and_die "yagura-console $1 failed" "$CONSOLE_LOG"
}

# ask FILE [OPTION...] URL: FILE holds the header with the key, because arguments are seen by all.
ask() {
    key=$1
    shift
    curl --silent --show-error --fail --max-time 20 --cacert "$DEMO/console/authority.crt" --header "@$key" "$@"
}

# make_key FILE ROLE
make_key() {
    secret=$(console api-key create --role "$2" --name quickstart) || exit 1
    printf 'Authorization: Bearer %s\n' "$secret" >"$1"
}

# A policy that watches the demo folder and nothing else, a token that gives it, a key to read with.
prepare_console() {
    make_key "$DEMO/operator-key" operator
    printf '{"text":"watch = { paths = [\\"%s\\"]; };\\nrespond = { action = \\"quarantine\\"; };\\n"}' "$WATCHED" |
        ask "$DEMO/operator-key" --request PUT --header "If-None-Match: *" --header "Content-Type: application/json" \
            --data-binary @- "https://127.0.0.1:$PEOPLE_PORT/api/v1/policies/demo" >/dev/null ||
        show_log_and_die "the policy could not be made" "$CONSOLE_LOG"
    rm -f "$DEMO/operator-key"
    console api-key revoke "$(console api-key list | sed -n 2p | cut -f 1)"
    console token create --name quickstart --policy demo --uses 1 >"$DEMO/token"
    make_key "$DEMO/api-key" reader
}

join_console() {
    say "The agent joins the console"
    control activate --url "https://127.0.0.1:$AGENTS_PORT" --ca-pin "$PIN" --token-file "$DEMO/token" ||
        show_log_and_die "the agent could not join the console"
    rm -f "$DEMO/token"
}

read_console() {
    ask "$DEMO/api-key" --header "Accept: text/csv" "https://127.0.0.1:$PEOPLE_PORT/api/v1/$1"
}

show_in_console() {
    say "What the console's REST API knows"
    deadline=$(($(date +%s) + CONSOLE_SECONDS))
    until read_console 'events?kind=malware_found' 2>/dev/null | grep -q 'eicar\.txt'; do
        [ "$(date +%s)" -lt "$deadline" ] || show_log_and_die "the detection did not reach the console" "$CONSOLE_LOG"
        sleep 0.2
    done
    echo "GET /api/v1/computers"
    read_console computers | cut -d, -f1-6
    echo "GET /api/v1/events?severity=high"
    read_console 'events?severity=high'
}

# Shown once, kept nowhere.
new_password() {
    PASSWORD=$(console user reset-password admin) || exit 1
}

start_agent() {
    say "Agent"
    # Its own session, so that it outlives this script and its terminal.
    setsid "$BUILD/bin/yagura-agent" --config "$DEMO/agent.conf" </dev/null >>"$LOG" 2>&1 &
    started=$!
    echo "$started" >"$DEMO/agent.pid"
    deadline=$(($(date +%s) + READY_SECONDS))
    until [ -S "$SOCKET" ] && control sync --timeout 5 >/dev/null 2>&1; do
        # Alive, whatever it runs by now: a dead child that nobody waited for has no program.
        readlink "/proc/$started/exe" >/dev/null || show_log_and_die "the agent ended"
        [ "$(date +%s)" -lt "$deadline" ] || show_log_and_die "the agent was not ready within $READY_SECONDS s"
        sleep 0.2
    done
    control status
}

# Put together here, so that no scanner objects to this script.
drop_test_file() {
    say "A test file arrives: $WATCHED/eicar.txt"
    # shellcheck disable=SC2016  # the dollar signs are part of it
    printf '%s%s%s' 'X5O!P%@AP[4\PZX54(P^)7CC)7}$' 'EICAR-STANDARD-ANTIVIRUS-TEST-FILE' '!$H+H*' \
        >"$WATCHED/eicar.txt"
    control sync --timeout 30 || show_log_and_die "the agent did not look at the file"
}

show_what_happened() {
    [ ! -e "$WATCHED/eicar.txt" ] || show_log_and_die "the test file was not caught"
    say "What the agent recorded"
    control events
    control events --json | grep -q '"kind": *"malware' || show_log_and_die "no event tells of the test file"
    say "What is in quarantine"
    control quarantine list
    control quarantine list --json | grep -q 'eicar\.txt' || show_log_and_die "the test file is not in quarantine"
}

say_how_to_go_on() {
    say "Go on"
    cat <<TEXT
The demo agent (process $(demo_pid agent)) keeps running and watches $WATCHED.
It uses $SIGNATURES_ARE; log: $LOG
The demo console (process $(demo_pid console)) keeps running; log: $CONSOLE_LOG

  web page       https://127.0.0.1:$PEOPLE_PORT/  (the browser does not know its authority: let it pass here)
  administrator  admin, one-time password: $PASSWORD
                 (shown once; another: $BUILD/bin/yagura-console --config $DEMO/console.conf user reset-password admin)
  REST API       curl --cacert $DEMO/console/authority.crt -H @$DEMO/api-key \\
                   https://127.0.0.1:$PEOPLE_PORT/api/v1/events

  alias yc='$BUILD/bin/yaguractl --socket $SOCKET'
  yc events --follow               copy something bad to $WATCHED and look
  yc scan /usr/bin                 any path on demand
  yc quarantine list               also: show, restore, export, delete
  yc policy explain watch.paths    where each setting comes from
  README.md and docs/              what else there is

  $ROOT/installer/quickstart.sh --stop    stops it and removes $DEMO
TEXT
}

become_root() {
    [ "$(id -u)" -ne 0 ] || return 0
    command -v sudo >/dev/null 2>&1 || die "this needs root, and there is no sudo: run it as root"
    echo "This needs root to install packages and to protect files: asking sudo."
    exec sudo -- "$ROOT/installer/quickstart.sh" "$@"
}

parse_options() {
    STOP=false
    DEMO_SIGNATURES=false
    for option in "$@"; do
        case $option in
        --stop) STOP=true ;;
        --demo-signatures) DEMO_SIGNATURES=true ;;
        --help | -h)
            usage
            exit 0
            ;;
        *)
            echo "quickstart: unknown option '$option'" >&2
            usage >&2
            exit 2
            ;;
        esac
    done
}

main() {
    ROOT=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
    BUILD=$ROOT/build/quickstart
    BUILD_LOG=$ROOT/build/quickstart.log
    case $ROOT$DEMO in *[\"\\]*) die "the path of the clone or demo holds a quote or backslash" ;; esac
    parse_options "$@"
    become_root "$@"
    if [ "$STOP" = true ]; then
        stop_demo
        return
    fi
    # shellcheck source=installer/dependencies.sh
    . "$ROOT/installer/dependencies.sh"
    mkdir -p "$ROOT/build"
    : >"$BUILD_LOG"
    stop_one agent
    stop_one console
    remove_demo
    install_build_packages
    build
    choose_signatures
    make_demo
    start_console
    prepare_console
    start_agent
    join_console
    drop_test_file
    show_what_happened
    show_in_console
    new_password
    say_how_to_go_on
    printf '\nYagura caught the EICAR test file: detected, quarantined, recorded, known to the console.\n'
}

main "$@"
