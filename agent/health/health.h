/* Whether the sensors still work, found out by use and not by asking them: at intervals a small
 * file is written on each watched mount, and must be told by the watch and get a verdict of the
 * scanner. The first file of a start, and of each new set of signatures, is the EICAR test file.
 * None of them is ever an event about malware, counted as a file, or seen by integrity monitoring.
 *
 * One thread of its own writes, waits and judges. A watch that stays silent is reported and started
 * anew by the supervisor. */
#ifndef AGENT_HEALTH_HEALTH_H
#define AGENT_HEALTH_HEALTH_H

#include "agent/watch/watch.h"
#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_loop;
struct health;
struct scan_pipeline;
struct store;

struct health_options {
    const struct watch_options *watch; /* what is watched; copied */
    uint64_t interval_ns;              /* between two rounds; 0: only when asked */
    uint64_t patience_ns;              /* silence after which a sensor counts as dead */
};

struct health_parts {
    struct store *store;
    struct scan_pipeline *pipeline;
    struct event_loop *loop;     /* in whose thread restart is called */
    void (*restart)(void *user); /* stops the watch and starts it anew */
    void *user;
};

int health_start(const struct health_options *options, const struct health_parts *parts,
                 struct health **ret_health) MUST_USE;
/* Before it stops: whoever waits in health_check is let go, no round begins any more. Thread-safe.
 * NULL is legal. */
void health_cancel(struct health *health);
/* After the watch has stopped. NULL is legal. */
struct health *health_stop(struct health *health);
/* -EINVAL, -ENOMEM: nothing changed. Thread-safe. */
int health_reconfigure(struct health *health, const struct health_options *options) MUST_USE;
/* The watch that is to be tried; NULL, before it stops: none. Thread-safe. */
void health_set_watch(struct health *health, struct watch *watch);

/* From the watch's sink: whether the event is about one of our files that still lies there. */
enum health_share {
    HEALTH_NOT_OURS,
    HEALTH_FOR_SCAN,   /* nobody but the scan pipeline is to hear of it */
    HEALTH_FOR_NOBODY, /* only the watch is tried: nothing is to wake the scanner */
};
enum health_share health_take_event(struct health *health, const struct watch_event *event);

/* How a file fared on its mount. */
enum health_outcome {
    HEALTH_WAITING,   /* written, and nothing came back yet */
    HEALTH_SEEN,      /* the watch told it */
    HEALTH_PASSED,    /* and the scanner gave the verdict it had to give */
    HEALTH_SILENT,    /* the watch did not tell it in time */
    HEALTH_UNSCANNED, /* it got no verdict in time, or a wrong one */
    HEALTH_UNTRIED,   /* it could not be written: a full or read-only file system */
};
const char *health_outcome_name(enum health_outcome outcome); /* "waiting", "seen", ... */

struct health_place {
    const char *directory; /* raw bytes */
    enum health_outcome outcome;
    uint64_t seen_ns, verdict_ns; /* after it was written; 0: not */
    int error;                    /* of UNTRIED */
};

/* A round now; then row for each place, of which there may be none. -ETIMEDOUT; -ECANCELED when the
 * agent stops. Not from the event loop. */
int health_check(struct health *health, uint64_t timeout_ns,
                 void (*row)(void *user, const struct health_place *place), void *user) MUST_USE;

enum health_self_test { HEALTH_SELF_TEST_NONE, HEALTH_SELF_TEST_PASSED, HEALTH_SELF_TEST_FAILED };

struct health_status {
    uint64_t rounds, restarts;
    uint64_t places, silent, unscanned, untried; /* of the last round */
    uint64_t checked_ns;                         /* realtime, of its end; 0: none */
    uint64_t seen_ns, verdict_ns;                /* the slowest of it */
    enum health_self_test self_test;             /* of the signatures now in use */
    char problem[512], cure[256];                /* "" while all is well */
};
void health_status(struct health *health, struct health_status *ret_status);

#endif
