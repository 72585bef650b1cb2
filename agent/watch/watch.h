/* What happens in the watched trees, complete: every file that appears or changes is told at least
 * once, and when the kernel lost events a gap is told and the affected trees are walked again.
 *
 * The watch owns its reader thread and its walkers. The sink is called from these threads, one call
 * at a time, must only copy and enqueue, and must not call back into the watch. */
#ifndef AGENT_WATCH_WATCH_H
#define AGENT_WATCH_WATCH_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct watch;

enum watch_event_kind {
    WATCH_FILE_WRITTEN, /* closed after writing: scan it whatever the cache says */
    WATCH_FILE_ARRIVED, /* moved or linked in, found by a walk, or created and not closed in time */
    WATCH_FILE_FOUND,   /* seen by the first walk or the slow verifying crawl: may be cached */
    WATCH_FILE_CHANGED, /* attributes: mode, owner, times, link count; or something that is neither
                         * a regular file nor a directory appeared, as a symbolic link */
    WATCH_FILE_REMOVED, /* deleted or moved out */
    WATCH_DIRECTORY_ARRIVED,
    WATCH_DIRECTORY_CHANGED, /* attributes */
    WATCH_DIRECTORY_REMOVED,
    WATCH_GAP,           /* events were lost; path = tree being walked again; detail says why */
    WATCH_GAP_CLOSED,    /* that walk is done */
    WATCH_LIMITED,       /* a tree is not (fully) watched; detail says why and the cure */
    WATCH_MOUNT_CHANGED, /* a mount appeared or went below a watched path */
    WATCH_WALKED, /* the first walk of what is watched, or came to be, is done: what happened before
                   * it may be untold, what happens from here on is told */
};

struct watch_event {
    enum watch_event_kind kind;
    const char *path; /* absolute, raw bytes, at most LIMIT_PATH_BYTES; valid during the call */
    size_t path_length;
    uint64_t time_ns;   /* realtime, when it was read */
    const char *detail; /* NULL but for GAP and LIMITED */
};

typedef void watch_sink(void *user, const struct watch_event *event);

struct watch_options {
    const char *const *paths; /* absolute; missing ones are waited for; NULL-terminated */
    const char *const *exclude_directories; /* "/a/b/" recursive; one level "*"; NULL-terminated */
    const char *const *exclude_files;       /* a name anywhere, or a path; "*" within a level */
    const char *const *exclude_extensions;  /* "log", "mdb" */
    const char *const *own_directories;     /* always excluded: state, runtime, quarantine */
    const char *own_prefix; /* static text or NULL: a directory whose name begins so is ours, and
                             * not watched, when it is this user's and closed to all others */
    uint64_t settle_ns;     /* wait for a close after a create */
    uint64_t budget;        /* most directories watched; 0: from max_user_watches */
    uint64_t crawl_interval_ns; /* slow verifying crawl; 0: never */
    uint64_t crawl_rate;        /* files a second of that crawl */
    bool report_found;          /* tell WATCH_FILE_FOUND for every file of the first walk */
};

struct watch_status {
    uint64_t directories_watched;
    uint64_t directories_unwatched; /* beyond the budget or the kernel's limit */
    uint64_t events_read, overflows, gaps_open, walks_running;
    uint64_t found_by_crawl; /* files no event had told: should stay 0 */
    uint64_t lag_ns;         /* of the last sync marker */
    bool complete;           /* the first walk is done and nothing is unwatched */
    char limit[256];         /* why something is unwatched, and the cure; "" otherwise */
};

/* The options are copied. Needs /proc. -EINVAL: a relative path, "." or ".." in it, or an exclusion
 * that cannot be understood; -EMFILE: fs.inotify.max_user_instances; -ENOMEM, -errno. */
int watch_start(const struct watch_options *options, watch_sink *sink, void *user,
                struct watch **ret_watch) MUST_USE;
/* Joins the threads; the sink is not called after it. NULL is legal. */
struct watch *watch_stop(struct watch *watch);

/* Changes paths, exclusions, budget and times without losing watches that stay; what is new to the
 * watch is walked as at the start. -EINVAL (a path or pattern that cannot be understood), -ENOMEM:
 * nothing changed. Thread-safe. */
int watch_reconfigure(struct watch *watch, const struct watch_options *options) MUST_USE;

/* Calls done(user, 0) from the reader when every event that happened before this call has been
 * given to the sink and all walks these began are done; files that were created and not closed are
 * told before their time. The proof is a marker in the kernel's own queue (inotify_source.c): no
 * file is written. If events were lost before the call, done waits for the gap to close.
 * done(user, -ETIMEDOUT) after timeout_ns; done(user, -ECANCELED) from watch_stop. -EBUSY when too
 * many wait already. Thread-safe, does not block; done may call watch_sync again. */
int watch_sync(struct watch *watch, uint64_t timeout_ns, void (*done)(void *user, int result),
               void *user) MUST_USE;

/* Thread-safe. */
void watch_status(struct watch *watch, struct watch_status *ret_status);

#endif
