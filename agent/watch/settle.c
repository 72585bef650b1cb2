/* Owns: the files that wait to be closed. Must not own: paths, or what is told. All wait equally
 * long, so the list by arrival is the list by deadline. */
#include "agent/watch/settle.h"

#include <errno.h>

#include "agent/watch/name_hash.h"

#define BUCKETS 4096U

int settle_init(struct settle *settle, uint64_t seed, size_t maximum, uint64_t delay_ns)
{
    *settle = (struct settle){.maximum = maximum, .delay_ns = delay_ns, .seed = seed};
    settle->buckets = calloc(BUCKETS, sizeof(*settle->buckets));
    return settle->buckets == NULL ? -ENOMEM : 0;
}

void settle_done(struct settle *settle)
{
    struct settle_entry *entry;

    while ((entry = settle_take(settle, UINT64_MAX)) != NULL)
        free(entry);
    free(settle->buckets);
    *settle = (struct settle){0};
}

static struct settle_entry **find(struct settle *settle, uint64_t hash, uint32_t directory,
                                  uint16_t generation, const char *name, size_t length)
{
    struct settle_entry **at = &settle->buckets[hash % BUCKETS];

    for (; *at != NULL; at = &(*at)->next_in_bucket) {
        const struct settle_entry *entry = *at;

        if (entry->hash == hash && entry->directory == directory &&
            entry->generation == generation && entry->name_length == length &&
            memcmp(entry->name, name, length) == 0)
            break;
    }
    return at;
}

static struct settle_entry *take(struct settle *settle, struct settle_entry **at)
{
    struct settle_entry *entry = *at;

    *at = entry->next_in_bucket;
    if (entry->previous != NULL)
        entry->previous->next = entry->next;
    else
        settle->first = entry->next;
    if (entry->next != NULL)
        entry->next->previous = entry->previous;
    else
        settle->last = entry->previous;
    settle->count--;
    return entry;
}

static void put_last(struct settle *settle, struct settle_entry *entry)
{
    entry->next = NULL;
    entry->previous = settle->last;
    if (settle->last != NULL)
        settle->last->next = entry;
    else
        settle->first = entry;
    settle->last = entry;
    settle->count++;
}

bool settle_add(struct settle *settle, uint32_t directory, uint16_t generation, const char *name,
                size_t length, uint64_t now_ns)
{
    uint64_t hash = name_hash(settle->seed + directory, name, length);
    struct settle_entry **at = find(settle, hash, directory, generation, name, length);
    struct settle_entry *entry;

    if (*at != NULL) {
        entry = take(settle, at);
    } else {
        if (settle->count >= settle->maximum || settle->delay_ns == 0)
            return false;
        entry = malloc(sizeof(*entry) + length);
        if (entry == NULL)
            return false;
        entry->hash = hash;
        entry->directory = directory;
        entry->generation = generation;
        entry->name_length = (uint16_t)length;
        memcpy(entry->name, name, length);
    }
    entry->deadline_ns = now_ns + settle->delay_ns;
    entry->next_in_bucket = settle->buckets[hash % BUCKETS];
    settle->buckets[hash % BUCKETS] = entry;
    put_last(settle, entry);
    return true;
}

void settle_cancel(struct settle *settle, uint32_t directory, uint16_t generation, const char *name,
                   size_t length)
{
    struct settle_entry **at;

    if (settle->count == 0)
        return;
    at = find(settle, name_hash(settle->seed + directory, name, length), directory, generation,
              name, length);
    if (*at != NULL)
        free(take(settle, at));
}

struct settle_entry *settle_take(struct settle *settle, uint64_t now_ns)
{
    struct settle_entry *entry = settle->first;
    struct settle_entry **at;

    if (entry == NULL || entry->deadline_ns > now_ns)
        return NULL;
    at = &settle->buckets[entry->hash % BUCKETS];
    while (*at != entry)
        at = &(*at)->next_in_bucket;
    return take(settle, at);
}

uint64_t settle_deadline(const struct settle *settle)
{
    return settle->first == NULL ? UINT64_MAX : settle->first->deadline_ns;
}
