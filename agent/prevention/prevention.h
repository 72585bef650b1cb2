/* Prevention: infected files cannot be opened or run. Root's side of yagura-guard: starts it,
 * answers what it asks by the scan pipeline, tells what was blocked, and ends one that does not go
 * on.
 *
 * One thread with an event loop of its own. It never waits for a scan: many asks are open at once,
 * and the guard keeps their deadlines. A guard lives by one policy: another policy, or other
 * mounts, start another guard beside it, which takes over once it is ready, so that nothing is
 * opened unseen in between. Without a guard every open passes, and status and an event say so.
 *
 * Events: prevention_blocked, prevention_late (malware that was opened before its verdict),
 * prevention_started, prevention_degraded. */
#ifndef AGENT_PREVENTION_PREVENTION_H
#define AGENT_PREVENTION_PREVENTION_H

#include "agent/guard/guard_messages.h"
#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct open_judge;
struct prevention;
struct responder;
struct scan_pipeline;
struct store;

struct prevention_options {
    bool enabled, exec_only, deny_late;
    bool deny_crowds; /* of one user, more than his part of those that may wait; not root's */
    uint64_t deadline_ns;
    const char *guard_program;
    const char *const *paths; /* absolute; NULL-terminated, all lists */
    const char *const *exclude_directories, *const *exclude_files, *const *exclude_extensions;
    const char *const *own_directories;
};

enum prevention_state {
    PREVENTION_OFF,
    PREVENTION_STARTING,
    PREVENTION_WORKING,
    PREVENTION_DEGRADED, /* every open passes: problem says why */
};

struct prevention_status {
    enum prevention_state state;
    char problem[256]; /* why it is degraded, or works less well than it should; "" */
    pid_t guard_pid;   /* of the one that works; 0: there is none */
    uint64_t blocked;  /* events told, since the start; not those of opens that were let through */
    uint64_t restarts; /* of a guard that ended by itself, or was ended for not going on */
    struct guard_counts counts; /* of the guard now */
};

struct prevention_parts {
    struct store *store;
    const struct open_judge *judge; /* NULL: files are scanned by pipeline, malware is judged by */
    struct scan_pipeline *pipeline; /* responder */
    struct responder *responder;
};

/* Strings are copied, parts too; what they point to outlives it. -ENOMEM, -errno; a guard that
 * cannot start is no failure. */
int prevention_start(const struct prevention_options *options, const struct prevention_parts *parts,
                     struct prevention **ret_prevention) MUST_USE;
/* Ends the guard first: no open waits for us from then on. NULL is legal. */
struct prevention *prevention_stop(struct prevention *prevention);
/* Thread-safe, both. */
int prevention_reconfigure(struct prevention *prevention,
                           const struct prevention_options *options) MUST_USE;
void prevention_status(struct prevention *prevention, struct prevention_status *ret_status);

#endif
