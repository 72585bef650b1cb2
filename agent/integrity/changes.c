/* Owns the list, and the pairing of renames. */
#include "agent/integrity/changes.h"

#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

enum { MOST_CHANGES = CHANGES_SLOTS / 4, MOST_BYTES = 16 * 1024 * 1024 };

static void change_free(struct change *change)
{
    if (change->has_before)
        file_facts_done(&change->before);
    if (change->has_after)
        file_facts_done(&change->after);
    free(change->package);
    buffer_done(&change->text);
    free(change->path);
    free(change);
}

void changes_done(struct changes *changes)
{
    for (size_t i = 0; i < changes->count; i++)
        change_free(changes->list[i]);
    free(changes->list);
    free(changes->slots);
    *changes = (struct changes){.list = NULL};
}

static uint64_t hash_of(const char *path, size_t length)
{
    uint64_t hash = 0xcbf29ce484222325U;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)path[i]) * 0x100000001b3U;
    return hash ^ hash >> 32;
}

/* Where the path is, or would be. */
static size_t slot_of(const struct changes *changes, const char *path, size_t length)
{
    size_t slot = hash_of(path, length) % CHANGES_SLOTS;

    for (; changes->slots[slot] != 0; slot = (slot + 1) % CHANGES_SLOTS) {
        const struct change *change = changes->list[changes->slots[slot] - 1];
        if (change->length == length && memcmp(change->path, path, length) == 0)
            break;
    }
    return slot;
}

bool changes_has(const struct changes *changes, const char *path, size_t length)
{
    return changes->slots != NULL && changes->slots[slot_of(changes, path, length)] != 0;
}

struct change *changes_add(struct changes *changes, const char *path, size_t length)
{
    if (changes->count == changes->capacity) {
        size_t capacity = MAX(changes->capacity * 2, (size_t)64);
        struct change **list = reallocarray(changes->list, capacity, sizeof(struct change *));
        if (list == NULL)
            return NULL;
        changes->list = list;
        changes->capacity = capacity;
    }
    if (changes->slots == NULL)
        changes->slots = calloc(CHANGES_SLOTS, sizeof changes->slots[0]);
    struct change *change = calloc(1, sizeof *change);
    if (change == NULL || changes->slots == NULL) {
        free(change);
        return NULL;
    }
    change->path = text_new(path, length);
    if (change->path == NULL) {
        free(change);
        return NULL;
    }
    change->length = length;
    buffer_init(&change->text, LIMIT_INTEGRITY_TEXT);
    size_t slot = slot_of(changes, path, length);
    changes->list[changes->count++] = change;
    changes->slots[slot] = (uint32_t)changes->count;
    changes->bytes += sizeof *change + length;
    return change;
}

void changes_drop_last(struct changes *changes)
{
    struct change *last = changes->list[changes->count - 1];
    size_t slot = slot_of(changes, last->path, last->length);

    /* It came last, so no other one was put behind it. */
    if (changes->slots[slot] == changes->count)
        changes->slots[slot] = 0;
    changes->count--;
    change_free(last);
}

bool changes_are_many(const struct changes *changes)
{
    return changes->count >= MOST_CHANGES || changes->bytes >= MOST_BYTES;
}

/* ---- renames ---- */

/* What stays the same when a file gets another name. */
static int compare_identity(const struct facts_state *a, const struct facts_state *b)
{
    if (a->inode != b->inode)
        return a->inode < b->inode ? -1 : 1;
    uint32_t type_a = a->mode & S_IFMT, type_b = b->mode & S_IFMT;
    if (type_a != type_b)
        return type_a < type_b ? -1 : 1;
    if (S_ISDIR(a->mode))
        return 0;
    if (a->mtime_ns != b->mtime_ns)
        return a->mtime_ns < b->mtime_ns ? -1 : 1;
    return a->size < b->size ? -1 : a->size > b->size;
}

static int compare_deleted(const void *a, const void *b)
{
    const struct change *left = *(const struct change *const *)a;
    const struct change *right = *(const struct change *const *)b;

    return compare_identity(&left->before.state, &right->before.state);
}

static int compare_created(const void *key, const void *member)
{
    const struct change *created = key, *deleted = *(const struct change *const *)member;

    return compare_identity(&created->after.state, &deleted->before.state);
}

static size_t directory_length(const struct change *change)
{
    const char *slash = memrchr(change->path, '/', change->length);

    return (size_t)(slash - change->path);
}

/* Renamed with the directory it stands in: that one's event speaks for it. */
static struct change *moved_with(struct change *const *directories, size_t count,
                                 const struct change *change)
{
    size_t from = directory_length(change->renamed_from), to = directory_length(change);

    if (strcmp(change->path + to, change->renamed_from->path + from) != 0)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        const struct change *directory = directories[i];
        if (directory->length == to && directory->renamed_from->length == from &&
            memcmp(directory->path, change->path, to) == 0 &&
            memcmp(directory->renamed_from->path, change->renamed_from->path, from) == 0)
            return directories[i];
    }
    return NULL;
}

/* The directories that were renamed are few: a renamed tree's are told by its top. */
static int fold_moved(struct changes *changes)
{
    AUTO_FREE struct change **directories = calloc(changes->count + 1, sizeof(struct change *));
    size_t count = 0;

    if (directories == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < changes->count; i++)
        if (changes->list[i]->kind == CHANGE_RENAMED && S_ISDIR(changes->list[i]->after.state.mode))
            directories[count++] = changes->list[i];
    for (size_t i = 0; i < changes->count && count > 0; i++) {
        struct change *change = changes->list[i];
        struct change *with = change->kind == CHANGE_RENAMED && change->difference == 0
                                  ? moved_with(directories, count, change)
                                  : NULL;
        if (with == NULL)
            continue;
        with->moved_along++;
        change->kind = CHANGE_SILENT;
    }
    return 0;
}

int changes_pair_renames(struct changes *changes)
{
    AUTO_FREE struct change **deleted = calloc(changes->count + 1, sizeof(struct change *));
    size_t count = 0;
    bool any = false;

    if (deleted == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < changes->count; i++)
        if (changes->list[i]->kind == CHANGE_DELETED)
            deleted[count++] = changes->list[i];
    if (count == 0)
        return 0;
    qsort(deleted, count, sizeof deleted[0], compare_deleted);
    for (size_t i = 0; i < changes->count; i++) {
        struct change *created = changes->list[i];
        if (created->kind != CHANGE_CREATED)
            continue;
        struct change **found =
            bsearch(created, deleted, count, sizeof deleted[0], compare_created);
        if (found == NULL || (*found)->kind != CHANGE_DELETED)
            continue;
        created->kind = CHANGE_RENAMED;
        created->renamed_from = *found;
        created->difference = file_facts_compare(&(*found)->before, &created->after, created->care);
        (*found)->kind = CHANGE_SILENT;
        any = true;
    }
    return any ? fold_moved(changes) : 0;
}
