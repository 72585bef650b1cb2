/* Walks a tree by directory descriptors: no symbolic link is followed, no pseudo file system
 * entered, a directory swapped under the walk leads nowhere else. Deep trees need no more than
 * TREE_WALK_FDS descriptors, wide ones no more than TREE_WALK_NAMES_BYTES for names: a directory
 * that holds more subdirectories is read in parts. One thread a walk; its file systems may block
 * it. */
#ifndef AGENT_SCAN_TREE_WALK_H
#define AGENT_SCAN_TREE_WALK_H

#include "agent/scan/mount_classes.h"
#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

enum { TREE_WALK_FDS = 64, TREE_WALK_NAMES_BYTES = 8 * 1024 * 1024 };

struct tree_walk_file {
    int directory_fd; /* open during the call */
    const char *name;
    const char *path; /* absolute, raw */
    size_t path_length;
    const struct stat *status; /* regular, but for other() */
};

struct tree_walk_visitor {
    /* Asked for every directory below the root. False: do not enter it. No slash at its end. */
    bool (*enters)(void *user, const char *path, size_t length);
    /* < 0 ends the walk with this result. */
    int (*file)(void *user, const struct tree_walk_file *file);
    /* Anything else below the root: links, devices, and directories, entered or not, but for those
     * that something is mounted on. As file. NULL: they are not looked at. */
    int (*other)(void *user, const struct tree_walk_file *file);
    /* Something could not be read or is too deep: -errno. ENOENT is not told: it vanished. */
    void (*problem)(void *user, const char *path, size_t length, int error);
    /* A mount that was not entered: pseudo, or remote below a local root. */
    void (*skipped)(void *user, const char *path, enum mount_class kind);
    /* Asked at every directory; < 0 ends the walk with this result. */
    int (*checks)(void *user);
};

/* root: absolute path of a directory or a regular file; anything else is a problem. 0, what a
 * visitor said, or -ENOMEM. -ENOENT: the root itself is missing. */
int tree_walk(const char *root, bool recursive, struct mount_classes *mounts,
              const struct tree_walk_visitor *visitor, void *user) MUST_USE;

#endif
