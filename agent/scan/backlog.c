/* Owns the set of what waits, its bounds, and the drain marks. Must not open, stat or know
 * verdicts. Hands single paths and folded directories to the dispatcher and the fold walker.
 *
 * A path is its directory (shared by all entries below it) and its name. Entries being scanned stay
 * in the table, so that news about them are noticed, but in no queue. */
#include "agent/scan/backlog.h"

#include "agent/scan/backlog_private.h"
#include "common/crypto/random.h"
#include "common/time/clock.h"

#include <errno.h>

/* ---- drain marks ---- */

static struct drain_mark *take_mark(struct backlog *backlog)
{
    backlog->current_mark->references++;
    return backlog->current_mark;
}

int backlog_mark_drain(struct backlog *backlog, backlog_drained *done, void *user)
{
    struct drain_mark *next = calloc(1, sizeof *next);
    if (next == NULL)
        return -ENOMEM;
    (void)pthread_mutex_lock(&backlog->lock);
    backlog->current_mark->done = done;
    backlog->current_mark->user = user;
    next->number = backlog->current_mark->number + 1;
    backlog->current_mark->next = next;
    backlog->current_mark = next;
    backlog->drains++;
    (void)pthread_mutex_unlock(&backlog->lock);
    return 0;
}

static bool drain_is_complete(const struct backlog *backlog)
{
    return backlog->first_mark != backlog->current_mark && backlog->first_mark->references == 0;
}

bool backlog_take_drained(struct backlog *backlog, backlog_drained **ret_done, void **ret_user)
{
    struct drain_mark *mark = NULL;

    (void)pthread_mutex_lock(&backlog->lock);
    if (drain_is_complete(backlog)) {
        mark = backlog->first_mark;
        backlog->first_mark = mark->next;
        backlog->drains--;
    }
    (void)pthread_mutex_unlock(&backlog->lock);
    if (mark == NULL)
        return false;
    *ret_done = mark->done;
    *ret_user = mark->user;
    free(mark);
    return true;
}

void backlog_release(struct backlog *backlog, struct drain_mark *mark)
{
    (void)pthread_mutex_lock(&backlog->lock);
    mark->references--;
    (void)pthread_mutex_unlock(&backlog->lock);
}

/* ---- news ---- */

/* Something that is known already happened again. */
static void tell_entry(struct backlog *backlog, struct backlog_entry *entry,
                       enum backlog_class class)
{
    if (entry->in_flight && !entry->again) {
        entry->again = true;
        entry->class = (uint8_t) class;
        entry->told_ns = clock_monotonic_ns();
        entry->mark = take_mark(backlog);
    } else if (class < entry->class && entry->in_flight) {
        entry->class = (uint8_t) class;
    } else if (class < entry->class) {
        backlog_dequeue(backlog, entry);
        entry->class = (uint8_t) class;
        backlog_enqueue(backlog, entry, false);
    }
}

static void tell_new(struct backlog *backlog, enum backlog_class class, const char *path,
                     size_t length, uint64_t time_ns)
{
    size_t directory_end = backlog_directory_length(path, length);
    size_t name_length = length - directory_end - 1;
    struct backlog_entry *entry = NULL;

    if (name_length > 0 && name_length <= UINT8_MAX) {
        struct directory *directory = backlog_take_directory(backlog, path, directory_end);
        if (directory != NULL) {
            entry = backlog_add_entry(backlog, directory, path + directory_end + 1, name_length);
            if (entry == NULL)
                backlog_drop_unused_directory(backlog, directory);
        }
    }
    if (entry == NULL) {
        struct fold *fold = backlog_fold_at(backlog, path, directory_end, false);
        uint64_t written_ns = class == BACKLOG_WRITTEN ? time_ns : UINT64_MAX;
        backlog_fold_in(fold, take_mark(backlog), written_ns, 1);
        backlog->folded++;
        return;
    }
    entry->class = (uint8_t) class;
    entry->told_ns = clock_monotonic_ns();
    entry->mark = take_mark(backlog);
    backlog_enqueue(backlog, entry, false);
}

