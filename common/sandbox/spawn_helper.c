/* posix_spawn with descriptors in their places. */
#include "common/sandbox/spawn_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>

#define FIRST_FD      3
#define FIRST_FREE_FD (FIRST_FD + SPAWN_HELPER_FDS)

/* Copies above the numbers that the child uses, so that none is overwritten before it is moved. */
static int add_fds(posix_spawn_file_actions_t *actions, const int *fds, size_t fd_count,
                   int copies[static SPAWN_HELPER_FDS])
{
    int r = 0;

    for (size_t i = 0; i < fd_count && r == 0; i++) {
        copies[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
        r = copies[i] < 0
                ? -errno
                : -posix_spawn_file_actions_adddup2(actions, copies[i], FIRST_FD + (int)i);
    }
    return r;
}

int spawn_helper(char *const *argv, char *const *environment, const int *fds, size_t fd_count,
                 pid_t *ret_pid)
{
    int copies[SPAWN_HELPER_FDS] = {-1, -1, -1, -1};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;

    *ret_pid = 0;
    if (fd_count > SPAWN_HELPER_FDS)
        return -EINVAL;
    (void)sigemptyset(&none);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawnattr_init(&attributes);
    (void)posix_spawnattr_setsigmask(&attributes, &none);
    (void)posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    int r = add_fds(&actions, fds, fd_count, copies);
    if (r == 0)
        r = -posix_spawn(ret_pid, argv[0], &actions, &attributes, argv, environment);
    if (r < 0)
        *ret_pid = 0;
    for (size_t i = 0; i < fd_count; i++)
        if (copies[i] >= 0)
            (void)close(copies[i]);
    (void)posix_spawnattr_destroy(&attributes);
    (void)posix_spawn_file_actions_destroy(&actions);
    return r;
}
