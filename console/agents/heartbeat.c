/* Owns the way of a heartbeat: read, decided, answered. One that carries nothing new is answered
 * from a reader's snapshot; all others go to the writer, those with events only together
 * (heartbeat_batch), and are answered after COMMIT. */
#include "common/buffers/spare.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "console/agents/heartbeat_internal.h"
#include "console/agents/presence.h"
#include "console/agents/waiting_agents.h"
#include "console/signatures/signature_sets.h"

#include <errno.h>

#define FACTS_MAXIMUM     16384
#define REPLY_USUAL_BYTES 480
#define RETRY_LEAST_S     5
#define RETRY_SPREAD_S    20
#define WORKS_A_SECOND    1000 /* that a slow database does at least */

static void release(void *context)
{
    struct heartbeat *heartbeat = context;
    heartbeat_forget_commands(heartbeat);
    wire_heartbeat_done(&heartbeat->wire);
    free(heartbeat->row);
    spare_give(heartbeat, sizeof(*heartbeat));
}

static int read_work(struct sql *sql, void *user)
{
    struct heartbeat *heartbeat = user;
    int r = heartbeat_read_row(sql, heartbeat);
    if (r != 1 || !heartbeat_is_known(heartbeat))
        return r < 0 ? r : 0;
    AUTO_STATEMENT struct sql_statement *command = NULL;
    r = sql_run(sql,
                "SELECT id FROM commands WHERE computer = $1"
                " AND " HEARTBEAT_COMMAND_IS_DUE "$2 LIMIT 1",
                &command, "nn", heartbeat->computer,
                console_store_now_ms() - HEARTBEAT_REDELIVERY_MS);
    if (r != 0)
        return r < 0 ? r : 0;
    AUTO_STATEMENT struct sql_statement *lost = NULL;
    r = sql_run(sql,
                "SELECT acknowledged FROM deliveries WHERE computer = $1 AND epoch = $2"
                " AND dropped >= $3",
                &lost, "ntn", heartbeat->computer, heartbeat->wire.epoch,
                (int64_t)heartbeat->wire.dropped);
    if (r == 1)
        heartbeat->acknowledged = (uint64_t)sql_number(lost, 0);
    return r;
}

/* --- the answer */

static void note_presence(const struct heartbeat *heartbeat)
{
    const char *facts = heartbeat->wire.facts;
    /* A sighting that found no memory is made up for by the next. */
    (void)presence_note(heartbeat->service->presence, heartbeat->computer, console_store_now_ms(),
                        facts && strlen(facts) <= FACTS_MAXIMUM ? facts : NULL);
}

static void respond(struct heartbeat *heartbeat)
{
    int64_t now = console_store_now_ms();
    char signatures[65];
    note_presence(heartbeat);
    signature_sets_digest(heartbeat->service->signatures, heartbeat->group, signatures);
    struct wire_heartbeat_reply reply = {
        .epoch = heartbeat->wire.epoch,
        .acknowledged = heartbeat->acknowledged,
        .server_ms = (uint64_t)now,
        .next_seconds = heartbeat->service->heartbeat_seconds,
        .policy_digest = heartbeat->policy_digest,
        .group_id = heartbeat->group,
        .signatures_digest = signatures,
        .wait_seconds = heartbeat->service->waiting ? WAITING_SECONDS : 0,
        .renew = heartbeat->certificate_expires_ms - now <
                 (int64_t)heartbeat->service->certificate_seconds * 1000 / 3,
        .commands = (const char **)(uintptr_t)heartbeat->commands,
        .command_count = heartbeat->command_count};
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(2 * LIMIT_HEARTBEAT_BYTES);
    char *space; /* a failure shows in the buffer */
    if (buffer_reserve(&body, REPLY_USUAL_BYTES, &space) == 0)
        (void)wire_heartbeat_reply_encode(&reply, &body);
    http_respond_buffer(heartbeat->request, 200, "application/json", &body);
}

static void answer(struct http_request *request, void *user)
{
    struct heartbeat *heartbeat = user;
    switch (heartbeat->outcome) {
    case OUTCOME_SERVED:
        atomic_fetch_add(&heartbeat->service->events, heartbeat->wire.event_count);
        respond(heartbeat);
        return;
    case OUTCOME_UNKNOWN:
        agent_respond_unknown(request);
        return;
    case OUTCOME_STATE:
        agent_respond_deactivated(request);
        return;
    case OUTCOME_CLONE:
        http_respond_problem(request, 409, "clone",
                             "another machine has this identity; activate as a new computer");
        return;
    default:
        agent_respond_failure(request, heartbeat->outcome);
    }
}

/* The writer has more to do: what follows is for the connection's own thread, whose the request's
 * memory is too. */
static void written(void *user, int result)
{
    struct heartbeat *heartbeat = user;
    heartbeat->outcome = result;
    http_request_finish(heartbeat->request, answer, heartbeat);
}

static const struct console_store_kind HEARTBEATS = {.many = heartbeat_write_many,
                                                     .alone = heartbeat_write_alone,
                                                     .done = written};

/* The database does not keep up: who comes later comes again, the longer the queue the later, and
 * not all at once. */
static bool is_deferred(struct agent_service *service, struct http_request *request)
{
    size_t waiting = console_store_waiting(service->store);
    char seconds[24];
    if (waiting < service->queue)
        return false;
    uint64_t count = atomic_fetch_add(&service->deferred, 1);
    (void)text_format(seconds, sizeof(seconds), "%llu",
                      (unsigned long long)(RETRY_LEAST_S + waiting / WORKS_A_SECOND +
                                           count % RETRY_SPREAD_S));
    http_response_header(request, "Retry-After", seconds);
    http_respond_problem(request, 503, "busy", "too much waits to be stored; come again");
    return true;
}

void agent_heartbeat(struct http_request *request, void *user)
{
    struct agent_service *service = user;
    char digest[65];
    if (!agent_certificate(request, digest))
        return;
    struct heartbeat *heartbeat = spare_take(sizeof(*heartbeat));
    if (!heartbeat) {
        agent_respond_failure(request, -ENOMEM);
        return;
    }
    *heartbeat = (struct heartbeat){.service = service, .request = request};
    (void)text_copy(heartbeat->certificate, sizeof(heartbeat->certificate), digest);
    http_request_set_context(request, heartbeat, release);
    size_t length;
    const char *body = http_request_body(request, &length);
    struct wire_problem problem;
    int r = wire_heartbeat_decode(body, length, &heartbeat->wire, &problem);
    http_request_forget_body(request); /* many wait at once */
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
    if (is_deferred(service, request))
        return;
    http_request_hold(request);
    r = console_store_submit_kind(service->store, &HEARTBEATS, &heartbeat->piece, heartbeat);
    if (r < 0)
        agent_respond_failure(request, r);
}
