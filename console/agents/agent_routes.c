/* Owns the route table of the agents' listener and what its handlers share. */
#include "common/limits.h"
#include "common/text/text.h"
#include "console/agents/agent_internal.h"
#include "console/store/console_store.h"

#include <errno.h>

#define SMALL_BODY_BYTES 16384

/* For balancers, which have no certificate. It touches nothing. */
static void answer_health(struct http_request *request, void *service UNUSED)
{
    static const char good[] = "{\"status\":\"good\"}";
    http_respond(request, 200, "application/json", good, sizeof(good) - 1);
}

const struct http_route AGENT_ROUTES[] = {
    {"POST", "/agent/v1/heartbeat", LIMIT_HEARTBEAT_BYTES, agent_heartbeat, 0},
    {"POST", "/agent/v1/activate", SMALL_BODY_BYTES, agent_activate, 0},
    {"POST", "/agent/v1/renew", SMALL_BODY_BYTES, agent_renew, 0},
    {"GET", "/agent/v1/policy", 0, agent_policy, 0},
    {"POST", "/agent/v1/deactivate", SMALL_BODY_BYTES, agent_deactivate, 0},
    {"POST", "/agent/v1/commands/{id}/bundle", LIMIT_BUNDLE_BYTES, agent_bundle, 0},
    {"GET", "/agent/v1/signatures", 0, agent_signatures, 0},
    {"GET", "/agent/v1/signatures/files/{sha256}", 0, agent_signature_file, 0},
    {"GET", "/agent/v1/wait", 0, agent_wait, 0},
    {"GET", "/health", 0, answer_health, 0},
};
const size_t AGENT_ROUTE_COUNT = ARRAY_LENGTH(AGENT_ROUTES);

void agent_settle(void *user)
{
    const struct agent_service *service = user;
    console_store_hurry(service->store);
}

bool agent_certificate(struct http_request *request, char ret_digest[static 65])
{
    switch (http_request_certificate(request, ret_digest)) {
    case HTTP_CERTIFICATE_VALID:
        return true;
    case HTTP_CERTIFICATE_NONE:
        http_respond_problem(request, 401, "certificate_missing",
                             "show the client certificate given at activation");
        return false;
    case HTTP_CERTIFICATE_EXPIRED:
        http_respond_problem(request, 401, "certificate_expired", "activate again");
        return false;
    case HTTP_CERTIFICATE_REFUSED:
        http_respond_problem(request, 401, "certificate_foreign",
                             "this certificate is not from this console");
        return false;
    }
    return false;
}

void agent_respond_failure(struct http_request *request, int error)
{
    http_response_header(request, "Retry-After", error == -ENOBUFS ? "10" : "30");
    if (error == -ENOBUFS)
        http_respond_problem(request, 503, "busy", "too much waits to be stored; come again");
    else if (error == -ENOSPC)
        http_respond_problem(request, 503, "disk_full", "the console's disk is full");
    else
        http_respond_problem(request, 503, "store_failed", "the console cannot store now: %s",
                             strerrordesc_np(-error));
}

void agent_respond_unknown(struct http_request *request)
{
    http_respond_problem(request, 401, "certificate_unknown",
                         "no computer has this certificate; activate again");
}

void agent_respond_deactivated(struct http_request *request)
{
    http_respond_problem(request, 410, "deactivated",
                         "this computer is deactivated; activate again");
}

bool agent_refused_by_state(struct http_request *request, const struct agent_row *row)
{
    if (text_equal(row->state, "active"))
        return false;
    agent_respond_deactivated(request);
    return true;
}

static int read_row_by(struct sql *sql, const char *text, const char *digest, struct agent_row *row)
{
    AUTO_STATEMENT struct sql_statement *found = NULL;
    int r = sql_run(sql, text, &found, "t", digest);
    if (r != 1)
        return r;
    *row = (struct agent_row){.number = sql_number(found, 0),
                              .session_ms = sql_number(found, 1),
                              .certificate_expires_ms = sql_number(found, 2),
                              .policy_revision = sql_number(found, 3),
                              .last_seen_ms = sql_number(found, 4)};
    struct {
        char *to;
        size_t size;
    } texts[] = {{row->id, sizeof(row->id)},
                 {row->state, sizeof(row->state)},
                 {row->machine_id, sizeof(row->machine_id)},
                 {row->instance_id, sizeof(row->instance_id)},
                 {row->hostname, sizeof(row->hostname)},
                 {row->sessions.current, sizeof(row->sessions.current)},
                 {row->sessions.earlier, sizeof(row->sessions.earlier)},
                 {row->sessions.blocked, sizeof(row->sessions.blocked)},
                 {row->policy_digest, sizeof(row->policy_digest)},
                 {row->applied_digest, sizeof(row->applied_digest)},
                 {row->agent_version, sizeof(row->agent_version)},
                 {row->group_id, sizeof(row->group_id)}};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        (void)text_copy(texts[i].to, texts[i].size, sql_text(found, (int)i + 5));
    return 1;
}

#define AGENT_COLUMNS                                                                                          \
    "SELECT number, session_ms, certificate_expires_ms, policy_revision, last_seen_ms, id, state, machine_id," \
    " instance_id, hostname, session, retired_session, blocked_session, policy_digest,"                        \
    " applied_digest, agent_version, group_id FROM computers WHERE "

int agent_row_read(struct sql *sql, const char *certificate_digest, struct agent_row *ret_row)
{
    int r = read_row_by(sql, AGENT_COLUMNS "certificate = $1", certificate_digest, ret_row);
    if (r != 0)
        return r;
    r = read_row_by(sql, AGENT_COLUMNS "next_certificate = $1", certificate_digest, ret_row);
    if (r == 1)
        ret_row->by_next_certificate = true;
    return r;
}

int agent_row_read_instance(struct sql *sql, const char *instance, struct agent_row *ret_row)
{
    return read_row_by(sql, AGENT_COLUMNS "verified_instance = $1", instance, ret_row);
}

struct row_lookup {
    const char *digest;
    struct agent_row *row;
};

static int look_up(struct sql *sql, void *user)
{
    const struct row_lookup *lookup = user;
    return agent_row_read(sql, lookup->digest, lookup->row);
}

bool agent_find(struct http_request *request, struct agent_service *service,
                const char *certificate_digest, struct agent_row *ret_row)
{
    struct row_lookup lookup = {certificate_digest, ret_row};
    int r = console_store_read(service->store, look_up, &lookup);
    if (r < 0) {
        agent_respond_failure(request, r);
        return false;
    }
    if (r == 0) {
        agent_respond_unknown(request);
        return false;
    }
    return !agent_refused_by_state(request, ret_row);
}

void agent_respond_busy(struct http_request *request)
{
    char text[16];
    (void)text_format(text, sizeof(text), "%u", rate_retry_seconds());
    http_response_header(request, "Retry-After", text);
    http_respond_problem(request, 429, "busy", "too many ask for this at once; come again");
}

bool agent_must_wait(struct http_request *request, struct rate_bucket *bucket)
{
    if (rate_bucket_take(bucket))
        return false;
    agent_respond_busy(request);
    return true;
}

bool agent_must_wait_alone(struct http_request *request, struct rate_shares *shares, int64_t asker)
{
    if (rate_shares_take(shares, asker))
        return false;
    http_response_header(request, "Retry-After", "1");
    http_respond_problem(request, 429, "busy",
                         "this computer asks for more than its share; come again");
    return true;
}
