/* Requests of agents that wait until there is something new for them: a command, another policy,
 * group or set of signatures, or the end of their service. They are held without a thread or a
 * timer of their own. One thread looks at the store once a second, and only while anybody waits.
 *
 * Of those for whom something new is found while they wait, WAITING_WAKES_A_SECOND are told in a
 * second, and as many more at first, those with commands first. At once are told: whose time is
 * over meanwhile, who comes with something old, and whom waiting_agents_wake names. Thread-safe. */
#ifndef CONSOLE_AGENTS_WAITING_AGENTS_H
#define CONSOLE_AGENTS_WAITING_AGENTS_H

#include "common/attributes.h"
#include "common/crypto/random.h"
#include "console/http/http_server.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAITING_SECONDS        50 /* of one request: less than common idle time-outs */
#define WAITING_WAKES_A_SECOND 200

struct console_store;
struct signature_sets;
struct waiting_agents;

/* What the agent's last heartbeat was told. */
struct agent_told {
    char policy_digest[65], signatures_digest[65], group_id[UUID_TEXT_BYTES];
};

/* One request. Its memory belongs to the request, as its context. */
struct waiting_agent {
    struct http_request *request;
    int64_t computer;
    struct agent_told told;
    /* Of waiting_agents. */
    enum waiting_outcome { WAIT_NOTHING, WAIT_NEWS, WAIT_REPLACED, WAIT_ENDING } outcome;
    uint64_t until_ns, seen; /* seen: the last comparison that found its computer */
    struct waiting_list *woken;
    struct waiting_agent *next_of_bucket;
    struct waiting_links {
        struct waiting_agent *before, *after;
    } by_time, by_wake;
};

struct waiting_agents_options {
    struct console_store *store;
    struct signature_sets *signatures;
    size_t most;          /* that wait at once */
    http_handler *answer; /* to what is over, in the thread of its connection; user: the agent */
};
int waiting_agents_start(const struct waiting_agents_options *options,
                         struct waiting_agents **ret_agents) MUST_USE;
/* Answers all, and takes no more. NULL is legal. */
void waiting_agents_close(struct waiting_agents *agents);
/* After the last request. NULL is legal. */
struct waiting_agents *waiting_agents_free(struct waiting_agents *agents);

/* The request, held for long, waits from now on; another one of its computer is answered. news:
 * AGENT_NEWS as it was when told was found to be up to date. -EUSERS when too many wait,
 * -ESHUTDOWN: the request is still the caller's to answer. */
int waiting_agents_join(struct waiting_agents *agents, struct waiting_agent *agent,
                        int64_t news) MUST_USE;
/* Ends what this computer waits for. NULL is legal. */
void waiting_agents_wake(struct waiting_agents *agents, int64_t computer);

struct waiting_agents_status {
    uint64_t waiting, woken, refused;
};
/* agents NULL: none. */
void waiting_agents_status(struct waiting_agents *agents, struct waiting_agents_status *ret_status);

/* Whether what an agent was told is no longer so. */
bool agent_told_differs(const struct agent_told *told, struct signature_sets *signatures,
                        const char *policy_digest, const char *group_id);

#endif
