/* Owns one destination's cursor and its pace: reads what is behind the cursor, sends it, moves the
 * cursor. Must not know how a kind of destination speaks. */
#include "console/forward/forward_worker.h"

#include "common/crypto/random.h"
#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"
#include "console/events/event_match.h"
#include "console/events/event_query.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define IDLE_NS         NS_PER_SECOND
#define FIRST_DELAY_NS  NS_PER_SECOND
#define LAST_DELAY_NS   (300 * NS_PER_SECOND)
#define ASKED_MAXIMUM_S 3600
#define EVENTS_A_LOOK   500
#define BATCH_MAXIMUM   (8 * 1024 * 1024)
#define CURSOR_NS       (10 * NS_PER_SECOND) /* how often it is written when nothing was sent */

/* An event in the batch; texts are offsets into its buffer. */
struct taken {
    int64_t number, time_ms;
    unsigned severity;
    size_t id, module, kind, hostname, json;
};

struct forward_worker {
    struct forwarder_options options;
    char id[UUID_TEXT_BYTES], name[129];
    int64_t revision;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    /* of the thread */
    struct event_match match;
    struct destination destination;
    struct sink *sink;
    int64_t cursor, stored_cursor, last; /* last: of the events read */
    size_t read;
    struct taken taken[SINK_EVENTS];
    size_t taken_count;
    struct buffer texts;
    uint64_t next_cursor_ns, delay_ns;
    /* what the next write tells */
    int64_t sent;
    bool dead, expired;
    int64_t dead_event;
    char problem[SINK_PROBLEM_BYTES], stored_problem[SINK_PROBLEM_BYTES];
};

/* --- reading */

static int load(struct sql *sql, void *user)
{
    struct forward_worker *worker = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT name, type, settings, secret, filter, cursor, problem FROM destinations"
                    " WHERE id = $1",
                    &row, "t", worker->id);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    (void)text_copy(worker->name, sizeof(worker->name), sql_text(row, 0));
    worker->cursor = worker->stored_cursor = sql_number(row, 5);
    (void)text_copy(worker->stored_problem, sizeof(worker->stored_problem), sql_text(row, 6));
    r = event_match_parse(sql_text(row, 4), &worker->match);
    return r < 0 ? r
                 : forwarder_destination(worker->options.secrets, worker->id, sql_text(row, 1),
                                         sql_text(row, 2), sql_text(row, 3), &worker->destination);
}

static size_t keep_text(struct forward_worker *worker, const char *text)
{
    size_t offset = worker->texts.length;
    (void)buffer_append(&worker->texts, text, strlen(text) + 1);
    return offset;
}

static void write_time(struct json_writer *json, const char *key, int64_t ms)
{
    char text[CLOCK_TEXT_BYTES];
    clock_format(text, (uint64_t)MAX(ms, 0) * NS_PER_MS);
    json_write_field_string(json, key, text);
}

/* As the API shows it. */
static void write_event(struct buffer *output, struct sql_statement *row)
{
    const char *severity = wire_severity_name((unsigned)sql_number(row, 9));
    struct json_writer json;
    json_writer_init(&json, output);
    json_write_object_begin(&json);
    json_write_field_number(&json, "number", sql_number(row, 1));
    json_write_field_string(&json, "id", sql_text(row, 2));
    write_time(&json, "time", sql_number(row, 3));
    write_time(&json, "received", sql_number(row, 4));
    json_write_field_string(&json, "computer", sql_text(row, 5));
    json_write_field_string(&json, "hostname", sql_text(row, 6));
    if (!sql_is_null(row, 12))
        json_write_field_string(&json, "sensor", sql_text(row, 12));
    json_write_field_string(&json, "module", sql_text(row, 7));
    json_write_field_string(&json, "kind", sql_text(row, 8));
    json_write_field_string(&json, "severity", severity ? severity : "info");
    json_write_field_string(&json, "subject", sql_text(row, 10));
    json_write_key(&json, "detail");
    json_write_raw(&json, sql_text(row, 11)[0] ? sql_text(row, 11) : "{}");
    json_write_object_end(&json);
}

static void take(struct forward_worker *worker, struct sql_statement *row)
{
    struct taken *taken = &worker->taken[worker->taken_count++];
    *taken = (struct taken){.number = sql_number(row, 0),
                            .time_ms = sql_number(row, 3),
                            .severity = (unsigned)sql_number(row, 9)};
    taken->id = keep_text(worker, sql_text(row, 2));
    taken->hostname = keep_text(worker, sql_text(row, 6));
    taken->module = keep_text(worker, sql_text(row, 7));
    taken->kind = keep_text(worker, sql_text(row, 8));
    taken->json = worker->texts.length;
    write_event(&worker->texts, row);
    (void)buffer_append(&worker->texts, "", 1);
}

