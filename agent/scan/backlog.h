/* What waits for a scan because something happened to it: every path once, in three classes, each
 * first in, first out.
 *
 * It is bounded in entries and bytes. When it is full, directories that hold many waiting files
 * (then their parents, and so on) are folded: one entry "scan this directory" or "this tree" stands
 * for all of them, so nothing is ever lost. A path that is told again while it is being scanned
 * waits again afterwards.
 *
 * Everything taken holds a reference on the drain mark of its time until it is committed;
 * backlog_mark_drain() asks when all of the marks up to now are free. All functions are
 * thread-safe. */
#ifndef AGENT_SCAN_BACKLOG_H
#define AGENT_SCAN_BACKLOG_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backlog;
struct backlog_entry;
struct drain_mark;

/* In the order of importance. */
enum backlog_class {
    BACKLOG_WRITTEN, /* closed after writing: never answered by the cache */
    BACKLOG_ARRIVED, /* moved or linked in, created */
    BACKLOG_FOUND,   /* seen by a walk */
    BACKLOG_CLASSES
};

struct backlog_limits {
    size_t files;      /* most single paths */
    size_t bytes;      /* most bytes for them */
    size_t folds;      /* most folded directories */
    size_t fold_bytes; /* most bytes of their paths */
};

/* A path handed out to be scanned. */
struct backlog_item {
    char *path; /* owned by whoever took the item */
    size_t path_length;
    enum backlog_class class;
    uint64_t told_ns; /* monotonic, when it was first told */
    struct backlog_entry *entry;
    struct drain_mark *mark;
};

/* Files that are no longer listed one by one. */
struct backlog_fold {
    char *path; /* "/": all that is watched */
    bool recursive;
    uint64_t written_since_ns; /* realtime of the first WRITTEN among them; UINT64_MAX: none */
    uint64_t files;            /* how many were folded */
    struct drain_mark *mark;
};

int backlog_new(const struct backlog_limits *limits, struct backlog **ret_backlog) MUST_USE;
/* Nothing may be handed out any more. NULL is legal. */
struct backlog *backlog_free(struct backlog *backlog);

/* Something happened to path (length bytes, absolute). time_ns: realtime of it. Cannot fail: when
 * memory is short, everything is folded. */
void backlog_tell(struct backlog *backlog, enum backlog_class class, const char *path,
                  size_t length, uint64_t time_ns);
/* It is gone: forget it if it only waits. */
void backlog_forget(struct backlog *backlog, const char *path, size_t length);

/* -ENOENT when nothing of the class waits; -ENOMEM (it waits on). */
int backlog_take(struct backlog *backlog, enum backlog_class class,
                 struct backlog_item *ret_item) MUST_USE;
/* It has been looked at: from now on news of the path make it wait anew. Item.entry is gone then;
 * item.mark is still held. */
void backlog_scanned(struct backlog *backlog, struct backlog_item *item);
/* It could not be looked at now: it waits again, first of its class, and path and mark are gone. */
void backlog_return(struct backlog *backlog, struct backlog_item *item);

/* The next folded directory, handed over; -ENOENT. Free with backlog_fold_free after giving the
 * mark back. */
int backlog_take_fold(struct backlog *backlog, struct backlog_fold **ret_fold) MUST_USE;
struct backlog_fold *backlog_fold_free(struct backlog_fold *fold);

/* Everything about the item or fold is committed. */
void backlog_release(struct backlog *backlog, struct drain_mark *mark);

typedef void backlog_drained(void *user);
/* Registers done; collect with backlog_take_drained when all that was told before is released. */
int backlog_mark_drain(struct backlog *backlog, backlog_drained *done, void *user) MUST_USE;
/* The next drain that is complete; false when there is none. */
bool backlog_take_drained(struct backlog *backlog, backlog_drained **ret_done, void **ret_user);

struct backlog_counts {
    size_t waiting[BACKLOG_CLASSES];
    size_t folds;         /* waiting */
    size_t bytes;         /* of memory, for single paths and folds */
    uint64_t folded;      /* files folded so far */
    uint64_t oldest_ns;   /* monotonic time the oldest waiting was told; 0: none waits */
    size_t drains;        /* waiting or complete */
    bool drains_complete; /* backlog_take_drained has one */
};
void backlog_count(struct backlog *backlog, struct backlog_counts *ret_counts);

#endif
