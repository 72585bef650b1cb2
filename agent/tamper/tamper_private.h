/* Shared by the files of agent/tamper only. */
#ifndef AGENT_TAMPER_TAMPER_PRIVATE_H
#define AGENT_TAMPER_TAMPER_PRIVATE_H

#include "agent/tamper/snapshot.h"
#include "agent/tamper/tamper.h"

#include <pthread.h>

struct tamper {
    struct store *store;
    pthread_t thread;
    struct tamper_options options; /* interval_ns: under the lock */
    struct snapshot snapshot;      /* the thread's */
    bool first_pass;               /* of this run */
    bool left_out;                 /* there were too many own files in the last pass */

    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    bool stopping, again;
    struct tamper_status status;
};

/* One look at everything, in the thread. */
void tamper_pass(struct tamper *tamper);
bool tamper_is_stopping(struct tamper *tamper);

#endif
