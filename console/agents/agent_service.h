/* What agents ask for on their own port: activation, heartbeat, renewal, policy, deactivation. */
#ifndef CONSOLE_AGENTS_AGENT_SERVICE_H
#define CONSOLE_AGENTS_AGENT_SERVICE_H

#include "common/attributes.h"
#include "console/agents/instance_identity.h"
#include "console/agents/rate_bucket.h"
#include "console/certificates/console_identity.h"
#include "console/http/http_server.h"

#include <stdatomic.h>

struct console_store;
struct presence;
struct signature_desk;
struct signature_sets;
struct waiting_agents;

/* Which EC2 instances may activate. */
struct instance_rules {
    const struct instance_certificates *certificates; /* NULL: documents are not looked at */
    bool required;                                    /* nobody activates without one */
    char *const *accounts;                            /* NULL-terminated; empty: any */
    char *const *regions;
};

struct agent_service {
    struct console_store *store;
    const struct console_identity *identity;
    struct presence *presence;
    const char *tenant_id;
    uint64_t heartbeat_seconds, certificate_seconds;
    uint64_t queue; /* heartbeats that may wait for the writer */
    struct instance_rules instances;
    struct rate_bucket activation_bucket, policy_bucket; /* what is signed for each asker */
    struct rate_bucket signature_bucket;                 /* sets of signatures, signed as well */
    struct rate_bucket mirror_bucket;                    /* pieces of signature files */
    struct rate_shares signature_shares, mirror_shares;  /* one computer's, of the latter two */
    struct rate_shares wait_shares;                      /* requests to wait, of one computer */
    struct signature_sets *signatures;
    struct signature_desk *desk;    /* where sets are made */
    struct waiting_agents *waiting; /* NULL: no agent is to wait */
    const char *mirror_directory;
    /* Counters for /metrics. */
    atomic_uint_fast64_t heartbeats, fast_heartbeats, deferred, events, activations, refused;
};

/* The routes of the agents' listener; user of the handlers is a struct agent_service. */
extern const struct http_route AGENT_ROUTES[];
extern const size_t AGENT_ROUTE_COUNT;
/* Agents may wait for news, as many as that; 0: none. After the store and the signatures were set.
 */
int agent_waiting_start(struct agent_service *service, size_t most) MUST_USE;
/* http_server_options.settle: what the heartbeats brought is stored now. */
void agent_settle(void *service);

#endif
