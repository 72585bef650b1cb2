/* What the parts of the watch share. Threads: one reader (reader.c), a few walkers (walk.c). `lock`
 * guards everything but what is said to be atomic or of one thread. It is held for microseconds:
 * no path is opened and the sink is never called under it. The one system call made under it is
 * watch_source_add(), on an open descriptor: so the reader never meets a key the tree lacks, and a
 * record of an unknown key can only be a leftover of a watch we gave up. */
#ifndef AGENT_WATCH_WATCH_INTERNAL_H
#define AGENT_WATCH_WATCH_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "agent/watch/gap.h"
#include "agent/watch/limbo.h"
#include "agent/watch/outbox.h"
#include "agent/watch/settle.h"
#include "agent/watch/sync.h"
#include "agent/watch/told.h"
#include "agent/watch/tree.h"
#include "agent/watch/unclosed.h"
#include "agent/watch/watch.h"

#define WALKERS_MAXIMUM 4

#define WATCH_TOO_LONG \
    "a path below it is too long to be watched (yaguractl limits: LIMIT_PATH_BYTES)"

struct mounts;
struct scope;
struct watch_source;

/* What a walk of a directory has to do besides watching it and finding its directories. */
enum walk_flag {
    WALK_TELL = 1 << 0,  /* tell every file as arrived */
    WALK_FOUND = 1 << 1, /* tell every file as found */
    WALK_SINCE = 1 << 2, /* tell what changed since the gap began */
    WALK_GAP = 1 << 3,   /* counted: part of closing a gap */
    WALK_FIRST = 1 << 4, /* counted: part of the first walk */
    WALK_DEEP = 1 << 5,  /* tell the files of known directories below, too */
};

struct walk_task {
    uint32_t node;
    uint16_t generation;
    uint32_t epoch; /* of sync.h */
};

struct walk_stack {
    struct walk_task *tasks;
    size_t count, capacity;
};

/* Jobs of walkers other than walks; one at a time each. */
enum watch_job {
    JOB_MOUNTS = 1 << 0,    /* read the mount table again */
    JOB_BURY = 1 << 1,      /* forget what lies under TREE_GRAVE */
    JOB_CONFIGURE = 1 << 2, /* bring the tree in line with a new scope */
    JOB_RETRY = 1 << 3,     /* try unwatched directories again */
    JOB_CRAWL = 1 << 4,     /* a slice of the verifying crawl */
    JOB_SETTLED = 1 << 5,   /* look at files whose time to settle is up, and tell them */
};
#define JOB_COUNT 6

struct watch_counters {
    atomic_uint_fast64_t watched, unwatched, events, overflows, found_by_crawl, lag_ns;
    atomic_uint_fast64_t walks_running, gaps_open;
    atomic_bool first_walk_done;
};

struct watch_crawl {
    uint64_t interval_ns, rate;
    uint64_t next_ns;    /* when the next slice (or round) is due; UINT64_MAX: never */
    uint64_t started_ns; /* monotonic, of this round's start */
    uint32_t cursor;     /* node of the next slice; 0: no round runs */
};

struct watch {
    watch_sink *sink;
    void *user;
    pthread_mutex_t sink_lock; /* one call at a time */

    pthread_mutex_t lock;
    pthread_cond_t work; /* a task or job is there */
    bool stopping;
    struct watch_source *source;
    struct tree tree;
    struct scope *scope;
    struct mounts *mounts;
    struct settle settle;
    struct settle_entry *settled; /* for JOB_SETTLED, by next */
    struct unclosed unclosed;
    struct limbo limbo;
    struct gap gap;
    struct sync sync;
    struct walk_stack stack;
    unsigned int jobs, jobs_running; /* enum watch_job */
    uint32_t job_epochs[JOB_COUNT];
    bool gap_told;
    bool walked;                     /* first_walks came to 0, and it was not told */
    uint64_t gap_walks, first_walks; /* nodes with WALK_GAP, WALK_FIRST not done yet */
    unsigned int walkers_idle;
    bool report_found;
    uint64_t started_ns; /* realtime */

    uint64_t policy_budget, budget; /* most watches; budget is recomputed near the limit */
    bool budget_measured, limit_told, room_appeared;
    uint64_t retry_ns, retry_delay_ns; /* monotonic; UINT64_MAX: no retry is due */
    char limit[256];

    struct watch_crawl crawl;

    struct told told;
    struct watch_counters counters;
    pthread_mutex_t mounts_lock; /* one reading of the mount table at a time; before `lock` */
    int mountinfo_fd;
    int mount_poll_fd; /* the reader's own view of mountinfo: polling it arms it */
    int wake_fd;       /* eventfd: the reader should look at the lock's data */
    pthread_t reader;
    bool reader_runs;
    pthread_t walkers[WALKERS_MAXIMUM];
    unsigned int walker_count;
};

/* watch.c. Tells one event; not under the lock. */
void watch_tell(struct watch *watch, enum watch_event_kind kind, const char *path, size_t length,
                const char *detail);
void watch_wake_reader(struct watch *watch);

/* Tells what was collected, in order, and empties the box; not under the lock. */
void watch_deliver(struct watch *watch, struct outbox *outbox);

/* reader.c */
void *watch_reader_run(void *watch);

/* work.c: under the lock. */
void watch_queue_walk(struct watch *watch, uint32_t node, unsigned int flags);
/* The same as part of other work: of its epoch. */
void watch_continue_walk(struct watch *watch, uint32_t node, unsigned int flags, uint32_t epoch);
void watch_queue_job(struct watch *watch, enum watch_job job);
/* The walk flags that count are done. */
void watch_account_walk(struct watch *watch, unsigned int flags);
void watch_end_work(struct watch *watch, uint32_t epoch);
/* The node of (parent, name), made when it is missing; TREE_NONE when there is no room. */
uint32_t watch_want_child(struct watch *watch, uint32_t parent, const char *name, size_t length);
/* Takes a node and all below it out of the tree, to be forgotten by a walker. */
void watch_bury(struct watch *watch, uint32_t node);
/* Frees a node without children. */
void watch_release_node(struct watch *watch, uint32_t node);
void watch_forget_key(struct watch *watch, uint32_t node);
void watch_set_unwatched(struct watch *watch, uint32_t node, bool unwatched);
/* Events were lost, or could not be kept track of. */
void watch_note_loss(struct watch *watch);

/* walk.c */
struct walker;
void *watch_walker_run(void *watch);

/* jobs.c: run by walkers, not under the lock. Walks they queue are part of epoch's work. */
void watch_read_mounts(struct watch *watch, uint32_t epoch);
void watch_run_job(struct watch *watch, enum watch_job job, uint32_t epoch);

#endif
