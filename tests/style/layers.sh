#!/bin/sh
# folders include only what docs/architecture.md allows, and only yagura-scanner links libclamav
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

# may_use FOLDER PREFIX...: lists quoted includes of C files in FOLDER that lead elsewhere.
may_use() {
    folder=$1
    shift
    [ -d "$folder" ] || return 0
    pattern=$(printf '%s|' "$@")
    files "$folder/*.c" "$folder/*.h" | while IFS= read -r path; do
        grep -nE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$path" |
            grep -vE "\"(${pattern%|})[/\"]" | sed "s,^,$path:," || true
    done
}

# uses PATTERN ALLOWED: C files with a line that matches, outside the allowed folders.
uses() {
    files '*.c' '*.h' | grep -vE "^($2)" | while IFS= read -r path; do
        grep -nE "$1" "$path" | sed "s,^,$path:," || true
    done
}

empty "common uses only common" "$(may_use common common)"
empty "scanner uses common and scanner" "$(may_use scanner common scanner)"
empty "scanner/client uses common and itself" "$(may_use scanner/client common scanner/client)"
empty "agent uses common, agent, scanner/client" "$(may_use agent common agent scanner/client)"
empty "console uses common, console, agent/policy, one header of scanner/client" "$(
    may_use console common console agent/policy scanner/client/load_check.h
)"
empty "storage uses common, storage, scanner/client" "$(may_use storage common storage scanner/client)"
empty "application uses common and application" "$(may_use application common application)"

include='^[[:space:]]*#[[:space:]]*include[[:space:]]*'
empty "only scanner includes clamav.h" "$(
    uses "$include<clamav" 'scanner/|tests/'
    uses "$include<clamav" 'scanner/[a-z_]*\.[ch]$|tests/|agent/|common/|console/|storage/|application/'
)"
empty "of the agent only the messenger touches the network" "$(
    for folder in agent scanner; do
        files "$folder/*.c" "$folder/*.h" | grep -v '^agent/messenger/' | while IFS= read -r path; do
            grep -nE "$include<(curl/|netdb\.h|netinet/|arpa/inet)|AF_INET|getaddrinfo" "$path" |
                sed "s,^,$path:," || true
        done
    done
)"
empty "only common/time reads the clock" "$(uses '\bclock_gettime *\(|\bgettimeofday *\(|[^_a-z]time *\(NULL\)' 'common/time/|tests/')"
empty "only scanner/CMakeLists.txt and cmake/ name libclamav" "$(
    files 'CMakeLists.txt' '*/CMakeLists.txt' | grep -vE '^(scanner|tests)/' | while IFS= read -r path; do
        grep -niE 'libclamav' "$path" | sed "s,^,$path:," || true
    done
)"

# What the built programs really load.
bin=build/release-hardened/bin
needed_libraries() {
    readelf -dW "$1" 2>/dev/null | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p'
}
if [ -d "$bin" ] && command -v readelf >/dev/null 2>&1; then
    for program in "$bin"/yagura*; do
        [ -f "$program" ] || continue
        name=${program##*/}
        case $name in
        yagura-scanner)
            forbidden='libcurl|libssl|libsqlite3|libmicrohttpd|libpq'
            needed_libraries "$program" | grep -q '^libclamav' || fail "$name links libclamav"
            ;;
        yagura-messenger | yagura-storage | yagura-console | yagura-application-reporter) forbidden='libclamav' ;;
        yagura-agent) forbidden='libclamav|libcurl|libssl|libarchive|libxml2|libz\.|libpcre' ;;
        *) forbidden='libclamav|libcurl|libssl' ;;
        esac
        empty "$name does not load $forbidden" "$(needed_libraries "$program" | grep -E "$forbidden" || true)"
    done
else
    skip "libraries of the programs" "no hardened build"
fi
finish
