/* What a request's head must look like before anything else of the console sees it. Pure: no
 * sockets, no memory. Stricter than RFC 9112 where leniency is how requests are smuggled past a
 * front proxy. Thread-safe. */
#ifndef CONSOLE_HTTP_REQUEST_GUARD_H
#define CONSOLE_HTTP_REQUEST_GUARD_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

struct http_header {
    const char *name, *value; /* not necessarily terminated */
    size_t name_length, value_length;
};

struct request_head {
    const char *method, *target, *version;
    const struct http_header *headers; /* every one, in order, repeated ones too */
    size_t header_count;
    size_t head_bytes; /* as it stood on the wire, with the empty line; 0 = unknown */
};

struct request_guard_result {
    uint64_t content_length; /* 0 without a body */
    bool has_body;
    /* Set when refused: */
    unsigned status;    /* 400, 411, 505 */
    const char *code;   /* stable word for programs */
    const char *detail; /* for people */
};

/* hosts: the names this console answers to, without port, NULL at the end; "*" is any.
 * 0, or -EPROTO with status, code and detail set: answer that, and close the connection. */
int request_guard_check(const struct request_head *head, const char *const *hosts,
                        struct request_guard_result *ret_result) MUST_USE;

/* Decodes one value of a query: %XX and "+". -EINVAL on a broken escape, a control byte or
 * what is no UTF-8, -ENAMETOOLONG. */
int request_guard_decode_query(const char *text, size_t length, char *buffer, size_t size) MUST_USE;

#endif
