/* The invocations that the runtime has in hand: the extension reports between them. Any thread. */
#ifndef APPLICATION_RELAY_INVOCATIONS_H
#define APPLICATION_RELAY_INVOCATIONS_H

#include "application/relay/relay_limits.h"
#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

struct invocations;

int invocations_new(struct invocations **ret_invocations) MUST_USE;
struct invocations *invocations_free(struct invocations *invocations);

/* The runtime gets request_id. When there are too many, the oldest is forgotten. */
void invocations_begin(struct invocations *invocations, const char *request_id);
/* Its answer has been relayed, or the relay answered itself (then begin may be missing). */
void invocations_end(struct invocations *invocations, const char *request_id);
/* Waits until request_id was begun and has ended, or was never begun but ended, at most wait_ns.
 * True when it ended. */
bool invocations_wait(struct invocations *invocations, const char *request_id, uint64_t wait_ns);

/* The one that the runtime has in hand; "" when there is none, or more than one. */
void invocations_current(struct invocations *invocations,
                         char ret_request_id[static RELAY_REQUEST_ID_BYTES]);

#endif
