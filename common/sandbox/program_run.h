/* Runs one of our helper programs to its end. */
#ifndef COMMON_SANDBOX_PROGRAM_RUN_H
#define COMMON_SANDBOX_PROGRAM_RUN_H

#include "common/attributes.h"

#include <stddef.h>
#include <stdint.h>

#define PROGRAM_PATH_BYTES 1024

/* Where name is: in directory, or beside the running program. -ENOENT. */
int program_find(const char *directory, const char *name,
                 char ret_path[static PROGRAM_PATH_BYTES]) MUST_USE;

struct program_run {
    const char *path;
    char *const *argv;
    int output_fd; /* takes its standard output and error */
    int end_fd;    /* readable: it is ended at once */
    uint64_t timeout_ns;
};
/* Its exit status, 128 + number when a signal ended it; -ETIMEDOUT, -ECANCELED: it was killed;
 * -errno: it did not start. */
int program_run(const struct program_run *run) MUST_USE;

/* What a program said as text for a person: escaped but for line ends, cut when it is too long. */
void program_show(const char *bytes, size_t length, char *text, size_t size);
/* The same of the end of what was written to fd, 2 KiB at most. */
void program_read_end(int fd, char *text, size_t size);

#endif
