/* Owns what a heartbeat does. The common one carries nothing new and is answered from a reader's
 * snapshot; all others run in the writer's transaction and are answered after COMMIT. Must not
 * touch last_seen: presence does. */
#include "common/limits.h"
#include "common/text/text.h"
#include "console/agents/agent_internal.h"
#include "console/agents/presence.h"
#include "console/events/event_store.h"
#include "console/people/audit.h"
#include "console/store/console_store.h"

#include <errno.h>

#define FACTS_MAXIMUM       16384
#define REDELIVERY_MS       300000LL /* a command without a result is sent again after so long */
#define SESSION_SETTLED_MS  30000LL  /* what an ending run still had in flight is no clone */
#define CERTIFICATE_LIFE_MS (CERTIFICATE_AGENT_DAYS * CERTIFICATE_SECONDS_PER_DAY * 1000)

enum outcome { OUTCOME_SERVED = 1, OUTCOME_UNKNOWN, OUTCOME_STATE, OUTCOME_CLONE };

struct heartbeat {
    struct agent_service *service;
    struct http_request *request;
    struct wire_heartbeat wire;
    char certificate[65];
    struct agent_row row;
    uint64_t acknowledged;
    char *commands[LIMIT_HEARTBEAT_COMMANDS];
    size_t command_count;
};

static void forget_commands(struct heartbeat *heartbeat)
{
    for (size_t i = 0; i < heartbeat->command_count; i++)
        free(heartbeat->commands[i]);
    heartbeat->command_count = 0;
}

static void release(void *context)
{
    struct heartbeat *heartbeat = context;
    forget_commands(heartbeat);
    wire_heartbeat_done(&heartbeat->wire);
    free(heartbeat);
}

static bool is_other_machine(const struct heartbeat *heartbeat)
{
    const struct wire_host *host = &heartbeat->wire.host;
    return !text_equal(heartbeat->row.machine_id, host->machine_id) ||
           !text_equal(heartbeat->row.instance_id, host->instance_id);
}

/* --- the common case */

static bool carries_nothing_new(const struct heartbeat *heartbeat)
{
    const struct agent_row *row = &heartbeat->row;
    const struct wire_heartbeat *wire = &heartbeat->wire;
    return !row->by_next_certificate && text_equal(row->state, "active") &&
           text_equal(row->session, wire->session) && !is_other_machine(heartbeat) &&
           text_equal(row->applied_digest, wire->policy_digest) && !wire->policy_problem[0] &&
           text_equal(row->hostname, wire->host.hostname) &&
           text_equal(row->agent_version, wire->host.agent_version);
}

static int read_work(struct sql *sql, void *user)
{
    struct heartbeat *heartbeat = user;
    int r = agent_row_read(sql, heartbeat->certificate, &heartbeat->row);
    if (r != 1 || !carries_nothing_new(heartbeat))
        return r < 0 ? r : 0;
    AUTO_STATEMENT struct sql_statement *command = NULL;
    r = sql_run(sql,
                "SELECT id FROM commands WHERE computer = $1 AND state IN ('queued', 'delivered',"
                " 'running') AND delivered_ms < $2 LIMIT 1",
                &command, "nn", heartbeat->row.number, console_store_now_ms() - REDELIVERY_MS);
    if (r != 0)
        return r < 0 ? r : 0;
    AUTO_STATEMENT struct sql_statement *lost = NULL;
    r = sql_run(sql,
                "SELECT acknowledged FROM deliveries WHERE computer = $1 AND epoch = $2"
                " AND dropped >= $3",
                &lost, "ntn", heartbeat->row.number, heartbeat->wire.epoch,
                (int64_t)heartbeat->wire.dropped);
    if (r == 1)
        heartbeat->acknowledged = (uint64_t)sql_number(lost, 0);
    return r;
}

/* --- the writer's case */

