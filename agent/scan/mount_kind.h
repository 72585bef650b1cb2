/* What kind of file system a file or directory is on, told by mountinfo, never by asking the file
 * system itself: a dead server or FUSE daemon cannot hold us. Source: proc_pid_mountinfo(5),
 * statx(2) STATX_MNT_ID. */
#ifndef AGENT_SCAN_MOUNT_KIND_H
#define AGENT_SCAN_MOUNT_KIND_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct mount_kinds;

enum mount_kind {
    MOUNT_LOCAL,  /* only this host changes it: verdicts may be remembered */
    MOUNT_REMOTE, /* network, FUSE, clusters, and whatever we do not know */
    MOUNT_PSEUDO, /* proc, sysfs, cgroups, autofs: nothing to scan, and reading may act */
};

/* The whole table may be used from several threads. */
int mount_kinds_new(struct mount_kinds **ret_kinds) MUST_USE;
struct mount_kinds *mount_kinds_free(struct mount_kinds *kinds);

/* By file system type. */
enum mount_kind mount_kind_of_type(const char *type);
/* Of name below directory_fd ("" and AT_EMPTY_PATH: the descriptor itself), without following
 * links, mounting, or asking a server. ret_status may be NULL. -errno of statx. */
int mount_kind_of(struct mount_kinds *kinds, int directory_fd, const char *name,
                  enum mount_kind *ret_kind, struct statx *ret_status) MUST_USE;
/* Of a mount id told by statx. */
enum mount_kind mount_kind_of_id(struct mount_kinds *kinds, uint64_t mount_id);

#endif
