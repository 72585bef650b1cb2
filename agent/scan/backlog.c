/* Owns the set of what waits, its bounds, and the drain marks. Must not open, stat or know
 * verdicts. Hands single paths and folded directories to the dispatcher and the fold walker.
 *
 * A path is its directory (shared by all entries below it) and its name. Entries being scanned stay
 * in the table, so that news about them are noticed, but in no queue. */
#include "agent/scan/backlog.h"

#include "common/crypto/random.h"
#include "common/time/clock.h"

#include <errno.h>
#include <pthread.h>

enum {
    FIRST_BUCKETS = 256,
    FOLD_FILES = 32, /* fewer waiting files of a directory are not worth a scan of it */
    FOLD_SHARE = 8,  /* a fold goes on until this share of the entries is free again */
};

struct node {
    struct node *next;
    uint32_t hash;
};

struct table {
    struct node **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
};

struct directory {
    struct node node;
    uint32_t entries;
    uint32_t length;
    uint32_t waiting[BACKLOG_CLASSES];
    bool folding; /* chosen during the current fold */
    char path[];  /* "" for "/" */
};

struct backlog_entry {
    struct node node;
    struct backlog_entry *earlier, *later; /* in the queue of its class, while it waits */
    struct directory *directory;
    struct drain_mark *mark; /* while it waits; of the news while it is scanned again */
    uint64_t told_ns;
    uint8_t class; /* of the waiting, or of the news */
    bool in_flight, again;
    uint8_t name_length;
    char name[];
};

struct queue {
    struct backlog_entry *first, *last;
    size_t count;
};

struct fold {
    struct node node;
    struct fold *next;        /* in the order they were made */
    struct fold *next_merged; /* while folds are made coarser */
    struct backlog_fold public;
    size_t length;
};

struct drain_mark {
    struct drain_mark *next;
    uint64_t number, references;
    backlog_drained *done;
    void *user;
};

struct backlog {
    pthread_mutex_t lock;
    struct backlog_limits limits;
    uint64_t seed;
    struct table directories, entries, folds;
    struct queue queues[BACKLOG_CLASSES];
    struct fold *first_fold, **folds_end;
    struct fold everything; /* the fold of "/", so that folding all needs no memory */
    char everything_path[2];
    size_t recursive_folds;
    size_t bytes, fold_bytes;
    uint64_t folded;
    struct drain_mark *first_mark, *current_mark; /* a list; the last one is current */
    size_t drains;
};

/* ---- hash tables ---- */

static uint32_t hash_bytes(const char *bytes, size_t length, uint64_t seed)
{
    uint64_t hash = seed ^ 0xcbf29ce484222325ULL;

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3ULL;
    hash ^= hash >> 29;
    return (uint32_t)(hash * 0x9e3779b97f4a7c15ULL >> 32);
}

static int table_init(struct table *table)
{
    table->buckets = calloc(FIRST_BUCKETS, sizeof(struct node *));
    table->bucket_count = FIRST_BUCKETS;
    return table->buckets != NULL ? 0 : -ENOMEM;
}

static struct node **table_bucket(struct table *table, uint32_t hash)
{
    return &table->buckets[hash & (table->bucket_count - 1)];
}

/* Harmless when it fails: chains get longer. */
static void table_resize(struct table *table, size_t bucket_count)
{
    struct node **old = table->buckets;
    size_t old_count = table->bucket_count;
    struct node **buckets = calloc(bucket_count, sizeof(struct node *));
    if (buckets == NULL)
        return;
    table->buckets = buckets;
    table->bucket_count = bucket_count;
    for (size_t i = 0; i < old_count; i++)
        for (struct node *node = old[i], *next; node != NULL; node = next) {
            next = node->next;
            struct node **bucket = table_bucket(table, node->hash);
            node->next = *bucket;
            *bucket = node;
        }
    free(old);
}

static void table_add(struct table *table, struct node *node, uint32_t hash)
{
    if (table->count >= table->bucket_count)
        table_resize(table, table->bucket_count * 2);
    struct node **bucket = table_bucket(table, hash);
    node->hash = hash;
    node->next = *bucket;
    *bucket = node;
    table->count++;
}

