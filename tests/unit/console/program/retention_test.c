/* Computers that stay silent go, at most a thousand at a time; the clock's jumps are seen. */
#include "console/program/retention.h"

#include "common/files/file.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "console/events/event_runs.h"
#include "console/program/clock_watch.h"
#include "tests/unit/console/computer_row.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define SILENT 1200
#define LIVING 30
#define DAY_MS 86400000LL

struct place {
    char folder[64], path[96];
    struct console_store *store;
};

static int open_place(void **state)
{
    static struct place place;
    char notice[512];
    (void)text_copy(place.folder, sizeof(place.folder), "/tmp/yagura-retention-XXXXXX");
    assert_non_null(mkdtemp(place.folder));
    (void)text_format(place.path, sizeof(place.path), "%s/console.db", place.folder);
    assert_int_equal(console_store_open(place.path, &place.store, notice), 0);
    *state = &place;
    return 0;
}

static int close_place(void **state)
{
    struct place *place = *state;
    place->store = console_store_close(place->store);
    return file_remove_tree(AT_FDCWD, place->folder);
}

static int add_computers(struct sql *sql, void *user UNUSED)
{
    int64_t now = console_store_now_ms();
    int r = 0;
    for (int64_t i = 1; r == 0 && i <= SILENT + LIVING; i++) {
        const struct computer_row row = {
            .number = i, .last_seen_ms = i <= SILENT ? now - 11 * DAY_MS : now - DAY_MS};
        r = computer_row_add(sql, &row);
    }
    return r;
}

static int count(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT count(*) FROM computers", &row, "");
    *(int64_t *)user = r == 1 ? sql_number(row, 0) : -1;
    return r < 0 ? r : 0;
}

static int count_moves(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT count(*) FROM event_moves", &row, "");
    *(int64_t *)user = r == 1 ? sql_number(row, 0) : -1;
    return r < 0 ? r : 0;
}

static void expect_computers(const struct place *place, int64_t expected)
{
    int64_t there = 0;
    assert_int_equal(console_store_read(place->store, count, &there), 0);
    assert_int_equal(there, expected);
}

/* Their events leave their groups. */
static void expect_moves(const struct place *place, int64_t expected)
{
    int64_t there = 0;
    assert_int_equal(console_store_read(place->store, count_moves, &there), 0);
    assert_int_equal(there, expected);
}

static void at_most_a_thousand_go_at_once(void **state)
{
    const struct place *place = *state;
    struct retention retention = {.computers_ms = 0};
    struct retention_result result;
    assert_int_equal(console_store_write(place->store, add_computers, NULL), 0);
    assert_int_equal(retention_apply(place->store, &retention, &result), 0);
    expect_computers(place, SILENT + LIVING); /* 0: never */
    retention.computers_ms = 10 * DAY_MS;
    assert_int_equal(retention_apply(place->store, &retention, &result), 0);
    assert_int_equal(result.computers, 1000);
    expect_computers(place, SILENT + LIVING - 1000);
    assert_int_equal(retention_apply(place->store, &retention, &result), 0);
    assert_int_equal(result.computers, SILENT - 1000);
    assert_int_equal(retention_apply(place->store, &retention, &result), 0);
    assert_int_equal(result.computers, 0);
    expect_computers(place, LIVING);
    expect_moves(place, SILENT);
}