static int read_events(struct sql *sql, void *user)
{
    struct forward_worker *worker = user;
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    struct event_range range = {worker->cursor, event_settled_number(worker->options.store),
                                EVENTS_A_LOOK, false};
    worker->taken_count = worker->read = 0;
    worker->last = worker->cursor;
    buffer_clear(&worker->texts);
    query_init(&query);
    event_query_after(&query, &range);
    int r = query_prepare(&query, sql, &row);
    while (r == 0 && worker->taken_count < SINK_EVENTS &&
           worker->texts.length < BATCH_MAXIMUM / 2 && (r = sql_step(row)) == 1) {
        struct event_facts event = {(unsigned)sql_number(row, 9), sql_text(row, 7),
                                    sql_text(row, 8), sql_text(row, 13), sql_text(row, 11)};
        if (event_matches(&worker->match, &event))
            take(worker, row);
        worker->last = sql_number(row, 0);
        worker->read++;
        r = 0;
    }
    return r < 0 ? r : buffer_failed(&worker->texts);
}

/* --- telling */

static int tell_dead(struct sql *sql, const struct forward_worker *worker, const char *reason,
                     int64_t event)
{
    return sql_run(sql,
                   "INSERT INTO dead_letters (number, destination, event, reason, time_ms)"
                   " VALUES ($1, $2, $3, $4, $5)",
                   NULL, "ntntn", console_store_new_number(), worker->id, event, reason,
                   console_store_now_ms());
}

static int store_state(struct sql *sql, void *user)
{
    const struct forward_worker *worker = user;
    int64_t now = console_store_now_ms();
    int r = 0;
    if (worker->expired)
        r = tell_dead(sql, worker, "removed by keep_events before it could be sent", 0);
    if (r == 0 && worker->dead)
        r = tell_dead(sql, worker, worker->problem, worker->dead_event);
    return r < 0 ? r
                 : sql_run(sql,
                           "UPDATE destinations SET cursor = $1, sent = sent + $2,"
                           " dead = dead + $3, last_sent_ms = CASE WHEN $4 > 0 THEN $5 ELSE"
                           " last_sent_ms END, problem_ms = CASE WHEN $6 = '' THEN 0"
                           " WHEN problem_ms = 0 THEN $7 ELSE problem_ms END, problem = $8"
                           " WHERE id = $9 AND revision = $10",
                           NULL,
                           "nnnnntntt"
                           "n",
                           worker->cursor, worker->sent, (int64_t)(worker->dead + worker->expired),
                           worker->sent, now, worker->dead ? "" : worker->problem, now,
                           worker->dead ? "" : worker->problem, worker->id, worker->revision);
}

/* Writes what happened; what cannot be written now is written with the next. */
static int tell(struct forward_worker *worker)
{
    int r = console_store_write(worker->options.store, store_state, worker);
    if (r < 0)
        return r;
    worker->stored_cursor = worker->cursor;
    (void)text_copy(worker->stored_problem, sizeof(worker->stored_problem),
                    worker->dead ? "" : worker->problem);
    worker->sent = 0;
    worker->dead = worker->expired = false;
    worker->next_cursor_ns = clock_monotonic_ns() + CURSOR_NS;
    return 0;
}

/* --- sending */

static void skip_expired(struct forward_worker *worker)
{
    int64_t keep = worker->options.keep_events_ms;
    if (keep == 0)
        return;
    int64_t oldest = console_store_number_at(console_store_now_ms() - keep);
    if (worker->cursor >= oldest)
        return;
    worker->cursor = oldest;
    worker->expired = true;
}

static int send_taken(struct forward_worker *worker, struct sink_outcome *outcome)
{
    struct sink_event events[SINK_EVENTS];
    const char *texts = worker->texts.data;
    for (size_t i = 0; i < worker->taken_count; i++) {
        const struct taken *taken = &worker->taken[i];
        events[i] =
            (struct sink_event){taken->number,           taken->time_ms,        taken->severity,
                                texts + taken->id,       texts + taken->module, texts + taken->kind,
                                texts + taken->hostname, texts + taken->json};
    }
    int r = worker->sink ? 0 : sink_open(&worker->destination, &worker->sink, outcome->problem);
    if (r < 0) {
        outcome->error = r;
        return r;
    }
    sink_send(worker->sink, events, worker->taken_count, outcome);
    return outcome->error;
}

/* Moves the cursor behind what is done with. */
static void settle(struct forward_worker *worker, const struct sink_outcome *outcome)
{
    worker->sent += (int64_t)outcome->sent;
    (void)text_copy(worker->problem, sizeof(worker->problem),
                    outcome->error < 0 ? (outcome->problem[0] ? outcome->problem
                                                              : strerrordesc_np(-outcome->error))
                                       : "");
    if (outcome->error == 0) {
        worker->cursor = worker->last;
        return;
    }
    if (outcome->sent > 0)
        worker->cursor = worker->taken[outcome->sent - 1].number;
    if (outcome->error == -EBADMSG && outcome->sent < worker->taken_count) {
        worker->dead = true;
        worker->dead_event = worker->taken[outcome->sent].number;
        worker->cursor = worker->dead_event;
    }
}

