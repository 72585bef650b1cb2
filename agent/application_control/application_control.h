/* Application control: only known programs run. An inventory of what may run is learned from the
 * files that are there and from what is run; afterwards whatever is not in it is reported, or not
 * run at all. A program is known by its content, so that it may be renamed, copied and linked.
 *
 * The kernel asks before it runs a file (a yagura-guard of its own, see agent/prevention); what a
 * program reads as data (python file.py, shared libraries) is not asked for. Nothing is enforced
 * before the inventory is complete.
 *
 * Threads: the guard's side (agent/prevention), judge (digests, decisions), keeper (package
 * databases, the inventory's file, maintenance, programs in memory), walker (the learning walk).
 *
 * Events: application_blocked, application_unknown (it ran), application_trusted (of a package),
 * application_learning_started, application_inventory_complete, application_inventory_tampered,
 * application_control_started, application_control_degraded, maintenance_started,
 * maintenance_ended. */
#ifndef AGENT_APPLICATION_CONTROL_APPLICATION_CONTROL_H
#define AGENT_APPLICATION_CONTROL_APPLICATION_CONTROL_H

#include "agent/prevention/prevention.h"
#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

struct application_control;
struct store;

enum application_mode {
    APPLICATION_OFF,
    APPLICATION_LEARN,  /* all runs, and is known from then on */
    APPLICATION_REPORT, /* what is unknown runs, and is told */
    APPLICATION_BLOCK,  /* what is unknown does not run */
};

struct application_control_options {
    enum application_mode mode;
    bool trust_packages; /* a file that is as its package brought it may run */
    bool deny_late;
    uint64_t deadline_ns;
    uint64_t most_bytes; /* of a program; a larger one is unknown */
    const char *guard_program, *inspector_program;
    const char *inventory_path, *key_path;
    const char *const *paths; /* absolute; NULL-terminated, all lists */
    const char *const *exclude_directories;
    const char *const *allow_hashes, *const *block_hashes; /* SHA-256, lower-case hexadecimal */
    const char *const *own_directories;
};

enum application_state {
    APPLICATION_STATE_OFF,
    APPLICATION_STATE_LEARNING, /* nothing is enforced: the policy says so, or it is not complete */
    APPLICATION_STATE_WORKING,
    APPLICATION_STATE_MAINTENANCE,
    APPLICATION_STATE_DEGRADED, /* everything runs: problem says why */
};

struct application_control_status {
    enum application_state state;
    enum application_mode mode;
    char problem[256]; /* "" none; with DEGRADED why, otherwise what is less than it should be */
    uint64_t programs;
    uint64_t complete_ns, maintenance_until_ns; /* realtime; 0: not; is not on */
    uint64_t known, unknown, blocked, trusted;  /* answers since the start */
    bool walking, tampered;
    uint64_t looked_at; /* files of the walk so far */
    struct prevention_status guard;
};

/* Strings are copied. The store outlives it. -ENOMEM, -errno; an inventory that cannot be opened is
 * no failure: nothing is enforced then, and status says so. */
int application_control_start(const struct application_control_options *options,
                              struct store *store,
                              struct application_control **ret_control) MUST_USE;
/* Ends the guard first. NULL is legal. */
struct application_control *application_control_stop(struct application_control *control);
/* All below: thread-safe. */
int application_control_reconfigure(struct application_control *control,
                                    const struct application_control_options *options) MUST_USE;
void application_control_status(struct application_control *control,
                                struct application_control_status *ret_status);

#define APPLICATION_MAINTENANCE_MOST_MINUTES (24 * 60)
/* For so long whatever is run is known from then on, and so is what came or was changed until its
 * time was over: a walk looks for that. Put on again before that is found, it leaves out what came
 * in between. 0 ends it now. It outlives the agent's end. by: who asked, for the event.
 * -EOPNOTSUPP: it is off, -EALREADY: it does not enforce anything yet, -ERANGE. */
int application_control_maintain(struct application_control *control, uint64_t minutes,
                                 const char *by) MUST_USE;
/* Forgets all programs and learns anew what is there. -EOPNOTSUPP, -errno of the file. */
int application_control_learn(struct application_control *control, const char *by) MUST_USE;

#endif
