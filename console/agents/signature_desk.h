/* Makes the sets of signatures that agents ask for, in a thread of its own: reading, encoding and
 * signing megabytes would hold up the heartbeats of an event loop. Thread-safe. */
#ifndef CONSOLE_AGENTS_SIGNATURE_DESK_H
#define CONSOLE_AGENTS_SIGNATURE_DESK_H

#include "common/attributes.h"

#include <stdbool.h>

#define SIGNATURE_DESK_PLACES 64 /* requests that wait */

struct agent_row;
struct agent_service;
struct http_request;
struct signature_desk;

/* service outlives it. */
int signature_desk_open(const struct agent_service *service,
                        struct signature_desk **ret_desk) MUST_USE;
/* After the listener was stopped. NULL is legal. */
struct signature_desk *signature_desk_close(struct signature_desk *desk);
/* Holds the request, and answers it later. False: nothing was done, for too many wait, or this
 * computer does already. */
bool signature_desk_take(struct signature_desk *desk, struct http_request *request,
                         const struct agent_row *row);

#endif
