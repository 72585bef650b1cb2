/* Owns the answer to an agent that asks for its policy: the stored body, signed for this agent.
 * Must not decide which policy that is: console/policies does. */
#include "common/limits.h"
#include "common/text/text.h"
#include "console/agents/agent_internal.h"
#include "console/agents/signed_answer.h"
#include "console/store/console_store.h"

#include <errno.h>

struct policy_read {
    const char *digest;
    struct agent_row row;
    char *body;
};

static int read_policy(struct sql *sql, void *user)
{
    struct policy_read *read = user;
    int r = agent_row_read(sql, read->digest, &read->row);
    if (r != 1 || !read->row.policy_digest[0])
        return r;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    r = sql_run(sql, "SELECT body FROM policy_bodies WHERE digest = $1", &row, "t",
                read->row.policy_digest);
    if (r == 1) {
        read->body = strdup(sql_text(row, 0));
        return read->body ? 1 : -ENOMEM;
    }
    return r < 0 ? r : -ENOENT;
}

void agent_policy(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    char digest[65];
    if (!agent_certificate(request, digest) || agent_must_wait(request, &service->policy_bucket))
        return;
    struct policy_read read = {.digest = digest};
    int r = console_store_read(service->store, read_policy, &read);
    AUTO_FREE char *policy_body = read.body;
    if (r < 0) {
        agent_respond_failure(request, r);
        return;
    }
    if (r == 0) {
        agent_respond_unknown(request);
        return;
    }
    if (agent_refused_by_state(request, &read.row))
        return;
    if (!policy_body) {
        http_respond_problem(request, 404, "no_policy", "no policy is assigned to this computer");
        return;
    }
    int64_t now = console_store_now_ms();
    struct wire_policy policy = {.agent_id = read.row.id,
                                 .digest = read.row.policy_digest,
                                 .group_id = read.row.group_id,
                                 .body = policy_body,
                                 .revision = (uint64_t)read.row.policy_revision,
                                 .issued_ms = (uint64_t)now,
                                 .expires_ms = (uint64_t)(now + SIGNING_DOCUMENT_MS)};
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(LIMIT_SIGNED_DOCUMENT_BYTES);
    r = wire_policy_encode(&policy, &document);
    if (r == 0)
        r = signed_answer_respond(request, service->identity->signing, &document);
    if (r < 0)
        agent_respond_failure(request, r);
}
