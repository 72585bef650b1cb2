/* Directories that left their place and may come back: the kernel tells a move in two halves, with
 * one cookie. A directory that another one pushed out of its name (the exchange of two names does
 * that) waits here too, for the half that names it. Bounded. Not thread-safe; time is given by the
 * caller. */
#ifndef AGENT_WATCH_LIMBO_H
#define AGENT_WATCH_LIMBO_H

#include "common/attributes.h"

#include <stddef.h>
#include <stdint.h>

#define LIMBO_ENTRIES 1024
#define LIMBO_WAIT_NS (5 * 1000000000ULL)

/* A node by number and generation: it may be freed while it waits here. number 0: none. */
struct limbo_node {
    uint32_t number;
    uint16_t generation;
};

struct limbo_entry {
    uint64_t deadline_ns;
    uint64_t name_hash; /* of the name it was pushed out of; 0: moved */
    uint32_t cookie;
    struct limbo_node node; /* under TREE_LIMBO */
    uint32_t parent;        /* of the name it was pushed out of */
    uint16_t parent_generation;
};

struct limbo {
    struct limbo_entry entries[LIMBO_ENTRIES]; /* a ring, by deadline */
    size_t first, count;
};

/* A node moved away. Returns a node that lost its place to it and is to be forgotten. */
struct limbo_node limbo_add_moved(struct limbo *limbo, struct limbo_node node, uint32_t cookie,
                                  uint64_t now_ns);
/* A node pushed out of (parent, name). Returns as above. */
struct limbo_node limbo_add_displaced(struct limbo *limbo, const struct limbo_entry *entry,
                                      uint64_t now_ns);
/* The node of this cookie, no longer in limbo. */
struct limbo_node limbo_take_moved(struct limbo *limbo, uint32_t cookie);
struct limbo_node limbo_take_displaced(struct limbo *limbo, uint32_t parent,
                                       uint16_t parent_generation, uint64_t name_hash);
/* A node whose time is up. */
struct limbo_node limbo_take_expired(struct limbo *limbo, uint64_t now_ns);
uint64_t limbo_deadline(const struct limbo *limbo);

#endif
