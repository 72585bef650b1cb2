/* Shared by the files that make up responder.h. Not for others.
 *
 * A task is one detection on its way: incoming -> (decided, its events are being committed) ->
 * ready -> (acted on, the result is being committed) -> finished (told, not yet known to be on the
 * disk) -> freed. It is owned by the list
 * it stands in, or by the store while that has its callback. */
#ifndef AGENT_RESPOND_RESPOND_TASK_H
#define AGENT_RESPOND_RESPOND_TASK_H

#include "agent/respond/brake.h"
#include "agent/respond/detection_memory.h"
#include "agent/respond/digest_set.h"
#include "agent/respond/holding.h"
#include "agent/respond/intent_table.h"
#include "agent/respond/package_owner.h"
#include "agent/respond/quarantine.h"
#include "agent/respond/responder.h"
#include "agent/store/store.h"

#include <pthread.h>

struct task {
    struct task *next;                       /* of the list it stands in */
    struct task *alive_next, **alive_before; /* of all there are */
    struct responder *responder;
    struct file_identity identity; /* as scanned */
    struct intent intent;
    int fd;         /* the file; -1 when resumed */
    int holding_fd; /* where it is moved to; -1 before respond_move */
    int sealed_fd;
    struct sealed_bytes sealed;           /* until the result is committed; or sealed_fd */
    uint64_t told_ns;                     /* monotonic: when the result was committed */
    uint64_t room;                        /* bytes reserved in the quarantine */
    const char *held;                     /* why the brake holds it; NULL */
    uint64_t held_count;                  /* to be told by malware_held; 0: told already */
    bool resumed;                         /* from an earlier run: it may be moved already */
    bool moved;                           /* it lies in holding_fd under its id */
    bool told_delay;                      /* malware_action_delayed was told */
    bool released;                        /* an administrator has decided: no brake */
    bool judge;                           /* somebody wants to open it: only told, never acted on */
    void (*done)(void *user, int result); /* guarded by the responder's mutex */
    void *user;
    int result;
};

struct task_list {
    struct task *first, **last;
    uint64_t count;
};

void task_list_init(struct task_list *list);
void task_list_push(struct task_list *list, struct task *task);
struct task *task_list_pop(struct task_list *list);

/* What options say, copied. Immutable, swapped as a whole under the responder's mutex. */
struct respond_rules {
    unsigned references;
    enum respond_action action, heuristic_action;
    bool hold_package_files;
    uint64_t brake_actions;
    struct digest_set allowed, denied;
    char **allowed_signatures; /* NULL-terminated */
};

/* options are copied; -ENOMEM, -EINVAL (a digest). */
int respond_rules_new(const struct responder_options *options,
                      struct respond_rules **ret_rules) MUST_USE;
void respond_rules_unref(struct respond_rules *rules); /* with mutex, or the last owner */

struct respond_job {
    struct respond_job *next;
    void (*work)(void *user);
    void *user;
};

struct responder {
    struct store *store;
    struct quarantine *quarantine;
    struct holdings *holdings;
    struct detection_memory *memory;
    struct brake *brake;
    struct package_owner *packages; /* the deciding thread's */
    pthread_t decider, actor, finisher;
    bool decider_runs, actor_runs, finisher_runs;
    bool counts_loaded; /* the acting thread's */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t decide, act, finish;
    unsigned references; /* one of the caller, one of each task */
    bool stopping;
    struct respond_rules *rules;
    struct digest_set console_allowed;
    struct task_list incoming, ready, finished, delayed;
    struct task_list undecided; /* to be decided again */
    struct respond_job *jobs, **last_job;
    struct task *alive;
    uint64_t alive_count, finishing_count; /* the second: of these, those whose result is told */
    uint64_t most_alive;                   /* not told yet: each holds a descriptor of its file */
    struct responder_status counts;
    bool recovery_tried; /* decisions wait for that: what is open must not be told twice */
    bool rebuild;        /* the store was made anew: recover again */
};

/* Makes a task for a file; path is copied, fd taken over. NULL when out of memory. */
struct task *task_new(struct responder *responder, const char *path, int fd);
/* Takes done away so that it is called once; with mutex. */
void (*task_take_done(struct task *task))(void *user, int result);
/* Calls done, if that has not been done yet. Any thread. */
void task_tell_done(struct task *task, int result);
/* The same, takes it off the list of all, frees it. Any thread. */
void task_end(struct task *task, int result);
/* Puts it into list and wakes its thread; ends it when the responder is stopping. */
void task_hand_over(struct task *task, struct task_list *list);
/* store_append's -ENOBUFS is waited out. 0, or -errno: then the task is still the caller's. */
typedef int task_append(struct task *task);
int task_append_patiently(struct task *task, task_append *append) MUST_USE;
bool responder_stopping(struct responder *responder);
/* Gives a task to the deciding thread; -EAGAIN when too many wait. */
int responder_hand_in(struct task *task) MUST_USE;
/* With mutex, which it releases. */
void responder_unref_unlock(struct responder *responder);

/* The threads' functions; user is the responder. */
void *respond_decider_main(void *user);
void *respond_actor_main(void *user);
void *respond_finisher_main(void *user);
/* What responder_run queued; in the acting thread, or after it has ended. */
void respond_run_jobs(struct responder *responder);

/* Decides about a detection; the task is handed on or ended. */
void respond_decide(struct task *task, const struct respond_rules *rules);
/* What is lacking for a decision may be there later; the task is handed on. */
void respond_put_off(struct task *task);

/* Moves, disarms and seals, without waiting for the disk; small ones into memory when little is
 * true. 0: the task goes to respond_conclude; otherwise it has been handed on. */
int respond_begin(struct task *task, bool little);
/* What was sealed becomes durable in one of two ways. What is in memory is committed with the
 * result, and goes to the disk afterwards. Otherwise it goes to the disk before the result: all
 * that a batch sealed is written to files, the writing is started and waited for, then each is
 * synced. */
int respond_write(struct task *task) MUST_USE;
void respond_start_writing(struct task *task);
void respond_await_writing(struct task *task);
int respond_sync(struct task *task) MUST_USE;
/* Queues the result, or deals with the failure (result < 0). */
void respond_conclude(struct task *task, int result);

/* Deals with what an earlier run left: open intents become tasks, moved files without any become
 * quarantined ones. To be repeated while it fails. */
int respond_recover(struct responder *responder) MUST_USE;

#endif
