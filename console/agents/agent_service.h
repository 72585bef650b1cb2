/* What agents ask for on their own port: activation, heartbeat, renewal, policy, deactivation. */
#ifndef CONSOLE_AGENTS_AGENT_SERVICE_H
#define CONSOLE_AGENTS_AGENT_SERVICE_H

#include "common/attributes.h"
#include "console/certificates/console_identity.h"
#include "console/http/http_server.h"

#include <pthread.h>
#include <stdatomic.h>

struct console_store;
struct presence;

struct agent_service {
    struct console_store *store;
    const struct console_identity *identity;
    struct presence *presence;
    const char *tenant_id;
    uint64_t heartbeat_seconds;
    /* Activations are expensive: a bucket of so many tokens, refilled at as many a second. */
    pthread_mutex_t bucket_lock;
    double bucket;
    uint64_t bucket_ns;
    /* Counters for /metrics. */
    atomic_uint_fast64_t heartbeats, fast_heartbeats, events, activations, refused;
};

#define AGENT_ACTIVATIONS_A_SECOND 100

/* The routes of the agents' listener; user of the handlers is a struct agent_service. */
extern const struct http_route AGENT_ROUTES[];
extern const size_t AGENT_ROUTE_COUNT;

#endif