static int add_runs(struct sql *sql, void *user UNUSED)
{
    int64_t now = console_store_now_ms();
    int r = sql_run(sql,
                    "INSERT INTO sensors (number, id, org_id, kind, scope, account, region, name,"
                    " version, arn, runtime, host, address, key_id, first_seen_ms, last_seen_ms,"
                    " policy_digest, policy_revision, applied_digest, applied_problem, facts)"
                    " VALUES (7, 'id', 1, 'application', '', '', '', 'fn', '', '', '', '', '', '',"
                    " 0, $1, '', 0, '', '', '{}')",
                    NULL, "n", now - 9 * DAY_MS);
    for (int64_t i = 1; r == 0 && i <= 5000; i++) { /* sandboxes of a function, one still alive */
        char epoch[32];
        (void)text_format(epoch, sizeof(epoch), "run%lld", (long long)i);
        r = sql_run(sql,
                    "INSERT INTO deliveries (computer, epoch, acknowledged, dropped, used_ms)"
                    " VALUES (7, $1, 1, 0, $2)",
                    NULL, "tn", epoch, i == 1 ? now - 1000 : now - 2 * DAY_MS);
    }
    if (r == 0)
        r = sql_run(sql,
                    "INSERT INTO deliveries (computer, epoch, acknowledged, dropped, used_ms)"
                    " VALUES (8, 'an agent''s store', 1, 0, 0)",
                    NULL, "");
    return r;
}

static int count_runs(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int64_t *counts = user;
    int r = sql_run(sql,
                    "SELECT (SELECT count(*) FROM deliveries), (SELECT count(*) FROM sensors),"
                    " (SELECT count(*) FROM audit)",
                    &row, "");
    for (int i = 0; r == 1 && i < 3; i++)
        counts[i] = sql_number(row, i);
    return r < 0 ? r : 0;
}

static void runs_of_sensors_are_forgotten(void **state)
{
    const struct place *place = *state;
    struct retention retention = {.computers_ms = 10 * DAY_MS};
    struct retention_result result;
    int64_t counts[3];
    assert_int_equal(console_store_write(place->store, add_runs, NULL), 0);
    assert_int_equal(retention_apply(place->store, &retention, &result), 0);
    assert_int_equal(console_store_read(place->store, count_runs, counts), 0);
    assert_int_equal(counts[0], 2); /* the run that lives, and the store */
    assert_int_equal(counts[1], 1);
    retention.computers_ms = 8 * DAY_MS;
    assert_int_equal(retention_apply(place->store, &retention, &result), 0);
    assert_int_equal(console_store_read(place->store, count_runs, counts), 0);
    assert_int_equal(counts[0], 1); /* gone with the sensor */
    assert_int_equal(counts[1], 0);
    assert_int_equal(counts[2], 1);
    expect_moves(place, 1);
}

static int fill_runs(struct sql *sql, void *user)
{
    return sql_run(sql,
                   "INSERT INTO deliveries (computer, epoch, acknowledged, dropped, used_ms)"
                   " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)"
                   " SELECT 7, 'run' || i, 1, 0, $2 + i FROM n",
                   NULL, "nn", *(const int64_t *)user, console_store_now_ms() - 3600000);
}

/* What a key holder does who invents a run with every report, or an agent a store. */
struct flood {
    int64_t computer, used_ms, from, count;
};

static int add_flood(struct sql *sql, void *user)
{
    const struct flood *flood = user;
    int r = 0;
    for (int64_t i = flood->from; r == 0 && i < flood->from + flood->count; i++) {
        char epoch[37];
        (void)text_format(epoch, sizeof(epoch), "01900000-0000-7000-8000-%012lld", (long long)i);
        struct wire_event event = {.number = 1,
                                   .id = epoch,
                                   .module = "storage",
                                   .kind = "kind",
                                   .subject = "",
                                   .detail = "{}"};
        struct event_batch batch = {.computer = flood->computer,
                                    .epoch = epoch,
                                    .events = &event,
                                    .count = 1,
                                    .used_ms = flood->used_ms,
                                    .group = ""};
        uint64_t acknowledged = 0;
        r = event_store_add(sql, &batch, &acknowledged);
        assert_int_equal(acknowledged, 1);
    }
    return r;
}

static int count_deliveries(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int64_t *counts = user;
    int r = sql_run(sql,
                    "SELECT sum(CASE WHEN used_ms > 0 THEN 1 ELSE 0 END),"
                    " sum(CASE WHEN used_ms = 0 THEN 1 ELSE 0 END), min(CASE WHEN used_ms = 0"
                    " THEN epoch END) FROM deliveries",
                    &row, "");
    if (r == 1) {
        counts[0] = sql_number(row, 0);
        counts[1] = sql_number(row, 1);
        assert_string_equal(sql_text(row, 2), "01900000-0000-7000-8000-000000000036");
    }
    return r < 0 ? r : 0;
}

