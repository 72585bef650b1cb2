/* Which files events have told lately, so that a walk of the same directory need not tell them once
 * more. Forgetting is harmless; remembering wrongly is not: whoever learns that events were lost or
 * that paths changed calls told_forget(). The reader writes, walkers read: thread-safe. */
#ifndef AGENT_WATCH_TOLD_H
#define AGENT_WATCH_TOLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOLD_SLOTS 8192U

struct told {
    _Atomic uint64_t slots[TOLD_SLOTS];
    _Atomic uint64_t era;
    uint64_t seed;
};

void told_init(struct told *told, uint64_t seed);
void told_forget(struct told *told);
/* key: the watch through which it was told; its path as it was then. */
void told_note(struct told *told, int32_t key, const char *path, size_t length);
bool told_lately(const struct told *told, int32_t key, const char *path, size_t length);

#endif
