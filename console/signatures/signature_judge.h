/* Whether a list of signatures, or a file for the mirror, is one that scanners will load. The
 * console parses none of it: yagura-scanner does, which ends afterwards. One at a time. Waits. */
#ifndef CONSOLE_SIGNATURES_SIGNATURE_JUDGE_H
#define CONSOLE_SIGNATURES_SIGNATURE_JUDGE_H

#include "common/attributes.h"

#include <stddef.h>

#define SIGNATURE_PROBLEM_BYTES 512

struct signature_judge {
    const char *program;           /* path of yagura-scanner */
    const char *scratch_directory; /* ours */
};

/* A list's text under its type. 0 and how many entries it has; -EINVAL refused, with the reason
 * (line first, where it is known); -EAGAIN others wait already; -ENOENT there is no yagura-scanner;
 * -errno. */
int signature_judge_text(const struct signature_judge *judge, const char *type, const char *text,
                         size_t *ret_entries,
                         char ret_problem[static SIGNATURE_PROBLEM_BYTES]) MUST_USE;
/* A folder with the files in question, where a base list is added. Of .cvd files the signature is
 * checked, without loading them: that takes more memory than a console may have. As above. */
int signature_judge_files(const struct signature_judge *judge, const char *folder,
                          char ret_problem[static SIGNATURE_PROBLEM_BYTES]) MUST_USE;

#endif