static void invented_runs_do_not_fill_the_table(void **state)
{
    const struct place *place = *state;
    int64_t full = LIMIT_SENSOR_RUNS, counts[2];
    struct flood stores = {.computer = 9, .count = 100};
    struct flood runs = {.computer = 7,
                         .used_ms = console_store_now_ms(),
                         .count = 2 * EVENT_RUNS_A_LOOK};
    assert_int_equal(console_store_write(place->store, fill_runs, &full), 0);
    assert_int_equal(console_store_write(place->store, add_flood, &stores), 0);
    assert_int_equal(console_store_write(place->store, add_flood, &runs), 0);
    assert_int_equal(console_store_read(place->store, count_deliveries, counts), 0);
    assert_in_range(counts[0], LIMIT_SENSOR_RUNS, LIMIT_SENSOR_RUNS + EVENT_RUNS_A_LOOK);
    assert_int_equal(counts[1], LIMIT_AGENT_STORES); /* the newest of the hundred */
}

static int add_facets(struct sql *sql, void *user UNUSED)
{
    int r =
        sql_run(sql,
                "INSERT INTO event_facets (id, group_id, module, kind, severity)"
                " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
                " SELECT i, '', 'storage', 'kind_' || i, 1 FROM n",
                NULL, "");
    return r < 0 ? r
                 : sql_run(sql,
                           "INSERT INTO events (number, org_id, computer, id, epoch, agent_number,"
                           " time_ms, module, kind, severity, subject, detail, facet) VALUES"
                           " ($1, 1, 7, 'i', 'e', 1, 0, 'storage', 'kind_7', 1, '', '{}', 7)",
                           NULL, "n", console_store_new_number());
}

static int count_facets(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT count(*), sum(id) FROM event_facets", &row, "");
    for (int i = 0; r == 1 && i < 2; i++)
        ((int64_t *)user)[i] = sql_number(row, i);
    return r < 0 ? r : 0;
}

static void facets_without_events_go(void **state)
{
    const struct place *place = *state;
    struct retention retention = {.events_ms = DAY_MS};
    struct retention_result result;
    int64_t there[2];
    assert_int_equal(console_store_write(place->store, add_facets, NULL), 0);
    assert_int_equal(retention_apply(place->store, &retention, &result), 0);
    assert_int_equal(console_store_read(place->store, count_facets, there), 0);
    assert_int_equal(there[0], 1);
    assert_int_equal(there[1], 7);
}

#define START_NS (1000 * NS_PER_SECOND)

static void a_clock_that_is_set_is_seen(void **state UNUSED)
{
    struct clock_watch watch;
    clock_set_fake(START_NS, 5000 * NS_PER_SECOND);
    clock_watch_begin(&watch);
    clock_set_fake(START_NS + NS_PER_SECOND, 5001 * NS_PER_SECOND);
    assert_int_equal(clock_watch_look(&watch), 0);
    clock_set_fake(START_NS + 9000 * NS_PER_SECOND, 14030 * NS_PER_SECOND); /* a time service */
    assert_int_equal(clock_watch_look(&watch), 0);
    assert_int_equal(clock_watch_settled_ms(&watch), 9000000);
    clock_set_fake(START_NS + 9001 * NS_PER_SECOND, 20031 * NS_PER_SECOND);
    assert_int_equal(clock_watch_look(&watch), 6000000);
    assert_int_equal(clock_watch_settled_ms(&watch), 0);
    clock_set_fake(START_NS + 9002 * NS_PER_SECOND, 4032 * NS_PER_SECOND);
    assert_int_equal(clock_watch_look(&watch), -16000000);
    clock_set_fake(START_NS + 9003 * NS_PER_SECOND, 4033 * NS_PER_SECOND);
    assert_int_equal(clock_watch_look(&watch), 0);
    assert_int_equal(clock_watch_settled_ms(&watch), 1000);
    clock_set_fake(0, 0);
}

