/* Shared by the files of the relay: one connection of a runtime, and one request on it. */
#ifndef APPLICATION_RELAY_RELAY_PRIVATE_H
#define APPLICATION_RELAY_RELAY_PRIVATE_H

#include "application/relay/body_transfer.h"
#include "application/relay/endpoint.h"
#include "application/relay/relay.h"
#include "application/relay/relay_limits.h"
#include "common/buffers/buffer.h"

#include <stdatomic.h>

struct relay {
    struct relay_options options;
    int listener;
    atomic_uint connections;
    atomic_bool answers_stream; /* the handler's last answer did */
};

struct connection {
    struct relay *relay;
    struct byte_stream client, upstream;
    char in_hand[RELAY_REQUEST_ID_BYTES]; /* the invocation it was given and did not answer */
};

struct exchange {
    struct buffer head; /* of the request, as it came */
    struct http_head request;
    struct endpoint endpoint;
    struct http_head response;
    size_t response_head; /* length of its head, at the front of upstream's buffer */
    bool last;            /* nothing may follow on this connection */
};

/* Serves until either side ends it. */
void connection_serve(struct connection *connection);

/* Sends the request's head, on a fresh upstream connection when the old one is gone. -errno. */
int connection_send_head(struct connection *connection, const struct exchange *exchange);
/* Waits for the response's head, handing interim ones (1xx) on. -errno. */
int connection_await_response(struct connection *connection, struct exchange *exchange);

/* The response of next, an event: judges it, and hands it on or answers it. 1: it was answered, so
 * ask for the next one; 0: handed on; -errno. */
int connection_take_event(struct connection *connection, struct exchange *exchange);
/* The handler's answer, when it is one to look at: 1 when it was replaced and its answer relayed;
 * 0: relay it as it is. body gets what was read of it. -errno. */
int connection_take_answer(struct connection *connection, struct exchange *exchange,
                           struct buffer *body);

#endif
