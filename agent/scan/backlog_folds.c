/* Owns: folding: when too many files wait, a directory stands for its files, and a parent for its
 * directories. Must not own: the walk of a folded directory (scan_job.c). */
#include "agent/scan/backlog_private.h"

#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

enum {
    FOLD_FILES = 32, /* fewer waiting files of a directory are not worth a scan of it */
    FOLD_SHARE = 8,  /* a fold goes on until this share of the entries is free again */
};

static struct fold *find_fold(struct backlog *backlog, const char *path, size_t length)
{
    uint32_t hash = backlog_hash_bytes(path, length, backlog->seed);

    for (struct node *node = *backlog_table_bucket(&backlog->folds, hash); node != NULL;
         node = node->next) {
        struct fold *fold = (struct fold *)node;
        if (node->hash == hash && fold->length == length &&
            memcmp(fold->public.path, path, length) == 0)
            return fold;
    }
    return NULL;
}

/* The fold that will scan this file: of its directory, or of a tree above. */
struct fold *backlog_fold_covering(struct backlog *backlog, const char *path, size_t length)
{
    if (backlog->folds.count == 0)
        return NULL;
    size_t end = backlog_directory_length(path, length);
    struct fold *fold = find_fold(backlog, path, end);
    while (fold == NULL && end > 0 && backlog->recursive_folds > 0) {
        end = backlog_directory_length(path, end);
        fold = find_fold(backlog, path, end);
        if (fold != NULL && !fold->public.recursive)
            fold = NULL;
    }
    return fold;
}

static void add_fold(struct backlog *backlog, struct fold *fold, const char *path, size_t length)
{
    memmove(fold->public.path, path, length);
    fold->public.path[length] = '\0';
    fold->length = length;
    fold->next = NULL;
    *backlog->folds_end = fold;
    backlog->folds_end = &fold->next;
    backlog_table_add(&backlog->folds, &fold->node,
                      backlog_hash_bytes(path, length, backlog->seed));
    backlog->fold_bytes += sizeof *fold + length + 2;
    backlog->recursive_folds += fold->public.recursive;
}

struct fold *backlog_new_fold(size_t length)
{
    struct fold *fold = calloc(1, sizeof *fold);
    if (fold == NULL)
        return NULL;
    fold->public.path = malloc(length + 2);
    if (fold->public.path == NULL) {
        free(fold);
        return NULL;
    }
    fold->public.written_since_ns = UINT64_MAX;
    return fold;
}

/* The fold of path, made when there is none; that of everything when memory is short. */
struct fold *backlog_fold_at(struct backlog *backlog, const char *path, size_t length,
                             bool recursive)
{
    struct fold *fold = find_fold(backlog, path, length);

    if (fold == NULL) {
        fold = length > 0 ? backlog_new_fold(length) : NULL;
        if (fold == NULL) {
            length = 0;
            fold = find_fold(backlog, path, 0);
        }
        if (fold == NULL)
            fold = &backlog->everything;
        if (length > 0 || find_fold(backlog, path, 0) == NULL)
            add_fold(backlog, fold, path, length);
    }
    if ((recursive || length == 0) && !fold->public.recursive) {
        fold->public.recursive = true;
        backlog->recursive_folds++;
    }
    return fold;
}

/* The earlier mark of both stays: marks complete in order. */
void backlog_fold_in(struct fold *fold, struct drain_mark *mark, uint64_t written_ns,
                     uint64_t files)
{
    struct drain_mark *dropped = fold->public.mark;

    if (dropped == NULL || mark->number < dropped->number)
        fold->public.mark = mark;
    else
        dropped = mark;
    if (dropped != NULL)
        dropped->references--;
    fold->public.written_since_ns = MIN(fold->public.written_since_ns, written_ns);
    fold->public.files += files;
}

void backlog_unlink_fold(struct backlog *backlog, struct fold *fold)
{
    struct fold **link = &backlog->first_fold;

    while (*link != fold)
        link = &(*link)->next;
    *link = fold->next;
    if (backlog->folds_end == &fold->next)
        backlog->folds_end = link;
    backlog_table_remove(&backlog->folds, &fold->node);
    backlog->fold_bytes -= sizeof *fold + fold->length + 2;
    backlog->recursive_folds -= fold->public.recursive;
}

void backlog_reset_everything(struct backlog *backlog)
{
    backlog->everything.public = (struct backlog_fold){
        .path = backlog->everything_path,
        .written_since_ns = UINT64_MAX,
    };
}

static void merge_into_parent(struct backlog *backlog, struct fold *fold)
{
    struct backlog_fold *public = &fold->public;

    if (fold == &backlog->everything) {
        if (find_fold(backlog, "", 0) == NULL)
            add_fold(backlog, fold, "", 0);
        return;
    }
    size_t length = backlog_directory_length(public->path, fold->length);
    struct fold *parent = backlog_fold_at(backlog, public->path, length, true);
    backlog_fold_in(parent, public->mark, public->written_since_ns, public->files);
    backlog_fold_free(public);
}

