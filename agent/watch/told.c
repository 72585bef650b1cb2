/* Owns: the memory of told files: one 64-bit seeded hash each. Two files share a hash once in 2^64,
 * and nobody outside knows the seed. */
#include "agent/watch/told.h"

#include "agent/watch/name_hash.h"

void told_init(struct told *told, uint64_t seed)
{
    for (size_t i = 0; i < TOLD_SLOTS; i++)
        atomic_init(&told->slots[i], 0);
    atomic_init(&told->era, 1);
    told->seed = seed;
}

void told_forget(struct told *told)
{
    (void)atomic_fetch_add(&told->era, 1);
}

static uint64_t hash_of(const struct told *told, int32_t key, const char *path, size_t length)
{
    uint64_t era = atomic_load(&told->era);

    return name_hash(told->seed ^ name_hash_mix(era, (uint32_t)key + 0x9E3779B97F4A7C15ULL), path,
                     length);
}

void told_note(struct told *told, int32_t key, const char *path, size_t length)
{
    uint64_t hash = hash_of(told, key, path, length);

    atomic_store_explicit(&told->slots[hash % TOLD_SLOTS], hash, memory_order_release);
}

bool told_lately(const struct told *told, int32_t key, const char *path, size_t length)
{
    uint64_t hash = hash_of(told, key, path, length);

    return atomic_load_explicit(&told->slots[hash % TOLD_SLOTS], memory_order_acquire) == hash;
}
