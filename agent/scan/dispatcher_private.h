/* Shared by the files that make up dispatcher.h. Not for others. All runs in the dispatcher's
 * thread unless it says otherwise. */
#ifndef AGENT_SCAN_DISPATCHER_PRIVATE_H
#define AGENT_SCAN_DISPATCHER_PRIVATE_H

#include "agent/scan/dispatcher.h"
#include "agent/scan/file_lease.h"
#include "agent/scan/scan_job.h"
#include "agent/scan/scan_report.h"
#include "common/event_loop/event_loop.h"
#include "common/time/clock.h"

#include <pthread.h>

enum {
    DISPATCHER_RECENT = 1024, /* a power of two */
    DISPATCHER_ACTING = 16384,
};

/* When what could not be opened, or handed on, is tried again. */
#define DISPATCHER_DELAY        (100 * NS_PER_MS)
#define DISPATCHER_COMMIT_DELAY (20 * NS_PER_MS)

/* A file of the watched trees that was scanned a moment ago: news of its arrival that name the same
 * state need no second scan, for a writer's close would be told as WRITTEN. */
struct recent_scan {
    struct file_identity identity;
    uint64_t until_ns;
    uint64_t generation;
};

struct dispatcher {
    struct dispatcher_parts parts;
    pthread_t thread;
    int wake_fd; /* an eventfd */
    struct event_loop *loop;
    struct scanner_client *client;
    struct event_timer *tick, *retry, *refill;
    struct scan_task_list in_flight; /* with the scanner */
    struct scan_task_list asks;      /* somebody waits for them: begun before all others */
    uid_t asking_user;               /* whose turn it was last among them */
    struct scan_task_list resume;    /* to be submitted again, before those of lanes */
    struct scan_task_list delayed;   /* could not be opened now */
    struct scan_task_list held;      /* the store or the responder had no room */
    struct scan_task_list twins;     /* malware that may be acted upon already, by another name */
    uint16_t
        acting[DISPATCHER_ACTING]; /* detections with the responder, by a hash of their inode */
    uint64_t passes[SCAN_LANES], pass;
    struct recent_scan recent[DISPATCHER_RECENT];
    uint64_t asked_device, asked_until_ns; /* whose class was asked last */
    bool asked_is_local;
    struct scan_settings *settings; /* those the client works with */
    bool stopping;
    bool is_short;      /* no descriptor, or no memory, for one file more: none is begun */
    bool told_short;    /* since the last file that was given to the scanner */
    bool has_engine;    /* or one that died is replaced at once: whoever asks waits for it */
    uint64_t worked_ns; /* monotonic: the last verdict, or that an engine was there */

    atomic_bool hungry, wake_posted;
    atomic_uint_fast64_t generation;
    atomic_uint_fast64_t scanned, cached, clean, infected, incomplete, errors, vanished,
        rescanned_changed, leases_broken, in_flight_count;

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    bool started, stop_asked, reload_asked;
    int start_result;
    struct scanner_status status;
    struct scan_settings *new_settings;
    struct scan_task_list asked;     /* on their way to asks */
    struct scan_task_list committed; /* by the threads of store and responder */
    size_t commits;                  /* handed on and not committed */

    pthread_mutex_t own_lock; /* of both below; held while own_file is called */
    scan_own_file *own_file;
    void *own_user;
};

/* ---- dispatcher_begin.c ---- */

/* No file is begun before this one could be. */
void dispatcher_wait_for_room(struct dispatcher *dispatcher, struct scan_task *task, int error);
/* Opens it and gives it to the scanner, or settles it. */
void dispatcher_begin_task(struct dispatcher *dispatcher, struct scan_task *task);
/* Its job was cancelled, or whoever asked for it waits no more: it takes no worker from others. */
bool dispatcher_is_unwanted(const struct scan_task *task);
/* Those that came since. */
void dispatcher_take_asked(struct dispatcher *dispatcher);
/* Begins files until the workers have enough. */
void dispatcher_fill_workers(struct dispatcher *dispatcher);

/* ---- dispatcher_verdict.c ---- */

void dispatcher_submit_task(struct dispatcher *dispatcher, struct scan_task *task);
void dispatcher_fail_task(struct dispatcher *dispatcher, struct scan_task *task,
                          enum scan_reason reason, int error);
bool dispatcher_scanned_lately(struct dispatcher *dispatcher, const struct file_identity *identity);
/* The scanner client's answer. */
void dispatcher_file_scanned(void *owner, void *job, const struct scan_result *result);

/* ---- dispatcher_commit.c ---- */

/* Nobody wants it any more, or it vanished. */
void dispatcher_drop_task(struct dispatcher *dispatcher, struct scan_task *task);
void dispatcher_release_task(struct dispatcher *dispatcher, struct scan_task *task);
void dispatcher_forget_lease(struct scan_task *task);
struct file_identity dispatcher_reported_identity(const struct scan_task *task);
/* False: the store or the responder has no room. */
bool dispatcher_commit_task(struct dispatcher *dispatcher, struct scan_task *task);
void dispatcher_commit_or_hold(struct dispatcher *dispatcher, struct scan_task *task);
void dispatcher_commit_detection(struct dispatcher *dispatcher, struct scan_task *task);
/* Takes what the threads of store and responder have committed. */
void dispatcher_release_committed(struct dispatcher *dispatcher);
/* Any thread. */
void dispatcher_post_wake(struct dispatcher *dispatcher);

#endif
