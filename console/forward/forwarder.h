/* Sends events on: a thread for each destination that is enabled, on one node of many. An event is
 * sent at least once, in order; a destination that is down for days gets all of them afterwards, as
 * long as they are kept; what will never be taken, or was removed before it was sent, is told in
 * the dead letters. Never in the way of what takes events in. */
#ifndef CONSOLE_FORWARD_FORWARDER_H
#define CONSOLE_FORWARD_FORWARDER_H

#include "common/attributes.h"
#include "console/forward/sink.h"
#include "console/people/secret_box.h"
#include "console/store/console_store.h"

struct forwarder;

struct forwarder_options {
    struct console_store *store;
    const struct secret_box *secrets;
    int64_t keep_events_ms; /* 0: for ever */
};

int forwarder_start(const struct forwarder_options *options,
                    struct forwarder **ret_forwarder) MUST_USE;
/* Waits for a sending under way. NULL is legal. */
struct forwarder *forwarder_stop(struct forwarder *forwarder);
/* Destinations changed: looks at them now. */
void forwarder_wake(struct forwarder *forwarder);

/* Reads a destination from its stored texts; free with destination_done in every case.
 * -EKEYREJECTED. */
int forwarder_destination(const struct secret_box *secrets, const char *id, const char *type,
                          const char *settings, const char *sealed,
                          struct destination *ret_destination) MUST_USE;
/* Sends one event made for the purpose. */
void forwarder_try(const struct destination *destination, struct sink_outcome *ret_outcome);

#endif
