/* Starting our programs: fork + exec with fixed descriptors and nothing else. */
#ifndef COMMON_SANDBOX_SPAWN_H
#define COMMON_SANDBOX_SPAWN_H

#include "common/attributes.h"

#include <sys/types.h>

/* Runs path with argv (argv[0] included, NULL at the end). The child gets standard input from
 * /dev/null, standard output and error as ours, and fds[i] at number 3 + i; every other descriptor
 * is closed. Its environment holds PATH, LANG, TZ and JOURNAL_STREAM only; signals are reset and
 * unblocked; it dies with the parent thread's process (PR_SET_PDEATHSIG). ret_pidfd may be NULL.
 * -errno, also of a failed exec. */
int spawn_program(const char *path, char *const argv[], const int *fds, size_t fd_count,
                  pid_t *ret_pid, int *ret_pidfd) MUST_USE;
/* The same, with the child's standard output and error going to output_fd. */
int spawn_program_into(const char *path, char *const argv[], int output_fd, pid_t *ret_pid,
                       int *ret_pidfd) MUST_USE;

/* From now on observer(user, path, pid) is called for each child of the two above, in the parent,
 * as soon as it exists and before it is known to run; NULL: no more. Set while nobody spawns. */
typedef void spawn_observer(void *user, const char *path, pid_t pid);
void spawn_observe(spawn_observer *observer, void *user);

#endif
