/* The Runtime API proxy: a listener on loopback, a thread a connection, and a connection of its own
 * to the real Runtime API for each. Everything passes byte for byte, both ways, as it comes; held
 * are only the events that /runtime/invocation/next brings, until they are judged, and small
 * answers of handlers. Sources: AWS, "Using the Lambda runtime API for custom runtimes", "Augments
 * Lambda runtimes with Runtime API proxy extension". */
#ifndef APPLICATION_RELAY_RELAY_H
#define APPLICATION_RELAY_RELAY_H

#include "common/attributes.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct relay;
struct event_guard;
struct invocations;

/* How a blocked invocation is answered: functions that stream want another form. LEARN: as the
 * handler answered last. */
enum relay_streaming { RELAY_STREAMING_LEARN, RELAY_STREAMING_YES, RELAY_STREAMING_NO };

struct relay_options {
    uint16_t port; /* on 127.0.0.1; 0 = any */
    struct sockaddr_in upstream;
    enum relay_streaming streaming;
    struct event_guard *guard;       /* both outlive the relay, */
    struct invocations *invocations; /* which lasts as long as the process */
};

/* Listens; ret_port is where. -EADDRINUSE and the like. */
int relay_open(const struct relay_options *options, struct relay **ret_relay,
               uint16_t *ret_port) MUST_USE;
/* Starts to serve, on threads of its own. -EAGAIN. */
int relay_start(struct relay *relay) MUST_USE;

#endif
