/* Owns: the counters and which of them makes room. Must not own: what is counted. */
#include "common/log_rules/log_counters.h"

#include "common/crypto/random.h"
#include "common/limits.h"

#include <errno.h>
#include <string.h>

enum { WAYS = 8, SETS = LIMIT_LOG_COUNTERS / WAYS };

struct counter {
    uint64_t key; /* 0: free */
    uint64_t used;
    uint64_t silent_until_ns;
    uint32_t count, next;
    uint64_t times[LIMIT_LOG_FREQUENCY]; /* a ring of the last frequency ones */
};

struct log_counters {
    uint64_t secret, uses;
    struct counter counters[SETS][WAYS];
};

int log_counters_new(struct log_counters **ret_counters)
{
    struct log_counters *counters = calloc(1, sizeof *counters);

    if (counters == NULL)
        return -ENOMEM;
    int r = random_bytes(&counters->secret, sizeof counters->secret);
    if (r < 0) {
        free(counters);
        return r;
    }
    *ret_counters = counters;
    return 0;
}

struct log_counters *log_counters_free(struct log_counters *counters)
{
    free(counters);
    return NULL;
}

/* Strong enough for 64 bits: xor, multiply, fold (after wyhash' mum). */
static uint64_t mix(uint64_t key, uint64_t word)
{
    unsigned __int128 product =
        (unsigned __int128)(key ^ 0xa0761d6478bd642fULL) * (word ^ 0xe7037ed1a0b428dbULL);

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t log_counters_key(const struct log_counters *counters, uint32_t number)
{
    return mix(counters->secret, number);
}

uint64_t log_counters_key_add(uint64_t key, const void *bytes, size_t length)
{
    const uint8_t *at = bytes;
    uint64_t seed = key;

    for (size_t left = length; left > 0;) {
        size_t part = MIN(left, sizeof(uint64_t));
        uint64_t word = 0;
        memcpy(&word, at, part);
        key = mix(key, word ^ seed);
        at += part;
        left -= part;
    }
    key = mix(key, length ^ seed);
    return key != 0 ? key : 1;
}

static struct counter *find(struct log_counters *counters, uint64_t key)
{
    struct counter *set = counters->counters[key % SETS];

    for (size_t i = 0; i < WAYS; i++)
        if (set[i].key == key)
            return &set[i];
    return NULL;
}

static struct counter *find_or_make(struct log_counters *counters, uint64_t key)
{
    struct counter *counter = find(counters, key), *set = counters->counters[key % SETS];

    if (counter != NULL)
        return counter;
    counter = &set[0];
    for (size_t i = 1; i < WAYS; i++)
        if (set[i].used < counter->used)
            counter = &set[i];
    *counter = (struct counter){.key = key};
    return counter;
}

void log_counters_note(struct log_counters *counters, uint64_t key, uint64_t time_ns,
                       const struct log_threshold *threshold)
{
    struct counter *counter = find_or_make(counters, key);

    counter->used = ++counters->uses;
    counter->times[counter->next] = time_ns;
    counter->next = (counter->next + 1) % threshold->frequency;
    if (counter->count < threshold->frequency)
        counter->count++;
}

bool log_counters_reached(struct log_counters *counters, uint64_t key, uint64_t time_ns,
                          const struct log_threshold *threshold)
{
    struct counter *counter = find(counters, key);
    uint64_t since = time_ns > threshold->timeframe_ns ? time_ns - threshold->timeframe_ns : 0;

    if (counter == NULL || counter->count < threshold->frequency ||
        time_ns < counter->silent_until_ns)
        return false;
    for (uint32_t i = 0; i < threshold->frequency; i++)
        if (counter->times[i] < since)
            return false;
    counter->count = counter->next = 0;
    counter->silent_until_ns = time_ns + threshold->ignore_ns;
    return true;
}