static struct backlog_entry *find_path(struct backlog *backlog, const char *path, size_t length)
{
    size_t end = backlog_directory_length(path, length);
    struct directory *directory =
        backlog_find_directory(backlog, path, end, backlog_hash_bytes(path, end, backlog->seed));

    return directory == NULL
               ? NULL
               : backlog_find_entry(backlog, directory, path + end + 1, length - end - 1);
}

void backlog_tell(struct backlog *backlog, enum backlog_class class, const char *path,
                  size_t length, uint64_t time_ns)
{
    if (length == 0 || path[0] != '/')
        return;
    (void)pthread_mutex_lock(&backlog->lock);
    struct backlog_entry *entry = find_path(backlog, path, length);
    struct fold *fold = entry == NULL ? backlog_fold_covering(backlog, path, length) : NULL;
    if (entry != NULL) {
        tell_entry(backlog, entry, class);
    } else if (fold != NULL) {
        backlog_fold_in(fold, take_mark(backlog), class == BACKLOG_WRITTEN ? time_ns : UINT64_MAX,
                        1);
        backlog->folded++;
    } else {
        if (backlog_is_full(backlog))
            backlog_make_room(backlog);
        tell_new(backlog, class, path, length, time_ns);
    }
    (void)pthread_mutex_unlock(&backlog->lock);
}

void backlog_forget(struct backlog *backlog, const char *path, size_t length)
{
    if (length == 0 || path[0] != '/')
        return;
    (void)pthread_mutex_lock(&backlog->lock);
    struct backlog_entry *entry = find_path(backlog, path, length);
    if (entry != NULL && !entry->in_flight) {
        entry->mark->references--;
        backlog_dequeue(backlog, entry);
        backlog_free_entry(backlog, entry);
    }
    (void)pthread_mutex_unlock(&backlog->lock);
}

/* ---- handing out ---- */

static char *path_of(const struct backlog_entry *entry, size_t *ret_length)
{
    size_t length = entry->directory->length;
    char *path = malloc(length + entry->name_length + 2U);
    if (path == NULL)
        return NULL;
    memcpy(path, entry->directory->path, length);
    path[length++] = '/';
    memcpy(path + length, entry->name, entry->name_length);
    length += entry->name_length;
    path[length] = '\0';
    *ret_length = length;
    return path;
}

int backlog_take(struct backlog *backlog, enum backlog_class class, struct backlog_item *ret_item)
{
    int r = -ENOENT;

    (void)pthread_mutex_lock(&backlog->lock);
    struct backlog_entry *entry = backlog->queues[class].first;
    if (entry != NULL) {
        size_t length;
        char *path = path_of(entry, &length);
        r = path != NULL ? 0 : -ENOMEM;
        if (path != NULL) {
            backlog_dequeue(backlog, entry);
            entry->in_flight = true;
            *ret_item = (struct backlog_item){
                .path = path,
                .path_length = length,
                .class = class,
                .told_ns = entry->told_ns,
                .entry = entry,
                .mark = TAKE_POINTER(entry->mark),
            };
        }
    }
    (void)pthread_mutex_unlock(&backlog->lock);
    return r;
}

void backlog_scanned(struct backlog *backlog, struct backlog_item *item)
{
    struct backlog_entry *entry = TAKE_POINTER(item->entry);

    (void)pthread_mutex_lock(&backlog->lock);
    entry->in_flight = false;
    if (entry->again) {
        entry->again = false;
        backlog_enqueue(backlog, entry, false);
    } else {
        backlog_free_entry(backlog, entry);
    }
    (void)pthread_mutex_unlock(&backlog->lock);
}

void backlog_return(struct backlog *backlog, struct backlog_item *item)
{
    struct backlog_entry *entry = TAKE_POINTER(item->entry);

    (void)pthread_mutex_lock(&backlog->lock);
    if (entry->again)
        entry->mark->references--;
    entry->class = (uint8_t)(entry->again ? MIN(entry->class, (uint8_t)item->class) : item->class);
    entry->in_flight = entry->again = false;
    entry->told_ns = item->told_ns;
    entry->mark = TAKE_POINTER(item->mark);
    backlog_enqueue(backlog, entry, true);
    (void)pthread_mutex_unlock(&backlog->lock);
    free(TAKE_POINTER(item->path));
}

