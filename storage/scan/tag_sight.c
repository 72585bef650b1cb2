#include "storage/scan/tag_sight.h"

#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PROVEN_NS (3600 * NS_PER_SECOND)
#define PAUSE_NS  (60 * NS_PER_SECOND)

struct bucket_sight {
    char name[64];
    uint64_t proven_until_ns, ask_from_ns; /* monotonic */
};

struct tag_sight {
    pthread_mutex_t lock;
    struct bucket_sight buckets[TAG_SIGHT_BUCKETS];
    size_t next; /* to be written over */
};

int tag_sight_new(struct tag_sight **ret_sight)
{
    struct tag_sight *sight = calloc(1, sizeof *sight);

    if (sight == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&sight->lock, NULL);
    *ret_sight = sight;
    return 0;
}

struct tag_sight *tag_sight_free(struct tag_sight *sight)
{
    if (sight == NULL)
        return NULL;
    (void)pthread_mutex_destroy(&sight->lock);
    free(sight);
    return NULL;
}

/* With the lock. NULL when it is not known. */
static struct bucket_sight *find(struct tag_sight *sight, const char *bucket)
{
    for (size_t i = 0; i < ARRAY_LENGTH(sight->buckets); i++)
        if (bucket[0] != '\0' && text_equal(sight->buckets[i].name, bucket))
            return &sight->buckets[i];
    return NULL;
}

/* With the lock. NULL when the name is none of a bucket's. */
static struct bucket_sight *find_or_add(struct tag_sight *sight, const char *bucket)
{
    struct bucket_sight *found = find(sight, bucket);

    if (found != NULL || bucket[0] == '\0' || strlen(bucket) >= sizeof found->name)
        return found;
    found = &sight->buckets[sight->next];
    sight->next = (sight->next + 1) % ARRAY_LENGTH(sight->buckets);
    *found = (struct bucket_sight){.name = ""};
    (void)text_copy(found->name, sizeof found->name, bucket);
    return found;
}

bool tag_sight_is_proven(struct tag_sight *sight, const char *bucket)
{
    (void)pthread_mutex_lock(&sight->lock);
    const struct bucket_sight *found = find(sight, bucket);
    bool proven = found != NULL && clock_monotonic_ns() < found->proven_until_ns;
    (void)pthread_mutex_unlock(&sight->lock);
    return proven;
}

bool tag_sight_wants_proof(struct tag_sight *sight, const char *bucket)
{
    uint64_t now = clock_monotonic_ns();

    (void)pthread_mutex_lock(&sight->lock);
    struct bucket_sight *found = find_or_add(sight, bucket);
    bool wanted = found != NULL && now >= found->proven_until_ns && now >= found->ask_from_ns;
    if (wanted)
        found->ask_from_ns = now + PAUSE_NS;
    (void)pthread_mutex_unlock(&sight->lock);
    return wanted;
}

void tag_sight_prove(struct tag_sight *sight, const char *bucket)
{
    (void)pthread_mutex_lock(&sight->lock);
    struct bucket_sight *found = find_or_add(sight, bucket);
    if (found != NULL)
        found->proven_until_ns = clock_monotonic_ns() + PROVEN_NS;
    (void)pthread_mutex_unlock(&sight->lock);
}

void tag_sight_doubt(struct tag_sight *sight, const char *bucket)
{
    (void)pthread_mutex_lock(&sight->lock);
    struct bucket_sight *found = find(sight, bucket);
    if (found != NULL)
        found->proven_until_ns = 0;
    (void)pthread_mutex_unlock(&sight->lock);
}
