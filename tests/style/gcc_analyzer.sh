#!/bin/sh
# gcc -fanalyzer has nothing to say about what runs as root beside strangers' files, but what tests/style/gcc_analyzer.txt explains
# --all: looks at every program; much of what it says then nobody has looked at yet.
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

COMMANDS=build/release-hardened/compile_commands.json

# command_of FILE: how the hardened build compiles it, without an output.
command_of() {
    grep -F "/$1\"" "$COMMANDS" -B 2 | sed -n 's/^ *"command": "\(.*\)",$/\1/p' | head -n 1 |
        sed -e 's/\\\(.\)/\1/g' -e 's,^[^ ]*ccache ,,' -e 's, -o [^ ]*,,'
}

look() {
    said=$(cd build/release-hardened && eval "timeout 600 $command -Wno-error -fanalyzer -S -o /dev/null \
        -fdiagnostics-plain-output -fdiagnostics-path-format=none" 2>&1) || {
        printf '%s:1: gcc -fanalyzer did not end well: %s\n' "$1" "$(printf '%s' "$said" | tail -n 1)"
        return 1
    }
    printf '%s\n' "$said" | sed -n "s,^\($ROOT/\|\.\./\.\./\)\{0\,1\}\(.*\): warning: \(.*-Wanalyzer.*\),\2: \3,p" | sort -u
}

if [ "${1:-}" = --one ]; then
    command=$(command_of "$2")
    remembered gcc_analyzer "$2" "$(printf '%s\n' "$command" | sed "s,$ROOT,,g" && cat "$SELF" && cc --version)" look "$2"
    exit
fi
need cc "gcc -fanalyzer"
if [ ! -f "$COMMANDS" ]; then
    skip "gcc -fanalyzer" "no build/release-hardened"
    exit 0
fi
wanted='^(agent/(application_control|control|delivery|guard|health|inspector|integrity)/)'
[ "${1:-}" != --all ] || wanted='^(agent|application|common|console|scanner|storage)/'
list=$(files '*.c' | grep -vE '^(tests/|console/web/vendor/)' | grep -E "$wanted" | while IFS= read -r source; do
    ! grep -qF "/$source\"" "$COMMANDS" || printf '%s\n' "$source"
done)
judge_each gcc_analyzer "gcc -fanalyzer" "$list"
finish
