/* Heads of HTTP/1.1 messages, for framing only: where a message ends, and the few words the relay
 * acts on. Heads are never rewritten: what came in goes out, byte for byte. Whatever could be read
 * in two ways is refused (RFC 9112, 6.3 and 11.2). Plain functions, no state, no allocation. */
#ifndef APPLICATION_RELAY_HTTP_HEAD_H
#define APPLICATION_RELAY_HTTP_HEAD_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A part of a head; not terminated. */
struct http_text {
    const char *bytes;
    size_t length;
};

enum http_body {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,      /* body_length bytes */
    HTTP_BODY_CHUNKED,     /* see chunked_body.h */
    HTTP_BODY_UNTIL_CLOSE, /* a response without a length */
};

struct http_head {
    struct http_text method, target; /* of a request */
    unsigned status;                 /* of a response, else 0 */
    enum http_body body;
    uint64_t body_length;
    bool closes; /* the connection ends with this message */
};

/* Length of the head at the beginning of bytes, its empty line included; 0 = not complete. */
size_t http_head_end(const char *bytes, size_t length);

/* bytes is a whole head. -EBADMSG: malformed, or its framing is ambiguous. */
int http_head_parse_request(const char *bytes, size_t length, struct http_head *ret_head) MUST_USE;
/* answers_head: the request was HEAD, so nothing follows whatever the head says. */
int http_head_parse_response(const char *bytes, size_t length, bool answers_head,
                             struct http_head *ret_head) MUST_USE;

/* The value of the first field of that name, blanks around it removed; false when there is none. */
bool http_head_field(const char *bytes, size_t length, const char *name,
                     struct http_text *ret_value);
bool http_text_is(struct http_text text, const char *word);

#endif
