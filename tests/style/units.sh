#!/bin/sh
# systemd accepts the units, and their exposure stays below what stands here for each
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

need systemd-analyze "systemd units"
units=$(files 'packaging/systemd/*.service' 'packaging/systemd/*.service.in')
[ -n "$units" ] || skip "systemd units" "there are none"

# most_exposed UNIT: tenths, as systemd-analyze counts. The agent acts on the host's own tree (its unit says what that
# costs); all others hold to what the console does.
most_exposed() {
    case $1 in
    yagura-agent.service) echo 45 ;; # one tenth of it for setpriority
    *) echo 15 ;;
    esac
}

private=$(mktemp -d)
trap 'rm -rf "$private"' EXIT
for unit in $units; do
    name=$(basename "${unit%.in}")
    # systemd-analyze verify wants the programs to be there.
    sed -e 's,@[A-Z_]*BINDIR@,/bin,g; s,@[A-Z_]*LIBEXECDIR@,/bin,g; s,@[A-Za-z_]*@,/bin,g' \
        -e 's,^\(Exec[A-Za-z]*=[-+!@:]*\)/[^ ]*,\1/bin/true,' "$unit" >"$private/$name"
    empty "systemd-analyze verify $name" "$(systemd-analyze verify "$private/$name" 2>&1 |
        grep -F "$name" | grep -vE "is not executable|Cannot add dependency|Command 'man " || true)"
    threshold=$(most_exposed "$name")
    if said=$(systemd-analyze security --offline=true --no-pager --threshold="$threshold" "$private/$name" 2>&1); then
        pass "exposure of $name: $(printf '%s\n' "$said" | tail -n 1 | sed 's/.*: *\([0-9.]*\).*/\1/') (at most $threshold tenths)"
    else
        fail "exposure of $name" "$(printf '%s\n' "$said" | tail -n 1)"
    fi
done
finish
