/* Owns the answer to an agent that asks to be told when there is something new for it. Must not
 * decide who waits how long: waiting_agents does. Says only that there is something: what, the next
 * heartbeat says. */
#include "common/crypto/random.h"
#include "common/text/text.h"
#include "console/agents/agent_internal.h"
#include "console/agents/heartbeat_internal.h"
#include "console/agents/waiting_agents.h"
#include "console/store/agent_news.h"
#include "console/store/console_store.h"

#include <errno.h>
#include <string.h>

#define WAITS_OF_ONE 10 /* requests that one computer may begin in a second */

struct wait_read {
    const char *certificate;
    struct waiting_agent *agent;
    char state[32], policy_digest[65], group_id[UUID_TEXT_BYTES];
    bool has_command;
    int64_t news;
};

int agent_waiting_start(struct agent_service *service, size_t most)
{
    const struct waiting_agents_options options = {.store = service->store,
                                                   .signatures = service->signatures,
                                                   .most = most,
                                                   .answer = agent_wait_answer};
    rate_shares_init(&service->wait_shares, WAITS_OF_ONE);
    return most > 0 ? waiting_agents_start(&options, &service->waiting) : 0;
}

/* One statement: it is asked by every agent, every time. A renewed certificate was shown to a
 * heartbeat before. */
static int read_computer(struct sql *sql, void *user)
{
    struct wait_read *read = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r =
        sql_run(sql,
                "SELECT number, state, policy_digest, COALESCE(group_id, ''), CASE WHEN EXISTS"
                " (SELECT 1 FROM commands WHERE commands.computer = computers.number"
                " AND " HEARTBEAT_COMMAND_IS_DUE "$1) THEN 1 ELSE 0 END, " AGENT_NEWS
                " FROM computers WHERE certificate = $2",
                &row, "nt", console_store_now_ms() - HEARTBEAT_REDELIVERY_MS, read->certificate);
    if (r != 1)
        return r;
    read->agent->computer = sql_number(row, 0);
    (void)text_copy(read->state, sizeof(read->state), sql_text(row, 1));
    (void)text_copy(read->policy_digest, sizeof(read->policy_digest), sql_text(row, 2));
    (void)text_copy(read->group_id, sizeof(read->group_id), sql_text(row, 3));
    read->has_command = sql_number(row, 4) != 0;
    read->news = sql_number(row, 5);
    return 1;
}

/* What was not said was nothing. */
static bool read_told(struct http_request *request, struct agent_told *told)
{
    return http_request_query(request, "policy", told->policy_digest,
                              sizeof(told->policy_digest)) >= 0 &&
           http_request_query(request, "signatures", told->signatures_digest,
                              sizeof(told->signatures_digest)) >= 0 &&
           http_request_query(request, "group", told->group_id, sizeof(told->group_id)) >= 0;
}

/* 200: a heartbeat is worth it now. */
static void respond_news(struct http_request *request)
{
    static const char body[] = "{\"news\":true}";
    http_respond(request, 200, "application/json", body, sizeof(body) - 1);
}

struct refusal {
    unsigned status;
    uint64_t least_s; /* come back after it, and up to that much more */
    const char *code, *detail;
};
static const struct refusal FULL = {429, 300, "too_many_wait",
                                    "no more agents may wait here; go on with heartbeats"};
static const struct refusal ENDING = {503, 5, "ending", "the console stops; come again"};
static const struct refusal BUSY = {503, 5, "busy", "too many ask at once; come again"};

/* Who is sent away does not come back together with all others. The connection is given back: it
 * may be wanted for heartbeats. */
static void send_away(struct http_request *request, const struct refusal *refusal)
{
    uint64_t more = 0;
    char seconds[24];
    (void)!random_bytes(&more, sizeof(more)); /* without entropy all get the least */
    const uint64_t wait_s = refusal->least_s + more % (refusal->least_s + 1);
    (void)text_format(seconds, sizeof(seconds), "%llu", (unsigned long long)wait_s);
    http_response_header(request, "Retry-After", seconds);
    http_response_header(request, "Connection", "close");
    http_respond_problem(request, refusal->status, refusal->code, "%s", refusal->detail);
}

void agent_wait_answer(struct http_request *request, void *user)
{
    const struct waiting_agent *agent = user;
    switch (agent->outcome) {
    case WAIT_NEWS:
        respond_news(request);
        return;
    case WAIT_REPLACED:
        http_response_header(request, "Connection", "close");
        http_respond_problem(request, 409, "replaced", "this computer waits by another request");
        return;
    case WAIT_ENDING:
        send_away(request, &ENDING);
        return;
    case WAIT_NOTHING:
        http_respond(request, 204, NULL, NULL, 0);
    }
}

/* Who asks, before anything is read for it. */
static int64_t asker_of(const char *certificate)
{
    uint8_t digest[32] = {0};
    int64_t asker; /* its beginning is enough */
    (void)!text_parse_hex(certificate, digest, sizeof(digest));
    memcpy(&asker, digest, sizeof(asker));
    return asker;
}

/* False when it has answered. Waits for no reader: other agents wait for this thread. */
static bool may_wait(struct http_request *request, struct agent_service *service,
                     struct wait_read *read)
{
    int r = console_store_read_now(service->store, read_computer, read);
    if (r == -EBUSY) {
        send_away(request, &BUSY);
    } else if (r < 0) {
        agent_respond_failure(request, r);
    } else if (r == 0) {
        agent_respond_unknown(request);
    } else if (!text_equal(read->state, "active")) {
        agent_respond_deactivated(request);
    } else {
        return true;
    }
    return false;
}

void agent_wait(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    char certificate[65];
    if (!agent_certificate(request, certificate))
        return;
    if (!service->waiting) {
        http_respond_problem(request, 404, "no_waiting", "agents do not wait at this console");
        return;
    }
    if (agent_must_wait_alone(request, &service->wait_shares, asker_of(certificate)))
        return;
    struct waiting_agent *agent = calloc(1, sizeof(*agent));
    if (!agent) {
        agent_respond_failure(request, -ENOMEM);
        return;
    }
    agent->request = request;
    http_request_set_context(request, agent, free);
    struct wait_read read = {.certificate = certificate, .agent = agent};
    if (!read_told(request, &agent->told)) {
        http_respond_problem(request, 400, "bad_wait",
                             "policy, signatures and group are what the last heartbeat said");
        return;
    }
    if (!may_wait(request, service, &read))
        return;
    if (read.has_command ||
        agent_told_differs(&agent->told, service->signatures, read.policy_digest, read.group_id)) {
        respond_news(request);
        return;
    }
    http_request_hold_long(request);
    int r = waiting_agents_join(service->waiting, agent, read.news);
    if (r < 0)
        send_away(request, r == -EUSERS ? &FULL : &ENDING);
}
