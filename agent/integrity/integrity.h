/* Integrity monitoring: what must not change is compared with the baseline, as it happens (by the
 * watch's events), on a schedule and on demand; every change that matters is told with before and
 * after.
 *
 * One thread of its own looks at files, owns the baseline, and asks yagura-inspector what others
 * wrote. All functions but start, reconfigure and stop are thread-safe. */
#ifndef AGENT_INTEGRITY_INTEGRITY_H
#define AGENT_INTEGRITY_INTEGRITY_H

#include "agent/integrity/integrity_rules.h"
#include "agent/watch/watch.h"
#include "common/attributes.h"
#include "common/time/schedule.h"

#include <stdbool.h>
#include <stdint.h>

struct integrity;
struct store;

struct integrity_options {
    bool enabled;
    bool attribution; /* who changed a file is asked of the kernel */
    const char *state_directory;
    const char *inspector_program; /* NULL: packages and texts are not asked about */
    struct integrity_lists lists;
    uint64_t most_bytes; /* larger files are not hashed */
    struct schedule schedule;
    bool trust_packages; /* changes by which a file becomes what its package brought are expected */
};

/* Strings are copied. The store outlives it. */
int integrity_start(const struct integrity_options *options, struct store *store,
                    struct integrity **ret_integrity) MUST_USE;
int integrity_reconfigure(struct integrity *integrity,
                          const struct integrity_options *options) MUST_USE;
struct integrity *integrity_stop(struct integrity *integrity);

/* Part of the watch's sink: copies and enqueues. Too many at once become a check of everything. */
void integrity_take_event(struct integrity *integrity, const struct watch_event *event);

/* done(user) once everything taken before this call has been compared and its events are committed.
 * From integrity's thread. -ENOMEM. */
int integrity_drain(struct integrity *integrity, void (*done)(void *user), void *user) MUST_USE;

enum integrity_request {
    INTEGRITY_CHECK,   /* compares everything by its state */
    INTEGRITY_FULL,    /* reads all content again, too */
    INTEGRITY_REBUILD, /* everything as it is now is approved */
};

struct integrity_totals {
    uint64_t files;    /* looked at */
    uint64_t changes;  /* told */
    uint64_t approved; /* by a rebuild: entries that were not as approved before */
};

struct integrity_order {
    enum integrity_request request;
    const char *who; /* copied */
    /* result: 0, -ECANCELED, -errno; from integrity's thread. */
    void (*done)(void *user, int result, const struct integrity_totals *totals);
    void *user;
};

/* -EOPNOTSUPP: it is switched off; -EBUSY: too many wait; -ENOMEM. */
int integrity_ask(struct integrity *integrity, const struct integrity_order *order) MUST_USE;
/* What was asked with this user ends early, also when it has not begun; others' go on. */
void integrity_cancel(struct integrity *integrity, const void *user);

enum integrity_state {
    INTEGRITY_OFF,
    INTEGRITY_BUILDING, /* the first baseline */
    INTEGRITY_CHECKING,
    INTEGRITY_WATCHING,
    INTEGRITY_FAILED, /* problem says why */
};

struct integrity_status {
    enum integrity_state state;
    char problem[256];
    bool tampered; /* somebody else wrote to the baseline */
    char key_id[32];
    uint64_t entries, changed, waiting;
    uint64_t files_checked;                    /* of the check that runs, or of the last one */
    uint64_t approved_ns, checked_ns, next_ns; /* realtime; 0: never */
};
void integrity_status(struct integrity *integrity, struct integrity_status *ret_status);
const char *integrity_state_name(enum integrity_state state);

/* The baseline's file, for baseline_read. */
const char *integrity_baseline_path(const struct integrity *integrity);

#endif
