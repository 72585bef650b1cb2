/* Owns the paths that wait. Two rows, each in the order of its times: package managers'
 * half-written files wait longer. */
#include "agent/integrity/pending.h"

#include <errno.h>
#include <string.h>

enum { BUCKETS = 16384 };

struct row {
    struct pending_path *first, **last;
};

struct pending {
    struct pending_path *buckets[BUCKETS];
    struct row rows[2];
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

int pending_add(struct pending *pending, const char *path, size_t length, bool deep, bool slow,
                uint64_t due_ns)
{
    uint64_t hash = hash_of(path, length);
    struct pending_path **bucket = &pending->buckets[hash % BUCKETS];
    struct row *row = &pending->rows[slow];

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

static struct row *next_row(const struct pending *pending)
{
    const struct row *a = &pending->rows[0], *b = &pending->rows[1];

    if (a->first == NULL)
        return b->first != NULL ? (struct row *)b : NULL;
    if (b->first == NULL || a->first->due_ns <= b->first->due_ns)
        return (struct row *)a;
    return (struct row *)b;
}

struct pending_path *pending_take(struct pending *pending, uint64_t now_ns)
{
    struct row *row = next_row(pending);

    if (row == NULL || row->first->due_ns > now_ns)
        return NULL;
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
