/* What the inspecting process says about one event, flat, so that it can stand in shared memory.
 * Whoever reads it there trusts nothing: ruling_take() copies, bounds and terminates. */
#ifndef APPLICATION_RELAY_RULING_H
#define APPLICATION_RELAY_RULING_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

#define RULING_FINDINGS 8
#define RULING_ANSWER   2048

enum ruling_action { RULING_PASS, RULING_REPORT, RULING_BLOCK };

struct ruling_finding {
    char protection[32]; /* "SQL Injection" */
    char message[160];
    char part[96];     /* "ARGS:id" */
    char excerpt[640]; /* escaped, secrets masked */
    uint32_t rule;
    uint32_t score;
    uint32_t action; /* enum ruling_action */
};

/* The request as the event told it; escaped. */
struct ruling_request {
    char method[32];
    char path[512];
    char route[256];
    char host[256];
    char source[64];
    char request_id[96]; /* of the gateway, not of Lambda */
    char trace_id[128];
};

struct ruling {
    uint32_t is_http, action, exhausted, score, finding_count;
    struct ruling_request request;
    struct ruling_finding findings[RULING_FINDINGS];
    uint32_t answer_length;
    char answer[RULING_ANSWER]; /* JSON; what the invocation is answered with when it is blocked */
};

/* A copy of what stands in memory that somebody else may write: numbers in range, texts ended. */
void ruling_take(const struct ruling *shared, struct ruling *ret_ruling);

#endif
