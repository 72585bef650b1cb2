/* HTTPS requests by libcurl: one connection kept alive, verified strictly, every reply bounded.
 *
 * Trust, in this order: with a pin, a CA in the chain the server sent whose public key has it (so
 * that server certificates may be renewed) and nothing else; otherwise the system's trust store,
 * and the authority when there is one. Host names are always checked. No redirects, no cookies,
 * TLS 1.2 or newer. A client belongs to one thread. */
#ifndef COMMON_HTTP_CLIENT_HTTP_CLIENT_H
#define COMMON_HTTP_CLIENT_HTTP_CLIENT_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

#include <stddef.h>
#include <stdint.h>

struct http_client;

/* Texts are copied; NULL or "" = none. */
struct http_trust {
    const char *pin;         /* "sha256//" + base64 of SHA-256 over a CA's public key (RFC 7469) */
    const char *authority;   /* PEM */
    const char *certificate; /* PEM of ours, with key */
    const char *key;         /* PEM */
};

/* -EBADMSG when a PEM or the pin cannot be read. */
int http_client_new(const struct http_trust *trust, struct http_client **ret_client) MUST_USE;
struct http_client *http_client_free(struct http_client *client);

struct http_request {
    const char *method; /* "GET", "POST" */
    const char *url;    /* https:// only */
    const char *content_type;
    const void *body;
    size_t body_length;
    uint64_t timeout_ns;   /* of the whole exchange */
    size_t maximum_answer; /* bytes of the answer's body */
};

struct http_answer {
    long status;
    struct buffer body;
    uint64_t retry_after_s; /* 0 = not said; dates are understood too */
    char problem[256];      /* on failure: what went wrong */
};

/* 0 when the server answered, whatever it said. -ETIMEDOUT, -ECONNREFUSED (no connection),
 * -EHOSTUNREACH (name not found), -EKEYREJECTED (not the server we trust, or it does not trust us),
 * -EFBIG (answer too long), -EPROTO, -ENOMEM. The answer is set in every case. */
int http_client_perform(struct http_client *client, const struct http_request *request,
                        struct http_answer *ret_answer) MUST_USE;
void http_answer_done(struct http_answer *answer);

#endif
