/* Shared by the files that make up backlog.h. Not for others. Everything is guarded by the
 * backlog's lock. */
#ifndef AGENT_SCAN_BACKLOG_PRIVATE_H
#define AGENT_SCAN_BACKLOG_PRIVATE_H

#include "agent/scan/backlog.h"

#include <pthread.h>

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

/* ---- backlog_entries.c ---- */

uint32_t backlog_hash_bytes(const char *bytes, size_t length, uint64_t seed);
int backlog_table_init(struct table *table);
struct node **backlog_table_bucket(struct table *table, uint32_t hash);
void backlog_table_add(struct table *table, struct node *node, uint32_t hash);
void backlog_table_remove(struct table *table, struct node *node);
size_t backlog_directory_length(const char *path, size_t length);
/* NULL: there is none. */
struct directory *backlog_find_directory(struct backlog *backlog, const char *path, size_t length,
                                         uint32_t hash);
/* Finds or makes it; NULL: no memory. */
struct directory *backlog_take_directory(struct backlog *backlog, const char *path, size_t length);
void backlog_drop_unused_directory(struct backlog *backlog, struct directory *directory);
struct backlog_entry *backlog_find_entry(struct backlog *backlog, const struct directory *directory,
                                         const char *name, size_t length);
struct backlog_entry *backlog_add_entry(struct backlog *backlog, struct directory *directory,
                                        const char *name, size_t length);
void backlog_free_entry(struct backlog *backlog, struct backlog_entry *entry);
void backlog_enqueue(struct backlog *backlog, struct backlog_entry *entry, bool first);
void backlog_dequeue(struct backlog *backlog, struct backlog_entry *entry);

/* ---- backlog_folds.c ---- */

/* The fold of path or of a directory above it that takes in all below; NULL. */
struct fold *backlog_fold_covering(struct backlog *backlog, const char *path, size_t length);
struct fold *backlog_new_fold(size_t length);
struct fold *backlog_fold_at(struct backlog *backlog, const char *path, size_t length,
                             bool recursive);
void backlog_fold_in(struct fold *fold, struct drain_mark *mark, uint64_t written_ns,
                     uint64_t files);
void backlog_unlink_fold(struct backlog *backlog, struct fold *fold);
void backlog_reset_everything(struct backlog *backlog);
/* Folds files until enough entries are free again. */
void backlog_make_room(struct backlog *backlog);
bool backlog_is_full(const struct backlog *backlog);

#endif
