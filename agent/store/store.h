/* Everything the agent must not forget: events with their numbers, the outbox of what the console
 * has not acknowledged, and (in tables that agent/respond fills) the quarantine catalogue. One
 * SQLite file, one writer thread, group commit: a transaction takes all that waited while the last
 * one was being synced, so an idle agent commits one event at once and a busy one commits many with
 * one sync.
 *
 * A disk that is full, read-only or failing loses nothing: the group stays queued and is tried
 * again; store_status says so. A corrupt file is moved aside and a new one with a new epoch begun.
 *
 * store_append*, store_run, store_flush and store_status are thread-safe. Readers use a connection
 * of their own and see only what was committed. */
#ifndef AGENT_STORE_STORE_H
#define AGENT_STORE_STORE_H

#include "common/attributes.h"
#include "common/crypto/random.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct store;

enum event_severity { EVENT_INFO, EVENT_LOW, EVENT_MEDIUM, EVENT_HIGH, EVENT_CRITICAL };
const char *event_severity_name(enum event_severity severity); /* "info", "low", ... */
int event_severity_parse(const char *name,
                         enum event_severity *ret_severity) MUST_USE; /* -EINVAL */

/* An event to be stored; strings are copied. A subject that is too long is cut, a detail that is
 * too long is replaced by one that says so: no event is lost for its size. */
struct event_draft {
    const char *module; /* "malware", "watch", "scanner", "quarantine", "policy", "agent", ... */
    const char *kind;   /* stable snake_case: "malware_found", "watch_gap", ... */
    enum event_severity severity;
    const char *subject; /* what it is about, escaped: a path, a policy; NULL = "" */
    const char *detail;  /* a JSON object; NULL = "{}" */
    uint64_t time_ns;    /* realtime; 0 = now */
};

/* A stored one; strings live until the callback returns. */
struct event_record {
    uint64_t number; /* per store epoch, from 1, without holes but for those a cap made */
    char id[UUID_TEXT_BYTES];
    uint64_t time_ns;      /* when it happened */
    uint64_t committed_ns; /* when the group that holds it began its commit */
    const char *module, *kind, *subject, *detail;
    enum event_severity severity;
};

struct store_options {
    const char *path;
    uint64_t max_age_ns; /* 0 = no limit */
    uint64_t max_bytes;  /* oldest go first, malware events last; 0 = no limit */
    uint64_t
        commit_delay_ns; /* waits this long for company when events come one by one; 0 = none */
};

/* May say in ret_notice what it had to do (moved a corrupt file aside); an event about it is queued
 * already. When the disk is full, read-only or failing it still succeeds, with store_status.problem
 * set, and opens the file as soon as it can. -EPROTO: the file is of a newer Yagura; -errno. */
int store_open(const struct store_options *options, struct store **ret_store,
               char ret_notice[static 512]) MUST_USE;
/* The process is about to end: from now on a commit that fails is not tried again, and whoever
 * waits for it is told the problem. On a disk that works nothing changes. Thread-safe. */
void store_hurry(struct store *store);
/* Commits what waits (one try when the disk has a problem), then closes. What could not be
 * committed is told to its callbacks with the problem. */
struct store *store_close(struct store *store);
/* New caps and delay; the path stays. Thread-safe. */
int store_reconfigure(struct store *store, const struct store_options *options) MUST_USE;

/* Work that runs in the writer's transaction: SQL of the quarantine catalogue beside the event that
 * tells of it. database is valid during the call. < 0 rolls back only this piece of work and its
 * event or events. It may run again when the transaction had to be repeated: only the last run
 * counts. */
typedef int store_work(void *user, sqlite3 *database);
/* Called in the writer thread after COMMIT (result 0, number of the event) or failure (< 0). Must
 * not block; may append. */
typedef void store_committed(void *user, int result, uint64_t number);

/* Queues an event, with work (may be NULL) in the same transaction. -ENOBUFS when LIMIT_STORE_QUEUE
 * or LIMIT_STORE_QUEUE_BYTES wait: the caller holds back. committed may be NULL. -ENOMEM. */
int store_append(struct store *store, const struct event_draft *draft, store_work *work,
                 store_committed *committed, void *user) MUST_USE;
/* Only work, no event. */
int store_run(struct store *store, store_work *work, store_committed *committed,
              void *user) MUST_USE;
/* The same, waiting for the commit. Not from the event loop, nor from callbacks of the store.
 * draft NULL: only work. ret_number may be NULL. */
int store_append_wait(struct store *store, const struct event_draft *draft, store_work *work,
                      void *user, uint64_t *ret_number) MUST_USE;
/* count events (0: none) and work (not NULL) in one transaction, waiting for the commit: all of it
 * or nothing. Not from where store_append_wait must not be called. */
int store_append_batch_wait(struct store *store, const struct event_draft *drafts, size_t count,
                            store_work *work, void *user) MUST_USE;
/* done(user) after everything queued before has been committed. */
int store_flush(struct store *store, store_committed *done, void *user) MUST_USE;

struct store_status {
    char epoch[UUID_TEXT_BYTES]; /* a rebuilt store starts a new one */
    uint64_t last_number, acknowledged_number, waiting, bytes;
    uint64_t found_number; /* last_number when the file was opened */
    uint64_t dropped;      /* events a cap removed before they were acknowledged */
    uint64_t groups;       /* transactions committed since the start */
    int problem;           /* 0, or the -errno of the last failed commit: -ENOSPC, -EIO, -EROFS */
};
void store_status(struct store *store, struct store_status *ret_status);

/* Waits until an event with a larger number than after_number is committed: 0, or -ETIMEDOUT. Not
 * from the event loop, nor from callbacks of the store. For readers that follow. */
int store_wait_beyond(struct store *store, uint64_t after_number, uint64_t timeout_ns) MUST_USE;

struct event_filter {
    uint64_t after_number; /* only larger ones; 0 = all */
    uint64_t until_number; /* only smaller ones (paging newest first); 0 = all */
    uint64_t since_ns, until_ns;
    enum event_severity lowest;
    const char *module, *kind; /* NULL = any */
    const char *text;          /* substring of the subject; NULL = any */
    uint32_t limit;            /* 0 = no limit */
    bool newest_first;
};
/* Calls row for each; row returns non-zero to stop. Any thread but the event loop. */
int store_read_events(struct store *store, const struct event_filter *filter,
                      int (*row)(void *user, const struct event_record *event),
                      void *user) MUST_USE;
/* Runs read with a read-only connection; returns its result. Any thread but the event loop. */
int store_read(struct store *store, int (*read)(void *user, sqlite3 *database),
               void *user) MUST_USE;

/* The messenger's side: everything up to number has been committed by the console. A number that is
 * not larger than the last, or larger than last_number, changes nothing. */
int store_acknowledge(struct store *store, uint64_t number, store_committed *committed,
                      void *user) MUST_USE;
/* The console no longer has what came after number: that waits for it again, as far as it is still
 * here. */
int store_take_back(struct store *store, uint64_t number) MUST_USE;
/* The console has more events of this epoch than the file held when it was opened: an older state
 * of the disk came back. Begins a new epoch, so that the numbers which are given again are not
 * taken for those the console has, counts what was found as acknowledged, and queues an event about
 * it. */
int store_rewound(struct store *store, uint64_t console_number) MUST_USE;

/* When the file turns out to be corrupt while the agent runs, work is queued in the new one, to
 * fill it again (the quarantine catalogue). One only; NULL takes it back. */
void store_on_rebuild(struct store *store, void (*rebuilt)(void *user), void *user);

#endif
