/* Takes the target of a request apart. */
#include "application/relay/endpoint.h"

#include "application/relay/relay_limits.h"

#include <string.h>

static bool ends_with(struct http_text text, const char *suffix, struct http_text *ret_before)
{
    size_t length = strlen(suffix);

    if (text.length < length || memcmp(text.bytes + text.length - length, suffix, length) != 0)
        return false;
    *ret_before = (struct http_text){text.bytes, text.length - length};
    return true;
}

/* "/V/runtime/invocation/ID" */
static bool split_invocation(struct http_text text, struct endpoint *endpoint)
{
    static const char middle[] = "/runtime/invocation/";
    const char *at = memmem(text.bytes, text.length, middle, sizeof middle - 1);

    if (at == NULL)
        return false;
    const char *id = at + sizeof middle - 1;
    endpoint->prefix = (struct http_text){text.bytes, (size_t)(at - text.bytes)};
    endpoint->request_id = (struct http_text){id, (size_t)(text.bytes + text.length - id)};
    return endpoint->request_id.length > 0 &&
           endpoint->request_id.length < RELAY_REQUEST_ID_BYTES &&
           memchr(id, '/', endpoint->request_id.length) == NULL;
}

struct endpoint endpoint_of(const struct http_head *request)
{
    struct endpoint endpoint = {0}, none = {0};
    struct http_text target = request->target, before;

    const char *query = memchr(target.bytes, '?', target.length);
    if (query != NULL)
        target.length = (size_t)(query - target.bytes);
    if (http_text_is(request->method, "GET") &&
        ends_with(target, "/runtime/invocation/next", &endpoint.prefix)) {
        endpoint.kind = ENDPOINT_NEXT;
        return endpoint;
    }
    if (http_text_is(request->method, "GET") && http_text_is(target, ENDPOINT_HELLO_PATH))
        return (struct endpoint){.kind = ENDPOINT_HELLO};
    if (!http_text_is(request->method, "POST"))
        return none;
    if (ends_with(target, "/response", &before) && split_invocation(before, &endpoint))
        endpoint.kind = ENDPOINT_RESPONSE;
    else if (ends_with(target, "/error", &before) && split_invocation(before, &endpoint))
        endpoint.kind = ENDPOINT_ERROR;
    return endpoint.kind != ENDPOINT_OTHER ? endpoint : none;
}