static void table_remove(struct table *table, struct node *node)
{
    struct node **link = table_bucket(table, node->hash);

    while (*link != node)
        link = &(*link)->next;
    *link = node->next;
    table->count--;
    if (table->count < table->bucket_count / 8 && table->bucket_count > FIRST_BUCKETS)
        table_resize(table, table->bucket_count / 4);
}

/* ---- directories and entries ---- */

static size_t directory_length(const char *path, size_t length)
{
    while (length > 0 && path[length - 1] != '/')
        length--;
    return length > 0 ? length - 1 : 0;
}

static struct directory *find_directory(struct backlog *backlog, const char *path, size_t length,
                                        uint32_t hash)
{
    for (struct node *node = *table_bucket(&backlog->directories, hash); node != NULL;
         node = node->next) {
        struct directory *directory = (struct directory *)node;
        if (node->hash == hash && directory->length == length &&
            memcmp(directory->path, path, length) == 0)
            return directory;
    }
    return NULL;
}

static struct directory *take_directory(struct backlog *backlog, const char *path, size_t length)
{
    uint32_t hash = hash_bytes(path, length, backlog->seed);
    struct directory *directory = find_directory(backlog, path, length, hash);

    if (directory != NULL)
        return directory;
    directory = calloc(1, sizeof *directory + length + 1);
    if (directory == NULL)
        return NULL;
    directory->length = (uint32_t)length;
    memcpy(directory->path, path, length);
    table_add(&backlog->directories, &directory->node, hash);
    backlog->bytes += sizeof *directory + length + 1;
    return directory;
}

static void drop_unused_directory(struct backlog *backlog, struct directory *directory)
{
    if (directory->entries > 0)
        return;
    table_remove(&backlog->directories, &directory->node);
    backlog->bytes -= sizeof *directory + directory->length + 1;
    free(directory);
}

static uint32_t entry_hash(const struct directory *directory, const char *name, size_t length)
{
    return hash_bytes(name, length, directory->node.hash);
}

static struct backlog_entry *find_entry(struct backlog *backlog, const struct directory *directory,
                                        const char *name, size_t length)
{
    uint32_t hash = entry_hash(directory, name, length);

    for (struct node *node = *table_bucket(&backlog->entries, hash); node != NULL;
         node = node->next) {
        struct backlog_entry *entry = (struct backlog_entry *)node;
        if (node->hash == hash && entry->directory == directory && entry->name_length == length &&
            memcmp(entry->name, name, length) == 0)
            return entry;
    }
    return NULL;
}

static struct backlog_entry *add_entry(struct backlog *backlog, struct directory *directory,
                                       const char *name, size_t length)
{
    struct backlog_entry *entry = malloc(sizeof *entry + length);
    if (entry == NULL)
        return NULL;
    *entry = (struct backlog_entry){.directory = directory, .name_length = (uint8_t)length};
    memcpy(entry->name, name, length);
    directory->entries++;
    table_add(&backlog->entries, &entry->node, entry_hash(directory, name, length));
    backlog->bytes += sizeof *entry + length;
    return entry;
}

static void free_entry(struct backlog *backlog, struct backlog_entry *entry)
{
    table_remove(&backlog->entries, &entry->node);
    backlog->bytes -= sizeof *entry + entry->name_length;
    entry->directory->entries--;
    drop_unused_directory(backlog, entry->directory);
    free(entry);
}

static void enqueue(struct backlog *backlog, struct backlog_entry *entry, bool first)
{
    struct queue *queue = &backlog->queues[entry->class];

    entry->earlier = first ? NULL : queue->last;
    entry->later = first ? queue->first : NULL;
    *(entry->earlier != NULL ? &entry->earlier->later : &queue->first) = entry;
    *(entry->later != NULL ? &entry->later->earlier : &queue->last) = entry;
    queue->count++;
    entry->directory->waiting[entry->class]++;
}

