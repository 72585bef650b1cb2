/* What either side of the relay may send: heads, bodies in chunks, answers of the Extensions API.
 */
#include "application/relay/chunked_body.h"
#include "application/relay/endpoint.h"
#include "application/relay/extension_client.h"
#include "application/relay/http_head.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool held)
{
    if (!held)
        abort();
}

static bool inside(struct http_text text, const char *bytes, size_t length)
{
    return text.length == 0 || (text.bytes >= bytes && text.bytes + text.length <= bytes + length);
}

static void check_head(const char *bytes, size_t length)
{
    size_t end = http_head_end(bytes, length);
    struct http_text value;
    struct http_head head;

    require(end <= length);
    if (http_head_parse_request(bytes, end, &head) == 0) {
        struct endpoint endpoint = endpoint_of(&head);
        require(inside(head.method, bytes, end) && inside(head.target, bytes, end));
        require(inside(endpoint.prefix, bytes, end) && inside(endpoint.request_id, bytes, end));
        require(head.body != HTTP_BODY_UNTIL_CLOSE);
    }
    if (http_head_parse_response(bytes, end, false, &head) == 0)
        require(head.status >= 100 && head.status <= 999);
    if (http_head_field(bytes, end, "Lambda-Runtime-Aws-Request-Id", &value))
        require(inside(value, bytes, end));
}

/* However it is cut, a body ends at the same place; what ends can be taken apart. */
static void check_chunks(const char *bytes, size_t length, size_t cut)
{
    struct chunked_body whole = {0}, parts = {0};
    size_t used = 0, first = 0, second = 0, content = 0;

    int r = chunked_body_scan(&whole, bytes, length, &used);
    int p = chunked_body_scan(&parts, bytes, cut, &first);
    if (p == 0)
        p = chunked_body_scan(&parts, bytes + cut, length - cut, &second);
    require(p == r);
    if (r != 1)
        return;
    require(used == first + second);
    char *copy = malloc(used);
    require(copy != NULL);
    require(chunked_body_decode(bytes, used, copy, &content) == 0 && content <= used);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct extension_event event;
    const char *bytes = (const char *)data;

    if (size == 0)
        return 0;
    check_head(bytes, size);
    check_chunks(bytes + 1, size - 1, data[0] % size);
    extension_event_read(bytes, size, &event);
    require(memchr(event.request_id, '\0', sizeof event.request_id) != NULL);
    return 0;
}