/* number: when the console says that it came; time: when its sender says that it was. */
struct dated {
    int64_t number_ms, time_ms;
    const char *module;
    unsigned count;
};

static int add_dated(struct sql *sql, void *user)
{
    static int64_t number;
    const struct dated *dated = user;
    int r = 0;
    for (unsigned i = 0; r >= 0 && i < dated->count; i++) {
        number++;
        r = sql_run(
            sql,
            "INSERT INTO events (number, org_id, computer, id, epoch, agent_number, time_ms,"
            " module, kind, severity, subject, detail, facet)"
            " VALUES ($1, 1, 1, 'i' || $2, 'e', $3, $4, $5, 'kind', 1, '', '{}', 0)",
            NULL, "nnnnt", console_store_number_at(dated->number_ms) + number, number, number,
            dated->time_ms, dated->module);
    }
    return r;
}

static void add_events(const struct place *place, unsigned count, int64_t number_ms,
                       int64_t time_ms)
{
    struct dated dated = {number_ms, time_ms, "malware", count};
    assert_int_equal(console_store_write(place->store, add_dated, &dated), 0);
}

static void add_event(const struct place *place, int64_t number_ms, int64_t time_ms,
                      const char *module)
{
    struct dated dated = {number_ms, time_ms, module, 1};
    assert_int_equal(console_store_write(place->store, add_dated, &dated), 0);
}

static void expect_removed(const struct place *place, int64_t removed, bool doubted)
{
    const struct retention retention = {.events_ms = 90 * DAY_MS};
    struct retention_result result;
    assert_int_equal(retention_apply(place->store, &retention, &result), 0);
    assert_int_equal(result.events, removed);
    assert_int_equal(result.clock_doubted, doubted);
}

/* As a console has them whose clock is a year ahead: what came in the last day is dated otherwise
 * by who sent it. */
static void no_event_goes_by_a_clock_that_nobody_shares(void **state)
{
    const struct place *place = *state;
    int64_t now = console_store_now_ms(), year = 365 * DAY_MS;
    expect_removed(place, 0, false); /* nothing is due */
    add_event(place, now - year, now - year, "malware");
    expect_removed(place, 0, true);
    add_event(place, now - 1000, now - year, "malware");
    add_event(place, now - 1000, now, "console");
    add_event(place, now - 2 * DAY_MS, now, "malware");
    expect_removed(place, 0, true);
    add_event(place, now - 1000, now - 2000, "malware");
    expect_removed(place, 1, false);
    /* Nor does one sender with another clock hide the others. */
    add_event(place, now - year, now - year, "malware");
    add_events(place, 1100, now - 500, 0);
    expect_removed(place, 1, false);
    /* Events of the future are many, from when the clock was ahead; they say nothing. */
    add_event(place, now - year, now - year, "malware");
    add_events(place, 1100, now + year, now - year);
    expect_removed(place, 1, false);
}

static void a_clock_that_was_set_back_is_confirmed(void **state)
{
    const struct place *place = *state;
    int64_t now = console_store_now_ms(), year = 365 * DAY_MS;
    add_event(place, now - year, now - year, "malware");
    add_event(place, now + year, now - 1000, "malware"); /* numbers never go back */
    expect_removed(place, 1, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(at_most_a_thousand_go_at_once, open_place, close_place),
        cmocka_unit_test_setup_teardown(runs_of_sensors_are_forgotten, open_place, close_place),
        cmocka_unit_test_setup_teardown(invented_runs_do_not_fill_the_table, open_place,
                                        close_place),
        cmocka_unit_test_setup_teardown(facets_without_events_go, open_place, close_place),
        cmocka_unit_test_setup_teardown(no_event_goes_by_a_clock_that_nobody_shares, open_place,
                                        close_place),
        cmocka_unit_test_setup_teardown(a_clock_that_was_set_back_is_confirmed, open_place,
                                        close_place),
        cmocka_unit_test(a_clock_that_is_set_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