/* Every fold becomes one of its parent, until few enough are left. */
static void coarsen_folds(struct backlog *backlog)
{
    while (backlog->folds.count > 1 && (backlog->folds.count > backlog->limits.folds / 2 ||
                                        backlog->fold_bytes > backlog->limits.fold_bytes / 2)) {
        struct fold *old = NULL;
        while (backlog->first_fold != NULL) {
            struct fold *fold = backlog->first_fold;
            backlog_unlink_fold(backlog, fold);
            fold->next_merged = old;
            old = fold;
        }
        for (struct fold *fold = old, *next; fold != NULL; fold = next) {
            next = fold->next_merged;
            merge_into_parent(backlog, fold);
        }
    }
}

static size_t ancestor_length(const struct directory *directory, unsigned levels)
{
    size_t length = directory->length;

    while (levels-- > 0 && length > 0)
        length = backlog_directory_length(directory->path, length);
    return length;
}

/* How many files that may be folded wait below each ancestor, in a table of counters: a collision
 * only makes a fold start earlier than it had to. */
enum { COUNTERS = 65536 };

static size_t foldable(const struct directory *directory, bool found_only)
{
    size_t found = directory->waiting[BACKLOG_FOUND];

    return found_only
               ? found
               : found + directory->waiting[BACKLOG_WRITTEN] + directory->waiting[BACKLOG_ARRIVED];
}

static void choose_directories(struct backlog *backlog, unsigned levels, bool found_only,
                               uint32_t *counters)
{
    memset(counters, 0, COUNTERS * sizeof *counters);
    for (int turn = 0; turn < 2; turn++)
        for (size_t i = 0; i < backlog->directories.bucket_count; i++)
            for (struct node *node = backlog->directories.buckets[i]; node != NULL;
                 node = node->next) {
                struct directory *directory = (struct directory *)node;
                size_t length = ancestor_length(directory, levels);
                uint32_t *counter =
                    &counters[backlog_hash_bytes(directory->path, length, backlog->seed) %
                              COUNTERS];
                if (turn == 0)
                    *counter += (uint32_t)foldable(directory, found_only);
                directory->folding = turn == 1 && *counter >= FOLD_FILES;
            }
}

static void fold_chosen(struct backlog *backlog, unsigned levels, enum backlog_class class)
{
    for (struct backlog_entry *entry = backlog->queues[class].first, *later; entry != NULL;
         entry = later) {
        later = entry->later;
        if (!entry->directory->folding)
            continue;
        size_t length = ancestor_length(entry->directory, levels);
        struct fold *fold = backlog_fold_at(backlog, entry->directory->path, length, levels > 0);
        uint64_t written_ns = UINT64_MAX;
        if (class == BACKLOG_WRITTEN) {
            uint64_t age = clock_monotonic_ns() - entry->told_ns;
            written_ns = clock_realtime_ns() - age;
        }
        backlog_fold_in(fold, entry->mark, written_ns, 1);
        backlog->folded++;
        backlog_dequeue(backlog, entry);
        backlog_free_entry(backlog, entry);
    }
}

static bool enough_is_free(const struct backlog *backlog)
{
    return backlog->entries.count <= backlog->limits.files - backlog->limits.files / FOLD_SHARE &&
           backlog->bytes <= backlog->limits.bytes - backlog->limits.bytes / FOLD_SHARE;
}

/* Found files first, for the cache answers most of them when their directory is scanned;
 * directories first, then ever larger trees. The 256 KB of counters live only during this rare
 * work. */
void backlog_make_room(struct backlog *backlog)
{
    AUTO_FREE uint32_t *counters = malloc(COUNTERS * sizeof *counters);

    for (int turn = 0; turn < 2 && counters != NULL; turn++)
        for (unsigned levels = 0; levels < 64 && !enough_is_free(backlog); levels++) {
            choose_directories(backlog, levels, turn == 0, counters);
            fold_chosen(backlog, levels, BACKLOG_FOUND);
            if (turn == 0 && levels == 3)
                break;
            if (turn == 0)
                continue;
            fold_chosen(backlog, levels, BACKLOG_ARRIVED);
            fold_chosen(backlog, levels, BACKLOG_WRITTEN);
        }
    if (backlog->folds.count > backlog->limits.folds ||
        backlog->fold_bytes > backlog->limits.fold_bytes)
        coarsen_folds(backlog);
}

bool backlog_is_full(const struct backlog *backlog)
{
    return backlog->entries.count >= backlog->limits.files ||
           backlog->bytes >= backlog->limits.bytes;
}

struct backlog_fold *backlog_fold_free(struct backlog_fold *public)
{
    if (public == NULL)
        return NULL;
    free(public->path);
    free((char *)public - offsetof(struct fold, public));
    return NULL;
}
