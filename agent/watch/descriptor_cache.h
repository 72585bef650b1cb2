/* A walker's open directories, so that children are opened below their parent's descriptor and not
 * by a path that may have changed. Keyed by tree node. One thread's own. */
#ifndef AGENT_WATCH_DESCRIPTOR_CACHE_H
#define AGENT_WATCH_DESCRIPTOR_CACHE_H

#include <stdint.h>

#define DESCRIPTOR_CACHE_SLOTS 32

struct descriptor_cache {
    struct {
        uint32_t node;
        uint16_t generation;
        int fd;
        uint64_t used;
    } slots[DESCRIPTOR_CACHE_SLOTS];
    uint64_t clock;
};

void descriptor_cache_init(struct descriptor_cache *cache);
void descriptor_cache_clear(struct descriptor_cache *cache);
/* -1 when it is not there. The cache keeps the descriptor. */
int descriptor_cache_get(struct descriptor_cache *cache, uint32_t node, uint16_t generation);
/* Takes fd over; the one unused for longest is closed for it. */
void descriptor_cache_put(struct descriptor_cache *cache, uint32_t node, uint16_t generation,
                          int fd);

#endif
