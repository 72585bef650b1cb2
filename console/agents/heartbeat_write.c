/* Owns what a heartbeat changes, whatever it carries: one at a time in the writer's transaction.
 * Must not touch last_seen: presence does. */
#include "common/text/text.h"
#include "console/agents/heartbeat_internal.h"
#include "console/events/event_store.h"
#include "console/people/audit.h"

#include <errno.h>

#define SESSION_SETTLED_MS 30000LL /* what an ending run still had in flight is no clone */

void heartbeat_forget_commands(struct heartbeat *heartbeat)
{
    for (size_t i = 0; i < heartbeat->command_count; i++)
        free(heartbeat->commands[i]);
    heartbeat->command_count = 0;
}

int heartbeat_read_row(struct sql *sql, struct heartbeat *heartbeat)
{
    if (!heartbeat->row)
        heartbeat->row = malloc(sizeof(*heartbeat->row));
    if (!heartbeat->row)
        return -ENOMEM;
    int r = agent_row_read(sql, heartbeat->certificate, heartbeat->row);
    if (r != 1)
        return r;
    heartbeat->computer = heartbeat->row->number;
    heartbeat->certificate_expires_ms = heartbeat->row->certificate_expires_ms;
    (void)text_copy(heartbeat->group, sizeof(heartbeat->group), heartbeat->row->group_id);
    return text_copy(heartbeat->policy_digest, sizeof(heartbeat->policy_digest),
                     heartbeat->row->policy_digest) < 0
               ? -EBADMSG
               : 1;
}

bool heartbeat_is_other_machine(const struct heartbeat *heartbeat)
{
    const struct wire_host *host = &heartbeat->wire.host;
    return !text_equal(heartbeat->row->machine_id, host->machine_id) ||
           !text_equal(heartbeat->row->instance_id, host->instance_id);
}

bool heartbeat_is_known(const struct heartbeat *heartbeat)
{
    const struct agent_row *row = heartbeat->row;
    const struct wire_heartbeat *wire = &heartbeat->wire;
    return !row->by_next_certificate && text_equal(row->state, "active") &&
           text_equal(row->sessions.current, wire->session) &&
           !heartbeat_is_other_machine(heartbeat) &&
           text_equal(row->applied_digest, wire->policy_digest) && !wire->policy_problem[0] &&
           text_equal(row->hostname, wire->host.hostname) &&
           text_equal(row->agent_version, wire->host.agent_version);
}

static int note_clone(struct sql *sql, const struct heartbeat *heartbeat, const char *subject)
{
    char actor[64];
    (void)text_format(actor, sizeof(actor), "agent:%s", heartbeat->row->id);
    struct audit_entry entry = {.actor = actor,
                                .address = http_request_address(heartbeat->request),
                                .action = "clone_refused",
                                .subject = heartbeat->wire.host.hostname,
                                .detail = ""};
    int r = event_store_add_own(sql, heartbeat->row->number, "clone_seen", 3, subject, "{}");
    return r < 0 ? r : audit_append(sql, &entry);
}

static int write_sessions(struct sql *sql, const struct heartbeat *heartbeat,
                          const struct session_history *sessions)
{
    return sql_run(sql,
                   "UPDATE computers SET session = $1, retired_session = $2, blocked_session = $3,"
                   " session_ms = $4 WHERE number = $5",
                   NULL, "tttnn", sessions->current, sessions->earlier, sessions->blocked,
                   console_store_now_ms(), heartbeat->row->number);
}