static void dequeue(struct backlog *backlog, struct backlog_entry *entry)
{
    struct queue *queue = &backlog->queues[entry->class];

    *(entry->earlier != NULL ? &entry->earlier->later : &queue->first) = entry->later;
    *(entry->later != NULL ? &entry->later->earlier : &queue->last) = entry->earlier;
    queue->count--;
    entry->directory->waiting[entry->class]--;
}

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

/* ---- folds ---- */

static struct fold *find_fold(struct backlog *backlog, const char *path, size_t length)
{
    uint32_t hash = hash_bytes(path, length, backlog->seed);

    for (struct node *node = *table_bucket(&backlog->folds, hash); node != NULL;
         node = node->next) {
        struct fold *fold = (struct fold *)node;
        if (node->hash == hash && fold->length == length &&
            memcmp(fold->public.path, path, length) == 0)
            return fold;
    }
    return NULL;
}

/* The fold that will scan this file: of its directory, or of a tree above. */
static struct fold *fold_covering(struct backlog *backlog, const char *path, size_t length)
{
    if (backlog->folds.count == 0)
        return NULL;
    size_t end = directory_length(path, length);
    struct fold *fold = find_fold(backlog, path, end);
    while (fold == NULL && end > 0 && backlog->recursive_folds > 0) {
        end = directory_length(path, end);
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
    table_add(&backlog->folds, &fold->node, hash_bytes(path, length, backlog->seed));
    backlog->fold_bytes += sizeof *fold + length + 2;
    backlog->recursive_folds += fold->public.recursive;
}

static struct fold *new_fold(size_t length)
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
static struct fold *take_fold(struct backlog *backlog, const char *path, size_t length,
                              bool recursive)
{
    struct fold *fold = find_fold(backlog, path, length);

    if (fold == NULL) {
        fold = length > 0 ? new_fold(length) : NULL;
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
static void fold_in(struct fold *fold, struct drain_mark *mark, uint64_t written_ns, uint64_t files)
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

static void unlink_fold(struct backlog *backlog, struct fold *fold)
{
    struct fold **link = &backlog->first_fold;

    while (*link != fold)
        link = &(*link)->next;
    *link = fold->next;
    if (backlog->folds_end == &fold->next)
        backlog->folds_end = link;
    table_remove(&backlog->folds, &fold->node);
    backlog->fold_bytes -= sizeof *fold + fold->length + 2;
    backlog->recursive_folds -= fold->public.recursive;
}

static void reset_everything(struct backlog *backlog)
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
    size_t length = directory_length(public->path, fold->length);
    struct fold *parent = take_fold(backlog, public->path, length, true);
    fold_in(parent, public->mark, public->written_since_ns, public->files);
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
            unlink_fold(backlog, fold);
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
        length = directory_length(directory->path, length);
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
                    &counters[hash_bytes(directory->path, length, backlog->seed) % COUNTERS];
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
        struct fold *fold = take_fold(backlog, entry->directory->path, length, levels > 0);
        uint64_t written_ns = UINT64_MAX;
        if (class == BACKLOG_WRITTEN) {
            uint64_t age = clock_monotonic_ns() - entry->told_ns;
            written_ns = clock_realtime_ns() - age;
        }
        fold_in(fold, entry->mark, written_ns, 1);
        backlog->folded++;
        dequeue(backlog, entry);
        free_entry(backlog, entry);
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
static void make_room(struct backlog *backlog)
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

static bool is_full(const struct backlog *backlog)
{
    return backlog->entries.count >= backlog->limits.files ||
           backlog->bytes >= backlog->limits.bytes;
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
        dequeue(backlog, entry);
        entry->class = (uint8_t) class;
        enqueue(backlog, entry, false);
    }
}

static void tell_new(struct backlog *backlog, enum backlog_class class, const char *path,
                     size_t length, uint64_t time_ns)
{
    size_t directory_end = directory_length(path, length);
    size_t name_length = length - directory_end - 1;
    struct backlog_entry *entry = NULL;

    if (name_length > 0 && name_length <= UINT8_MAX) {
        struct directory *directory = take_directory(backlog, path, directory_end);
        if (directory != NULL) {
            entry = add_entry(backlog, directory, path + directory_end + 1, name_length);
            if (entry == NULL)
                drop_unused_directory(backlog, directory);
        }
    }
    if (entry == NULL) {
        struct fold *fold = take_fold(backlog, path, directory_end, false);
        uint64_t written_ns = class == BACKLOG_WRITTEN ? time_ns : UINT64_MAX;
        fold_in(fold, take_mark(backlog), written_ns, 1);
        backlog->folded++;
        return;
    }
    entry->class = (uint8_t) class;
    entry->told_ns = clock_monotonic_ns();
    entry->mark = take_mark(backlog);
    enqueue(backlog, entry, false);
}

static struct backlog_entry *find_path(struct backlog *backlog, const char *path, size_t length)
{
    size_t end = directory_length(path, length);
    struct directory *directory =
        find_directory(backlog, path, end, hash_bytes(path, end, backlog->seed));

    return directory == NULL ? NULL
                             : find_entry(backlog, directory, path + end + 1, length - end - 1);
}

void backlog_tell(struct backlog *backlog, enum backlog_class class, const char *path,
                  size_t length, uint64_t time_ns)
{
    if (length == 0 || path[0] != '/')
        return;
    (void)pthread_mutex_lock(&backlog->lock);
    struct backlog_entry *entry = find_path(backlog, path, length);
    struct fold *fold = entry == NULL ? fold_covering(backlog, path, length) : NULL;
    if (entry != NULL) {
        tell_entry(backlog, entry, class);
    } else if (fold != NULL) {
        fold_in(fold, take_mark(backlog), class == BACKLOG_WRITTEN ? time_ns : UINT64_MAX, 1);
        backlog->folded++;
    } else {
        if (is_full(backlog))
            make_room(backlog);
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
        dequeue(backlog, entry);
        free_entry(backlog, entry);
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
            dequeue(backlog, entry);
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
        enqueue(backlog, entry, false);
    } else {
        free_entry(backlog, entry);
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
    enqueue(backlog, entry, true);
    (void)pthread_mutex_unlock(&backlog->lock);
    free(TAKE_POINTER(item->path));
}

int backlog_take_fold(struct backlog *backlog, struct backlog_fold **ret_fold)
{
    int r = -ENOENT;

    (void)pthread_mutex_lock(&backlog->lock);
    struct fold *fold = backlog->first_fold;
    if (fold == &backlog->everything) {
        struct fold *copy = new_fold(0);
        r = copy != NULL ? 0 : -ENOMEM;
        if (copy != NULL) {
            unlink_fold(backlog, fold);
            char *path = copy->public.path;
            memcpy(path, "/", 2);
            copy->public = fold->public;
            copy->public.path = path;
            reset_everything(backlog);
            *ret_fold = &copy->public;
        }
    } else if (fold != NULL) {
        unlink_fold(backlog, fold);
        *ret_fold = &fold->public;
        r = 0;
    }
    (void)pthread_mutex_unlock(&backlog->lock);
    return r;
}

struct backlog_fold *backlog_fold_free(struct backlog_fold *public)
{
    if (public == NULL)
        return NULL;
    free(public->path);
    free((char *)public - offsetof(struct fold, public));
    return NULL;
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
    reset_everything(backlog);
    backlog->first_mark = backlog->current_mark = calloc(1, sizeof *backlog->first_mark);
    if (table_init(&backlog->directories) < 0 || table_init(&backlog->entries) < 0 ||
        table_init(&backlog->folds) < 0 || backlog->first_mark == NULL ||
        random_bytes(&backlog->seed, sizeof backlog->seed) < 0) {
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
            dequeue(backlog, entry);
            free_entry(backlog, entry);
        }
    while (backlog->first_fold != NULL) {
        struct fold *fold = backlog->first_fold;
        unlink_fold(backlog, fold);
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
