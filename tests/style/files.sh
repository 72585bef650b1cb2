#!/bin/sh
# text files: plain names, LF, final newline, no tabs or trailing blanks, no bidi controls, no big files
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

text_files() {
    files | grep -vE '^tests/(fuzz/corpus|fixtures)/|/fixtures/|/vendor/|\.(png|jpg|svg|ico|woff2?|bin|db)$' | while IFS= read -r path; do
        [ ! -s "$path" ] || ! LC_ALL=C grep -qI . "$path" || printf '%s\n' "$path"
    done
}

last_bytes() {
    text_files | while IFS= read -r path; do
        [ -z "$(tail -c 1 "$path")" ] || echo "$path has no newline at its end"
    done
}

in_text() {
    text_files | tr '\n' '\0' | xargs -0 grep -nP "$1" /dev/null | cut -c1-160 || true
}

empty "names of files are plain" "$(files | grep -vE '^[A-Za-z0-9._/@+-]+$' | grep -v '^tests/fuzz/corpus/' || true)"
empty "files end with a newline" "$(last_bytes)"
empty "no carriage returns" "$(in_text '\r$')"
empty "no trailing blanks" "$(in_text '[ \t]+$')"
empty "no tabs in C and shell" "$(files '*.c' '*.h' '*.sh' | tr '\n' '\0' | xargs -0 grep -nP '\t' /dev/null || true)"
empty "no bidirectional controls" "$(in_text '[\x{202A}-\x{202E}\x{2066}-\x{2069}]')"
empty "no merge marks" "$(in_text '^(<{7}|>{7}) ')"
empty "no file over 1 MiB" "$(files | while IFS= read -r path; do
    [ "$(wc -c <"$path")" -le 1048576 ] || echo "$path"
done)"
empty "scripts with a first line are executable" "$(files '*.sh' '*.py' | while IFS= read -r path; do
    head -c 2 "$path" | grep -q '#!' || continue
    [ -x "$path" ] || echo "$path"
done)"
finish
