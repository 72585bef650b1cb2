/* Shared by the files of console/http only: what a server, a connection and a request consist of.
 */
#ifndef CONSOLE_HTTP_HTTP_INTERNAL_H
#define CONSOLE_HTTP_HTTP_INTERNAL_H

#include "console/http/http_server.h"
#include "console/http/request_guard.h"

#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#define HTTP_RESPONSE_HEADERS_MAXIMUM 12
#define HTTP_SEGMENTS_MAXIMUM         8
#define HTTP_SEGMENT_BYTES            128

/* What a connection keeps between requests. */
struct connection_facts {
    bool checked;
    enum http_certificate certificate;
    char digest[65];
    int64_t expires_s;
};

struct response_header {
    const char *name;
    char value[512];
};

struct http_server {
    struct MHD_Daemon *daemon;
    struct http_server_options options;
    uint16_t port;
    atomic_uint held;
    atomic_bool draining;
    pthread_mutex_t lock; /* of idle: held has become 0 */
    pthread_cond_t idle;
};

/* Held requests of one event loop: those it waits for, and the suspended ones that may be answered
 * now. Of the latter the first is resumed by whoever finished it, which wakes the loop; the loop
 * itself resumes those that came after it. */
struct http_loop {
    pthread_mutex_t lock;
    pthread_cond_t one_ready;
    bool begun, woken;
    size_t ready; /* held, not suspended, not taken yet */
    uint64_t impatient_until_ns;
    struct http_request *finished;
};

struct http_request {
    struct http_server *server;
    struct MHD_Connection *connection;
    const struct http_route *route;
    size_t bytes;       /* of this, with its texts */
    const char *target; /* as it came */
    const char *path;   /* before the "?" */
    const char *query;
    const char *method;
    size_t segment_count;
    struct buffer body;
    bool started, refused, dispatched, held, starved; /* starved: no memory for the answer */
    bool slow;                                        /* held, and nobody waits for the answer */
    bool ready, suspended, gone;                      /* of a held request, under its loop's lock */
    http_handler *answer; /* of a held request: called by its own loop */
    void *answer_user;
    struct http_loop *loop; /* where it was held */
    struct http_request *next_finished;
    size_t response_header_count;
    struct MHD_Response *response; /* set by the answer */
    unsigned status;
    char address[INET6_ADDRSTRLEN];
    void *context;
    void (*release_context)(void *context);
    /* Made when the first is needed: most requests have none, and many wait at once. */
    char (*segments)[HTTP_SEGMENT_BYTES];
    struct response_header *response_headers;
};

/* gnutls_certificate_retrieve_function2: what this server shows. */
int http_identity_show(gnutls_session_t session, const gnutls_datum_t *authorities,
                       int authority_count, const gnutls_pk_algorithm_t *algorithms,
                       int algorithm_count, gnutls_pcert_st **ret_chain, unsigned *ret_length,
                       gnutls_privkey_t *ret_key);
/* For the thread of a loop, which has nothing else to do: true when the answer is there, and the
 * request is held no longer. Waits a moment when no answer is there to any request it holds. False:
 * the request comes back, at once or, suspended, when it is ready. */
bool http_held_take(struct http_request *request);
/* The answer to a held request is there. From any thread; the request is the loop's from then on.
 */
void http_held_ready(struct http_request *request);
/* Its connection ends. False: the request is not ready, and freed when it is. */
bool http_held_leave(struct http_request *request);
void http_request_free(struct http_request *request);
/* For the thread of a loop: resumes what was finished meanwhile. */
void http_loop_resume(struct http_loop *loop);
/* One held request less. */
void http_server_release(struct http_server *server);
/* Finds the route and checks method and size; refuses by answering. */
void http_route_choose(struct http_request *request, const struct request_guard_result *guard);

#endif
