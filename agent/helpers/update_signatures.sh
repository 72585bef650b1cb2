#!/bin/sh
# Has freshclam fetch signatures, where it fills one of the agent's folders. yagura-agent runs it when
# the console asks for update_signatures; the arguments are the folders of agent.conf.
#
#   yagura-update-signatures FOLDER...
#
# Exit: 0 freshclam found all up to date or fetched what was new, 3 freshclam is not used here,
# otherwise what freshclam said.
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH

# The value of a key in freshclam's configuration; its last line wins.
setting() {
    sed -n "s/^[[:space:]]*$2[[:space:]]\{1,\}//p" "$1" | sed -e 's/[[:space:]]*$//' -e 's/^"\(.*\)"$/\1/' | tail -n 1
}

fills_one_of() {
    filled=${1%/}
    shift
    for folder in "$@"; do
        [ "$filled" != "${folder%/}" ] || return 0
    done
    return 1
}

main() {
    for configuration in /etc/clamav/freshclam.conf /etc/freshclam.conf; do
        [ ! -r "$configuration" ] || break
    done
    if ! command -v freshclam >/dev/null || [ ! -r "$configuration" ]; then
        echo "freshclam is not set up on this host: signatures are what stands in $*"
        exit 3
    fi
    filled=$(setting "$configuration" DatabaseDirectory)
    filled=${filled:-/var/lib/clamav}
    if ! fills_one_of "$filled" "$@"; then
        echo "freshclam fills $filled, and this agent loads $*"
        exit 3
    fi
    # A log of its own: freshclam's daemon holds the configured one locked.
    said=$(mktemp)
    trap 'rm -f "$said"' EXIT
    status=0
    timeout -k 10 840 freshclam --stdout --no-warnings --config-file="$configuration" --log=/dev/null \
        >"$said" 2>&1 || status=$?
    tail -c 1500 "$said"
    [ "$status" -ne 124 ] || echo "freshclam did not end within 14 minutes"
    # 1 was "up to date" before 0.102.
    [ "$status" -ne 1 ] || status=0
    exit "$status"
}

main "$@"
