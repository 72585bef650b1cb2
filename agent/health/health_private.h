/* Shared by the files that make up health.h. Not for others. */
#ifndef AGENT_HEALTH_HEALTH_PRIVATE_H
#define AGENT_HEALTH_HEALTH_PRIVATE_H

#include "agent/health/health.h"
#include "agent/health/marker.h"
#include "agent/watch/scope.h"

#include <pthread.h>

/* Most mounts that are tried in one round; the next round goes on behind them. */
enum { HEALTH_PLACES = 64 };

struct health {
    struct health_parts parts;
    pthread_t thread;
    size_t cursor;          /* of the thread: the first place of the next round */
    uint64_t silent_rounds; /* of the thread: in a row */

    pthread_mutex_t watch_lock; /* held while the watch is asked; before `lock` */
    struct watch *watch;

    pthread_mutex_t lock; /* of all below; the watch and the event loop wait for it: no file system
                           * is asked under it, for it may never answer */
    pthread_cond_t changed;
    bool stopping;
    struct scope *scope;
    uint64_t interval_ns, patience_ns;
    bool rescheduled;         /* another interval: whoever sleeps by the old one is to wake */
    uint64_t asked, answered; /* rounds that somebody waits for */
    /* The thread alone changes them, but for what became of a file: it reads the rest unlocked. */
    struct marker markers[HEALTH_PLACES];
    size_t marker_count;
    bool scanned;               /* the files of this round need a verdict */
    uint64_t tested_generation; /* of the engine that found the EICAR test file, or did not */
    struct health_status status;
};

/* A round: writes, waits, judges. In health's thread, without the lock. engine: of the scanner, or
 * 0: there is none, and only the watch is tried. */
void health_round(struct health *health, uint64_t engine);

#endif
