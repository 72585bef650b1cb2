/* The Extensions API: who we are, and what happens. One thread. Source: AWS, "Using the Lambda
 * Extensions API to create extensions". */
#ifndef APPLICATION_RELAY_EXTENSION_CLIENT_H
#define APPLICATION_RELAY_EXTENSION_CLIENT_H

#include "application/relay/byte_stream.h"
#include "application/relay/relay_limits.h"

struct extension_client {
    struct sockaddr_in address;
    struct byte_stream stream;
    char identifier[128];
};

struct extension_event {
    bool shutdown; /* else an invocation */
    char request_id[RELAY_REQUEST_ID_BYTES];
    uint64_t deadline_ms; /* since 1970; 0 = not said */
    char function_arn[256];
};

/* name: of the program's file. invocations: be told of them too, not only of the end. -errno;
 * -EPROTO when it is refused. */
int extension_register(struct extension_client *client, const struct sockaddr_in *address,
                       const char *name, bool invocations) MUST_USE;
/* Says that we are ready, or done with the last one, and waits for the next; hours, if need be. */
int extension_next(struct extension_client *client, struct extension_event *ret_event) MUST_USE;
void extension_client_done(struct extension_client *client);

/* The event in an answer of the API; what is not said is left empty. */
void extension_event_read(const char *json, size_t length, struct extension_event *ret_event);

#endif