/* Who may go on when two runs use one identity: the first. 1 when this one may. */
static int settle_session(struct sql *sql, struct heartbeat *heartbeat)
{
    const struct agent_row *row = &heartbeat->row;
    const char *session = heartbeat->wire.session;
    int64_t now = console_store_now_ms();
    if (text_equal(row->session, session))
        return 1;
    if (text_equal(row->blocked_session, session))
        return 0;
    if (!text_equal(row->retired_session, session)) { /* a restart, as far as one can tell */
        int r = sql_run(sql,
                        "UPDATE computers SET retired_session = session, session = $1,"
                        " session_ms = $2 WHERE number = $3",
                        NULL, "tnn", session, now, row->number);
        return r < 0 ? r : 1;
    }
    if (now - row->session_ms < SESSION_SETTLED_MS)
        return 1; /* sent before the restart */
    int r = sql_run(sql,
                    "UPDATE computers SET blocked_session = session, session = retired_session,"
                    " retired_session = '', session_ms = $1 WHERE number = $2",
                    NULL, "nn", now, row->number);
    if (r == 0)
        r = event_store_add_own(sql, row->number, "clone_seen", 3,
                                "two machines use this computer's identity at once", "{}");
    return r < 0 ? r : 1;
}

static int note_other_machine(struct sql *sql, const struct heartbeat *heartbeat)
{
    char actor[64];
    (void)text_format(actor, sizeof(actor), "agent:%s", heartbeat->row.id);
    struct audit_entry entry = {.actor = actor,
                                .address = http_request_address(heartbeat->request),
                                .action = "clone_refused",
                                .subject = heartbeat->wire.host.hostname,
                                .detail = ""};
    int r = event_store_add_own(sql, heartbeat->row.number, "clone_seen", 3,
                                "another machine uses this computer's identity", "{}");
    return r < 0 ? r : audit_append(sql, &entry);
}

/* How far a command is. That the agent spoke of it puts the next delivery off. */
static int take_progress(struct sql *sql, int64_t computer, const struct wire_result *result)
{
    return sql_run(sql,
                   "UPDATE commands SET state = 'running', output = $1, delivered_ms = $2,"
                   " changed = $3 WHERE id = $4 AND computer = $5"
                   " AND state IN ('queued', 'delivered', 'running')",
                   NULL, "tnntn", result->output, console_store_now_ms(),
                   console_store_new_number(), result->command_id, computer);
}

/* A result counts also when it comes too late: it says what was done. */
static int take_result(struct sql *sql, int64_t computer, const struct wire_result *result)
{
    return sql_run(sql,
                   "UPDATE commands SET state = $1, output = $2, finished_ms = $3, changed = $4"
                   " WHERE id = $5 AND computer = $6 AND state NOT IN ('done', 'failed')",
                   NULL, "ttnntn", result->good ? "done" : "failed", result->output,
                   console_store_now_ms(), console_store_new_number(), result->command_id,
                   computer);
}

static int take_results(struct sql *sql, const struct heartbeat *heartbeat)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < heartbeat->wire.result_count; i++) {
        const struct wire_result *result = &heartbeat->wire.results[i];
        r = result->running ? take_progress(sql, heartbeat->row.number, result)
                            : take_result(sql, heartbeat->row.number, result);
    }
    return r;
}

static int sign_command(struct heartbeat *heartbeat, struct sql_statement *row, int64_t now)
{
    struct wire_command command = {.agent_id = heartbeat->row.id,
                                   .id = sql_text(row, 0),
                                   .type = sql_text(row, 1),
                                   .arguments = sql_text(row, 2),
                                   .issued_ms = (uint64_t)now,
                                   .expires_ms = (uint64_t)sql_number(row, 3)};
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(LIMIT_MESSAGE_BYTES);
    struct buffer body = BUFFER_WITH_MAXIMUM(LIMIT_MESSAGE_BYTES);
    int r = wire_command_encode(&command, &document);
    if (r == 0)
        r = signing_key_sign(heartbeat->service->identity->signing, buffer_text(&document), &body);
    if (r < 0) {
        buffer_done(&body);
        return r;
    }
    heartbeat->commands[heartbeat->command_count++] = buffer_take(&body);
    return 0;
}

