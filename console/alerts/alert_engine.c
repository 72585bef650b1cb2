/* Owns the thread, its cursor in the events and the order of its looks. */
#include "console/alerts/alert_engine.h"

#include "common/json/json_writer.h"
#include "common/log/log.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"
#include "console/alerts/alert_checks.h"
#include "console/alerts/alert_store.h"
#include "console/events/event_query.h"
#include "console/store/lease.h"

#include <errno.h>
#include <pthread.h>

#define LOOK_NS       NS_PER_SECOND
#define CHECKS        4 /* of the computers' state in the time of a heartbeat */
#define EVENTS_A_READ 500
#define READS_MOST    100  /* a transaction */
#define FOUND_MOST    2048 /* what one transaction raises */
#define FOUND_SLOTS   4096
#define DETAIL_BYTES  1024 /* of a longer one the signature is not told */
#define CURSOR        "alerts"
#define CURSOR_NS     (60 * NS_PER_SECOND) /* how often it is written without a finding */
#define HEARD_FACTOR  3000LL               /* heartbeats in ms */

/* What one look found, folded: one for a rule and what it is about; of the last event what the
 * alert tells. */
struct found {
    const struct alert_rule *rule;
    int64_t computer, count, event;
    char key[257], subject[257];
    char kind[65], about[201], detail[DETAIL_BYTES];
};

struct alert_engine {
    struct alert_engine_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    struct alert_engine_status status; /* under the lock */
    /* of the thread */
    struct lease lease;
    struct alert_checks checks;
    struct alert_rule rules[ALERT_RULES_MAXIMUM];
    size_t rule_count;
    struct found found[FOUND_MOST];
    uint16_t slots[FOUND_SLOTS]; /* by rule and key: place in found, from 1; 0: free */
    size_t found_count;
    bool full;
    int64_t cursor, events;
    uint64_t raised, next_check_ns, next_cursor_ns;
    bool leading;
};

/* --- events */

static void forget_found(struct alert_engine *engine)
{
    engine->found_count = 0;
    engine->full = false;
    memset(engine->slots, 0, sizeof(engine->slots));
}

