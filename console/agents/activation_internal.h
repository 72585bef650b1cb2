/* One activation. Shared by the files activation*.c only. */
#ifndef CONSOLE_AGENTS_ACTIVATION_INTERNAL_H
#define CONSOLE_AGENTS_ACTIVATION_INTERNAL_H

#include "console/agents/agent_internal.h"
#include "console/agents/tokens.h"

/* What becomes of it. */
enum activation_way {
    ACTIVATION_NEW,   /* a new computer */
    ACTIVATION_AGAIN, /* the record of a known one goes on */
    ACTIVATION_CLONE, /* a new computer, from a copy of another's disk */
    ACTIVATION_TAKEN, /* refused: another computer is this instance */
};

struct activation {
    struct agent_service *service;
    struct http_request *request;
    struct wire_activation_request wire;
    struct instance_identity identity; /* verified; empty without */
    char old_certificate[65];          /* digest of the one shown, "" without */
    bool old_is_valid;                 /* its time is not over */
    char certificate[65];
    char *certificate_pem;
    char issued_for[UUID_TEXT_BYTES]; /* the agent it names */
    bool issued_again;                /* for a record that goes on */
    int64_t certificate_expires_ms;

    /* Of activation_decide. */
    enum activation_way way;
    char agent_id[UUID_TEXT_BYTES];
    int64_t number;   /* of its record */
    int64_t original; /* CLONE, TAKEN: number of the other computer */
    char original_id[UUID_TEXT_BYTES];
    char original_name[254];
    bool vouched; /* no token: the original's certificate and token stand in */
    struct token token;
    const char *reason; /* why it is refused, with -EACCES */
};

/* Which record the request is for, and whether its token is good. Runs twice: once to refuse
 * cheaply, once in the transaction. -EACCES with reason. */
int activation_decide(struct sql *sql, struct activation *activation) MUST_USE;
/* Writes the record, its policy, its events and the audit log. */
int activation_record(struct sql *sql, struct activation *activation) MUST_USE;
/* Writes what is to be known about a refusal with ACTIVATION_TAKEN. */
int activation_record_taken(struct sql *sql, const struct activation *activation) MUST_USE;
/* "ACCOUNT/INSTANCE"; "" without a verified identity. */
#define INSTANCE_NAME_BYTES 100
void activation_instance(const struct activation *activation,
                         char ret_name[static INSTANCE_NAME_BYTES]);

#endif
