/* A fleet of simulated agents that speak the real protocol over mutual TLS: messages by
 * common/wire, delays by agent/messenger. One thread, one epoll. A failure to set up ends the
 * program; what a console answers is counted. */
#ifndef TESTS_BENCH_CONSOLE_LOAD_H
#define TESTS_BENCH_CONSOLE_LOAD_H

#include "agent/messenger/delay.h"
#include "common/attributes.h"
#include "common/buffers/buffer.h"
#include "common/crypto/random.h"

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

enum step { STEP_IDLE, STEP_CONNECT, STEP_HANDSHAKE, STEP_WRITE, STEP_READ };

struct fleet {
    uint16_t port;
    const char *authority, *token, *path;
    uint64_t seconds, events, interval_ns, server;
    bool closed; /* the next request follows the answer at once */
    bool check;  /* the answer must acknowledge what was sent */
    bool empty_get;
    bool waits; /* every agent has a second connection, which waits for news */
    SSL_CTX *context;
    int epoll;
    struct agent *agents, *waiters; /* waiters: their second connections, or NULL */
    size_t agent_count;
    /* what came of it */
    uint64_t requests, errors, refused, handshakes, wrong;
    uint64_t woken, unwoken, failed; /* of the waits */
    uint32_t *latencies;             /* us */
    size_t latency_count;
    size_t back; /* agents that were answered since the last mark */
    uint64_t last_back_ns;
};

struct agent {
    struct fleet *fleet;
    X509 *certificate;
    SSL *tls;
    int fd;
    enum step step;
    struct agent *other; /* of two connections; NULL: there is one */
    bool waits;          /* this is the second one */
    bool idle;           /* a waiter that is to begin after the next heartbeat */
    char told[256];      /* what a waiter asks with */
    bool online;         /* answered last time */
    bool back;
    uint64_t due_ns, begun_ns;
    struct delay delay;
    uint64_t number;       /* of the last event that was acknowledged */
    struct buffer message; /* being sent */
    size_t sent, received;
    char answer[2048];
    char session[UUID_TEXT_BYTES], epoch[UUID_TEXT_BYTES], machine[UUID_TEXT_BYTES];
};

_Noreturn void load_fail(const char *what);
#define LATENCIES_KEPT 4000000

/* --- load_agent.c */

/* Identities for all agents, by the token; a few connections at a time. */
void load_activate(struct fleet *fleet);
void load_encode(struct agent *agent);
/* Whether the answer's body acknowledges what was sent. */
bool load_acknowledged(const struct agent *agent, const char *body);
/* What the waiter says from now on. */
void load_note_told(struct agent *waiter, const char *body);

/* --- load_connection.c */

/* Begins a request; load_finished follows. */
void load_begin(struct agent *agent);
void load_advance(struct agent *agent, uint32_t happened);
void load_disconnect(struct agent *agent);

/* --- console_load.c */

/* status 0: the connection broke. body: of the answer. */
void load_finished(struct agent *agent, unsigned status, uint64_t retry_after_s, const char *body);

#endif