static int give_commands(struct sql *sql, struct heartbeat *heartbeat)
{
    int64_t now = console_store_now_ms();
    int r = sql_run(sql,
                    "UPDATE commands SET state = 'expired', finished_ms = $1, changed = $2"
                    " WHERE computer = $3 AND state IN ('queued', 'delivered')"
                    " AND expires_ms <= $1",
                    NULL, "nnn", now, console_store_new_number(), heartbeat->row.number);
    if (r < 0)
        return r;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    r = sql_run(sql,
                "SELECT id, type, arguments, expires_ms FROM commands WHERE computer = $1"
                " AND state IN ('queued', 'delivered', 'running') AND delivered_ms < $2"
                " ORDER BY id LIMIT $3",
                &row, "nnn", heartbeat->row.number, now - REDELIVERY_MS,
                (int64_t)LIMIT_HEARTBEAT_COMMANDS);
    while (r == 1) {
        int sent = sign_command(heartbeat, row, now);
        if (sent == 0)
            sent = sql_run(sql,
                           "UPDATE commands SET state = CASE WHEN state = 'running' THEN state"
                           " ELSE 'delivered' END, delivered_ms = $1, changed = $2"
                           " WHERE id = $3",
                           NULL, "nnt", now, console_store_new_number(), sql_text(row, 0));
        r = sent < 0 ? sent : sql_step(row);
    }
    return r;
}

static int update_row(struct sql *sql, const struct heartbeat *heartbeat)
{
    const struct wire_heartbeat *wire = &heartbeat->wire;
    int r = 0;
    if (heartbeat->row.by_next_certificate)
        r = sql_run(sql,
                    "UPDATE computers SET certificate = next_certificate, next_certificate = NULL"
                    " WHERE number = $1",
                    NULL, "n", heartbeat->row.number);
    if (r == 0 && wire->policy_problem[0] &&
        !text_equal(heartbeat->row.applied_digest, wire->policy_digest))
        r = event_store_add_own(sql, heartbeat->row.number, "policy_refused", 2,
                                wire->policy_problem, "{}");
    if (r == 0)
        r = sql_run(sql,
                    "UPDATE computers SET hostname = $1, os = $2, agent_version = $3, address = $4,"
                    " applied_digest = $5, applied_problem = $6 WHERE number = $7",
                    NULL, "ttttttn", wire->host.hostname, wire->host.os, wire->host.agent_version,
                    http_request_address(heartbeat->request), wire->policy_digest,
                    wire->policy_problem, heartbeat->row.number);
    return r;
}

static int write_work(struct sql *sql, void *user)
{
    struct heartbeat *heartbeat = user;
    forget_commands(heartbeat);
    int r = agent_row_read(sql, heartbeat->certificate, &heartbeat->row);
    if (r <= 0)
        return r < 0 ? r : OUTCOME_UNKNOWN;
    if (!text_equal(heartbeat->row.state, "active"))
        return OUTCOME_STATE;
    if (is_other_machine(heartbeat)) {
        r = note_other_machine(sql, heartbeat);
        return r < 0 ? r : OUTCOME_CLONE;
    }
    r = settle_session(sql, heartbeat);
    if (r <= 0)
        return r < 0 ? r : OUTCOME_CLONE;
    r = carries_nothing_new(heartbeat) ? 0 : update_row(sql, heartbeat);
    struct event_batch batch = {.computer = heartbeat->row.number,
                                .epoch = heartbeat->wire.epoch,
                                .events = heartbeat->wire.events,
                                .count = heartbeat->wire.event_count,
                                .dropped = heartbeat->wire.dropped};
    if (r == 0)
        r = event_store_add(sql, &batch, &heartbeat->acknowledged);
    if (r == 0)
        r = take_results(sql, heartbeat);
    if (r == 0)
        r = give_commands(sql, heartbeat);
    return r < 0 ? r : OUTCOME_SERVED;
}

