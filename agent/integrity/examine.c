/* Owns: comparing what the watch told of: paths in batches, by directory; directories that came or
 * went, with everything below them. */
#include "agent/integrity/integrity_private.h"

#include "agent/scan/tree_walk.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

enum { BATCH_PATHS = 4096 };

struct batch {
    struct pending_path *paths[BATCH_PATHS];
    size_t count;
};

static int compare_paths(const void *a, const void *b)
{
    const struct pending_path *left = *(const struct pending_path *const *)a;
    const struct pending_path *right = *(const struct pending_path *const *)b;

    return strcmp(left->path, right->path);
}

static void take_batch(struct integrity *integrity, bool all, struct batch *batch)
{
    uint64_t due = all ? UINT64_MAX : clock_monotonic_ns();
    struct pending_path *path;

    batch->count = 0;
    (void)pthread_mutex_lock(&integrity->lock);
    all = all || integrity->drains != NULL;
    while (batch->count < BATCH_PATHS &&
           (path = pending_take(integrity->pending, all ? UINT64_MAX : due)) != NULL)
        batch->paths[batch->count++] = path;
    integrity->status.waiting = pending_count(integrity->pending) + batch->count;
    (void)pthread_mutex_unlock(&integrity->lock);
    qsort(batch->paths, batch->count, sizeof(struct pending_path *), compare_paths);
}

/* ---- below a directory ---- */

/* Trees that came, went, or lost events, taken apart into paths. */
struct expansion {
    struct integrity *integrity;
    const struct batch *batch;
};

struct below {
    char **directories;
    size_t count, capacity;
};

static int note_below(void *user, const char *directory, size_t length)
{
    struct below *below = user;

    if (below->count == below->capacity) {
        size_t capacity = MAX(below->capacity * 2, (size_t)64);
        char **directories = reallocarray(below->directories, capacity, sizeof(char *));
        if (directories == NULL)
            return -ENOMEM;
        below->directories = directories;
        below->capacity = capacity;
    }
    below->directories[below->count] = text_new(directory, length);
    return below->directories[below->count++] != NULL ? 0 : -ENOMEM;
}

