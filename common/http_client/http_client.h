/* HTTPS requests by libcurl: one connection kept alive, verified strictly, every answer bounded.
 *
 * Trust, in this order: with a pin, a CA in the chain the server sent whose public key has it (so
 * that server certificates may be renewed) and nothing else; otherwise the system's trust store,
 * and the authority when there is one. Host names are always checked. No redirects, no cookies,
 * TLS 1.2 or newer. A client belongs to one thread. */
#ifndef COMMON_HTTP_CLIENT_HTTP_CLIENT_H
#define COMMON_HTTP_CLIENT_HTTP_CLIENT_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct http_client;

/* Texts are copied; NULL or "" = none. */
struct http_trust {
    const char *pin;         /* "sha256//" + base64 of SHA-256 over a CA's public key (RFC 7469) */
    const char *authority;   /* PEM, one or several */
    const char *certificate; /* PEM of ours, with key */
    const char *key;         /* PEM */
};

/* -EBADMSG when a PEM or the pin cannot be read. */
int http_client_new(const struct http_trust *trust, struct http_client **ret_client) MUST_USE;
struct http_client *http_client_free(struct http_client *client);

/* http:// too from now on: for services of the host itself, such as the metadata of an instance. */
void http_client_allow_plain(struct http_client *client);
/* proxy: its URL; "" = none, whatever the environment says; NULL = as the environment says (the
 * default). no_proxy: hosts reached without it, by commas; "*" = all; NULL = as the environment
 * says. Copied. -ENOMEM. */
int http_client_set_proxy(struct http_client *client, const char *proxy,
                          const char *no_proxy) MUST_USE;

struct sockaddr;
/* Asked before each connection with the address that was found for the host (or the proxy); false
 * refuses it: -ECONNREFUSED. */
void http_client_guard_addresses(struct http_client *client,
                                 bool (*allowed)(const struct sockaddr *address));

/* Asked about once a second and more often while bytes flow: true ends the exchange, -ECANCELED.
 * asked may be called from this client's thread only. NULL = never. */
void http_client_set_cancel(struct http_client *client, bool (*asked)(void *user), void *user);

/* For asked: whether the server may have begun to read the request. Meaningless outside of it. */
bool http_client_has_sent(const struct http_client *client);

struct http_header {
    const char *name, *value; /* without CR and LF: such a request is refused with -EINVAL */
};

struct http_answer;

/* Where the body of a 2xx answer goes instead of memory; of any other answer it is kept. begin:
 * once before the first byte (not for an empty body), with the head of the answer. Both return 0,
 * or -errno: the exchange ends with it. */
struct http_sink {
    int (*begin)(void *user, const struct http_answer *answer);
    int (*write)(void *user, const void *bytes, size_t length);
    void *user;
};

/* A body that is not in memory. read: as read(2), -errno. */
struct http_source {
    ssize_t (*read)(void *user, void *bytes, size_t size);
    void *user;
    uint64_t length; /* of all */
};

struct http_request {
    const char *method; /* "GET", "HEAD", "POST", "PUT", "DELETE" */
    const char *url;    /* its path goes on the wire as it stands */
    const struct http_header *headers;
    size_t header_count;
    const char *content_type; /* NULL: application/json with POST and PUT, otherwise none */
    const void *body;
    size_t body_length;
    const struct http_source *source; /* NULL = body */
    const struct http_sink *sink;     /* NULL = the answer's body */
    uint64_t connect_timeout_ns;      /* 0 = 15 s */
    uint64_t timeout_ns;              /* of the whole exchange; 0 = none */
    uint64_t stall_timeout_ns;        /* without a byte in either direction; 0 = as timeout_ns */
    size_t maximum_answer;            /* bytes of the answer's body */
};

struct http_answer {
    long status;
    struct buffer body;
    struct buffer head;     /* header lines, each ended by CR LF */
    uint64_t retry_after_s; /* 0 = not said; dates are understood too */
    uint64_t date_s;        /* the server's clock in seconds since 1970; 0 = not said */
    bool connected;         /* a connection stood, whatever came of it */
    bool taker_failed;      /* sink or source returned the error */
    char problem[256];      /* on failure: what went wrong */
};

/* The first value of a header of the answer into text. -ENOENT, -ENAMETOOLONG. */
int http_answer_header(const struct http_answer *answer, const char *name, char *text,
                       size_t size) MUST_USE;

/* 0 when the server answered, whatever it said. -ETIMEDOUT, -ECONNREFUSED (no connection),
 * -EHOSTUNREACH (name not found), -EKEYREJECTED (not the server we trust, or it does not trust us),
 * -EFBIG (answer too long), -EPROTO, -EINVAL, -ENOMEM, -ECANCELED, what sink or source returned.
 * The answer is set in every case. */
int http_client_perform(struct http_client *client, const struct http_request *request,
                        struct http_answer *ret_answer) MUST_USE;
void http_answer_done(struct http_answer *answer);

/* The same without waiting for the answer, for programs that poll; without sink and source. One
 * exchange at a time: until it has ended the client takes no other. The texts of the request are
 * not needed afterwards, its body is. -EINVAL, -ENOMEM. */
int http_client_begin(struct http_client *client, const struct http_request *request) MUST_USE;
struct pollfd;
/* What http_client_advance waits for: descriptors, as many as there is room for, and a time. */
size_t http_client_polls(struct http_client *client, struct pollfd *polls, size_t most,
                         uint64_t *ret_wait_ns);
/* Does what can be done now. True: it has ended, *ret_result and the answer as of
 * http_client_perform. */
bool http_client_advance(struct http_client *client, int *ret_result,
                         struct http_answer *ret_answer);

#endif