/* Full jitter after the cap. */
static uint64_t next_delay(struct forward_worker *worker, uint64_t asked_s)
{
    uint64_t random = 0;
    worker->delay_ns = MIN(MAX(worker->delay_ns * 2, FIRST_DELAY_NS), LAST_DELAY_NS);
    if (random_bytes(&random, sizeof(random)) < 0)
        random = 0;
    uint64_t delay = worker->delay_ns / 2 + random % worker->delay_ns;
    return MAX(delay, MIN(asked_s, ASKED_MAXIMUM_S) * NS_PER_SECOND);
}

/* One look: how long to wait until the next. */
static uint64_t work(struct forward_worker *worker)
{
    struct sink_outcome outcome = {.sent = 0};
    skip_expired(worker);
    int r = console_store_read(worker->options.store, read_events, worker);
    if (r < 0)
        return next_delay(worker, 0);
    if (worker->taken_count > 0)
        (void)send_taken(worker, &outcome);
    settle(worker, &outcome);
    bool changed = worker->sent > 0 || worker->dead || worker->expired ||
                   !text_equal(worker->problem, worker->stored_problem);
    bool moved =
        worker->cursor != worker->stored_cursor && clock_monotonic_ns() >= worker->next_cursor_ns;
    if ((changed || moved) && tell(worker) < 0)
        return next_delay(worker, 0);
    if (outcome.error < 0 && outcome.error != -EBADMSG)
        return next_delay(worker, outcome.wait_s);
    worker->delay_ns = 0;
    return worker->read == EVENTS_A_LOOK || worker->taken_count == SINK_EVENTS ||
                   outcome.error == -EBADMSG
               ? 0
               : IDLE_NS;
}

static bool wait(struct forward_worker *worker, uint64_t wait_ns)
{
    struct timespec until = clock_deadline(wait_ns);
    (void)pthread_mutex_lock(&worker->lock);
    while (!worker->stopping && wait_ns > 0 &&
           pthread_cond_clockwait(&worker->wake, &worker->lock, CLOCK_MONOTONIC, &until) == 0)
        ;
    bool go_on = !worker->stopping;
    (void)pthread_mutex_unlock(&worker->lock);
    return go_on;
}

static void *work_loop(void *user)
{
    struct forward_worker *worker = user;
    int r = console_store_read(worker->options.store, load, worker);
    while (r < 0 && r != -ENOENT && wait(worker, next_delay(worker, 0))) {
        if (r == -EKEYREJECTED)
            (void)text_copy(worker->problem, sizeof(worker->problem),
                            "its secret was sealed with another secrets.key: set it again");
        else
            (void)text_copy(worker->problem, sizeof(worker->problem), strerrordesc_np(-r));
        if (tell(worker) < 0)
            log_warning("forwarding_state_not_written", "destination", worker->id, NULL);
        destination_done(&worker->destination);
        r = console_store_read(worker->options.store, load, worker);
    }
    worker->delay_ns = 0;
    uint64_t wait_ns = 0;
    while (r == 0 && wait(worker, wait_ns))
        wait_ns = work(worker);
    if (r == 0 && worker->cursor != worker->stored_cursor && tell(worker) < 0)
        log_warning("forwarding_state_not_written", "destination", worker->name, "effect",
                    "some events are sent twice", NULL);
    worker->sink = sink_close(worker->sink);
    return NULL;
}

int forward_worker_start(const struct forwarder_options *options, const char *id, int64_t revision,
                         struct forward_worker **ret_worker)
{
    struct forward_worker *worker = calloc(1, sizeof(*worker));
    if (!worker)
        return -ENOMEM;
    worker->options = *options;
    worker->revision = revision;
    (void)text_copy(worker->id, sizeof(worker->id), id);
    buffer_init(&worker->texts, BATCH_MAXIMUM);
    (void)pthread_mutex_init(&worker->lock, NULL);
    (void)pthread_cond_init(&worker->wake, NULL);
    int r = -pthread_create(&worker->thread, NULL, work_loop, worker);
    if (r < 0) {
        free(worker);
        return r;
    }
    *ret_worker = worker;
    return 0;
}

void forward_worker_ask_to_stop(struct forward_worker *worker)
{
    (void)pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    (void)pthread_cond_signal(&worker->wake);
    (void)pthread_mutex_unlock(&worker->lock);
}

struct forward_worker *forward_worker_stop(struct forward_worker *worker)
{
    forward_worker_ask_to_stop(worker);
    (void)pthread_join(worker->thread, NULL);
    destination_done(&worker->destination);
    buffer_done(&worker->texts);
    (void)pthread_cond_destroy(&worker->wake);
    (void)pthread_mutex_destroy(&worker->lock);
    free(worker);
    return NULL;
}

bool forward_worker_is(const struct forward_worker *worker, const char *id, int64_t revision)
{
    return worker->revision == revision && text_equal(worker->id, id);
}
