/* Heartbeats as root sees them: what goes into one, and what its answer means.
 *
 * Owns: the order facts, body, acknowledgement. Must not: wait for the main thread, which is asked
 * for the facts and answers by a post. */
#include "agent/delivery/delivery_internal.h"

#include "agent/store/store.h"
#include "common/event_loop/event_loop.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <string.h>

#define FACTS_BYTES  16000
#define CLOCK_STEP_S 60

static int send_beat(struct delivery *delivery, const char *facts)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(LIMIT_HEARTBEAT_BYTES);
    AUTO_FREE struct command_result *results = calloc(LIMIT_HEARTBEAT_COMMANDS, sizeof *results);

    if (results == NULL)
        return -ENOMEM;
    struct heartbeat_body heartbeat = {
        .settings = &delivery->settings,
        .facts = facts,
        .policy_digest = delivery->orders.policy_digest,
        .policy_problem = delivery->policy_problem,
        .results = results,
        .result_count = command_results_take(delivery->results, results),
        .greets = !delivery->greeted,
    };
    int r = heartbeat_body_write(delivery->options.store, &heartbeat, &body, &delivery->more);
    if (r < 0) {
        /* The store has no file yet, or cannot be read: the next heartbeat tries again. */
        log_warning("heartbeat_not_written", "error", log_error_text(r), NULL);
        return 0;
    }
    r = link_send_document(delivery->socket, LINK_BEAT, buffer_text(&body), body.length);
    if (r != -EMFILE && r != -ENFILE)
        return r;
    /* The messenger asks again: its end would help nobody. */
    log_warning("heartbeat_not_written", "error", log_error_text(r), NULL);
    return 0;
}

static void beat_with_facts(void *user)
{
    struct delivery *delivery = user;
    const struct buffer *facts = &delivery->beat.facts;
    int r = 0;

    delivery->beat.waits = false;
    if (delivery->socket >= 0 && delivery->activated)
        r = send_beat(delivery,
                      buffer_failed(facts) < 0 || facts->length == 0 ? "{}" : buffer_text(facts));
    buffer_done(&delivery->beat.facts);
    if (r < 0)
        messenger_process_restart_later(delivery, r);
}

/* In the main thread. */
static void write_facts(void *user)
{
    struct delivery *delivery = user;
    struct buffer *facts = &delivery->beat.facts;

    *facts = BUFFER_WITH_MAXIMUM(FACTS_BYTES);
    if (delivery->options.write_facts(delivery->options.user, facts) < 0)
        buffer_clear(facts);
    if (event_loop_post(delivery->loop, beat_with_facts, delivery) < 0)
        log_warning("heartbeat_not_written", "error", log_error_text(-ENOMEM), NULL);
}

int heartbeats_take_want(void *user, struct message *message UNUSED)
{
    struct delivery *delivery = user;

    if (delivery->beat.waits)
        return 0;
    int r = event_loop_post(delivery->options.main_loop, write_facts, delivery);
    delivery->beat.waits = r == 0;
    return r;
}

/* The console is back in an older state, a backup: what it once had is sent again, as far as the
 * store still has it. One that has nothing of this epoch gets nothing again: where the epoch began
 * is not known, and what came before would be stored twice. */
static int send_again(struct store *store, const struct store_status *status, uint64_t number)
{
    if (number == 0)
        return 0;
    log_warning("console_rewound", "acknowledged", log_number((int64_t)status->acknowledged_number),
                "now", log_number((int64_t)number), "effect", "later events are sent again", NULL);
    return store_take_back(store, number);
}

/* What the answer says about events. The first of a run says what the console has already: more
 * than the store ever held means that the disk is back in an older state. */
static void take_acknowledgement(struct delivery *delivery, const struct link_beat_done *done)
{
    struct store *store = delivery->options.store;
    struct store_status status;
    int r = 0;

    store_status(store, &status);
    if (!text_equal(done->epoch, status.epoch))
        return;
    bool rewound = !delivery->greeted && done->acknowledged > status.found_number;
    if (rewound) /* and greet again, in the new epoch */
        r = store_rewound(store, done->acknowledged);
    else if (done->acknowledged > status.acknowledged_number)
        r = store_acknowledge(store, done->acknowledged, NULL, NULL);
    else if (done->acknowledged < status.acknowledged_number)
        r = send_again(store, &status, done->acknowledged);
    if (r < 0)
        log_warning("acknowledgement_not_kept", "error", log_error_text(r), NULL);
    else if (!rewound)
        delivery->greeted = true; /* for good: from now on the console has more than was found */
}

/* The wall clock was set, forwards or back: whoever reads times around it should know. */
static void watch_clock(struct delivery *delivery)
{
    int64_t offset_ns = (int64_t)(clock_realtime_ns() - clock_monotonic_ns());
    int64_t seconds = (offset_ns - delivery->clock_offset_ns) / (int64_t)NS_PER_SECOND;

    if (delivery->clock_offset_ns != 0 && (seconds >= CLOCK_STEP_S || seconds <= -CLOCK_STEP_S))
        log_warning("clock_stepped", "seconds", log_number(seconds), "effect",
                    "events before and after it tell times of two clocks", NULL);
    delivery->clock_offset_ns = offset_ns;
}

int heartbeats_take_done(void *user, struct message *message)
{
    struct delivery *delivery = user;
    struct link_beat_done done;

    int r = link_read_beat_done(message, &done);
    if (r < 0)
        return r;
    watch_clock(delivery);
    size_t results = command_results_settle(delivery->results, done.delivered);
    if (!done.delivered)
        return 0;
    take_acknowledgement(delivery, &done);
    if (delivery->more || results > 0)
        messenger_process_hurry(delivery); /* a backlog is delivered heartbeat after heartbeat */
    bundle_delivery_send(delivery);
    if (delivery->leaving && results == 0) {
        console_choice_leave(delivery);
        return 0;
    }
    r = policy_delivery_compare(delivery, &done);
    return r < 0 ? r : signature_delivery_compare(delivery, done.signatures_digest);
}

/* Severe events do not wait for the next heartbeat. */
static int see_severe(void *user, const struct event_record *event UNUSED)
{
    *(bool *)user = true;
    return 1;
}

void heartbeats_look_for_news(void *user)
{
    struct delivery *delivery = user;
    struct store_status status;
    bool severe = false;

    commands_turn(delivery->commands);
    if (delivery->socket < 0 || !delivery->activated)
        return;
    store_status(delivery->options.store, &status);
    if (status.last_number <= delivery->news_number)
        return;
    const struct event_filter filter = {.after_number =
                                            MAX(delivery->news_number, status.acknowledged_number),
                                        .lowest = EVENT_HIGH,
                                        .limit = 1};
    if (store_read_events(delivery->options.store, &filter, see_severe, &severe) < 0)
        return;
    delivery->news_number = status.last_number;
    if (severe)
        messenger_process_hurry(delivery);
}
