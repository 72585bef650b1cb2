/* HTTPS listeners of the console: the guard layer over libmicrohttpd, and the only code that
 * includes its header. A handler gets a request whose head passed request_guard, whose body is
 * whole and within its route's limit.
 *
 * Two ways to run: with threads = 0 each connection has its own thread and handlers may block
 * (people and API); with threads > 0 a pool of event loops serves all and handlers must answer at
 * once or hold (agents). */
#ifndef CONSOLE_HTTP_HTTP_SERVER_H
#define CONSOLE_HTTP_HTTP_SERVER_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct http_request;
struct http_server;

typedef void http_handler(struct http_request *request, void *user);

struct http_route {
    const char *method;
    const char
        *pattern;      /* "/api/v1/computers/{id}": a {name} takes one segment of [A-Za-z0-9._~-] */
    size_t body_limit; /* bytes; 0: no body */
    http_handler *handler;
    uint32_t permission; /* for the handlers' owner: the server does not look at it */
};

struct http_server_options {
    const char *address; /* "" = every address, IPv6 and IPv4 */
    uint16_t port;       /* 0 = any free one */
    const struct http_route *routes;
    size_t route_count;
    void *user;                       /* given to the handlers */
    const char *const *hosts;         /* see request_guard_check; must outlive the server */
    const char *client_authority_pem; /* NULL: client certificates are not asked for */
    unsigned threads, connections, connections_per_address, idle_seconds;
    /* The longest head. Each connection keeps as much memory, and clears it after each request. */
    size_t head_bytes;
    /* Runs before every handler; false when it has answered already. NULL: none. */
    bool (*admit)(struct http_request *request, const struct http_route *route, void *user);
    /* In the thread of a loop that has handed out all requests it had, and waits for what it holds.
     * Must not answer. NULL: nothing. */
    void (*settle)(void *user);
};

/* The certificate all listeners show, from PEM files; call again to change it for new connections.
 * Process-wide. -EBADMSG when they do not fit together. */
int http_identity_load(const char *certificate_chain_pem, const char *key_pem) MUST_USE;

int http_server_start(const struct http_server_options *options,
                      struct http_server **ret_server) MUST_USE;
uint16_t http_server_port(const struct http_server *server);
/* New requests get 503 from now on; those that are held must still be answered. */
void http_server_drain(struct http_server *server);
/* Waits for held requests, then closes. NULL is legal. */
struct http_server *http_server_stop(struct http_server *server);

/* --- the request; every text lives as long as the request */

const char *http_request_method(const struct http_request *request);
const char *http_request_path(const struct http_request *request);
const struct http_route *http_request_route(const struct http_request *request);
/* The i-th {name} of the pattern. */
const char *http_request_segment(const struct http_request *request, size_t i);
/* A header that stands once; NULL when it is missing or repeated. */
const char *http_request_header(const struct http_request *request, const char *name);
/* The decoded value of a query parameter: 1 and buffer, 0 when it is not there, -EINVAL when it is
 * malformed, repeated or longer than size. */
int http_request_query(const struct http_request *request, const char *name, char *buffer,
                       size_t size) MUST_USE;
/* Calls each with the name of every query parameter; false when one is malformed. */
bool http_request_query_names(const struct http_request *request,
                              bool (*each)(void *user, const char *name), void *user);
const char *http_request_body(const struct http_request *request, size_t *ret_length);
/* Frees it, when what was made of it is enough. */
void http_request_forget_body(struct http_request *request);
/* Text of the peer's IP address, without port or zone. */
const char *http_request_address(const struct http_request *request);

enum http_certificate {
    HTTP_CERTIFICATE_NONE,
    HTTP_CERTIFICATE_REFUSED, /* not from our authority, or not for clients */
    HTTP_CERTIFICATE_EXPIRED,
    HTTP_CERTIFICATE_VALID,
};
/* ret_digest: SHA-256 of the client's certificate in hex, 65 bytes; "" with NONE. */
enum http_certificate http_request_certificate(struct http_request *request,
                                               char ret_digest[static 65]);

/* Whether the peer has closed its side, for a fill that waits long. */
bool http_request_peer_left(const struct http_request *request);

/* A place for what belongs to the request: freed with it by release. */
void http_request_set_context(struct http_request *request, void *context,
                              void (*release)(void *context));
void *http_request_context(const struct http_request *request);

/* --- the answer: exactly one http_respond* a request */

/* Before the answer; at most 8; value must not hold CR or LF. */
void http_response_header(struct http_request *request, const char *name, const char *value);
void http_respond(struct http_request *request, unsigned status, const char *content_type,
                  const void *body, size_t length);
/* Takes the buffer's memory and empties it; a failed buffer becomes a 500. */
void http_respond_buffer(struct http_request *request, unsigned status, const char *content_type,
                         struct buffer *body);
/* RFC 9457: {"type":"about:blank","title":...,"status":...,"code":code,"detail":detail}. */
void http_respond_problem(struct http_request *request, unsigned status, const char *code,
                          const char *format, ...) PRINTF_LIKE(4, 5);
/* Without an end known beforehand; only with threads = 0. fill: bytes written, 0 at the end, < 0
 * breaks the connection off; release(user) afterwards. */
typedef ssize_t http_fill(void *user, char *bytes, size_t size);
void http_respond_stream(struct http_request *request, const char *content_type, http_fill *fill,
                         void (*release)(void *user), void *user);

/* The handler returns without an answer; http_respond* follows later from any thread. Call it
 * before handing the request to that thread, which must not ask for headers or the certificate: the
 * connection may end meanwhile. Answers that come within milliseconds are the cheapest. */
void http_request_hold(struct http_request *request);
/* The same for an answer that takes longer: the loop does not wait for it at all. */
void http_request_hold_long(struct http_request *request);
/* The answer to a held request is due: answer(request, user) is called soon, in the thread of its
 * connection, and answers. Cheaper than http_respond* from elsewhere when many are due together. */
void http_request_finish(struct http_request *request, http_handler *answer, void *user);

#endif
