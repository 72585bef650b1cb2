/* The memory of one request: address space reserved once, given out from the front, taken back
 * whole. Pages that one large request touched are returned at the next reset. Not thread-safe. */
#ifndef APPLICATION_EVENTS_ARENA_H
#define APPLICATION_EVENTS_ARENA_H

#include "application/events/span.h"
#include "common/attributes.h"

struct arena {
    char *base;
    size_t size;
    size_t used;
    bool exhausted; /* something asked for more than there was, since the last reset */
};

/* size is rounded up to whole pages. -ENOMEM. */
int arena_init(struct arena *arena, size_t size) MUST_USE;
void arena_done(struct arena *arena);
void arena_reset(struct arena *arena);

/* Not zeroed, aligned to 16. NULL when there is no more: arena->exhausted says so to the end. */
void *arena_take(struct arena *arena, size_t length);
/* Zeroed. NULL also when count * size overflows. */
void *arena_take_zeroed(struct arena *arena, size_t count, size_t size);
/* Gives back what was taken last and not used: pointer came from arena_take(), used <= length. */
void arena_trim(struct arena *arena, void *pointer, size_t used);
/* A copy; SPAN_NONE when there is no more. */
struct span arena_copy(struct arena *arena, struct span text);
/* The pieces one after the other; SPAN_NONE when there is no more. */
struct span arena_join(struct arena *arena, const struct span *pieces, size_t count);

#endif
