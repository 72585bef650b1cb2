/* Files that were created and not yet closed: hard links and O_TMPFILE+linkat never tell a close,
 * and a slow writer takes its time. Each waits for a close, a move or a removal; when none comes in
 * time it is told anyway. Bounded. Not thread-safe; time is given by the caller. */
#ifndef AGENT_WATCH_SETTLE_H
#define AGENT_WATCH_SETTLE_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct settle_entry {
    struct settle_entry *next, *previous; /* by deadline */
    struct settle_entry *next_in_bucket;
    uint64_t deadline_ns;
    uint64_t hash;
    uint32_t directory; /* number and generation of a tree node */
    uint16_t generation;
    uint16_t name_length;
    char name[];
};

struct settle {
    struct settle_entry *first, *last;
    struct settle_entry **buckets;
    size_t count, maximum;
    uint64_t delay_ns;
    uint64_t seed;
};

int settle_init(struct settle *settle, uint64_t seed, size_t maximum, uint64_t delay_ns) MUST_USE;
void settle_done(struct settle *settle);

/* Starts (or starts again) to wait. false when there is no room: tell the file now. */
bool settle_add(struct settle *settle, uint32_t directory, uint16_t generation, const char *name,
                size_t length, uint64_t now_ns);
/* The file was told otherwise, or is gone. */
void settle_cancel(struct settle *settle, uint32_t directory, uint16_t generation, const char *name,
                   size_t length);
/* The next entry whose time is up, out of the table; the caller frees it. NULL: none. */
struct settle_entry *settle_take(struct settle *settle, uint64_t now_ns);
/* When the next one is due; UINT64_MAX when nothing waits. */
uint64_t settle_deadline(const struct settle *settle);

#endif
