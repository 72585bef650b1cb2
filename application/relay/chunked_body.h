/* Bodies in chunks (RFC 9112, 7.1): finds where one ends while it passes by, trailers included, and
 * takes a whole one apart. No allocation. */
#ifndef APPLICATION_RELAY_CHUNKED_BODY_H
#define APPLICATION_RELAY_CHUNKED_BODY_H

#include "common/attributes.h"

#include <stddef.h>
#include <stdint.h>

enum chunked_step {
    CHUNKED_SIZE,
    CHUNKED_SIZE_REST,
    CHUNKED_SIZE_END,
    CHUNKED_DATA,
    CHUNKED_DATA_CR,
    CHUNKED_DATA_LF,
    CHUNKED_LINE,
    CHUNKED_LINE_REST,
    CHUNKED_LINE_LF,
    CHUNKED_LAST_LF,
    CHUNKED_DONE,
};

/* All zero = at the beginning. */
struct chunked_body {
    enum chunked_step step;
    unsigned digits;
    uint64_t left; /* bytes of the current chunk still to come */
    size_t aside;  /* bytes of extensions and trailers so far */
};

/* Looks at the next bytes of a body. 1: it ended, after *ret_used of them; 0: it goes on, all were
 * used; -EBADMSG. */
int chunked_body_scan(struct chunked_body *body, const char *bytes, size_t length,
                      size_t *ret_used) MUST_USE;

/* The content of a whole body, written over content (length bytes are enough).
 * -EBADMSG: not whole. */
int chunked_body_decode(const char *bytes, size_t length, char *content,
                        size_t *ret_length) MUST_USE;

#endif
