#!/bin/sh
# the built programs carry the hardening that cmake/yagura_compiler.cmake asks for
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

need readelf "hardening of the programs"
bin=${YAGURA_BIN:-build/release-hardened/bin}
programs=$(find "$bin" -maxdepth 1 -type f -name 'yagura*' -perm -u+x 2>/dev/null | sort |
    while IFS= read -r program; do
        [ "$(head -c 2 "$program")" = '#!' ] || printf '%s\n' "$program" # scripts have none
    done)
[ -n "$programs" ] || skip "hardening of the programs" "none is built in $bin"

# has PROGRAM WHAT PATTERN READELF-OPTION...
has() {
    program=$1 what=$2 pattern=$3
    shift 3
    if readelf -W "$@" "$program" | grep -qE "$pattern"; then
        pass "${program##*/}: $what"
    else
        fail "${program##*/}: $what" "readelf $* shows no /$pattern/"
    fi
}

# The property note of a program is no measure: it is missing when one object lacks it, and Debian's
# crt1.o does. Our own code is marked when nearly every function begins with a landing pad.
has_branch_marks() {
    case $(readelf -hW "$1" | sed -n 's/.*Machine: *//p') in
    *X86-64*) pad='endbr64' ;;
    *AArch64*) pad='bti|paciasp' ;;
    *) return 0 ;;
    esac
    functions=$(readelf -sW "$1" | awk '$4 == "FUNC" && $7 != "UND" && $3 > 0' | wc -l)
    marks=$(objdump -d --no-show-raw-insn -j .text "$1" | grep -cE "[[:space:]]($pad)([[:space:]]|\$)" || true)
    if [ "$functions" -gt 0 ] && [ "$marks" -ge $((functions / 2)) ]; then
        pass "${1##*/}: branch protection"
    else
        fail "${1##*/}: branch protection" "$marks landing pads for $functions functions"
    fi
}

# Most functions of a static program are the C library's, which has no landing pads.
is_static() {
    ! readelf -lW "$1" | grep -q 'INTERP'
}

for program in $programs; do
    has "$program" "position-independent" 'Type: +DYN' -h
    has "$program" "RELRO" 'GNU_RELRO' -l
    has "$program" "no executable stack" 'GNU_STACK.* RW ' -l
    if is_static "$program"; then
        has "$program" "stack protector" '__stack_chk_fail' -s
        has "$program" "fortified calls" '__[a-z]+_chk(@|$)' -s
    else
        has "$program" "immediate binding" '\((FLAGS|FLAGS_1|BIND_NOW)\).*(BIND_NOW|NOW)' -d
        has "$program" "stack protector" '__stack_chk_fail' --dyn-syms
        has "$program" "fortified calls" '__[a-z]+_chk(@|$)' --dyn-syms
        has_branch_marks "$program"
    fi
    empty "${program##*/}: no search path of libraries" "$(readelf -dW "$program" | grep -E 'RPATH|RUNPATH' || true)"
    empty "${program##*/}: no writable and executable segment" "$(readelf -lW "$program" | grep -E 'LOAD.* RWE ' || true)"
done
finish
