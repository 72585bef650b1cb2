/* Owns activation, renewal and deactivation: who gets a certificate. Must not know events' rows.
 * The certificate is signed in the listener's thread, before the writer's transaction: it is worth
 * nothing until its digest stands in the computers table. */
#include "common/crypto/csr.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/agents/agent_internal.h"
#include "console/agents/presence.h"
#include "console/agents/tokens.h"
#include "console/events/event_store.h"
#include "console/people/audit.h"
#include "console/policies/policy_store.h"
#include "console/store/console_store.h"

#include <errno.h>

#define ORG 1LL

struct activation {
    struct agent_service *service;
    struct http_request *request;
    struct wire_activation_request wire;
    char old_certificate[65]; /* digest of the one shown, "" without */
    char certificate[65];
    char *certificate_pem;
    int64_t certificate_expires_ms;
    char agent_id[UUID_TEXT_BYTES];
    bool again;          /* the old certificate proves the computer: its record goes on */
    int64_t number;      /* of that record */
    int64_t cloned_from; /* the computer whose certificate a different machine shows; 0 = none */
    struct token token;
    const char *reason; /* why it is refused */
};

static void release(void *context)
{
    struct activation *activation = context;
    wire_activation_request_done(&activation->wire);
    free(activation->certificate_pem);
    free(activation);
}

static bool bucket_take(struct agent_service *service)
{
    uint64_t now = clock_monotonic_ns();
    (void)pthread_mutex_lock(&service->bucket_lock);
    if (service->bucket_ns == 0)
        service->bucket = AGENT_ACTIVATIONS_A_SECOND;
    else
        service->bucket +=
            (double)(now - service->bucket_ns) / (double)NS_PER_SECOND * AGENT_ACTIVATIONS_A_SECOND;
    service->bucket_ns = now;
    service->bucket = MIN(service->bucket, AGENT_ACTIVATIONS_A_SECOND);
    bool taken = service->bucket >= 1;
    if (taken)
        service->bucket -= 1;
    (void)pthread_mutex_unlock(&service->bucket_lock);
    return taken;
}

static int issue(struct agent_service *service, const char *csr, const char *agent_id,
                 char **ret_pem, char ret_digest[static 65], int64_t *ret_expires_ms)
{
    AUTO_KEY EVP_PKEY *key = NULL;
    AUTO_CERTIFICATE X509 *certificate = NULL;
    int64_t from_s = 0, until_s = 0;
    int r = csr_read_key(csr, strlen(csr), &key);
    if (r == 0)
        r = certificate_issue_agent(&service->identity->authority, key, agent_id,
                                    (int64_t)(clock_realtime_ns() / NS_PER_SECOND), &certificate);
    if (r == 0)
        r = certificate_digest(certificate, ret_digest);
    if (r == 0)
        r = certificate_validity(certificate, &from_s, &until_s);
    if (r == 0)
        r = certificate_to_pem(certificate, ret_pem);
    if (r == 0)
        *ret_expires_ms = until_s * 1000;
    return r;
}

static bool same_machine(const struct agent_row *row, const struct wire_host *host)
{
    return text_equal(row->machine_id, host->machine_id) &&
           text_equal(row->instance_id, host->instance_id);
}

/* Which record the request is for, and whether its token is good. Runs twice: once to refuse
 * cheaply, once in the transaction. */
static int examine(struct sql *sql, void *user)
{
    struct activation *activation = user;
    activation->reason = NULL;
    activation->again = false;
    activation->cloned_from = 0;
    int r = token_check(sql, activation->wire.token, http_request_address(activation->request),
                        &activation->token, &activation->reason);
    if (r < 0)
        return r;
    if (activation->wire.tenant_id[0] &&
        !text_equal(activation->wire.tenant_id, activation->service->tenant_id)) {
        activation->reason = "tenant";
        return -EACCES;
    }
    if (!activation->old_certificate[0])
        return 0;
    struct agent_row row;
    r = agent_row_read(sql, activation->old_certificate, &row);
    if (r == 1 && same_machine(&row, &activation->wire.host)) {
        activation->again = true;
        activation->number = row.number;
        (void)text_copy(activation->agent_id, sizeof(activation->agent_id), row.id);
    } else if (r == 1) {
        activation->cloned_from = row.number;
    }
    return r < 0 ? r : 0;
}

/* An id by name; "" when there is none such. */
static int find_id(struct sql *sql, const char *text, const char *name,
                   char ret_id[static UUID_TEXT_BYTES])
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    ret_id[0] = '\0';
    int r = sql_run(sql, text, &row, "nt", ORG, name);
    if (r == 1)
        (void)text_copy(ret_id, UUID_TEXT_BYTES, sql_text(row, 0));
    return r < 0 ? r : 0;
}

