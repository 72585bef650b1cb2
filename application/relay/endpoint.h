/* Which endpoint of the Runtime API a request is for. Any version prefix; no allocation. */
#ifndef APPLICATION_RELAY_ENDPOINT_H
#define APPLICATION_RELAY_ENDPOINT_H

#include "application/relay/http_head.h"

enum endpoint_kind {
    ENDPOINT_OTHER,    /* passes */
    ENDPOINT_NEXT,     /* GET /V/runtime/invocation/next */
    ENDPOINT_RESPONSE, /* POST /V/runtime/invocation/ID/response */
    ENDPOINT_ERROR,    /* POST /V/runtime/invocation/ID/error */
    ENDPOINT_HELLO,    /* GET /yagura/hello, of our wrapper: answered here */
};

struct endpoint {
    enum endpoint_kind kind;
    struct http_text prefix;     /* "/2018-06-01", of the first three; inside the target */
    struct http_text request_id; /* of RESPONSE and ERROR */
};

/* How the wrapper recognises the relay: what it asks, and what the answer ends with. */
#define ENDPOINT_HELLO_PATH "/yagura/hello"
#define ENDPOINT_HELLO_WORD "yagura-application"

struct endpoint endpoint_of(const struct http_head *request);

#endif
