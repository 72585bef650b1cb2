/* Paths that something happened to, each once, in the order of the first time. Bounded. Not
 * thread-safe. */
#ifndef AGENT_INTEGRITY_PENDING_H
#define AGENT_INTEGRITY_PENDING_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pending;

struct pending_path {
    struct pending_path *next;   /* the caller's, once taken */
    struct pending_path *in_row; /* of its bucket */
    uint64_t hash, due_ns;
    bool deep; /* and everything below it */
    size_t length;
    char path[];
};

int pending_new(size_t most, struct pending **ret_pending) MUST_USE;
struct pending *pending_free(struct pending *pending);

/* How long a path waits. Within each, due_ns must not go back. */
enum pending_wait { PENDING_AT_ONCE, PENDING_SETTLES, PENDING_SLOW, PENDING_WAITS };

/* Due at due_ns, or when it was due already. -ENOBUFS: it holds most paths; -ENOMEM. */
int pending_add(struct pending *pending, const char *path, size_t length, bool deep,
                enum pending_wait wait, uint64_t due_ns) MUST_USE;
/* The next that is due at now_ns (UINT64_MAX: any), to be freed; NULL: none. */
struct pending_path *pending_take(struct pending *pending, uint64_t now_ns);
size_t pending_count(const struct pending *pending);
/* When the next one is due; UINT64_MAX: none. */
uint64_t pending_due_ns(const struct pending *pending);

#endif
