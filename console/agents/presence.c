/* Owns the table of what waits to be written behind. Must not decide who is online: queries do. */
#include "console/agents/presence.h"

#include "common/text/text.h"
#include "console/store/console_store.h"

#include <errno.h>
#include <pthread.h>

#define BUCKETS 4096

struct sighting {
    int64_t computer, seen_ms;
    char *facts; /* NULL: as they are in the database */
    struct sighting *next;
};

struct presence {
    pthread_mutex_t lock;
    struct sighting *buckets[BUCKETS]; /* only computers seen since the last flush */
};

int presence_new(struct presence **ret_presence)
{
    struct presence *presence = calloc(1, sizeof(*presence));
    if (!presence)
        return -ENOMEM;
    (void)pthread_mutex_init(&presence->lock, NULL);
    *ret_presence = presence;
    return 0;
}

static void free_sightings(struct sighting *sighting)
{
    while (sighting) {
        struct sighting *next = sighting->next;
        free(sighting->facts);
        free(sighting);
        sighting = next;
    }
}

struct presence *presence_free(struct presence *presence)
{
    if (!presence)
        return NULL;
    for (size_t i = 0; i < BUCKETS; i++)
        free_sightings(presence->buckets[i]);
    (void)pthread_mutex_destroy(&presence->lock);
    free(presence);
    return NULL;
}

static struct sighting **bucket_of(struct presence *presence, int64_t computer)
{
    uint64_t mixed = (uint64_t)computer * 0x9e3779b97f4a7c15ULL;
    return &presence->buckets[mixed >> 52];
}

static int note_facts(struct sighting *sighting, const char *facts)
{
    if (sighting->facts && text_equal(sighting->facts, facts))
        return 0;
    char *copy = strdup(facts);
    if (!copy)
        return -ENOMEM;
    free(sighting->facts);
    sighting->facts = copy;
    return 0;
}

int presence_note(struct presence *presence, int64_t computer, int64_t seen_ms, const char *facts)
{
    int r = 0;
    (void)pthread_mutex_lock(&presence->lock);
    struct sighting **bucket = bucket_of(presence, computer);
    struct sighting *sighting = *bucket;
    while (sighting && sighting->computer != computer)
        sighting = sighting->next;
    if (!sighting) {
        sighting = calloc(1, sizeof(*sighting));
        if (sighting) {
            sighting->computer = computer;
            sighting->next = *bucket;
            *bucket = sighting;
        }
    }
    if (sighting) {
        sighting->seen_ms = MAX(sighting->seen_ms, seen_ms);
        r = facts ? note_facts(sighting, facts) : 0;
    }
    (void)pthread_mutex_unlock(&presence->lock);
    return sighting ? r : -ENOMEM;
}

static int compare(const void *a, const void *b)
{
    const struct sighting *const *left = a;
    const struct sighting *const *right = b;
    return ((*left)->computer > (*right)->computer) - ((*left)->computer < (*right)->computer);
}

struct flush {
    struct sighting **sightings;
    size_t count;
};

/* Sorted, so that two nodes that flush at once take row locks in one order. Nobody was seen later
 * than now, though the clock may have been ahead when he was. */
static int write_sightings(struct sql *sql, void *user)
{
    const struct flush *flush = user;
    int64_t now = console_store_now_ms();
    int r = 0;
    for (size_t i = 0; r == 0 && i < flush->count; i++) {
        const struct sighting *sighting = flush->sightings[i];
        int64_t seen_ms = MIN(sighting->seen_ms, now);
        if (sighting->facts)
            r = sql_run(sql,
                        "UPDATE computers SET last_seen_ms = $1, facts = $2 WHERE number = $3"
                        " AND last_seen_ms <= $1",
                        NULL, "ntn", seen_ms, sighting->facts, sighting->computer);
        else
            r = sql_run(sql,
                        "UPDATE computers SET last_seen_ms = $1 WHERE number = $2"
                        " AND last_seen_ms < $1",
                        NULL, "nn", seen_ms, sighting->computer);
    }
    return r;
}

static void put_back(struct presence *presence, struct flush *flush)
{
    for (size_t i = 0; i < flush->count; i++)
        (void)presence_note(presence, flush->sightings[i]->computer, flush->sightings[i]->seen_ms,
                            flush->sightings[i]->facts);
}

int presence_flush(struct presence *presence, struct console_store *store)
{
    struct sighting *taken = NULL;
    struct flush flush = {.count = 0};
    (void)pthread_mutex_lock(&presence->lock);
    for (size_t i = 0; i < BUCKETS; i++) {
        while (presence->buckets[i]) {
            struct sighting *sighting = presence->buckets[i];
            presence->buckets[i] = sighting->next;
            sighting->next = taken;
            taken = sighting;
            flush.count++;
        }
    }
    (void)pthread_mutex_unlock(&presence->lock);
    if (flush.count == 0)
        return 0;
    AUTO_FREE struct sighting **list = calloc(flush.count, sizeof(struct sighting *));
    int r = list ? 0 : -ENOMEM;
    if (r == 0) {
        size_t filled = 0;
        for (struct sighting *at = taken; at; at = at->next)
            list[filled++] = at;
        qsort(list, flush.count, sizeof(*list), compare);
        flush.sightings = list;
        r = console_store_write(store, write_sightings, &flush);
        if (r < 0)
            put_back(presence, &flush);
    }
    free_sightings(taken);
    return r;
}
