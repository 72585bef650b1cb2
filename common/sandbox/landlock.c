/* Landlock: which paths a process may still use.
 *
 * Owns: the mapping from "read-only" and "temporary" to Landlock's rights, for every version of the
 * kernel's interface. Must not own: the list of paths. */
#include "common/sandbox/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Rights younger than the headers of Debian 12, from linux/landlock.h of 6.12. */
#define RIGHT_TRUNCATE  (1ULL << 14) /* version 3 */
#define RIGHT_IOCTL_DEV (1ULL << 15) /* version 5 */
#define NET_BIND_TCP    (1ULL << 0)  /* version 4 */
#define NET_CONNECT_TCP (1ULL << 1)
#define SCOPE_ABSTRACT  (1ULL << 0) /* version 6 */
#define SCOPE_SIGNAL    (1ULL << 1)

#define READ_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FILE_RIGHTS (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | RIGHT_TRUNCATE)
#define WRITE_RIGHTS                                                                              \
    (READ_RIGHTS | FILE_RIGHTS | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM)

/* struct landlock_ruleset_attr as of version 6; older kernels take the beginning of it. */
struct ruleset_attributes {
    uint64_t fs;
    uint64_t net;
    uint64_t scoped;
};

static struct ruleset_attributes rights_of_version(long version, size_t *ret_size)
{
    struct ruleset_attributes handled = {.fs = (1ULL << 13) - 1}; /* version 1 */
    *ret_size = sizeof(handled.fs);
    if (version >= 2)
        handled.fs |= LANDLOCK_ACCESS_FS_REFER;
    if (version >= 3)
        handled.fs |= RIGHT_TRUNCATE;
    if (version >= 4) {
        handled.net = NET_BIND_TCP | NET_CONNECT_TCP;
        *ret_size = sizeof(handled.fs) + sizeof(handled.net);
    }
    if (version >= 5)
        handled.fs |= RIGHT_IOCTL_DEV;
    if (version >= 6) {
        handled.scoped = SCOPE_ABSTRACT | SCOPE_SIGNAL;
        *ret_size = sizeof(handled);
    }
    return handled;
}

static int allow_path(int ruleset, uint64_t handled, const struct privileges_path *path)
{
    AUTO_CLOSE int fd = open(path->path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    uint64_t rights = path->writable ? WRITE_RIGHTS : READ_RIGHTS;
    if (!S_ISDIR(status.st_mode))
        rights &= FILE_RIGHTS;
    struct landlock_path_beneath_attr rule = {.allowed_access = rights & handled, .parent_fd = fd};
    return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
               ? -errno
               : 0;
}

static int restrict_to(const struct privileges_path *paths, size_t count, bool network)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 0)
        return -errno;
    size_t size;
    struct ruleset_attributes handled = rights_of_version(version, &size);
    if (network)
        handled.net = 0;
    AUTO_CLOSE int ruleset = (int)syscall(SYS_landlock_create_ruleset, &handled, size, 0);
    if (ruleset < 0)
        return -errno;
    for (size_t i = 0; i < count; i++) {
        int result = allow_path(ruleset, handled.fs, &paths[i]);
        if (result < 0)
            return result;
    }
    return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}

int privileges_landlock(const struct privileges_path *paths, size_t count)
{
    return restrict_to(paths, count, false);
}

int privileges_landlock_online(const struct privileges_path *paths, size_t count)
{
    return restrict_to(paths, count, true);
}
