/* Giving up what a process does not need. Each function is one technique; programs call them in
 * their own visible order. All return 0 or -errno, -ENOSYS/-EOPNOTSUPP where the kernel lacks it:
 * the caller decides, and says which level it reached. */
#ifndef COMMON_SANDBOX_PRIVILEGES_H
#define COMMON_SANDBOX_PRIVILEGES_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* New mount, network and IPC namespaces. */
int privileges_unshare(void) MUST_USE;
/* A private tmpfs on directory (after privileges_unshare). */
int privileges_mount_private_tmpfs(const char *directory, uint64_t bytes, uint64_t inodes,
                                   uid_t owner) MUST_USE;
/* Sets group, no supplementary groups, user, and drops all capabilities and the bounding set. */
int privileges_drop_to(uid_t uid, gid_t gid) MUST_USE;
int privileges_no_new(void) MUST_USE;

/* Landlock: after this only the given directories can be used, each read-only or for temporary
 * files (read, write, make and remove regular files and directories). */
struct privileges_path {
    const char *path;
    bool writable;
};
int privileges_landlock(const struct privileges_path *paths, size_t count) MUST_USE;

/* seccomp allow-list by system call name; anything else kills the process. With debug, SIGSYS names
 * the denied call on standard error before the process dies. Unknown names on this architecture are
 * skipped. */
int privileges_seccomp(const char *const *calls, size_t count, bool debug) MUST_USE;

#endif
