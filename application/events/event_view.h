/* What an HTTP request looks like in the event that Lambda hands to a function: recognised by
 * shape, read where it stands. Anything that is not an HTTP request (and an authorizer's question,
 * which must not be answered with a page) is EVENT_OTHER. Source: AWS, "Lambda proxy integrations"
 * of API Gateway, "Lambda functions as targets" of Elastic Load Balancing, "Invoking function
 * URLs". */
#ifndef APPLICATION_EVENTS_EVENT_VIEW_H
#define APPLICATION_EVENTS_EVENT_VIEW_H

#include "application/events/arena.h"
#include "application/events/span.h"

enum event_kind {
    EVENT_OTHER,
    EVENT_REST,         /* API Gateway REST API, and HTTP API in payload format 1.0 */
    EVENT_HTTP_API,     /* payload format 2.0 */
    EVENT_FUNCTION_URL, /* the same from a function URL */
    EVENT_LOAD_BALANCER,
    EVENT_WEBSOCKET,
};

struct event_field {
    struct span name;
    struct span value;
};

struct event_view {
    enum event_kind kind;
    bool multi_value; /* headers come, and are answered, as lists */
    struct span method;
    struct span path;     /* as the event has it */
    struct span query;    /* percent-encoded, without '?'; made from its decoded parts where the
                             event has only those */
    struct span protocol; /* "HTTP/1.1" */
    struct span route;    /* "GET /pets/{id}", "/{proxy+}" */
    struct span host;
    struct span source; /* the client's address */
    struct span request_id;
    struct span trace_id;
    struct event_field *headers;
    size_t header_count;
    struct span body; /* the JSON text undone, Base64 not */
    bool body_base64;
    bool partial; /* a limit was hit: there is more than is seen here */
};

/* view's spans point into event or arena. Never fails: what cannot be read is EVENT_OTHER, what
 * does not fit is view->partial. */
void event_view_read(struct span event, struct arena *arena, struct event_view *view);

/* The first header of that name, in any case; SPAN_NONE. */
struct span event_view_header(const struct event_view *view, const char *name);

#endif
