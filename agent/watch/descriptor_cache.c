/* Owns: the descriptors put into it. */
#include "agent/watch/descriptor_cache.h"

#include <stddef.h>
#include <unistd.h>

void descriptor_cache_init(struct descriptor_cache *cache)
{
    *cache = (struct descriptor_cache){0};
    for (size_t i = 0; i < DESCRIPTOR_CACHE_SLOTS; i++)
        cache->slots[i].fd = -1;
}

void descriptor_cache_clear(struct descriptor_cache *cache)
{
    for (size_t i = 0; i < DESCRIPTOR_CACHE_SLOTS; i++) {
        if (cache->slots[i].fd >= 0)
            (void)close(cache->slots[i].fd);
    }
    descriptor_cache_init(cache);
}

int descriptor_cache_get(struct descriptor_cache *cache, uint32_t node, uint16_t generation)
{
    for (size_t i = 0; i < DESCRIPTOR_CACHE_SLOTS; i++) {
        if (cache->slots[i].fd >= 0 && cache->slots[i].node == node &&
            cache->slots[i].generation == generation) {
            cache->slots[i].used = ++cache->clock;
            return cache->slots[i].fd;
        }
    }
    return -1;
}

void descriptor_cache_put(struct descriptor_cache *cache, uint32_t node, uint16_t generation,
                          int fd)
{
    size_t slot = 0;

    for (size_t i = 0; i < DESCRIPTOR_CACHE_SLOTS; i++) {
        if (cache->slots[i].fd >= 0 && cache->slots[i].node == node) {
            slot = i;
            break;
        }
        if (cache->slots[i].used < cache->slots[slot].used)
            slot = i;
    }
    if (cache->slots[slot].fd >= 0)
        (void)close(cache->slots[slot].fd);
    cache->slots[slot].node = node;
    cache->slots[slot].generation = generation;
    cache->slots[slot].fd = fd;
    cache->slots[slot].used = ++cache->clock;
}
