/* Shared by the files that make up integrity.h. Not for others. */
#ifndef AGENT_INTEGRITY_INTEGRITY_PRIVATE_H
#define AGENT_INTEGRITY_INTEGRITY_PRIVATE_H

#include "agent/integrity/baseline.h"
#include "agent/integrity/change_authors.h"
#include "agent/integrity/changes.h"
#include "agent/integrity/integrity.h"
#include "agent/integrity/pending.h"
#include "agent/respond/package_owner.h"
#include "agent/scan/mount_classes.h"
#include "agent/store/store.h"

#include <pthread.h>
#include <stdatomic.h>

/* What the policy says, immutable; shared by reference. */
struct integrity_settings {
    atomic_uint references;
    bool enabled, trust_packages;
    uint64_t most_bytes;
    struct schedule schedule;
    struct integrity_rules *rules;
    struct change_authors *authors; /* NULL: nobody tells who changed what */
};

struct waiting_request {
    struct waiting_request *next;
    struct integrity_order order;
    char who[128];
    bool cancelled; /* with integrity's lock */
};

struct waiting_drain {
    struct waiting_drain *next;
    void (*done)(void *user);
    void *user;
};

/* How entries are treated while everything is walked. */
enum walk_mode {
    WALK_COMPARE, /* changes are told */
    WALK_ADOPT,   /* the same, but what the rules did not cover before is taken as it is */
    WALK_APPROVE, /* everything is taken as it is */
};

struct integrity {
    char *baseline_path, *key_path;
    struct store *store;
    pthread_t thread;

    pthread_mutex_t lock; /* of all up to the thread's own */
    pthread_cond_t changed;
    bool stopping, check_all;
    struct integrity_settings *settings;
    struct pending *pending;
    struct waiting_request *requests, **last_request;
    struct waiting_request *request; /* the one that is served */
    struct schedule_plan plan;
    struct waiting_drain *drains, **last_drain;
    struct integrity_status status;

    /* The thread's own. */
    struct integrity_settings *now; /* the settings of this turn; a reference */
    struct baseline *baseline;      /* NULL until it is needed */
    bool told_tampering, started;
    struct package_owner *packages;
    struct mount_classes *mounts;
    struct changes changes;
    struct integrity_totals totals;
    uint64_t checked_ns;
    uint64_t failed_ns; /* monotonic: when the baseline could not be opened or written; 0 */
};

struct integrity_settings *integrity_settings_ref(struct integrity_settings *settings);
struct integrity_settings *integrity_settings_unref(struct integrity_settings *settings);

/* ---- compare.c: one entry against its row ---- */

/* Where an entry stands. */
struct entry_place {
    struct baseline_page *page; /* of its directory */
    int directory_fd;
    const char *name, *path;
    size_t path_length;
    enum integrity_care care;
    const struct stat *status; /* when it is known already; NULL */
};
struct compare_options {
    enum walk_mode mode;
    bool read_all;                              /* content, also of what seems unchanged */
    const struct integrity_rules *adopted_from; /* WALK_ADOPT: what was covered */
    bool distrust;                              /* the page's seal does not hold: take all anew */
};
/* Adds what changed to integrity->changes. Entries that are gone count as changes, too. */
int compare_entry(struct integrity *integrity, const struct entry_place *place,
                  const struct compare_options *options) MUST_USE;
/* The row's entry is gone, or nobody cares for it any more. */
int compare_gone(struct integrity *integrity, const struct entry_place *place,
                 struct baseline_row *row, enum walk_mode mode) MUST_USE;
/* Loads a directory's page; a broken seal is told once, and *ret_broken. */
int compare_load_page(struct integrity *integrity, const char *directory, size_t length,
                      struct baseline_page *page, bool *ret_broken) MUST_USE;

/* ---- walk_all.c: everything; examine.c: what is pending ---- */

int walk_everything(struct integrity *integrity, const struct compare_options *options) MUST_USE;
/* Whatever is due, or all. May be called during a walk. -ECANCELED: it is time to stop. */
int examine_pending(struct integrity *integrity, bool all) MUST_USE;

/* ---- report.c ---- */

/* Tells all changes, waits until they are committed, brings the baseline up to date. */
int report_changes(struct integrity *integrity) MUST_USE;
/* An event of its own. detail: JSON object; NULL. Waits for room; -ECANCELED: called off. */
int report_event(struct integrity *integrity, const char *kind, enum event_severity severity,
                 const char *subject, const char *detail) MUST_USE;
/* Of a baseline that was built or approved again, and of a check. */
void report_baseline(struct integrity *integrity, const char *kind, const char *who);
void report_checked(struct integrity *integrity, const char *who, int result, uint64_t began_ns);

/* ---- store_wait.c: -ECANCELED when called off while the store's disk is full ---- */

/* store_append, waiting for room in its queue. */
int store_wait_for_room(struct integrity *integrity, const struct event_draft *draft,
                        store_committed *done, void *user) MUST_USE;
/* Until everything queued before is committed. */
int store_wait_for_commit(struct integrity *integrity) MUST_USE;

/* ---- requests.c: in the thread ---- */

/* The next one, whose check may then be called off; NULL. */
struct waiting_request *integrity_take_request(struct integrity *integrity);
void integrity_end_request(struct integrity *integrity, struct waiting_request *request, int result,
                           const struct integrity_totals *totals);
/* The thread is to stop. Both end those that were cancelled while they waited, and are called often
 * enough that nobody waits long for that. */
bool integrity_is_ending(struct integrity *integrity);
/* That, or who asked for what is done has cancelled it. */
bool integrity_is_called_off(struct integrity *integrity);

#endif
