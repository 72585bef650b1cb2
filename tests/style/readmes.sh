#!/bin/sh
# every folder of the tree has a README.md and is named in its parent's
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

# Folders that hold only data (corpora, fixtures of one test) need no page of their own.
folders() {
    files | sed -n 's,/[^/]*$,,p' | awk -F/ '{ path = ""; for (i = 1; i <= NF; i++) { path = path (i > 1 ? "/" : "") $i; print path } }' |
        sort -u | grep -vE '^\.|/\.|^tests/unit/.|^tests/fuzz/corpus|/(fixtures|data)(/|$)|^installer/demo-signatures$'
}

without_readme() {
    folders | while IFS= read -r folder; do
        [ -s "$folder/README.md" ] || echo "$folder has no README.md"
    done
}

unnamed() {
    folders | while IFS= read -r folder; do
        parent=$(dirname "$folder")
        page=README.md
        [ "$parent" = . ] || page=$parent/README.md
        [ -f "$page" ] || continue
        grep -qE "(^|[^A-Za-z0-9_-])$(basename "$folder")/" "$page" || echo "$page does not name $(basename "$folder")/"
    done
}

empty "folders have a README.md" "$(without_readme)"
empty "folders are named in their parent's README.md" "$(unnamed)"
finish
