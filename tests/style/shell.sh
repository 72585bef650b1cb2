#!/bin/sh
# every shell script is POSIX sh, and shellcheck has nothing to say about it
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

shell_scripts() {
    files | while IFS= read -r path; do
        case $path in
        *.sh) echo "$path" ;;
        *.*) ;;
        *) ! head -n 1 "$path" | grep -aq '^#!.*sh$' || echo "$path" ;;
        esac
    done
}

need shellcheck "shell scripts are clean"
for script in $(shell_scripts); do
    empty "shellcheck $script" "$(shellcheck -x -P SCRIPTDIR -P . "$script" 2>&1 || true)"
done
# shellcheck disable=SC2046
empty "scripts are POSIX sh" "$(grep -lE '^#!.*(bash|zsh|ksh)' $(shell_scripts) /dev/null || true)"
finish
