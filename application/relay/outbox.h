/* Events on their way out: kept in memory, bounded; handed to the reporter between invocations, or
 * written to standard output, a JSON line each, when there is no console or it does not answer.
 * The reporter, the only part that speaks TLS, is a process of its own that starts with the first
 * delivery. Any thread may add; one at a time delivers. */
#ifndef APPLICATION_RELAY_OUTBOX_H
#define APPLICATION_RELAY_OUTBOX_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outbox;
struct buffer;

struct outbox_options {
    char *const *reporter; /* its argv, ended by NULL; NULL: standard output only */
    int output_fd;         /* where lines go */
    uint64_t interval_ns;  /* a report is due this long after the last one, events or not */
    /* A policy came from the console: text is its libconfig text. May be NULL. */
    void (*policy)(void *user, const char *text, size_t length);
    void *user;
};
int outbox_new(const struct outbox_options *options, struct outbox **ret_outbox) MUST_USE;
struct outbox *outbox_free(struct outbox *outbox);

/* Takes the content of json, which is one object. When there are too many, the oldest goes to
 * standard output at once. */
void outbox_add(struct outbox *outbox, struct buffer *json);
/* Whether deliver has something to do. */
bool outbox_is_due(struct outbox *outbox);
/* Tries until the time is over. last: the process is about to end, so what could not be delivered
 * becomes lines. */
void outbox_deliver(struct outbox *outbox, uint64_t wait_ns, bool last);

#endif
