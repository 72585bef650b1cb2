/* What a heartbeat says: events that the console has not acknowledged, results of its commands, the
 * agent's state. */
#ifndef AGENT_DELIVERY_HEARTBEAT_BODY_H
#define AGENT_DELIVERY_HEARTBEAT_BODY_H

#include "agent/delivery/command_results.h"
#include "agent/delivery/console_files.h"
#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "common/limits.h"

struct store;

struct heartbeat_body {
    const struct link_settings *settings;
    const char *facts; /* JSON object */
    const char *policy_digest, *policy_problem;
    const struct command_result *results;
    size_t result_count; /* at most LIMIT_HEARTBEAT_COMMANDS */
    bool greets;         /* without events: the answer says what the console has of this epoch */
};

/* Not from the main event loop: it reads the store. ret_more: there was no room for all events.
 * -EAGAIN: the store has no file yet, or began a new one just now. */
int heartbeat_body_write(struct store *store, const struct heartbeat_body *heartbeat,
                         struct buffer *body, bool *ret_more) MUST_USE;

#endif
