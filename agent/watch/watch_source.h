/* Where changes come from: the kernel facility behind the watch. inotify is the only one so far; a
 * fanotify filesystem mark fits the same contract (its key stands for a directory's file handle,
 * and it fills in pid).
 *
 * A source knows directories by a key it gives out; it knows no paths. Records come in the order
 * in which the changes happened. add, remove and mark may be called from any thread, but the
 * caller must hold one lock over them and over the use of read's records, so that no record of a
 * key is looked at before the caller has noted the key. */
#ifndef AGENT_WATCH_WATCH_SOURCE_H
#define AGENT_WATCH_WATCH_SOURCE_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum watch_record_what {
    RECORD_CREATED = 1 << 0,
    RECORD_WRITTEN = 1 << 1, /* closed after it was open for writing */
    RECORD_MOVED_FROM = 1 << 2,
    RECORD_MOVED_TO = 1 << 3,
    RECORD_DELETED = 1 << 4,
    RECORD_ATTRIBUTES = 1 << 5,
    RECORD_SELF_DELETED = 1 << 6,
    RECORD_SELF_MOVED = 1 << 7,
    RECORD_UNMOUNTED = 1 << 8,
    RECORD_IGNORED = 1 << 9,    /* the key is dead: last record of it; also how a mark is read */
    RECORD_OVERFLOW = 1 << 10,  /* records were lost; key is -1 */
    RECORD_DIRECTORY = 1 << 11, /* the name is a directory */
};

struct watch_record {
    int32_t key;
    uint32_t what;
    uint32_t cookie;    /* pairs MOVED_FROM and MOVED_TO; 0 otherwise */
    pid_t pid;          /* who did it; 0 when the source cannot know */
    const char *name;   /* not terminated; valid until the next read */
    size_t name_length; /* 0: the directory itself */
};

enum watch_depth {
    WATCH_DEPTH_FULL,   /* everything below this directory matters */
    WATCH_DEPTH_ANCHOR, /* only names that appear or go: the way to a watched path */
};

struct watch_source;

int watch_source_open(struct watch_source **ret_source) MUST_USE;
struct watch_source *watch_source_close(struct watch_source *source);

/* To wait on: readable when records wait. */
int watch_source_fd(const struct watch_source *source);

/* Watches the directory behind directory_fd. Adding it again, by whatever path, gives the same
 * key. -ENOSPC: the kernel's limit. */
int watch_source_add(struct watch_source *source, int directory_fd, enum watch_depth depth,
                     int32_t *ret_key) MUST_USE;
void watch_source_remove(struct watch_source *source, int32_t key);

/* Puts a marker behind everything that happened so far: when a RECORD_IGNORED with *ret_key is
 * read, all earlier records of this source were read. */
int watch_source_mark(struct watch_source *source, int32_t *ret_key) MUST_USE;

/* Reads what waits into the source's buffer, without blocking. ret_drained: nothing waited
 * behind it. 0, -EAGAIN when nothing waits, -errno. Reader thread only. */
int watch_source_read(struct watch_source *source, bool *ret_drained) MUST_USE;
/* The next record of the last read; false when there is none. Reader thread only. */
bool watch_source_next(struct watch_source *source, struct watch_record *ret_record);

/* One record of a raw buffer at *offset, which moves on; false at the end or when the rest is no
 * whole record. For tests and the fuzz target. */
bool inotify_record_parse(const char *bytes, size_t length, size_t *offset,
                          struct watch_record *ret_record);

#endif
