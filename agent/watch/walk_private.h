/* Shared by the files that make up the walkers. Not for others. */
#ifndef AGENT_WATCH_WALK_PRIVATE_H
#define AGENT_WATCH_WALK_PRIVATE_H

#include "agent/watch/descriptor_cache.h"
#include "agent/watch/mounts.h"
#include "agent/watch/watch_internal.h"
#include "common/limits.h"

#define LISTING_BYTES ((size_t)32768)
#define PATH_ROOM     (LIMIT_PATH_BYTES + 1)

struct walker {
    struct watch *watch;
    struct descriptor_cache cache;
    struct outbox outbox;
    char *path; /* PATH_ROOM: of the directory, and behind it the name of the entry */
    char *listing;
    size_t path_length; /* of the directory */
};

/* One walk of one directory. */
struct walk {
    struct walk_task task;
    unsigned int flags; /* enum walk_flag: taken from the node */
    uint32_t parent;
    uint16_t parent_generation;
    uint64_t parent_inode;
    uint32_t parent_device;
    size_t name_length; /* the last bytes of the path */
    bool in_scope;
    struct scope *scope;
    int32_t key;
    uint64_t since_ns; /* with WALK_SINCE: times from here on changed */
    bool has_children;
    bool complete; /* the listing was read to its end */
    int fd;
};

/* The record of getdents64(2), which glibc does not declare. */
struct listed {
    uint64_t inode;
    int64_t offset;
    uint16_t length;
    uint8_t type;
    char name[];
};

/* ---- walk_open.c ---- */

/* Says once for each mount why it is not watched. */
void walk_tell_unwatched_mount(struct walker *walker);
/* -ESTALE and the like: it is not what the node was bound to. */
int walk_open_directory(struct walker *walker, const struct walk *walk);
void walk_describe_limit(struct watch *watch, int error);
/* Binds the node to the directory that was opened, and watches it. */
int walk_adopt(struct walker *walker, struct walk *walk);

/* ---- walk_list.c ---- */

/* Lists walk->fd. */
int walk_list(struct walker *walker, struct walk *walk);
/* The next directory on the way to watched paths. */
void walk_meet_way(struct walker *walker, struct walk *walk);
/* Children the whole listing did not show went while nobody watched. */
void walk_sweep(struct walker *walker, struct walk *walk);

#endif
