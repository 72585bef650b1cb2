/* The decision about an invocation. */
#include "application/relay/event_guard.h"

#include "application/events/json_scan.h"
#include "application/relay/inspector_link.h"
#include "application/relay/outbox.h"
#include "application/relay/relay_limits.h"
#include "common/time/clock.h"

#include <string.h>

/* Fits every kind of HTTP event; for requests that nobody could look into. */
static const char plain_answer[] =
    "{\"statusCode\":403,\"statusDescription\":\"403 Forbidden\",\"isBase64Encoded\":false,"
    "\"headers\":{\"content-type\":\"application/json\"},\"body\":\"{\\\"message\\\":\\\"Forbidden\\\"}\"}";

static uint64_t budget_of(const struct event_guard *guard, uint64_t deadline_ms)
{
    uint64_t now_ms = clock_realtime_ns() / NS_PER_MS;

    if (deadline_ms == 0)
        return guard->budget_ns;
    uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    return MIN(guard->budget_ns, left_ms * (NS_PER_MS / RELAY_BUDGET_DIVISOR));
}

/* It only decides whether an event that was not inspected may be refused. The members inside of
 * others are the client's words. An authorizer's event is no request: it answers otherwise. */
static bool looks_like_http(const struct guarded_event *event)
{
    struct json_item whole = json_whole((struct span){event->bytes, event->length});
    struct json_cursor cursor = json_enter(&whole);
    struct json_item value;
    struct span key;
    bool context = false, request = false, authorizer = false;

    while (whole.kind == JSON_MAP && json_member(&cursor, &key, &value)) {
        context = context || span_is(key, "requestContext");
        request = request || span_is(key, "httpMethod") || span_is(key, "rawPath") ||
                  span_is(key, "isBase64Encoded");
        authorizer = authorizer || span_is(key, "methodArn") || span_is(key, "routeArn");
    }
    return context && request && !authorizer;
}

static bool refuse(struct ruling *ruling)
{
    ruling->action = RULING_BLOCK;
    ruling->answer_length = sizeof plain_answer - 1;
    memcpy(ruling->answer, plain_answer, sizeof plain_answer);
    return true;
}

static void soften(struct ruling *ruling)
{
    ruling->action = MIN(ruling->action, RULING_REPORT);
    for (size_t i = 0; i < RULING_FINDINGS; i++)
        ruling->findings[i].action = MIN(ruling->findings[i].action, RULING_REPORT);
}

static bool decide(struct event_guard *guard, const struct guarded_event *event,
                   enum inspector_outcome outcome, struct ruling *ruling)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(RELAY_INCIDENT_BYTES);
    bool closed = guard->fail_closed && !guard->report_only;
    bool blocks = false;

    if (guard->report_only)
        soften(ruling);
    if (outcome != INSPECTOR_JUDGED) {
        if (!looks_like_http(event))
            return false;
        blocks = closed && refuse(ruling);
        incident_write_uninspected(&json, &guard->function, &event->invocation,
                                   inspector_outcome_name(outcome), blocks);
    } else if (ruling->finding_count > 0 && ruling->action != RULING_PASS) {
        if (ruling->exhausted != 0 && closed && ruling->action != RULING_BLOCK)
            (void)refuse(ruling);
        blocks = ruling->action == RULING_BLOCK;
        incident_write(&json, &guard->function, &event->invocation, ruling);
    } else if (ruling->exhausted != 0) {
        blocks = closed && refuse(ruling);
        incident_write_uninspected(&json, &guard->function, &event->invocation, "budget", blocks);
    } else {
        return false;
    }
    outbox_add(guard->outbox, &json);
    return blocks;
}

bool event_guard_blocks(struct event_guard *guard, const struct guarded_event *event,
                        struct ruling *ret_ruling)
{
    struct inspector_question question = {.bytes = event->bytes,
                                          .length = event->length,
                                          .request_id = event->invocation.request_id,
                                          .budget_ns = budget_of(guard, event->deadline_ms)};

    *ret_ruling = (struct ruling){0};
    if (guard->off)
        return false;
    enum inspector_outcome outcome =
        guard->inspector == NULL ? INSPECTOR_ABSENT
                                 : inspector_link_judge(guard->inspector, &question, ret_ruling);
    return decide(guard, event, outcome, ret_ruling);
}

bool event_guard_blocks_answer(struct event_guard *guard, const struct guarded_event *event,
                               struct ruling *ret_ruling)
{
    struct inspector_question question = {.bytes = event->bytes,
                                          .length = event->length,
                                          .request_id = event->invocation.request_id,
                                          .budget_ns = guard->budget_ns};

    *ret_ruling = (struct ruling){0};
    return guard->inspector != NULL &&
           inspector_link_judge_response(guard->inspector, &question, ret_ruling) ==
               INSPECTOR_JUDGED &&
           decide(guard, event, INSPECTOR_JUDGED, ret_ruling);
}
