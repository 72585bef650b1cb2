/* What class of file system a file or directory is on, told by mountinfo, never by asking the file
 * system itself: a dead server or FUSE daemon cannot hold us. Source: statx(2) STATX_MNT_ID.
 * Thread-safe. */
#ifndef AGENT_SCAN_MOUNT_CLASSES_H
#define AGENT_SCAN_MOUNT_CLASSES_H

#include "agent/watch/mounts.h"
#include "common/attributes.h"

#include <stdint.h>
#include <sys/stat.h>

struct mount_classes;

int mount_classes_new(struct mount_classes **ret_classes) MUST_USE;
struct mount_classes *mount_classes_free(struct mount_classes *classes);

/* Of name below directory_fd ("": the descriptor itself), without following links, mounting, or
 * asking a server. ret_status may be NULL. -errno of statx. */
int mount_class_of(struct mount_classes *classes, int directory_fd, const char *name,
                   enum mount_class *ret_class, struct statx *ret_status) MUST_USE;
/* Of a mount id told by statx; one that is not known is remote. */
enum mount_class mount_class_of_id(struct mount_classes *classes, uint64_t mount_id);

#endif