/* What this batch looks at anyway need not be looked at twice. */
static bool is_in_batch(const struct batch *batch, const char *path)
{
    size_t low = 0, high = batch->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(path, batch->paths[middle]->path);
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

static int queue_path(struct expansion *expansion, const char *path, size_t length)
{
    struct integrity *integrity = expansion->integrity;

    if (is_in_batch(expansion->batch, path))
        return 0;
    (void)pthread_mutex_lock(&integrity->lock);
    int r =
        pending_add(integrity->pending, path, length, false, PENDING_AT_ONCE, clock_monotonic_ns());
    if (r == -ENOBUFS) {
        integrity->check_all = true;
        r = 0;
    }
    (void)pthread_mutex_unlock(&integrity->lock);
    return r;
}

/* Everything the baseline knows there is looked at. */
static int queue_known_below(struct expansion *expansion, const char *path, size_t length)
{
    struct integrity *integrity = expansion->integrity;
    struct below below = {.count = 0};
    CLEANUP(baseline_page_done) struct baseline_page page = {.directory = NULL};
    bool broken;
    int r = baseline_each_below(integrity->baseline, path, length, note_below, &below);

    for (size_t i = 0; i < below.count; i++) {
        size_t directory_length = strlen(below.directories[i]);
        if (r == 0)
            r = compare_load_page(integrity, below.directories[i], directory_length, &page,
                                  &broken);
        for (size_t j = 0; j < page.count && r == 0; j++) {
            AUTO_FREE char *name = text_new(page.rows[j].name, page.rows[j].name_length);
            AUTO_FREE char *entry =
                name != NULL ? text_format_new("%s/%s", below.directories[i], name) : NULL;
            r = entry == NULL                ? -ENOMEM
                : page.rows[j].facts == NULL ? 0
                                             : queue_path(expansion, entry, strlen(entry));
        }
        free(below.directories[i]);
    }
    free(below.directories);
    return r;
}

static int queue_met(void *user, const struct tree_walk_file *file)
{
    struct expansion *expansion = user;
    const struct integrity *integrity = expansion->integrity;

    if (integrity_rules_care_here(integrity->now->rules, file->path, file->path_length) ==
            CARE_NONE ||
        (S_ISDIR(file->status->st_mode) &&
         integrity_rules_exclude_directory(integrity->now->rules, file->path, file->path_length)))
        return 0;
    return queue_path(expansion, file->path, file->path_length);
}

static bool enters(void *user, const char *path, size_t length)
{
    const struct integrity *integrity = ((const struct expansion *)user)->integrity;

    return !integrity_rules_exclude_directory(integrity->now->rules, path, length) &&
           integrity_rules_reach(integrity->now->rules, path, length);
}

static int checks(void *user)
{
    return integrity_is_ending(((struct expansion *)user)->integrity) ? -ECANCELED : 0;
}

static void problem(void *user UNUSED, const char *path UNUSED, size_t length UNUSED,
                    int error UNUSED)
{
}

static void skipped(void *user UNUSED, const char *path UNUSED, enum mount_class kind UNUSED) {}

/* A tree that came, or that events were lost of. */
static int queue_tree(struct expansion *expansion, const char *path, size_t length)
{
    static const struct tree_walk_visitor visitor = {
        .enters = enters,
        .file = queue_met,
        .other = queue_met,
        .problem = problem,
        .skipped = skipped,
        .checks = checks,
    };
    int r = queue_known_below(expansion, path, length);

    if (r == 0)
        r = tree_walk(path, true, expansion->integrity->mounts, &visitor, expansion);
    return r == -ENOENT || r == -ENOTDIR || r == -ELOOP ? 0 : r;
}

/* ---- a batch ---- */

struct directory_state {
    struct baseline_page page;
    int fd;
    bool loaded;
};

static void directory_done(struct directory_state *directory)
{
    baseline_page_done(&directory->page);
    if (directory->fd >= 0)
        (void)close(directory->fd);
}

static int turn_to(struct integrity *integrity, struct directory_state *directory, const char *path,
                   size_t length)
{
    bool broken;

    if (directory->loaded && directory->page.directory_length == length &&
        memcmp(directory->page.directory, path, length) == 0)
        return 0;
    if (directory->fd >= 0)
        (void)close(TAKE_FD(directory->fd));
    int r = compare_load_page(integrity, path, length, &directory->page, &broken);
    if (r < 0)
        return r;
    directory->loaded = true;
    r = file_open_directory(directory->page.directory, false, &directory->fd);
    if (r < 0)
        directory->fd = -1;
    /* What cannot be looked at for now says nothing. */
    return r == 0 || r == -ENOENT || r == -ENOTDIR || r == -ELOOP ? 0 : -EAGAIN;
}

static int examine_path(struct integrity *integrity, struct directory_state *directory,
                        const struct pending_path *path)
{
    static const struct compare_options options = {.mode = WALK_COMPARE};
    const char *slash = memrchr(path->path, '/', path->length);
    size_t length = slash == path->path ? 1 : (size_t)(slash - path->path);
    struct entry_place place = {
        .page = &directory->page,
        .name = slash + 1,
        .path = path->path,
        .path_length = path->length,
        .care = integrity_rules_care(integrity->now->rules, path->path, path->length),
    };

    if (place.care == CARE_NONE || slash[1] == '\0')
        return 0;
    int r = turn_to(integrity, directory, path->path, length);
    if (r < 0)
        return r == -EAGAIN ? 0 : r;
    place.directory_fd = directory->fd;
    if (directory->fd >= 0)
        return compare_entry(integrity, &place, &options);
    struct baseline_row *row = baseline_page_find(&directory->page, place.name, strlen(place.name));
    return row != NULL ? compare_gone(integrity, &place, row, WALK_COMPARE) : 0;
}

/* Looked at a moment ago, and again something happened: first that is told, so that the row is up
 * to date. */
static int tell_first(struct integrity *integrity, struct directory_state *directory)
{
    directory->loaded = false;
    return report_changes(integrity);
}

static int examine_batch(struct integrity *integrity, struct batch *batch)
{
    CLEANUP(directory_done) struct directory_state directory = {.fd = -1};
    struct expansion expansion = {integrity, batch};
    int r = 0;

    for (size_t i = 0; i < batch->count && r == 0; i++)
        if (batch->paths[i]->deep)
            r = queue_tree(&expansion, batch->paths[i]->path, batch->paths[i]->length);
    for (size_t i = 0; i < batch->count && r == 0; i++) {
        const struct pending_path *path = batch->paths[i];
        if (changes_are_many(&integrity->changes) ||
            changes_has(&integrity->changes, path->path, path->length))
            r = tell_first(integrity, &directory);
        if (r == 0)
            r = examine_path(integrity, &directory, path);
    }
    for (size_t i = 0; i < batch->count; i++)
        free(batch->paths[i]);
    return r;
}

/* Whatever a failure left out is found by looking at everything. */
static int check_all_instead(struct integrity *integrity, int result)
{
    (void)pthread_mutex_lock(&integrity->lock);
    integrity->check_all = true;
    (void)pthread_mutex_unlock(&integrity->lock);
    return result;
}

int examine_pending(struct integrity *integrity, bool all)
{
    AUTO_FREE struct batch *batch = malloc(sizeof *batch);

    if (batch == NULL)
        return -ENOMEM;
    for (;;) {
        take_batch(integrity, all, batch);
        if (batch->count == 0)
            break;
        int r = examine_batch(integrity, batch);
        if (r < 0)
            return check_all_instead(integrity, r);
        /* What trees were taken apart into is due at once, and belongs to the same list: a rename
         * has two halves. */
    }
    return report_changes(integrity);
}
