/* Shared by the files of console/agents only. */
#ifndef CONSOLE_AGENTS_AGENT_INTERNAL_H
#define CONSOLE_AGENTS_AGENT_INTERNAL_H

#include "common/crypto/random.h"
#include "common/wire/wire.h"
#include "console/agents/agent_service.h"
#include "console/agents/session_history.h"
#include "console/store/sql.h"

/* The row of the computer that a client certificate belongs to. */
struct agent_row {
    int64_t number, session_ms, certificate_expires_ms, policy_revision, last_seen_ms;
    char id[UUID_TEXT_BYTES], state[32], machine_id[65], instance_id[65], hostname[254];
    struct session_history sessions;
    char policy_digest[65], applied_digest[65], agent_version[65];
    char group_id[UUID_TEXT_BYTES]; /* "" = in none */
    bool by_next_certificate;       /* the agent uses its renewed certificate for the first time */
};
/* 1, or 0 when no computer has this certificate. */
int agent_row_read(struct sql *sql, const char *certificate_digest,
                   struct agent_row *ret_row) MUST_USE;
/* The same by the verified "ACCOUNT/INSTANCE". */
int agent_row_read_instance(struct sql *sql, const char *instance,
                            struct agent_row *ret_row) MUST_USE;
/* The computer behind the client certificate; false when it has answered 401 or 410. */
bool agent_find(struct http_request *request, struct agent_service *service,
                const char *certificate_digest, struct agent_row *ret_row);
/* A client certificate for the key of a CSR. -EBADMSG: the CSR is wrong. The text is freed by the
 * caller. */
int agent_certificate_issue(struct agent_service *service, const char *csr, const char *agent_id,
                            char **ret_pem, char ret_digest[static 65],
                            int64_t *ret_expires_ms) MUST_USE;

void agent_activate(struct http_request *request, void *service);
void agent_heartbeat(struct http_request *request, void *service);
void agent_renew(struct http_request *request, void *service);
void agent_policy(struct http_request *request, void *service);
void agent_deactivate(struct http_request *request, void *service);
void agent_bundle(struct http_request *request, void *service);
void agent_signatures(struct http_request *request, void *service);
void agent_signature_file(struct http_request *request, void *service);
void agent_wait(struct http_request *request, void *service);
/* waiting_agents_options.answer. */
void agent_wait_answer(struct http_request *request, void *waiting_agent);

/* The client certificate's digest, or false when it has answered 401. */
bool agent_certificate(struct http_request *request, char ret_digest[static 65]);
/* Answers what a failed store means: 503, with Retry-After. */
void agent_respond_failure(struct http_request *request, int error);
/* 429: too many ask at once, come again; the seconds are spread. */
void agent_respond_busy(struct http_request *request);
/* Takes one from the bucket; true when it was empty and 429 has been answered. */
bool agent_must_wait(struct http_request *request, struct rate_bucket *bucket);
/* The same for what one computer may take. */
bool agent_must_wait_alone(struct http_request *request, struct rate_shares *shares, int64_t asker);
/* 401: no computer has its certificate. */
void agent_respond_unknown(struct http_request *request);
void agent_respond_deactivated(struct http_request *request);
/* Answers for a computer in a state that gets no service; false when it gets it. */
bool agent_refused_by_state(struct http_request *request, const struct agent_row *row);

#endif
