#!/bin/sh
# the checks themselves find what they are for, in a tree that is wrong in every way
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

# put PATH LINE...
put() {
    mkdir -p "$tree/$(dirname "$1")"
    path=$tree/$1
    shift
    printf '%s\n' "$@" >>"$path"
}

make_wrong_tree() {
    put common/banned.h '/* empty */'
    put common/a/a.c '#include "agent/a.h"' '#include "common/a/a.h"'
    put scanner/client/c.c '#include "scanner/worker.h"' '#include <clamav.h>'
    put scanner/w.c '#include "agent/a.h"'
    put agent/a.c '#include "scanner/worker.h"' '#include <curl/curl.h>' 'int f(void) { return clock_gettime(0, 0); }'
    put agent/b.c 'void g(void) { strcpy(a, b); }' 'int h = open("x", 0);' 'long n = strtol("1", 0, 10);' 'int p = fork();'
    put agent/c.c '#undef system' '#pragma GCC diagnostic ignored "-Wall"' '/* open( strcpy( */ // fork('
    put agent/d.c 'const char *s = "strcpy( open( fork(";' 'int ok = file_open(1);'
    put agent/h.h 'struct x { size_t y; };'
    put agent/CMakeLists.txt 'link(PkgConfig::LIBCLAMAV)'
    put console/c.c '#include "agent/a.h"' 'const char *sql = "SELECT pg_try_advisory_lock(7)";'
    put storage/s.c '#include "console/c.h"'
    put application/p.c '#include "storage/s.h"'
    put README.md 'names common/ only'
    put common/README.md 'nothing'
    put agent/control/n.c 'int n(void);' 'int n(void)' '{' '    int *p = 0;' '    return *p;' '}'
    put build/release-hardened/compile_commands.json '{' ' "command": "cc -o n.o -c ../../agent/control/n.c",' " \"file\": \"$tree/agent/control/n.c\"" '}'
    # shellcheck disable=SC2016  # broken on purpose
    put tool.sh '#!/bin/bash' 'echo $1'
    put docs/x.md 'see /home/somebody/x, blank at the end '
    printf 'no newline' >"$tree/docs/y.md"
    printf 'carriage\r\nreturn\n' >"$tree/docs/z.md"
    printf 'bidi \342\200\256 control\n' >"$tree/docs/b.md"
    printf '\tint tab;\n' >"$tree/agent/t.c"
    put docs/key.txt 'AKIAABCDEFGHIJKLMNOP'
    : >"$tree/docs/odd name.txt"
    put packaging/man/p.8 '.TH p 8' '.BOGUS x'
    put packaging/systemd/bad.service '# Exposure: 100' '[Service]' 'ExecStart=/bin/true' 'User=root'
    put packaging/CMakeLists.txt 'yagura_program(lonely DIRECTORY bin)'
}

# A program without anything that cmake/yagura_compiler.cmake asks for.
make_bare_program() {
    mkdir -p "$tree/build/release-hardened/bin"
    case $(uname -m) in
    x86_64) no_pads=-fcf-protection=none ;;
    aarch64) no_pads=-mbranch-protection=none ;;
    *) no_pads=-w ;;
    esac
    printf '%s\n' '#include <stdio.h>' '#include <string.h>' \
        'int a(int n) { return n + 1; }' 'int b(int n) { return n + 2; }' 'int c(int n) { return n + 3; }' \
        'int d(int n) { return n + 4; }' 'int e(int n) { return n + 5; }' 'int f(int n) { return n + 6; }' \
        'int g(int n) { return n + 7; }' 'int h(int n) { return n + 8; }' 'int i(int n) { return n + 9; }' \
        'int main(int n, char **v) { char a[64]; strncpy(a, v[n - 1], 64); return puts(a); }' |
        cc -x c -O2 -w -U_FORTIFY_SOURCE -no-pie -fno-stack-protector "$no_pads" -Wl,-z,norelro,-z,lazy \
            -Wl,-z,execstack,-rpath,/lib -o "$tree/build/release-hardened/bin/yagura-bare" -
}

# finds CHECK TEST...: CHECK fails each of these tests on the wrong tree.
finds() {
    check=$1
    shift
    said=$(YAGURA_STYLE_ROOT=$tree sh "tests/style/$check.sh" 2>&1 || true)
    for test in "$@"; do
        case $said in
        *"not ok - $test"*) pass "$check finds: $test" ;;
        *"ok - $test # SKIP"*) skip "$check finds: $test" "the check was skipped" ;;
        *) fail "$check finds: $test" "$said" ;;
        esac
    done
}

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
make_wrong_tree
finds layers "common uses only common" "scanner uses common and scanner" \
    "scanner/client uses common and itself" "agent uses common, agent, scanner/client" \
    "console uses common, console, agent/policy" "storage uses common, storage, scanner/client" \
    "application uses common and application" "only scanner includes clamav.h" \
    "of the agent only the messenger touches the network" "only common/time reads the clock" \
    "only scanner/CMakeLists.txt and cmake/ name libclamav"
finds banned "no banned functions" "nobody takes a ban back" "only wrappers open files by name" \
    "only wrappers start programs" "numbers are parsed by common/text" \
    "no warning is silenced in product code" \
    "the console's SQL does without triggers, LISTEN and advisory locks"
empty "banned passes over comments, strings and longer names" \
    "$(YAGURA_STYLE_ROOT=$tree sh tests/style/banned.sh 2>&1 | grep -E 'agent/(c|d)\.c:[0-9]+:.*(open|strcpy|fork)' || true)"
finds readmes "folders have a README.md" "folders are named in their parent's README.md"
finds headers "headers are self-contained" "include guards are named by path"
finds files "names of files are plain" "files end with a newline" "no carriage returns" \
    "no trailing blanks" "no tabs in C and shell" "no bidirectional controls" \
    "scripts with a first line are executable"
finds workplace "no paths of a developer's machine" "no private addresses or secrets"
finds shell "shellcheck tool.sh" "scripts are POSIX sh"
finds format "C files are formatted"
finds manual_pages "groff packaging/man/p.8" "lonely has a man page"
finds cppcheck "cppcheck agent/control/n.c"
finds gcc_analyzer "gcc -fanalyzer agent/control/n.c"
finds units "exposure of bad.service"
make_bare_program
finds hardening "yagura-bare: position-independent" "yagura-bare: RELRO" "yagura-bare: no executable stack" \
    "yagura-bare: immediate binding" "yagura-bare: stack protector" "yagura-bare: fortified calls" \
    "yagura-bare: branch protection" "yagura-bare: no search path of libraries"
finish
