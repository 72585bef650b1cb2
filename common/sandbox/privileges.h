/* Giving up what a process does not need. Each function is one technique; programs call them in
 * their own visible order. All return 0 or -errno, -ENOSYS/-EOPNOTSUPP where the kernel lacks it:
 * the caller decides, and says which level it reached. Single-threaded processes only. */
#ifndef COMMON_SANDBOX_PRIVILEGES_H
#define COMMON_SANDBOX_PRIVILEGES_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* New mount and network namespaces; mounts made later are not seen outside. Without root a
 * user namespace, in which we stay who we are, makes it possible where the host allows that. */
int privileges_unshare(void) MUST_USE;
/* A private tmpfs on directory (after privileges_unshare), owned by owner, mode 0700. */
int privileges_mount_private_tmpfs(const char *directory, uint64_t bytes, uint64_t inodes,
                                   uid_t owner) MUST_USE;
/* Sets group, no supplementary groups, user, and drops all capabilities and the bounding set. As
 * root to root only the capabilities go. PR_SET_PDEATHSIG is lost by this (prctl(2)); set it again.
 */
int privileges_drop_to(uid_t uid, gid_t gid) MUST_USE;
/* The same, but keeps one capability (CAP_*) permitted and effective, when we have it. Give it up
 * with privileges_drop_capabilities. */
int privileges_drop_to_keeping(uid_t uid, gid_t gid, unsigned capability) MUST_USE;
int privileges_drop_capabilities(void) MUST_USE;
int privileges_no_new(void) MUST_USE;

/* Landlock: after this only the given directories and files can be used, each read-only or for
 * temporary files (read, write, make and remove regular files, directories and symbolic links);
 * with a newer kernel also no TCP, no signals and no abstract sockets to the outside. Paths that do
 * not exist are left out. Needs privileges_no_new (or CAP_SYS_ADMIN). */
struct privileges_path {
    const char *path;
    bool writable;
};
int privileges_landlock(const struct privileges_path *paths, size_t count) MUST_USE;
/* The same for a program whose work is the network: TCP stays. */
int privileges_landlock_online(const struct privileges_path *paths, size_t count) MUST_USE;

/* seccomp allow-list by system call name; anything else kills the process. With debug, SIGSYS names
 * the denied call on standard error before the process dies of it (write must be allowed). Unknown
 * names on this architecture are skipped. */
int privileges_seccomp(const char *const *calls, size_t count, bool debug) MUST_USE;

#endif