/* There is room. */
static struct found *find_or_add(struct alert_engine *engine, const struct alert_rule *rule,
                                 const char *key)
{
    uint32_t hash = (uint32_t)(rule - engine->rules) + 0x811c9dc5U; /* FNV-1a */
    for (const char *at = key; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 0x01000193U;
    size_t slot = hash % FOUND_SLOTS;
    for (; engine->slots[slot]; slot = (slot + 1) % FOUND_SLOTS) {
        struct found *found = &engine->found[engine->slots[slot] - 1];
        if (found->rule == rule && text_equal(found->key, key))
            return found;
    }
    struct found *found = &engine->found[engine->found_count++];
    engine->slots[slot] = (uint16_t)engine->found_count;
    found->rule = rule;
    found->count = 0;
    (void)text_copy(found->key, sizeof(found->key), key);
    return found;
}

static void describe(const struct found *found, struct buffer *detail)
{
    struct json_writer json;
    char signature[257];
    event_signature(found->detail, signature);
    json_writer_init(&json, detail);
    json_write_object_begin(&json);
    json_write_field_number(&json, "event", found->event);
    json_write_field_string(&json, "kind", found->kind);
    json_write_field_string(&json, "subject", found->about);
    json_write_field_string(&json, "signature", signature);
    json_write_object_end(&json);
}

static void note(struct found *found, struct sql_statement *row, const char *subject)
{
    const char *detail = sql_text(row, 11);
    found->count++;
    found->event = sql_number(row, 0);
    (void)text_copy(found->subject, sizeof(found->subject), subject);
    (void)text_copy(found->kind, sizeof(found->kind), sql_text(row, 8));
    (void)text_copy(found->about, sizeof(found->about), sql_text(row, 10));
    if (text_copy(found->detail, sizeof(found->detail), detail) < 0)
        (void)text_copy(found->detail, sizeof(found->detail), "{}");
}

static void compare_with_rules(struct alert_engine *engine, struct sql_statement *row)
{
    struct event_facts event = {(unsigned)sql_number(row, 9), sql_text(row, 7), sql_text(row, 8),
                                sql_text(row, 13), sql_text(row, 11)};
    for (size_t i = 0; i < engine->rule_count; i++) {
        const struct alert_rule *rule = &engine->rules[i];
        if (rule->condition.type != ALERT_EVENT || !event_matches(&rule->condition.match, &event))
            continue;
        char signature[257] = "";
        if (rule->condition.by_signature)
            event_signature(event.detail, signature);
        const char *owner = sql_text(row, sql_is_null(row, 5) ? 12 : 5); /* computer or sensor */
        struct found *found = find_or_add(engine, rule, signature[0] ? signature : owner);
        found->computer = signature[0] ? 0 : sql_number(row, 14);
        note(found, row, signature[0] ? signature : sql_text(row, 6));
    }
}

static int read_events(struct sql *sql, void *user)
{
    struct alert_engine *engine = user;
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    struct event_range range = {engine->cursor, event_settled_number(engine->options.store),
                                EVENTS_A_READ, false};
    int r = 0;
    query_init(&query);
    event_query_after(&query, &range);
    if (r == 0)
        r = query_prepare(&query, sql, &row);
    while (r == 0 && (r = sql_step(row)) == 1) {
        engine->full = engine->found_count + engine->rule_count > FOUND_MOST;
        if (engine->full)
            return 0;
        compare_with_rules(engine, row);
        engine->cursor = sql_number(row, 0);
        engine->events++;
        r = 0;
    }
    return r;
}

static int load_rules(struct sql *sql, void *user)
{
    struct alert_engine *engine = user;
    return alert_rules_load(sql, engine->rules, &engine->rule_count);
}

static int raise_found(struct sql *sql, const struct found *found)
{
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(4096);
    describe(found, &detail);
    struct alert_finding finding = {found->rule,
                                    found->computer,
                                    found->key,
                                    found->subject,
                                    buffer_failed(&detail) < 0 ? "{}" : buffer_text(&detail),
                                    found->count};
    return alert_raise(sql, &finding);
}

static int write_findings(struct sql *sql, void *user)
{
    struct alert_engine *engine = user;
    int r = 0;
    engine->raised = 0;
    for (size_t i = 0; r == 0 && i < engine->found_count; i++) {
        int raised = raise_found(sql, &engine->found[i]);
        if (raised < 0)
            r = raised;
        else
            engine->raised += (uint64_t)raised;
    }
    return r < 0 ? r
                 : sql_run(sql,
                           "INSERT INTO cursors (name, number) VALUES ('" CURSOR "', $1)"
                           " ON CONFLICT (name) DO UPDATE SET number = excluded.number",
                           NULL, "n", engine->cursor);
}

static void count(struct alert_engine *engine, int64_t events, uint64_t raised, bool failed)
{
    (void)pthread_mutex_lock(&engine->lock);
    engine->status.events += (uint64_t)events;
    engine->status.raised += raised;
    engine->status.failures += failed;
    (void)pthread_mutex_unlock(&engine->lock);
}

/* Folds what has come until nothing is left or a transaction is full. */
static int fold_events(struct alert_engine *engine)
{
    int64_t before;
    unsigned reads = 0;
    forget_found(engine);
    engine->events = 0;
    int r = console_store_read(engine->options.store, load_rules, engine);
    do {
        before = engine->events;
        r = r < 0 ? r : console_store_read(engine->options.store, read_events, engine);
    } while (r == 0 && !engine->full && engine->events == before + EVENTS_A_READ &&
             ++reads < READS_MOST);
    engine->full |= reads == READS_MOST;
    return r;
}

/* One transaction; 1 when there is more. */
static int look_at_events(struct alert_engine *engine, uint64_t now)
{
    int64_t before = engine->cursor;
    int r = fold_events(engine);
    if (r == 0 &&
        (engine->found_count > 0 || (engine->events > 0 && now >= engine->next_cursor_ns))) {
        r = console_store_write(engine->options.store, write_findings, engine);
        engine->next_cursor_ns = now + CURSOR_NS;
    } else {
        engine->raised = 0;
    }
    if (r < 0) {
        engine->cursor = before;
        return r;
    }
    count(engine, engine->events, engine->raised, false);
    return engine->full;
}

/* --- beginning */

static int begin(struct sql *sql, void *user)
{
    struct alert_engine *engine = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = alert_rules_ship(sql);
    if (r == 0)
        r = sql_run(sql, "SELECT number FROM cursors WHERE name = '" CURSOR "'", &row, "");
    if (r == 1) {
        engine->cursor = sql_number(row, 0);
        return 0;
    }
    engine->cursor = console_store_number_at(console_store_now_ms());
    return r < 0 ? r
                 : sql_run(sql, "INSERT INTO cursors (name, number) VALUES ('" CURSOR "', $1)",
                           NULL, "n", engine->cursor);
}

static int lead(struct alert_engine *engine)
{
    int r = console_store_write(engine->options.store, begin, engine);
    if (r < 0)
        return r;
    engine->leading = true;
    engine->checks.since_ms = console_store_now_ms();
    engine->next_check_ns = 0;
    return 0;
}

static bool is_stopping(struct alert_engine *engine)
{
    (void)pthread_mutex_lock(&engine->lock);
    bool stopping = engine->stopping;
    (void)pthread_mutex_unlock(&engine->lock);
    return stopping;
}

static int look(struct alert_engine *engine)
{
    if (!lease_hold(&engine->lease, engine->options.store)) {
        engine->leading = false;
        return 0;
    }
    int r = engine->leading ? 0 : lead(engine);
    uint64_t now = clock_monotonic_ns();
    while (r == 0 && !is_stopping(engine) && (r = look_at_events(engine, now)) == 1)
        r = lease_hold(&engine->lease, engine->options.store) ? 0 : -ESTALE;
    if (r == 0 && now >= engine->next_check_ns) {
        uint64_t raised = 0;
        engine->next_check_ns = now + engine->options.heartbeat_seconds * NS_PER_SECOND / CHECKS;
        r = alert_checks_run(&engine->checks, engine->options.store, engine->rules,
                             engine->rule_count, &raised);
        count(engine, 0, raised, false);
    }
    return r;
}

static void *look_loop(void *user)
{
    struct alert_engine *engine = user;
    int told = 0;
    while (!is_stopping(engine)) {
        int r = look(engine);
        if (r < 0) {
            count(engine, 0, 0, true);
            if (r != told && r != -ESHUTDOWN)
                log_warning("alerts_not_looked_for", "error", log_error_text(r), "effect",
                            "they come later", NULL);
        }
        told = r;
        struct timespec until = clock_deadline(LOOK_NS);
        (void)pthread_mutex_lock(&engine->lock);
        while (!engine->stopping &&
               pthread_cond_clockwait(&engine->wake, &engine->lock, CLOCK_MONOTONIC, &until) == 0)
            ;
        (void)pthread_mutex_unlock(&engine->lock);
    }
    lease_release(&engine->lease, engine->options.store);
    return NULL;
}

int alert_engine_start(const struct alert_engine_options *options, struct alert_engine **ret_engine)
{
    struct alert_engine *engine = calloc(1, sizeof(*engine));
    if (!engine)
        return -ENOMEM;
    engine->options = *options;
    engine->checks.heard_ms = (int64_t)options->heartbeat_seconds * HEARD_FACTOR + 10000;
    (void)pthread_mutex_init(&engine->lock, NULL);
    (void)pthread_cond_init(&engine->wake, NULL);
    int r = lease_init(&engine->lease, CURSOR);
    if (r == 0)
        r = -pthread_create(&engine->thread, NULL, look_loop, engine);
    if (r < 0) {
        free(engine);
        return r;
    }
    *ret_engine = engine;
    return 0;
}

struct alert_engine *alert_engine_stop(struct alert_engine *engine)
{
    if (!engine)
        return NULL;
    (void)pthread_mutex_lock(&engine->lock);
    engine->stopping = true;
    (void)pthread_cond_signal(&engine->wake);
    (void)pthread_mutex_unlock(&engine->lock);
    (void)pthread_join(engine->thread, NULL);
    alert_checks_done(&engine->checks);
    (void)pthread_cond_destroy(&engine->wake);
    (void)pthread_mutex_destroy(&engine->lock);
    free(engine);
    return NULL;
}

void alert_engine_status(struct alert_engine *engine, struct alert_engine_status *ret_status)
{
    (void)pthread_mutex_lock(&engine->lock);
    *ret_status = engine->status;
    (void)pthread_mutex_unlock(&engine->lock);
}