/* The token's group and policy win over what the agent asks for. */
static int choose_placement(struct sql *sql, const struct activation *activation,
                            char group_id[static UUID_TEXT_BYTES],
                            char policy_id[static UUID_TEXT_BYTES])
{
    (void)text_copy(group_id, UUID_TEXT_BYTES, activation->token.group_id);
    (void)text_copy(policy_id, UUID_TEXT_BYTES, activation->token.policy_id);
    int r = 0;
    if (!group_id[0] && activation->wire.group[0])
        r = find_id(sql, "SELECT id FROM groups WHERE org_id = $1 AND name = $2",
                    activation->wire.group, group_id);
    if (r == 0 && !policy_id[0] && activation->wire.policy[0])
        r = find_id(sql, "SELECT id FROM policies WHERE org_id = $1 AND name = $2",
                    activation->wire.policy, policy_id);
    return r;
}

static int insert_computer(struct sql *sql, struct activation *activation)
{
    const struct wire_host *host = &activation->wire.host;
    char group_id[UUID_TEXT_BYTES], policy_id[UUID_TEXT_BYTES];
    int r = choose_placement(sql, activation, group_id, policy_id);
    if (r < 0)
        return r;
    activation->number = console_store_new_number();
    int64_t now = console_store_now_ms();
    return sql_run(
        sql,
        "INSERT INTO computers (number, id, org_id, state, hostname, display_name, os,"
        " agent_version, address, machine_id, instance_id, session, retired_session,"
        " blocked_session, session_ms, group_id, policy_id, tags, token_id, certificate,"
        " next_certificate, certificate_expires_ms, activated_ms, last_seen_ms, policy_digest,"
        " policy_revision, applied_digest, applied_problem, facts)"
        " VALUES ($1, $2, $3, 'active', $4, $5, $6, $7, $8, $9, $10, $11, '', '', $12, $13, $14,"
        " $15, $16, $17, NULL, $18, $19, $20, '', 0, '', '', '{}')",
        NULL, "ntnttttttttntttttnnn", activation->number, activation->agent_id, ORG, host->hostname,
        host->display_name[0] ? host->display_name : host->hostname, host->os, host->agent_version,
        http_request_address(activation->request), host->machine_id, host->instance_id,
        activation->wire.session, now, group_id[0] ? group_id : NULL,
        policy_id[0] ? policy_id : NULL, activation->token.tags, activation->token.id,
        activation->certificate, activation->certificate_expires_ms, now, now);
}

static int update_computer(struct sql *sql, struct activation *activation)
{
    const struct wire_host *host = &activation->wire.host;
    int64_t now = console_store_now_ms();
    return sql_run(sql,
                   "UPDATE computers SET state = 'active', hostname = $1, os = $2,"
                   " agent_version = $3, address = $4, session = $5, retired_session = '',"
                   " blocked_session = '', session_ms = $6, token_id = $7, certificate = $8,"
                   " next_certificate = NULL, certificate_expires_ms = $9, activated_ms = $10,"
                   " last_seen_ms = $11 WHERE number = $12",
                   NULL, "tttttnttnnnn", host->hostname, host->os, host->agent_version,
                   http_request_address(activation->request), activation->wire.session, now,
                   activation->token.id, activation->certificate,
                   activation->certificate_expires_ms, now, now, activation->number);
}

static int record(struct sql *sql, struct activation *activation)
{
    char actor[64];
    (void)text_format(actor, sizeof(actor), "agent:%s", activation->agent_id);
    struct audit_entry entry = {.actor = actor,
                                .address = http_request_address(activation->request),
                                .action = activation->again ? "computer_reactivated"
                                                            : "computer_activated",
                                .subject = activation->wire.host.hostname,
                                .detail = ""};
    int r = audit_append(sql, &entry);
    if (r == 0)
        r = event_store_add_own(sql, activation->number,
                                activation->again ? "reactivated" : "activated", 0,
                                activation->token.name, "{}");
    if (r == 0 && activation->cloned_from) {
        r = event_store_add_own(sql, activation->cloned_from, "clone_seen", 3,
                                "another machine showed this computer's certificate", "{}");
        if (r == 0)
            r = event_store_add_own(sql, activation->number, "activated_as_clone", 2,
                                    "this machine showed another computer's certificate", "{}");
    }
    return r;
}

static int activate_work(struct sql *sql, void *user)
{
    struct activation *activation = user;
    char issued_for[UUID_TEXT_BYTES];
    (void)text_copy(issued_for, sizeof(issued_for), activation->agent_id);
    bool again = activation->again;
    int r = examine(sql, activation);
    if (r == 0 && (activation->again != again || !text_equal(issued_for, activation->agent_id)))
        r = -ESTALE; /* the record changed meanwhile */
    if (r == 0)
        r = token_spend(sql, &activation->token);
    if (r == 0)
        r = activation->again ? update_computer(sql, activation) : insert_computer(sql, activation);
    if (r == 0)
        r = policy_store_assign(sql, activation->number);
    if (r == 0)
        r = record(sql, activation);
    return r;
}

