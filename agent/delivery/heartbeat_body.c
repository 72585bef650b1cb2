/* Writing a heartbeat. Owns the choice of events: from the first unacknowledged one, as many as
 * fit. */
#include "agent/delivery/heartbeat_body.h"

#include "agent/store/store.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <string.h>

/* Of the texts of the events; JSON escapes and the rest of the heartbeat take their share. */
#define EVENT_TEXT_BYTES (LIMIT_HEARTBEAT_BYTES / 2)

struct collection {
    struct wire_event events[LIMIT_HEARTBEAT_EVENTS];
    size_t count;
    size_t bytes;
    bool more, failed;
};

static void free_collection(struct collection **collection)
{
    if (*collection == NULL)
        return;
    for (size_t i = 0; i < (*collection)->count; i++) {
        free((char *)(*collection)->events[i].id);
        free((char *)(*collection)->events[i].module);
        free((char *)(*collection)->events[i].kind);
        free((char *)(*collection)->events[i].subject);
        free((char *)(*collection)->events[i].detail);
    }
    free(*collection);
}

static int collect_event(void *user, const struct event_record *record)
{
    struct collection *collection = user;
    size_t bytes = strlen(record->subject) + strlen(record->detail) + 256;

    if (collection->count == LIMIT_HEARTBEAT_EVENTS ||
        (collection->count > 0 && collection->bytes + bytes > EVENT_TEXT_BYTES)) {
        collection->more = true;
        return 1;
    }
    struct wire_event *event = &collection->events[collection->count++];
    *event = (struct wire_event){
        .number = record->number,
        .time_ms = record->time_ns / NS_PER_MS,
        .severity = record->severity,
        .id = strdup(record->id),
        .module = strdup(record->module),
        .kind = strdup(record->kind),
        .subject = strdup(record->subject),
        .detail = strdup(record->detail),
    };
    collection->bytes += bytes;
    collection->failed = event->id == NULL || event->module == NULL || event->kind == NULL ||
                         event->subject == NULL || event->detail == NULL;
    return collection->failed;
}

static size_t take_results(const struct heartbeat_body *heartbeat, struct wire_result *results)
{
    size_t count = MIN(heartbeat->result_count, (size_t)LIMIT_HEARTBEAT_COMMANDS);

    for (size_t i = 0; i < count; i++) {
        const struct command_result *result = &heartbeat->results[i];
        results[i] = (struct wire_result){.command_id = result->id,
                                          .good = result->good,
                                          .running = result->running,
                                          .output = result->output};
    }
    return count;
}

/* What JSON makes of hostile names is up to twice as long: then fewer events must do. */
static int encode(struct wire_heartbeat *wire, struct buffer *body, bool *ret_more)
{
    int r = wire_heartbeat_encode(wire, body);

    while (r == -EMSGSIZE && wire->event_count > 1) {
        wire->event_count /= 2;
        *ret_more = true;
        buffer_done(body);
        *body = BUFFER_WITH_MAXIMUM(LIMIT_HEARTBEAT_BYTES);
        r = wire_heartbeat_encode(wire, body);
    }
    return r;
}

int heartbeat_body_write(struct store *store, const struct heartbeat_body *heartbeat,
                         struct buffer *body, bool *ret_more)
{
    CLEANUP(free_collection) struct collection *events = calloc(1, sizeof *events);
    struct wire_result results[LIMIT_HEARTBEAT_COMMANDS];
    const struct link_settings *settings = heartbeat->settings;
    struct store_status status, after;

    if (events == NULL)
        return -ENOMEM;
    store_status(store, &status);
    if (status.epoch[0] == '\0')
        return -EAGAIN;
    const struct event_filter filter = {.after_number = status.acknowledged_number,
                                        .limit = LIMIT_HEARTBEAT_EVENTS + 1};
    int r = heartbeat->greets ? 0 : store_read_events(store, &filter, collect_event, events);
    if (r < 0 || events->failed)
        return r < 0 ? r : -ENOMEM;
    store_status(store, &after);
    if (!text_equal(after.epoch, status.epoch))
        return -EAGAIN; /* rebuilt meanwhile: whose numbers are these? */
    struct wire_heartbeat wire = {
        .host =
            {
                .hostname = settings->hostname,
                .machine_id = settings->machine_id,
                .boot_id = settings->boot_id,
                .os = settings->os,
                .agent_version = YAGURA_VERSION,
                .instance_id = settings->instance_id,
                .display_name = settings->display_name,
            },
        .session = settings->session,
        .policy_digest = heartbeat->policy_digest,
        .policy_problem = heartbeat->policy_problem,
        .epoch = status.epoch,
        .dropped = status.dropped,
        .acknowledged = status.acknowledged_number,
        .facts = heartbeat->facts,
        .events = events->events,
        .event_count = events->count,
        .results = results,
        .result_count = take_results(heartbeat, results),
    };
    *ret_more = events->more || heartbeat->greets;
    return encode(&wire, body, ret_more);
}
