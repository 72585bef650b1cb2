/* Owns the paths that wait: one row for each wait, in the order of its times. */
#include "agent/integrity/pending.h"

#include <errno.h>
#include <string.h>

enum { BUCKETS = 16384 };

struct row {
    struct pending_path *first, **last;
};

struct pending {
    struct pending_path *buckets[BUCKETS];
    struct row rows[PENDING_WAITS];
    size_t count, most;
};

int pending_new(size_t most, struct pending **ret_pending)
{
    struct pending *pending = calloc(1, sizeof *pending);

    if (pending == NULL)
        return -ENOMEM;
    pending->most = most;
    for (size_t i = 0; i < ARRAY_LENGTH(pending->rows); i++)
        pending->rows[i].last = &pending->rows[i].first;
    *ret_pending = pending;
    return 0;
}

struct pending *pending_free(struct pending *pending)
{
    struct pending_path *path;

    if (pending == NULL)
        return NULL;
    while ((path = pending_take(pending, UINT64_MAX)) != NULL)
        free(path);
    free(pending);
    return NULL;
}

/* FNV-1a; the paths are of this host's directories, and the set is bounded. */
static uint64_t hash_of(const char *path, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325U;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)path[i]) * 0x100000001b3U;
    return hash ^ hash >> 32;
}

int pending_add(struct pending *pending, const char *path, size_t length, bool deep,
                enum pending_wait wait, uint64_t due_ns)
{
    uint64_t hash = hash_of(path, length);
    struct pending_path **bucket = &pending->buckets[hash % BUCKETS];
    struct row *row = &pending->rows[wait];

    for (struct pending_path *there = *bucket; there != NULL; there = there->in_row)
        if (there->hash == hash && there->length == length &&
            memcmp(there->path, path, length) == 0) {
            there->deep = there->deep || deep;
            return 0;
        }
    if (pending->count >= pending->most)
        return -ENOBUFS;
    struct pending_path *added = malloc(sizeof *added + length + 1);
    if (added == NULL)
        return -ENOMEM;
    *added = (struct pending_path){
        .in_row = *bucket, .hash = hash, .due_ns = due_ns, .deep = deep, .length = length};
    memcpy(added->path, path, length);
    added->path[length] = '\0';
    *bucket = added;
    *row->last = added;
    row->last = &added->next;
    pending->count++;
    return 0;
}

static const struct row *next_row(const struct pending *pending)
{
    const struct row *next = NULL;

    for (size_t i = 0; i < ARRAY_LENGTH(pending->rows); i++) {
        const struct row *row = &pending->rows[i];
        if (row->first != NULL && (next == NULL || row->first->due_ns < next->first->due_ns))
            next = row;
    }
    return next;
}

struct pending_path *pending_take(struct pending *pending, uint64_t now_ns)
{
    const struct row *next = next_row(pending);

    if (next == NULL || next->first->due_ns > now_ns)
        return NULL;
    struct row *row = &pending->rows[next - pending->rows];
    struct pending_path *taken = row->first;
    row->first = taken->next;
    if (row->first == NULL)
        row->last = &row->first;
    struct pending_path **link = &pending->buckets[taken->hash % BUCKETS];
    while (*link != taken)
        link = &(*link)->in_row;
    *link = taken->in_row;
    pending->count--;
    taken->next = taken->in_row = NULL;
    return taken;
}

size_t pending_count(const struct pending *pending)
{
    return pending->count;
}

uint64_t pending_due_ns(const struct pending *pending)
{
    const struct row *row = next_row(pending);

    return row != NULL ? row->first->due_ns : UINT64_MAX;
}