static void refuse(struct activation *activation, int error)
{
    struct http_request *request = activation->request;
    atomic_fetch_add(&activation->service->refused, 1);
    if (error == -EACCES)
        http_respond_problem(request, 403, "token_refused",
                             "this activation token is not good here: %s",
                             activation->reason ? activation->reason : "used_up");
    else
        agent_respond_failure(request, error);
}

static void activated(void *user, int result)
{
    struct activation *activation = user;
    if (result < 0) {
        refuse(activation, result);
        return;
    }
    atomic_fetch_add(&activation->service->activations, 1);
    const struct agent_service *service = activation->service;
    struct wire_activation_reply reply = {.agent_id = activation->agent_id,
                                          .certificate = activation->certificate_pem,
                                          .authority = service->identity->authority_pem,
                                          .signing_key = service->identity->signing_text,
                                          .tenant_id = service->tenant_id,
                                          .heartbeat_seconds = service->heartbeat_seconds};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    (void)wire_activation_reply_encode(&reply, &body); /* a failure shows in the buffer */
    http_respond_buffer(activation->request, 201, "application/json", &body);
}

void agent_activate(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    if (!bucket_take(service)) {
        http_response_header(request, "Retry-After", "10");
        http_respond_problem(request, 429, "busy", "too many activations at once; come again");
        return;
    }
    struct activation *activation = calloc(1, sizeof(*activation));
    if (!activation) {
        agent_respond_failure(request, -ENOMEM);
        return;
    }
    activation->service = service;
    activation->request = request;
    http_request_set_context(request, activation, release);
    size_t length;
    const char *body = http_request_body(request, &length);
    struct wire_problem problem;
    int r = wire_activation_request_decode(body, length, &activation->wire, &problem);
    if (r < 0) {
        http_respond_problem(request, 400, "bad_activation", "%s", problem.text);
        return;
    }
    /* A certificate of ours proves its key even when its time is over. */
    enum http_certificate shown = http_request_certificate(request, activation->old_certificate);
    if (shown != HTTP_CERTIFICATE_VALID && shown != HTTP_CERTIFICATE_EXPIRED)
        activation->old_certificate[0] = '\0';
    r = console_store_read(service->store, examine, activation);
    if (r == 0 && !activation->again)
        r = uuid_new(activation->agent_id);
    if (r < 0) {
        refuse(activation, r);
        return;
    }
    r = issue(service, activation->wire.csr, activation->agent_id, &activation->certificate_pem,
              activation->certificate, &activation->certificate_expires_ms);
    if (r < 0) {
        http_respond_problem(request, 400, "bad_csr",
                             "csr must be a PEM request for an EC P-256 key, signed with it");
        return;
    }
    http_request_hold(request);
    r = console_store_submit(service->store, activate_work, activated, activation);
    if (r < 0)
        refuse(activation, r);
}

/* --- renewal: same computer, new key and certificate; the old one serves until the new is used */

struct renewal {
    struct agent_service *service;
    struct http_request *request;
    char certificate[65], new_certificate[65];
    char *pem;
    int64_t expires_ms;
    int64_t number;
};

static void release_renewal(void *context)
{
    struct renewal *renewal = context;
    free(renewal->pem);
    free(renewal);
}

static int renew_work(struct sql *sql, void *user)
{
    const struct renewal *renewal = user;
    return sql_run(sql,
                   "UPDATE computers SET next_certificate = $1, certificate_expires_ms = $2"
                   " WHERE number = $3",
                   NULL, "tnn", renewal->new_certificate, renewal->expires_ms, renewal->number);
}

static void renewed(void *user, int result)
{
    const struct renewal *renewal = user;
    if (result < 0) {
        agent_respond_failure(renewal->request, result);
        return;
    }
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    (void)wire_text_encode("certificate", renewal->pem, &body);
    http_respond_buffer(renewal->request, 200, "application/json", &body);
}

struct row_lookup {
    const char *digest;
    struct agent_row row;
};

static int look_up(struct sql *sql, void *user)
{
    struct row_lookup *lookup = user;
    return agent_row_read(sql, lookup->digest, &lookup->row);
}

