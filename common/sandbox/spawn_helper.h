/* Starting a helper out of a process with threads, whose helpers belong to the process and not to
 * the thread that happens to start them. */
#ifndef COMMON_SANDBOX_SPAWN_HELPER_H
#define COMMON_SANDBOX_SPAWN_HELPER_H

#include "common/attributes.h"

#include <sys/types.h>

#define SPAWN_HELPER_FDS 4

/* Runs argv[0] with argv and environment, both ended by NULL. The child gets fds[i] at number 3 +
 * i, standard input, output and error as ours, no blocked signal; whatever else is open must be
 * close-on-exec. It is not killed with us: it has to end when its descriptors say so. -errno, also
 * of a failed exec. */
int spawn_helper(char *const *argv, char *const *environment, const int *fds, size_t fd_count,
                 pid_t *ret_pid) MUST_USE;

#endif
