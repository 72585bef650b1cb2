#!/bin/sh
# no way around common/banned.h, no calls that only wrappers may make
set -eu
# shellcheck source=tests/style/tap.sh
. "$(dirname "$0")/tap.sh"

# Product code: C outside tests and of no third party.
product_files() {
    files '*.c' '*.h' | grep -vE '^(tests/|console/web/vendor/|common/banned\.h$)'
}

# shellcheck disable=SC2046  # no blanks in our file names: see files.sh
code=$(code_of $(product_files) /dev/null)

# calls NAMES EXCEPT: lines of product code that call one of the functions, outside the excepted folders.
calls() {
    printf '%s\n' "$code" | grep -vE "^($2)" |
        grep -E "^[^:]*:[0-9]*:(.*[^A-Za-z0-9_>.])?($1)[[:space:]]*\\(" || true
}

empty "no banned functions" "$(calls 'strcpy|strcat|strncpy|strncat|sprintf|vsprintf|gets|strtok|strtok_r|atoi|atol|atoll|atof|system|popen|mktemp|tmpnam|alloca|rand|srand|vfork|asctime|ctime|gmtime|localtime|strerror|readdir_r|wordexp|execlp|execvp' 'application/preload/')"
empty "nobody takes a ban back" "$(product_files | xargs grep -nE '#[[:space:]]*undef[[:space:]]+(strcpy|strcat|strncpy|strncat|sprintf|vsprintf|strtok|ato[ilf]|system|popen)' /dev/null || true)"
empty "only wrappers open files by name" "$(calls 'open|open64|openat|openat64|creat|fopen|fopen64|freopen|opendir|openat2' 'common/(files|sandbox|log)/|application/preload/')"
empty "only wrappers start programs" "$(calls 'fork|execve|execv|execvpe|fexecve|execveat|execl|execle|posix_spawn|posix_spawnp' 'common/sandbox/|scanner/|application/(wrapper|preload)/')"
empty "numbers are parsed by common/text" "$(calls 'strtol|strtoul|strtoll|strtoull|strtod|sscanf|scanf|fscanf' 'common/(text|json)/')"
empty "no warning is silenced in product code" "$(product_files | xargs grep -nE '#[[:space:]]*pragma[[:space:]]+(GCC|clang)[[:space:]]+diagnostic' /dev/null || true)"
# What a database that speaks PostgreSQL's protocol, or a pool before one, does otherwise or not at all. One trigger is SQLite's only.
empty "the console's SQL does without triggers, LISTEN and advisory locks" "$(files 'console/*.c' 'console/*.h' | xargs grep -nE '"[^"]*\<(TRIGGER|LISTEN|UNLISTEN|NOTIFY|pg_[a-z_]*advisory_[a-z_]*)\>' /dev/null | grep -v 'CREATE TRIGGER index_events_removed' || true)"
finish
