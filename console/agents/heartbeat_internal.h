/* Shared by the files of the heartbeat only. */
#ifndef CONSOLE_AGENTS_HEARTBEAT_INTERNAL_H
#define CONSOLE_AGENTS_HEARTBEAT_INTERNAL_H

#include "common/limits.h"
#include "console/agents/agent_internal.h"
#include "console/store/console_store.h"

/* A command without a result is sent again after so long. */
#define HEARTBEAT_REDELIVERY_MS 300000LL
/* SQL: a row of commands is to be sent. What follows it is a parameter: now less that time. */
#define HEARTBEAT_COMMAND_IS_DUE \
    "commands.state IN ('queued', 'delivered', 'running') AND commands.delivered_ms < "

enum outcome { OUTCOME_SERVED = 1, OUTCOME_UNKNOWN, OUTCOME_STATE, OUTCOME_CLONE };

struct heartbeat {
    struct agent_service *service;
    struct http_request *request;
    struct wire_heartbeat wire;
    uint64_t acknowledged;
    size_t command_count;
    int outcome;
    struct console_store_piece piece;
    /* Of the computer; group "": none. */
    int64_t computer, certificate_expires_ms;
    char certificate[65], group[UUID_TEXT_BYTES], policy_digest[65];
    struct agent_row *row; /* NULL when it was not needed: many wait at once */
    char *commands[LIMIT_HEARTBEAT_COMMANDS];
};

/* Nothing in it but events and results is new to the row. */
bool heartbeat_is_known(const struct heartbeat *heartbeat);
bool heartbeat_is_other_machine(const struct heartbeat *heartbeat);
void heartbeat_forget_commands(struct heartbeat *heartbeat);
/* Reads the row; 1, or 0 when nobody has the certificate. */
int heartbeat_read_row(struct sql *sql, struct heartbeat *heartbeat) MUST_USE;

/* In the writer's transaction: whatever it carries. A console_store_work; enum outcome. */
int heartbeat_write_alone(struct sql *sql, void *heartbeat);
/* Those that carry events only, together; the others are for heartbeat_write_alone. */
int heartbeat_write_many(struct sql *sql, void *const *heartbeats, int *ret_results, size_t count);

#endif