/* --- the answer */

static void note_presence(const struct heartbeat *heartbeat)
{
    AUTO_FREE char *facts =
        heartbeat->wire.facts_json ? json_dumps(heartbeat->wire.facts_json, JSON_COMPACT) : NULL;
    /* A sighting that found no memory is made up for by the next. */
    (void)presence_note(heartbeat->service->presence, heartbeat->row.number, console_store_now_ms(),
                        facts && strlen(facts) <= FACTS_MAXIMUM ? facts : NULL);
}

static void respond(struct heartbeat *heartbeat)
{
    int64_t now = console_store_now_ms();
    const struct agent_row *row = &heartbeat->row;
    note_presence(heartbeat);
    struct wire_heartbeat_reply reply = {.epoch = heartbeat->wire.epoch,
                                         .acknowledged = heartbeat->acknowledged,
                                         .server_ms = (uint64_t)now,
                                         .next_seconds = heartbeat->service->heartbeat_seconds,
                                         .policy_digest = row->policy_digest,
                                         .renew = row->certificate_expires_ms - now <
                                                  CERTIFICATE_LIFE_MS / 3,
                                         .commands = (const char **)(uintptr_t)heartbeat->commands,
                                         .command_count = heartbeat->command_count};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(2 * LIMIT_HEARTBEAT_BYTES);
    (void)wire_heartbeat_reply_encode(&reply, &body); /* a failure shows in the buffer */
    http_respond_buffer(heartbeat->request, 200, "application/json", &body);
}

static void written(void *user, int result)
{
    struct heartbeat *heartbeat = user;
    struct http_request *request = heartbeat->request;
    switch (result) {
    case OUTCOME_SERVED:
        atomic_fetch_add(&heartbeat->service->events, heartbeat->wire.event_count);
        respond(heartbeat);
        return;
    case OUTCOME_UNKNOWN:
        http_respond_problem(request, 401, "certificate_unknown",
                             "no computer has this certificate; activate again");
        return;
    case OUTCOME_STATE:
        (void)agent_refused_by_state(request, &heartbeat->row);
        return;
    case OUTCOME_CLONE:
        http_respond_problem(request, 409, "clone",
                             "another machine has this identity; activate as a new computer");
        return;
    default:
        agent_respond_failure(request, result);
    }
}

void agent_heartbeat(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    char digest[65];
    if (!agent_certificate(request, digest))
        return;
    struct heartbeat *heartbeat = calloc(1, sizeof(*heartbeat));
    if (!heartbeat) {
        agent_respond_failure(request, -ENOMEM);
        return;
    }
    heartbeat->service = service;
    heartbeat->request = request;
    (void)text_copy(heartbeat->certificate, sizeof(heartbeat->certificate), digest);
    http_request_set_context(request, heartbeat, release);
    size_t length;
    const char *body = http_request_body(request, &length);
    struct wire_problem problem;
    int r = wire_heartbeat_decode(body, length, &heartbeat->wire, &problem);
    if (r == -ENOMEM) {
        agent_respond_failure(request, r);
        return;
    }
    if (r < 0) {
        http_respond_problem(request, 400, "bad_heartbeat", "%s", problem.text);
        return;
    }
    atomic_fetch_add(&service->heartbeats, 1);
    if (heartbeat->wire.event_count == 0 && heartbeat->wire.result_count == 0 &&
        console_store_read_now(service->store, read_work, heartbeat) == 1) {
        atomic_fetch_add(&service->fast_heartbeats, 1);
        respond(heartbeat);
        return;
    }
    http_request_hold(request);
    r = console_store_submit(service->store, write_work, written, heartbeat);
    if (r < 0)
        agent_respond_failure(request, r);
}
