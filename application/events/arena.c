#include "application/events/arena.h"

#include <errno.h>
#include <sys/mman.h>

/* What stays resident between requests. */
#define KEPT_BYTES ((size_t)1 << 20)
#define ALIGNMENT  ((size_t)16)
#define PAGE_BYTES ((size_t)4096)

int arena_init(struct arena *arena, size_t size)
{
    size_t whole = (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    *arena = (struct arena){0};
    void *base = mmap(NULL, whole, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return -ENOMEM;
    arena->base = base;
    arena->size = whole;
    return 0;
}

void arena_done(struct arena *arena)
{
    if (arena->base != NULL)
        (void)munmap(arena->base, arena->size);
    *arena = (struct arena){0};
}

void arena_reset(struct arena *arena)
{
    if (arena->used > KEPT_BYTES)
        (void)madvise(arena->base + KEPT_BYTES, arena->size - KEPT_BYTES, MADV_DONTNEED);
    arena->used = 0;
    arena->exhausted = false;
}

void *arena_take(struct arena *arena, size_t length)
{
    size_t rounded =
        length > arena->size ? arena->size + 1 : (length + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
    if (rounded > arena->size - arena->used) {
        arena->exhausted = true;
        return NULL;
    }
    void *taken = arena->base + arena->used;
    arena->used += rounded;
    return taken;
}

void *arena_take_zeroed(struct arena *arena, size_t count, size_t size)
{
    size_t length;
    if (__builtin_mul_overflow(count, size, &length)) {
        arena->exhausted = true;
        return NULL;
    }
    void *taken = arena_take(arena, length);
    if (taken != NULL)
        memset(taken, 0, length);
    return taken;
}

void arena_trim(struct arena *arena, void *pointer, size_t used)
{
    size_t from = (size_t)((char *)pointer - arena->base);
    arena->used = from + ((used + ALIGNMENT - 1) & ~(ALIGNMENT - 1));
}

struct span arena_copy(struct arena *arena, struct span text)
{
    return arena_join(arena, &text, 1);
}

struct span arena_join(struct arena *arena, const struct span *pieces, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += pieces[i].length;
    char *joined = arena_take(arena, length);
    if (joined == NULL)
        return SPAN_NONE;
    char *at = joined;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].length > 0)
            memcpy(at, pieces[i].data, pieces[i].length);
        at += pieces[i].length;
    }
    return (struct span){joined, length};
}
