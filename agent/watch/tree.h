/* The watched directories, as compact as they can be: about 100 bytes each, since there may be
 * hundreds of thousands. A node is a number; it stands for one directory under one path. One kernel
 * watch may stand for several nodes (the same directory under a bind mount, or a moved directory
 * found at its new place before the move was read): all of them are told.
 *
 * Not thread-safe: the watch's lock guards it. No input or output here. */
#ifndef AGENT_WATCH_TREE_H
#define AGENT_WATCH_TREE_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tree_fixed_node {
    TREE_NONE = 0,
    TREE_ROOT = 1,  /* "/" */
    TREE_GRAVE = 2, /* parent of what waits to be forgotten */
    TREE_LIMBO = 3, /* parent of what was moved away and may come back */
};

enum tree_state {
    NODE_USED = 1 << 0,
    NODE_SCOPE = 1 << 1,     /* watched in full; without it only the way to a watched path */
    NODE_QUEUED = 1 << 2,    /* a walk is waiting */
    NODE_WALKING = 1 << 3,   /* a walker works on it: must not be freed */
    NODE_AGAIN = 1 << 4,     /* walk once more when the running walk ends */
    NODE_AFFIRMED = 1 << 5,  /* told to exist while the walk of it runs */
    NODE_UNSEEN = 1 << 6,    /* the running walk of the parent has not met it */
    NODE_UNWATCHED = 1 << 7, /* should be watched, but the budget or an error forbids it */
    NODE_WALKED = 1 << 8,    /* device and inode are known */
    NODE_NAMED = 1 << 9,     /* found by tree_child() */
};

#define TREE_NAME_INLINE 24

struct tree_node {
    uint32_t parent, first_child, next_sibling, previous_sibling;
    int32_t key; /* of the source; -1: none */
    uint32_t next_by_key, next_by_name;
    uint32_t device; /* makedev packed by tree_pack_device() */
    uint64_t inode;
    uint32_t told_seconds; /* realtime of the last event told of it: for the verifying crawl */
    uint16_t state;        /* enum tree_state */
    uint16_t generation;   /* tells a reused number from the one before */
    uint16_t pending;      /* enum walk_flag: what the next walk has to do */
    uint16_t name_length;
    union {
        char near[TREE_NAME_INLINE];
        char *far;
    } name;
};

struct tree {
    struct tree_node **chunks;
    uint32_t chunk_count, used, high, free_list; /* high: numbers ever used */
    uint32_t maximum;
    uint32_t *by_key, *by_name;
    uint32_t bucket_count; /* power of two; of both tables */
    uint64_t seed;
};

/* maximum: most nodes. -ENOMEM. */
int tree_init(struct tree *tree, uint64_t seed, uint32_t maximum) MUST_USE;
void tree_done(struct tree *tree);

struct tree_node *tree_at(const struct tree *tree, uint32_t index);
/* The node, or NULL when the number was freed (and perhaps used again) since. */
struct tree_node *tree_at_generation(const struct tree *tree, uint32_t index, uint16_t generation);
const char *tree_name(const struct tree_node *node); /* name_length bytes, not terminated */

uint32_t tree_child(const struct tree *tree, uint32_t parent, const char *name, size_t length);
/* -ENOMEM; -ENOSPC at the maximum; -EEXIST. length at most 255. */
int tree_add(struct tree *tree, uint32_t parent, const char *name, size_t length,
             uint32_t *ret_index) MUST_USE;
/* Out of its place, under TREE_GRAVE or TREE_LIMBO, with all below it. */
void tree_detach(struct tree *tree, uint32_t index, enum tree_fixed_node under);
/* A detached node to a new place. -EEXIST, -ENOMEM. */
int tree_attach(struct tree *tree, uint32_t index, uint32_t parent, const char *name,
                size_t length) MUST_USE;
/* index must have no children. */
void tree_free(struct tree *tree, uint32_t index);
/* true when index is at or below ancestor. */
bool tree_below(const struct tree *tree, uint32_t index, uint32_t ancestor);

void tree_bind(struct tree *tree, uint32_t index, int32_t key);
/* Takes the key away; true when no other node has it: the source may forget it. */
bool tree_unbind(struct tree *tree, uint32_t index);
/* All nodes of a key: first, then next until TREE_NONE. */
uint32_t tree_first_by_key(const struct tree *tree, int32_t key);
uint32_t tree_next_by_key(const struct tree *tree, uint32_t index);

/* Absolute path of index into buffer, terminated; "/" for the root. -ESTALE when it is detached,
 * -ENAMETOOLONG when it does not fit. */
int tree_path(const struct tree *tree, uint32_t index, char *buffer, size_t size,
              size_t *ret_length) MUST_USE;
/* The node of an absolute path, or TREE_NONE. */
uint32_t tree_find(const struct tree *tree, const char *path);

uint32_t tree_pack_device(uint64_t device);

#endif
