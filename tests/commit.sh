#!/bin/sh
# Prints what a record was made of, for its page: "commit 1a2b3c4", with "-dirty" when files differ from it.
set -eu

printf 'commit %s\n' "$(git -C "$(dirname "$0")" describe --always --dirty --exclude '*' 2>/dev/null || echo 'unknown')"
