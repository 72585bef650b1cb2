/* Whether libclamav takes signature files, asked of a loader that ends afterwards: the caller
 * parses nothing. Thread-safe: no state; waits. */
#ifndef SCANNER_CLIENT_LOAD_CHECK_H
#define SCANNER_CLIENT_LOAD_CHECK_H

#include "common/attributes.h"

#include <stddef.h>
#include <stdint.h>

#define LOAD_CHECK_PROBLEM_BYTES 512

struct load_check {
    const char *program;             /* path of yagura-scanner */
    const char *database;            /* folder with nothing but the files in question */
    const char *temporary_directory; /* ours; a folder below it is the loader's meanwhile */
    uint64_t timeout_ns;
};

/* 0: all of it was loaded, and nothing was complained of. -EINVAL: refused, and ret_problem says in
 * libclamav's words which file, line and why. Else the check itself failed: -ENOENT there is no
 * such program, -ETIMEDOUT, -errno; ret_problem says it. ret_signatures: how many were loaded; may
 * be NULL. */
int load_check(const struct load_check *check, uint64_t *ret_signatures,
               char ret_problem[static LOAD_CHECK_PROBLEM_BYTES]) MUST_USE;

#endif
