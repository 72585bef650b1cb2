/* Events on their way to the store, with their strings. One thread. */
#ifndef AGENT_LOGS_LOG_BATCH_H
#define AGENT_LOGS_LOG_BATCH_H

#include "agent/store/store.h"
#include "common/attributes.h"

#include <stddef.h>

struct log_batch {
    struct event_draft *drafts;
    size_t count, capacity;
};

/* Copies subject and detail; kind is static. -ENOMEM. */
int log_batch_add(struct log_batch *batch, const struct event_draft *draft) MUST_USE;
/* Forgets the events, keeps the memory of the list. */
void log_batch_clear(struct log_batch *batch);
void log_batch_done(struct log_batch *batch);

#endif
