/* A seeded hash of names: outsiders choose the names, so the seed is random and a flood of names
 * cannot be aimed at one bucket. Thread-safe: no state. */
#ifndef AGENT_WATCH_NAME_HASH_H
#define AGENT_WATCH_NAME_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t name_hash_mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)a * b;

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t name_hash(uint64_t seed, const char *bytes, size_t length)
{
    uint64_t hash = name_hash_mix(seed ^ 0x9E3779B97F4A7C15ULL, length ^ 0xD1B54A32D192ED03ULL);
    uint64_t word;

    for (; length >= sizeof(word); bytes += sizeof(word), length -= sizeof(word)) {
        memcpy(&word, bytes, sizeof(word));
        hash = name_hash_mix(hash ^ word, seed ^ 0xA0761D6478BD642FULL);
    }
    word = 0;
    memcpy(&word, bytes, length);
    return name_hash_mix(hash ^ word, seed ^ 0xE7037ED1A0B428DBULL);
}

#endif
