/* Owns: the table of reported files. Must not own: what is done about a repeat. */
#include "agent/respond/detection_memory.h"

#include "common/limits.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define WAYS         4
#define SETS         (LIMIT_DETECTIONS_KNOWN / WAYS)
#define FAILED_STAYS (3600 * NS_PER_SECOND)

struct known {
    struct file_identity identity;
    uint64_t signature; /* its hash */
    uint64_t noted_ns;  /* 0 = free */
    int result;
};

struct detection_memory {
    pthread_mutex_t mutex;
    struct known sets[SETS][WAYS];
};

int detection_memory_new(struct detection_memory **ret_memory)
{
    struct detection_memory *memory = calloc(1, sizeof(*memory));

    if (!memory)
        return -ENOMEM;
    pthread_mutex_init(&memory->mutex, NULL);
    *ret_memory = memory;
    return 0;
}

struct detection_memory *detection_memory_free(struct detection_memory *memory)
{
    if (memory)
        pthread_mutex_destroy(&memory->mutex);
    free(memory);
    return NULL;
}

/* FNV-1a: only tells signatures of one file apart. */
static uint64_t hash_text(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325ULL;

    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 0x100000001b3ULL;
    return hash;
}

static struct known *set_of(struct detection_memory *memory, const struct file_identity *identity)
{
    uint64_t mixed = (identity->inode ^ (identity->device << 32)) * 0x9e3779b97f4a7c15ULL;

    return memory->sets[(mixed >> 32) % SETS];
}

static struct known *find(struct detection_memory *memory, const struct file_identity *identity)
{
    struct known *set = set_of(memory, identity);

    for (size_t i = 0; i < WAYS; i++)
        if (set[i].noted_ns && set[i].identity.inode == identity->inode &&
            set[i].identity.device == identity->device)
            return &set[i];
    return NULL;
}

bool detection_memory_find(struct detection_memory *memory, const struct file_identity *identity,
                           const char *signature, int *ret_result)
{
    const struct known *known;
    bool same;

    pthread_mutex_lock(&memory->mutex);
    known = find(memory, identity);
    same = known && file_identity_equal(&known->identity, identity) &&
           known->signature == hash_text(signature) &&
           (known->result == 0 || clock_monotonic_ns() - known->noted_ns < FAILED_STAYS);
    if (same)
        *ret_result = known->result;
    pthread_mutex_unlock(&memory->mutex);
    return same;
}

void detection_memory_note(struct detection_memory *memory, const struct file_identity *identity,
                           const char *signature, int result)
{
    struct known *set, *place;

    pthread_mutex_lock(&memory->mutex);
    place = find(memory, identity);
    set = set_of(memory, identity);
    for (size_t i = 0; !place && i < WAYS; i++)
        if (set[i].noted_ns == 0)
            place = &set[i];
    if (!place) {
        place = set;
        for (size_t i = 1; i < WAYS; i++)
            if (set[i].noted_ns < place->noted_ns)
                place = &set[i];
    }
    *place = (struct known){*identity, hash_text(signature), MAX(clock_monotonic_ns(), 1U), result};
    pthread_mutex_unlock(&memory->mutex);
}

void detection_memory_forget(struct detection_memory *memory, const struct file_identity *identity)
{
    struct known *known;

    pthread_mutex_lock(&memory->mutex);
    known = find(memory, identity);
    if (known)
        known->noted_ns = 0;
    pthread_mutex_unlock(&memory->mutex);
}

void detection_memory_clear(struct detection_memory *memory)
{
    pthread_mutex_lock(&memory->mutex);
    memset(memory->sets, 0, sizeof(memory->sets));
    pthread_mutex_unlock(&memory->mutex);
}
