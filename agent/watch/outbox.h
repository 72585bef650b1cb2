/* Events that were made under the lock and are told after it. One thread's own. */
#ifndef AGENT_WATCH_OUTBOX_H
#define AGENT_WATCH_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/watch/watch.h"
#include "common/buffers/buffer.h"

#define OUTBOX_BYTES_MAXIMUM ((size_t)256 * 1024 * 1024)
#define OUTBOX_FULL          ((size_t)128 * 1024)

struct outbox {
    struct buffer bytes;
};

void outbox_init(struct outbox *outbox);
void outbox_done(struct outbox *outbox);
/* detail may be NULL. false when there is no memory. */
bool outbox_add(struct outbox *outbox, enum watch_event_kind kind, const char *path, size_t length,
                const char *detail);
/* Time to deliver? */
bool outbox_is_full(const struct outbox *outbox);
/* The event at *offset, which moves on; false at the end. Valid until the next change. */
bool outbox_next(const struct outbox *outbox, size_t *offset, struct watch_event *ret_event);
void outbox_clear(struct outbox *outbox);

#endif
