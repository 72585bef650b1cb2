#include "agent/logs/log_batch.h"

#include <errno.h>
#include <string.h>

int log_batch_add(struct log_batch *batch, const struct event_draft *draft)
{
    if (batch->count == batch->capacity) {
        size_t capacity = MAX(batch->capacity * 2, (size_t)16);
        struct event_draft *drafts = reallocarray(batch->drafts, capacity, sizeof *drafts);
        if (drafts == NULL)
            return -ENOMEM;
        batch->drafts = drafts;
        batch->capacity = capacity;
    }
    struct event_draft copy = *draft;
    copy.module = "log";
    copy.subject = strdup(draft->subject);
    copy.detail = strdup(draft->detail);
    if (copy.subject == NULL || copy.detail == NULL) {
        free((char *)copy.subject);
        free((char *)copy.detail);
        return -ENOMEM;
    }
    batch->drafts[batch->count++] = copy;
    return 0;
}

void log_batch_clear(struct log_batch *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        free((char *)batch->drafts[i].subject);
        free((char *)batch->drafts[i].detail);
    }
    batch->count = 0;
}

void log_batch_done(struct log_batch *batch)
{
    log_batch_clear(batch);
    free(batch->drafts);
    *batch = (struct log_batch){.count = 0};
}
