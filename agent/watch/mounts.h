/* The mounts of our namespace, from /proc/self/mountinfo, so that a walk knows what it is about to
 * enter without touching it: a dead network server or a hostile FUSE daemon can block whoever
 * touches its tree. Source: proc(5), Documentation/filesystems/proc.rst 3.5.
 *
 * A table is immutable but for the told marks, which the watch's lock guards. */
#ifndef AGENT_WATCH_MOUNTS_H
#define AGENT_WATCH_MOUNTS_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mount_class {
    MOUNT_LOCAL,  /* inotify tells everything */
    MOUNT_PSEUDO, /* the kernel's own view of itself: never entered */
    MOUNT_REMOTE, /* network or FUSE: changes elsewhere are not told, touching it may block */
};

struct mount_entry {
    uint64_t id;
    uint64_t device; /* of its file system, as makedev(3) says it; 0: unknown */
    size_t line;     /* of mountinfo */
    char *path;      /* where it is mounted, octal escapes undone */
    size_t path_length;
    char *type;
    enum mount_class class;
    bool told; /* that it is not watched */
};

struct mounts {
    struct mount_entry *entries; /* by path, then line; the last of equal paths lies on top */
    size_t count;
};

enum mount_class mount_classify(const char *type);

/* text is changed. Lines that cannot be read are left out. -ENOMEM. */
int mounts_parse(char *text, struct mounts **ret_mounts) MUST_USE;
/* Reads fd (/proc/self/mountinfo) from its beginning. */
int mounts_read(int fd, struct mounts **ret_mounts) MUST_USE;
struct mounts *mounts_free(struct mounts *mounts);

/* What is mounted at exactly this path; NULL: nothing. */
struct mount_entry *mounts_at(const struct mounts *mounts, const char *path, size_t length);
/* What path lies on. */
struct mount_entry *mounts_covering(const struct mounts *mounts, const char *path, size_t length);

/* Calls changed(user, path) once for each path at which something was mounted or unmounted between
 * the two tables; copies the told marks. */
void mounts_compare(const struct mounts *before, const struct mounts *after,
                    void (*changed)(void *user, const char *path, size_t length), void *user);

#endif