int backlog_take_fold(struct backlog *backlog, struct backlog_fold **ret_fold)
{
    int r = -ENOENT;

    (void)pthread_mutex_lock(&backlog->lock);
    struct fold *fold = backlog->first_fold;
    if (fold == &backlog->everything) {
        struct fold *copy = backlog_new_fold(0);
        r = copy != NULL ? 0 : -ENOMEM;
        if (copy != NULL) {
            backlog_unlink_fold(backlog, fold);
            char *path = copy->public.path;
            memcpy(path, "/", 2);
            copy->public = fold->public;
            copy->public.path = path;
            backlog_reset_everything(backlog);
            *ret_fold = &copy->public;
        }
    } else if (fold != NULL) {
        backlog_unlink_fold(backlog, fold);
        *ret_fold = &fold->public;
        r = 0;
    }
    (void)pthread_mutex_unlock(&backlog->lock);
    return r;
}

void backlog_count(struct backlog *backlog, struct backlog_counts *ret_counts)
{
    struct backlog_counts counts = {0};

    (void)pthread_mutex_lock(&backlog->lock);
    for (int class = 0; class < BACKLOG_CLASSES; class ++) {
        const struct queue *queue = &backlog->queues[class];
        counts.waiting[class] = queue->count;
        if (queue->first != NULL &&
            (counts.oldest_ns == 0 || queue->first->told_ns < counts.oldest_ns))
            counts.oldest_ns = queue->first->told_ns;
    }
    counts.folds = backlog->folds.count;
    counts.bytes = backlog->bytes + backlog->fold_bytes;
    counts.folded = backlog->folded;
    counts.drains = backlog->drains;
    counts.drains_complete = drain_is_complete(backlog);
    (void)pthread_mutex_unlock(&backlog->lock);
    *ret_counts = counts;
}

/* ---- life ---- */

int backlog_new(const struct backlog_limits *limits, struct backlog **ret_backlog)
{
    struct backlog *backlog = calloc(1, sizeof *backlog);
    if (backlog == NULL)
        return -ENOMEM;
    (void)pthread_mutex_init(&backlog->lock, NULL);
    backlog->limits = *limits;
    backlog->folds_end = &backlog->first_fold;
    backlog_reset_everything(backlog);
    backlog->first_mark = backlog->current_mark = calloc(1, sizeof *backlog->first_mark);
    if (backlog_table_init(&backlog->directories) < 0 ||
        backlog_table_init(&backlog->entries) < 0 || backlog_table_init(&backlog->folds) < 0 ||
        backlog->first_mark == NULL || random_bytes(&backlog->seed, sizeof backlog->seed) < 0) {
        backlog_free(backlog);
        return -ENOMEM;
    }
    *ret_backlog = backlog;
    return 0;
}

struct backlog *backlog_free(struct backlog *backlog)
{
    if (backlog == NULL)
        return NULL;
    for (int class = 0; class < BACKLOG_CLASSES; class ++)
        while (backlog->queues[class].first != NULL) {
            struct backlog_entry *entry = backlog->queues[class].first;
            backlog_dequeue(backlog, entry);
            backlog_free_entry(backlog, entry);
        }
    while (backlog->first_fold != NULL) {
        struct fold *fold = backlog->first_fold;
        backlog_unlink_fold(backlog, fold);
        if (fold != &backlog->everything)
            backlog_fold_free(&fold->public);
    }
    while (backlog->first_mark != NULL) {
        struct drain_mark *mark = backlog->first_mark;
        backlog->first_mark = mark->next;
        free(mark);
    }
    free(backlog->directories.buckets);
    free(backlog->entries.buckets);
    free(backlog->folds.buckets);
    (void)pthread_mutex_destroy(&backlog->lock);
    free(backlog);
    return NULL;
}
