/* Shared by the files that make up prevention.h. Not for others. All runs in its thread unless it
 * says otherwise. */
#ifndef AGENT_PREVENTION_PREVENTION_PRIVATE_H
#define AGENT_PREVENTION_PREVENTION_PRIVATE_H

#include "agent/prevention/open_judge.h"
#include "agent/prevention/prevention.h"
#include "agent/prevention/process_facts.h"
#include "agent/store/store.h"
#include "agent/watch/exclusions.h"
#include "common/event_loop/event_loop.h"
#include "common/limits.h"
#include "common/messages/message.h"
#include "scanner/client/scan_result.h"

#include <pthread.h>
#include <sys/types.h>

/* The options, copied. */
struct prevention_plan {
    bool enabled, exec_only, deny_late, deny_crowds;
    uint64_t deadline_ns;
    char *guard_program;
    char **paths, **own;
    struct exclusions *exclusions;
};

struct guard_process {
    uint64_t number; /* of all that were started; 0: there is none */
    pid_t pid;
    int socket;
    bool ready;
    uint64_t deadline_ns;
    uint64_t until_ns; /* monotonic, of an old one: no open waits for it after that */
    unsigned quiet;    /* ticks since its last word: not time, which passes while the host sleeps */
    struct guard_counts counts;
};

/* What was told lately, so that one who tries again and again fills no store. */
enum { TOLD_BLOCKS = 64 };
struct told_block {
    uint64_t device, inode;
    bool passed;
    uint64_t until_ns;
    uint64_t more; /* not told since */
};

struct prevention {
    struct store *store;
    struct scan_pipeline *pipeline;
    struct responder *responder;
    const struct open_judge *judge; /* in place of the two; NULL: none */
    pthread_t thread;
    struct event_loop *loop;
    struct event_timer *tick, *restart;
    int mounts_fd;   /* of mountinfo; -1 */
    int unmounts_fd; /* inotify, of file systems that were marked; -1 */
    struct prevention_plan *plan;
    struct guard_process current, next; /* the second takes over when it is ready */
    struct guard_process old;           /* taken over from, while opens wait for it */
    uint64_t last_number, restart_delay_ns, generation;
    uint64_t mounts_print; /* of the marks there are */
    bool mounts_moved, mark_lost, told_degraded;
    bool renewal_waits; /* for the end of the old one */
    struct told_block told[TOLD_BLOCKS];
    uint8_t buffer[LIMIT_MESSAGE_BYTES + 4];
    struct message_writer word;

    pthread_mutex_t lock; /* of all below */
    unsigned references;  /* of the owner, and one of each ask */
    bool stopping;
    struct prevention_plan *new_plan;
    struct prevention_status status;
};

struct mounts;

/* ---- prevention.c ---- */

void prevention_ref(struct prevention *prevention);
void prevention_unref(struct prevention *prevention);
/* Any thread: runs work in the loop; false: it stops. */
bool prevention_post(struct prevention *prevention, event_post_handler *work, void *user);
/* Of events and log lines: its own, or its judge's. */
const char *prevention_module(const struct prevention *prevention);
void prevention_record(struct prevention *prevention, const char *kind,
                       enum event_severity severity, const char *subject, const char *detail);
/* What is told of mounts from now on is news to a guard that is started next with these: of the
 * plan's file systems, not of those of the plan before. */
int prevention_watch_marks(struct prevention *prevention, struct mounts **ret_mounts) MUST_USE;

/* ---- guard_life.c ---- */

/* As the plan says: starts a guard beside the one there is, or ends it. */
void guard_life_renew(struct prevention *prevention);
void guard_life_end(struct prevention *prevention, struct guard_process *guard);
void guard_life_restart(void *user);
/* Once a second: one that is silent is ended. */
void guard_life_check(struct prevention *prevention);
/* Tells the guard to forget when the signatures are others. */
void guard_life_check_generation(struct prevention *prevention);
/* The running guard with this number; NULL: it has ended. */
struct guard_process *guard_life_find(struct prevention *prevention, uint64_t number);

/* ---- open_asks.c ---- */

/* The guard asks; message is released by the caller. */
int open_asks_take(struct prevention *prevention, struct guard_process *guard,
                   struct message *message);

#endif