/* The computer behind the client certificate, or false when it has answered. */
static bool find_agent(struct http_request *request, struct agent_service *service,
                       struct row_lookup *lookup)
{
    int r = console_store_read(service->store, look_up, lookup);
    if (r < 0) {
        agent_respond_failure(request, r);
        return false;
    }
    if (r == 0) {
        http_respond_problem(request, 401, "certificate_unknown",
                             "no computer has this certificate; activate again");
        return false;
    }
    return !agent_refused_by_state(request, &lookup->row);
}

void agent_renew(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    char digest[65];
    if (!agent_certificate(request, digest))
        return;
    struct row_lookup lookup = {.digest = digest};
    if (!find_agent(request, service, &lookup))
        return;
    size_t length;
    const char *body = http_request_body(request, &length);
    json_t *root = NULL;
    const char *csr = NULL;
    struct wire_problem problem;
    if (wire_text_decode(body, length, "csr", CSR_PEM_MAXIMUM, &root, &csr, &problem) < 0) {
        http_respond_problem(request, 400, "bad_renewal", "%s", problem.text);
        return;
    }
    struct renewal *renewal = calloc(1, sizeof(*renewal));
    int r = renewal ? 0 : -ENOMEM;
    if (r == 0) {
        renewal->service = service;
        renewal->request = request;
        renewal->number = lookup.row.number;
        http_request_set_context(request, renewal, release_renewal);
        r = issue(service, csr, lookup.row.id, &renewal->pem, renewal->new_certificate,
                  &renewal->expires_ms);
    }
    json_decref(root);
    if (r < 0) {
        http_respond_problem(request, 400, "bad_csr",
                             "csr must be a PEM request for an EC P-256 key, signed with it");
        return;
    }
    http_request_hold(request);
    r = console_store_submit(service->store, renew_work, renewed, renewal);
    if (r < 0)
        agent_respond_failure(request, r);
}

/* --- the agent says goodbye */

struct goodbye {
    struct http_request *request;
    struct agent_row row;
};

static int deactivate_work(struct sql *sql, void *user)
{
    const struct goodbye *goodbye = user;
    char actor[64];
    (void)text_format(actor, sizeof(actor), "agent:%s", goodbye->row.id);
    struct audit_entry entry = {.actor = actor,
                                .address = http_request_address(goodbye->request),
                                .action = "computer_deactivated",
                                .subject = goodbye->row.hostname,
                                .detail = ""};
    int r = sql_run(sql, "UPDATE computers SET state = 'deactivated' WHERE number = $1", NULL, "n",
                    goodbye->row.number);
    if (r == 0)
        r = event_store_add_own(sql, goodbye->row.number, "deactivated", 1, "by the agent", "{}");
    return r == 0 ? audit_append(sql, &entry) : r;
}

static void said_goodbye(void *user, int result)
{
    const struct goodbye *goodbye = user;
    if (result < 0)
        agent_respond_failure(goodbye->request, result);
    else
        http_respond(goodbye->request, 204, NULL, NULL, 0);
}

void agent_deactivate(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    char digest[65];
    if (!agent_certificate(request, digest))
        return;
    struct row_lookup lookup = {.digest = digest};
    if (!find_agent(request, service, &lookup))
        return;
    struct goodbye *goodbye = calloc(1, sizeof(*goodbye));
    if (!goodbye) {
        agent_respond_failure(request, -ENOMEM);
        return;
    }
    *goodbye = (struct goodbye){request, lookup.row};
    http_request_set_context(request, goodbye, free);
    http_request_hold(request);
    int r = console_store_submit(service->store, deactivate_work, said_goodbye, goodbye);
    if (r < 0)
        agent_respond_failure(request, r);
}

/* --- the signed policy of this computer */

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

#define POLICY_LIFE_MS (30LL * 24 * 3600 * 1000)

void agent_policy(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    char digest[65];
    if (!agent_certificate(request, digest))
        return;
    struct policy_read read = {.digest = digest};
    int r = console_store_read(service->store, read_policy, &read);
    AUTO_FREE char *policy_body = read.body;
    if (r < 0) {
        agent_respond_failure(request, r);
        return;
    }
    if (r == 0) {
        http_respond_problem(request, 401, "certificate_unknown",
                             "no computer has this certificate; activate again");
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
                                 .body = policy_body,
                                 .revision = (uint64_t)read.row.policy_revision,
                                 .issued_ms = (uint64_t)now,
                                 .expires_ms = (uint64_t)(now + POLICY_LIFE_MS)};
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(LIMIT_SIGNED_DOCUMENT_BYTES);
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(2 * LIMIT_SIGNED_DOCUMENT_BYTES);
    r = wire_policy_encode(&policy, &document);
    if (r == 0)
        r = wire_signed_encode(buffer_text(&document), service->identity->signing_key, &body);
    if (r < 0)
        agent_respond_failure(request, r);
    else
        http_respond_buffer(request, 200, "application/json", &body);
}