/* Who may go on when several runs use one identity: the first. 1 when this one may. */
static int settle_session(struct sql *sql, struct heartbeat *heartbeat)
{
    struct session_history sessions = heartbeat->row->sessions;
    const char *session = heartbeat->wire.session;
    if (text_equal(sessions.current, session))
        return 1;
    if (session_list_holds(sessions.blocked, session))
        return 0;
    if (!session_list_holds(sessions.earlier, session)) { /* a restart, as far as one can tell */
        session_history_begin(&sessions, session);
        int r = write_sessions(sql, heartbeat, &sessions);
        return r < 0 ? r : 1;
    }
    if (console_store_now_ms() - heartbeat->row->session_ms < SESSION_SETTLED_MS)
        return 1; /* sent before the restart */
    session_history_return(&sessions, session);
    int r = write_sessions(sql, heartbeat, &sessions);
    if (r == 0)
        r = note_clone(sql, heartbeat, "two machines use this computer's identity at once");
    return r < 0 ? r : 1;
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
        r = result->running ? take_progress(sql, heartbeat->row->number, result)
                            : take_result(sql, heartbeat->row->number, result);
    }
    return r;
}

static int sign_command(struct heartbeat *heartbeat, struct sql_statement *row, int64_t now)
{
    struct wire_command command = {.agent_id = heartbeat->row->id,
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
                    " WHERE computer = $3 AND expires_ms <= $1"
                    " AND (state IN ('queued', 'delivered')"
                    " OR (state = 'running' AND delivered_ms < $4))",
                    NULL, "nnnn", now, console_store_new_number(), heartbeat->row->number,
                    now - HEARTBEAT_REDELIVERY_MS);
    if (r < 0)
        return r;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    r = sql_run(sql,
                "SELECT id, type, arguments, expires_ms FROM commands WHERE computer = $1"
                " AND " HEARTBEAT_COMMAND_IS_DUE "$2 ORDER BY id LIMIT $3",
                &row, "nnn", heartbeat->row->number, now - HEARTBEAT_REDELIVERY_MS,
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
    if (heartbeat->row->by_next_certificate)
        r = sql_run(sql,
                    "UPDATE computers SET certificate = next_certificate, next_certificate = NULL"
                    " WHERE number = $1",
                    NULL, "n", heartbeat->row->number);
    if (r == 0 && wire->policy_problem[0] &&
        !text_equal(heartbeat->row->applied_digest, wire->policy_digest))
        r = event_store_add_own(sql, heartbeat->row->number, "policy_refused", 2,
                                wire->policy_problem, "{}");
    if (r == 0)
        r = sql_run(sql,
                    "UPDATE computers SET hostname = $1, os = $2, agent_version = $3, address = $4,"
                    " applied_digest = $5, applied_problem = $6 WHERE number = $7",
                    NULL, "ttttttn", wire->host.hostname, wire->host.os, wire->host.agent_version,
                    http_request_address(heartbeat->request), wire->policy_digest,
                    wire->policy_problem, heartbeat->row->number);
    return r;
}

int heartbeat_write_alone(struct sql *sql, void *user)
{
    struct heartbeat *heartbeat = user;
    heartbeat_forget_commands(heartbeat);
    int r = heartbeat_read_row(sql, heartbeat);
    if (r <= 0)
        return r < 0 ? r : OUTCOME_UNKNOWN;
    if (!text_equal(heartbeat->row->state, "active"))
        return OUTCOME_STATE;
    if (heartbeat_is_other_machine(heartbeat)) {
        r = note_clone(sql, heartbeat, "another machine uses this computer's identity");
        return r < 0 ? r : OUTCOME_CLONE;
    }
    r = settle_session(sql, heartbeat);
    if (r <= 0)
        return r < 0 ? r : OUTCOME_CLONE;
    r = heartbeat_is_known(heartbeat) ? 0 : update_row(sql, heartbeat);
    struct event_batch batch = {.computer = heartbeat->row->number,
                                .epoch = heartbeat->wire.epoch,
                                .events = heartbeat->wire.events,
                                .count = heartbeat->wire.event_count,
                                .dropped = heartbeat->wire.dropped,
                                .claimed = heartbeat->wire.acknowledged};
    if (r == 0)
        r = event_store_add(sql, &batch, &heartbeat->acknowledged);
    if (r == 0)
        r = take_results(sql, heartbeat);
    if (r == 0)
        r = give_commands(sql, heartbeat);
    return r < 0 ? r : OUTCOME_SERVED;
}
