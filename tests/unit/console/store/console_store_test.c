/* The writer, its undo, and the plans of every page of events. */
#include "console/store/schema.h"
#include "tests/unit/console/store_place.h"

#include "common/text/text.h"
#include "console/events/event_query.h"
#include "console/events/event_store.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>

#include <cmocka.h>

static int put(struct sql *sql, void *user)
{
    return sql_run(sql, "INSERT INTO meta (name, value) VALUES ($1, 'x')", NULL, "t", user);
}

static int put_and_fail(struct sql *sql, void *user)
{
    int r = put(sql, user);
    return r < 0 ? r : -EACCES;
}

static int count(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT count(*) FROM meta", &row, "");
    *(int64_t *)user = r == 1 ? sql_number(row, 0) : -1;
    return r < 0 ? r : 0;
}

static void undoes_only_what_failed(void **state)
{
    const struct store_place *place = *state;
    int64_t rows = 0;
    assert_int_equal(console_store_write(place->store, put, (void *)(uintptr_t) "a"), 0);
    assert_int_equal(console_store_write(place->store, put_and_fail, (void *)(uintptr_t) "b"),
                     -EACCES);
    assert_int_equal(console_store_write(place->store, put, (void *)(uintptr_t) "a"), -EEXIST);
    assert_int_equal(console_store_read(place->store, count, &rows), 0);
    assert_int_equal(rows, 1);
}

/* --- rows that go together */

#define TOGETHER_MOST 30

struct together {
    int64_t rows;
    bool twice; /* the last is the first again */
};

static int put_together(struct sql *sql, void *user)
{
#define ROW "($1, '7', $2)"
    static const struct sql_many statement = {
        .each = "INSERT INTO leases (expires_ms, holder, name) VALUES " ROW,
        .row = ROW,
        .all = "INSERT INTO leases (expires_ms, holder, name) SELECT v.number, '7', v.name"
               " FROM unnest($1::bigint[], $2::text[]) AS v(number, name)",
        .columns = "nt"};
    const struct together *together = user;
    struct sql_value values[2 * TOGETHER_MOST];
    char names[TOGETHER_MOST][8];
    for (int64_t i = 0; i < together->rows; i++) {
        int64_t number = together->twice && i + 1 == together->rows ? 0 : i;
        (void)text_format(names[i], sizeof(names[i]), "%lld", (long long)number);
        values[2 * i] = SQL_NUMBER(number + 100);
        values[2 * i + 1] = SQL_TEXT(names[i]);
    }
    int r = sql_run(sql, "DELETE FROM leases WHERE holder = '7'", NULL, "");
    return r < 0 ? r : sql_run_many(sql, &statement, values, (size_t)together->rows);
}

/* Each name is its number, 100 less. */
static int count_together(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT count(*) FROM leases WHERE holder = '7'"
                    " AND CAST(name AS BIGINT) + 100 = expires_ms",
                    &row, "");
    *(int64_t *)user = r == 1 ? sql_number(row, 0) : -1;
    return r < 0 ? r : 0;
}

static void puts_any_number_of_rows_together(void **state)
{
    const struct store_place *place = *state;
    int64_t rows = 0;
    for (int64_t i = 0; i <= TOGETHER_MOST; i++) {
        struct together together = {.rows = i};
        assert_int_equal(console_store_write(place->store, put_together, &together), 0);
        assert_int_equal(console_store_read(place->store, count_together, &rows), 0);
        assert_int_equal(rows, i);
        if (i < 2)
            continue;
        together.twice = true; /* nothing of it stays */
        assert_int_equal(console_store_write(place->store, put_together, &together), -EEXIST);
        assert_int_equal(console_store_read(place->store, count_together, &rows), 0);
        assert_int_equal(rows, i);
    }
}

/* Writes its row, and is then told by the database to repeat the transaction, a few times. */
struct conflict {
    const char *name, *state; /* SQLSTATE of PostgreSQL */
    bool postgres;
    int left, tries;
};

static int put_in_conflict(struct sql *sql, void *user)
{
    struct conflict *conflict = user;
    int r = put(sql, (void *)(uintptr_t)conflict->name);
    conflict->tries++;
    if (r < 0 || conflict->left == 0)
        return r;
    conflict->left--;
    if (!conflict->postgres)
        return -EAGAIN; /* what the driver says when another program holds the file */
    AUTO_FREE char *raise =
        text_format_new("DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '%s'; END $$",
                        conflict->state);
    return sql_run(sql, raise, NULL, "");
}

static void repeats_what_the_database_wants_repeated(void **state)
{
    const struct store_place *place = *state;
    static const char *const states[] = {"40001", "40P01"};
    int64_t rows = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        struct conflict conflict = {states[i], states[i], place->postgres, .left = 2};
        assert_int_equal(console_store_write(place->store, put_in_conflict, &conflict), 0);
        assert_int_equal(conflict.tries, 3);
    }
    struct conflict hopeless = {"hopeless", "40001", place->postgres, .left = 1000};
    assert_int_equal(console_store_write(place->store, put_in_conflict, &hopeless), -EAGAIN);
    assert_in_range(hopeless.tries, 2, 20);
    assert_int_equal(console_store_read(place->store, count, &rows), 0);
    assert_int_equal(rows, ARRAY_LENGTH(states)); /* once each, and of the last one nothing */
    assert_int_equal(console_store_write(place->store, put, (void *)(uintptr_t) "after"), 0);
}

/* As a server that a fail-over has made the standby: it refuses to write, until another is asked.
 */
struct demotion {
    int64_t first, second; /* the backends that were asked */
};

static int put_on_standby(struct sql *sql, void *user)
{
    struct demotion *demotion = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT pg_backend_pid()", &row, "");
    if (r == 1)
        *(demotion->first ? &demotion->second : &demotion->first) = sql_number(row, 0);
    if (r == 1 && !demotion->second)
        r = sql_run(sql, "SET TRANSACTION READ ONLY", NULL, "");
    return r < 0 ? r : put(sql, (void *)(uintptr_t) "moved");
}

static void asks_another_server_after_a_fail_over(void **state)
{
    const struct store_place *place = *state;
    struct demotion demotion = {.first = 0};
    if (!place->postgres)
        return; /* SQLite has one */
    assert_int_equal(console_store_write(place->store, put_on_standby, &demotion), 0);
    assert_int_not_equal(demotion.second, 0);
    assert_int_not_equal(demotion.second, demotion.first);
}

struct member {
    const char *name;
    bool alone; /* asks for it */
    int result;
    atomic_int *finished;
    bool other; /* of another kind than the rest */
};

/* Refuses all when one is named "sink". */
static int put_many(struct sql *sql, void *const *users, int *ret_results, size_t many)
{
    for (size_t i = 0; i < many; i++) {
        const struct member *member = users[i];
        ret_results[i] = CONSOLE_STORE_ALONE;
        if (member->alone)
            continue;
        AUTO_FREE char *name = text_format_new("%s in many", member->name);
        int r = put(sql, name);
        if (r < 0 || text_equal(member->name, "sink"))
            return r < 0 ? r : -EINVAL;
        ret_results[i] = 7;
    }
    return 0;
}

static int put_alone(struct sql *sql, void *user)
{
    const struct member *member = user;
    if (text_equal(member->name, "sink"))
        return -EINVAL;
    AUTO_FREE char *name = text_format_new("%s alone", member->name);
    int r = put(sql, name);
    return r < 0 ? r : 8;
}

static void finish_member(void *user, int result)
{
    struct member *member = user;
    member->result = result;
    atomic_fetch_add(member->finished, 1);
}

static int hold_writer(struct sql *sql UNUSED, void *user)
{
    pthread_barrier_t *barrier = user;
    (void)pthread_barrier_wait(barrier); /* the writer is here */
    (void)pthread_barrier_wait(barrier); /* and goes on */
    return 0;
}

static void *hold(void *user)
{
    void **arguments = user;
    assert_int_equal(console_store_write(arguments[0], hold_writer, arguments[1]), 0);
    return NULL;
}

/* Submits all while the writer is held, so that they meet in one transaction. */
static void run_together(struct console_store *store, struct member *members, size_t many)
{
    static const struct console_store_kind kinds[] = {{put_many, put_alone, finish_member},
                                                      {put_many, put_alone, finish_member}};
    pthread_t thread;
    pthread_barrier_t barrier;
    atomic_int finished = 0;
    struct console_store_piece pieces[8];
    void *arguments[] = {store, &barrier};
    assert_true(many <= ARRAY_LENGTH(pieces));
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, hold, arguments), 0);
    (void)pthread_barrier_wait(&barrier);
    for (size_t i = 0; i < many; i++) {
        members[i].finished = &finished;
        assert_int_equal(
            console_store_submit_kind(store, &kinds[members[i].other], &pieces[i], &members[i]), 0);
    }
    (void)pthread_barrier_wait(&barrier);
    (void)pthread_join(thread, NULL);
    while (atomic_load(&finished) < (int)many)
        (void)sched_yield();
    (void)pthread_barrier_destroy(&barrier);
}

static void runs_a_kind_together_and_the_rest_alone(void **state)
{
    const struct store_place *place = *state;
    int64_t rows = 0;
    struct member members[] = {{.name = "a"}, {.name = "b", .alone = true}, {.name = "c"}};
    run_together(place->store, members, ARRAY_LENGTH(members));
    assert_int_equal(members[0].result, 7);
    assert_int_equal(members[1].result, 8);
    assert_int_equal(members[2].result, 7);
    struct member sinking[] = {{.name = "d"}, {.name = "sink"}};
    run_together(place->store, sinking, ARRAY_LENGTH(sinking));
    assert_int_equal(sinking[0].result, 8); /* what many wrote was undone */
    assert_int_equal(sinking[1].result, -EINVAL);
    assert_int_equal(console_store_read(place->store, count, &rows), 0);
    assert_int_equal(rows, 4);
}

/* What is for alone meets its kind once more, behind one of another: what ran does not run again.
 */
static void runs_each_once_when_kinds_are_mixed(void **state)
{
    const struct store_place *place = *state;
    int64_t rows = 0;
    struct member members[] = {
        {.name = "a"}, {.name = "b", .other = true}, {.name = "c", .alone = true}, {.name = "d"}};
    run_together(place->store, members, ARRAY_LENGTH(members));
    for (size_t i = 0; i < ARRAY_LENGTH(members); i++)
        assert_int_equal(members[i].result, members[i].alone ? 8 : 7);
    assert_int_equal(console_store_read(place->store, count, &rows), 0);
    assert_int_equal(rows, ARRAY_LENGTH(members));
}

static void numbers_rise_and_tell_the_time(void **state UNUSED)
{
    int64_t last = 0;
    for (int i = 0; i < 10000; i++) {
        int64_t number = console_store_new_number();
        assert_true(number > last);
        last = number;
    }
    int64_t now = console_store_now_ms();
    assert_true(console_store_number_time(last) <= now + 10); /* 4,096 fit into a ms */
    assert_true(console_store_number_time(last) > now - 5000);
    assert_true(console_store_number_at(now - 60000) < last);
    assert_int_equal(console_store_number_at(0), 0);
    assert_int_equal(console_store_number_at(4102444800000LL), INT64_MAX); /* 2100 */
}

struct plan {
    const struct event_filter *filter;
    const struct viewer *viewer;
    bool postgres;
    int sorts;    /* of facets, and of the page */
    bool filters; /* it may look through the events of one computer */
};

/* A scan of the events' table, or of their whole index where a part of one serves; a sort of
 * events. What is moving is a filter of its own, which hardly ever drops anything. Facets are few:
 * they may be read and sorted. last: the table that was named last. */
static bool is_bad(const struct plan *plan, const char *step, bool *last_is_events, int *sorts)
{
    if (plan->postgres && strstr(step, "Scan ") && strstr(step, " on "))
        *last_is_events = strstr(step, " on events ") != NULL;
    if (plan->postgres)
        return strstr(step, "Seq Scan on events ") ||
               (!plan->filters && *last_is_events && strstr(step, "Filter:") &&
                !strstr(step, "SubPlan"));
    if (strstr(step, "USE TEMP B-TREE"))
        return ++*sorts > plan->sorts;
    return strstr(step, "SCAN events") || strstr(step, "SCAN e ");
}

/* So many that a server can tell which index is the right one. */
static int fill(struct sql *sql, void *user UNUSED)
{
    int r = sql_run(
        sql,
        "INSERT INTO events (number, org_id, computer, id, epoch, agent_number,"
        " time_ms, module, kind, severity, subject, detail, facet) SELECT i, 1, i % 199, 'id',"
        " 'e', i, 0, CASE WHEN i % 200 = 0 THEN 'x' ELSE 'm' || i % 200 END,"
        " CASE WHEN i % 211 = 0 THEN 'x' ELSE 'k' || i % 211 END, CASE WHEN i % 157 < 5 THEN i % 157 ELSE 9 END, '', '{}',"
        " i % 300 FROM generate_series(1, 40000) AS i",
        NULL, "");
    if (r == 0)
        r = sql_run(sql,
                    "INSERT INTO event_facets (id, group_id, module, kind, severity) SELECT i,"
                    " CASE WHEN i % 10 = 0 THEN '01890a5d-ac96-774b-bcce-b302099a8057' ELSE '' END,"
                    " CASE WHEN i % 7 = 0 THEN 'x' ELSE 'm' || i END,"
                    " CASE WHEN i % 11 = 0 THEN 'x' ELSE 'k' || i END, i % 5"
                    " FROM generate_series(0, 299) AS i",
                    NULL, "");
    if (r == 0)
        r = sql_run(sql, "ANALYZE event_facets", NULL, "");
    return r < 0 ? r : sql_run(sql, "ANALYZE events", NULL, "");
}

static int explain(struct sql *sql, void *user)
{
    const struct plan *plan = user;
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    query_add(&query, plan->postgres ? "EXPLAIN " : "EXPLAIN QUERY PLAN ");
    event_query_page(&query, plan->filter, plan->viewer, 50);
    /* Of an empty table any server prefers a scan to an index. */
    int r = plan->postgres ? sql_run(sql, "SET enable_seqscan = off", NULL, "") : 0;
    if (r == 0)
        r = query_prepare(&query, sql, &row);
    bool last_is_events = false;
    int sorts = 0;
    for (r = r < 0 ? r : sql_step(row); r == 1; r = sql_step(row)) {
        const char *step = sql_text(row, plan->postgres ? 0 : 3);
        if (is_bad(plan, step, &last_is_events, &sorts))
            fail_msg("%s\nin the plan of: %s", step, buffer_text(&query.text));
    }
    return r;
}

static void every_page_is_served_by_an_index(void **state)
{
    const struct store_place *place = *state;
    const struct viewer all = {.group_count = 0};
    struct viewer limited = {.group_count = 1};
    if (place->postgres)
        assert_int_equal(console_store_write(place->store, fill, NULL), 0);
    (void)text_copy(limited.groups[0], UUID_TEXT_BYTES, "01890a5d-ac96-774b-bcce-b302099a8057");
    for (unsigned narrowed = 0; narrowed < 12; narrowed++) {
        for (unsigned severities = 0; severities < 1U << EVENT_SEVERITIES; severities++) {
            struct event_filter filter = {.subject = (enum event_subject)(narrowed % 3),
                                          .id = "x",
                                          .module = narrowed / 3 & 1 ? "x" : NULL,
                                          .kind = narrowed / 3 & 2 ? "x" : NULL,
                                          .by_severity = severities != 0,
                                          .until = INT64_MAX,
                                          .lateral = place->postgres};
            for (int i = 0; i < EVENT_SEVERITIES; i++)
                filter.severities[i] = severities >> i & 1;
            bool of_one = filter.subject != EVENTS_OF_ALL;
            struct plan plan = {&filter, &all, place->postgres, 2,
                                of_one && (filter.module || filter.kind)};
            if (of_one || (narrowed == 0 && severities == 0))
                plan.sorts = 0;
            assert_int_equal(console_store_read(place->store, explain, &plan), 0);
            plan.viewer = &limited;
            plan.sorts = of_one ? 0 : 2;
            assert_int_equal(console_store_read(place->store, explain, &plan), 0);
        }
    }
}

static int add_twice(struct sql *sql, void *user UNUSED)
{
    struct wire_event events[] = {
        {.number = 4, .id = "a", .module = "malware", .kind = "k", .subject = "", .detail = "{}"},
        {.number = 7, .id = "b", .module = "malware", .kind = "k", .subject = "", .detail = "{}"}};
    struct event_batch batch = {.computer = 1, .epoch = "e", .events = events, .count = 2};
    uint64_t acknowledged = 0;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(event_store_add(sql, &batch, &acknowledged), 0);
        assert_int_equal(acknowledged, 7);
    }
    AUTO_STATEMENT struct sql_statement *row = NULL;
    assert_int_equal(
        sql_run(sql, "SELECT count(*), sum(count) FROM events, event_counts", &row, ""), 1);
    assert_int_equal(sql_number(row, 0), 2);
    return 0;
}

static void stores_an_event_once(void **state)
{
    const struct store_place *place = *state;
    assert_int_equal(console_store_write(place->store, add_twice, NULL), 0);
}

/* --- steps of the schema */

#define STEP_OF_FACETS 9

/* A database from before all steps, with something in the way of one. */
static int begin_anew(struct sql *sql, void *user UNUSED)
{
    static const char *const statements[] = {"DROP SCHEMA public CASCADE", "CREATE SCHEMA public",
                                             "CREATE SEQUENCE events_facet"};
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(statements); i++)
        r = sql_run(sql, statements[i], NULL, "");
    return r;
}

static int clear_the_way(struct sql *sql, void *user UNUSED)
{
    return sql_run(sql, "DROP SEQUENCE events_facet", NULL, "");
}

static int read_schema_version(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT version FROM schema_version WHERE id = 1", &row, "");
    *(int64_t *)user = r == 1 ? sql_number(row, 0) : -1;
    return r < 0 ? r : 0;
}

static void a_step_that_fails_takes_back_none_before_it(void **state)
{
    const struct store_place *place = *state;
    struct console_store *store = NULL;
    char notice[512] = "";
    int64_t version = 0;
    if (!place->postgres)
        skip(); /* SQLite's steps: the test of common/database */
    assert_int_equal(console_store_write(place->store, begin_anew, NULL), 0);
    assert_true(console_store_open(place->path, &store, notice) < 0);
    assert_int_equal(console_store_read(place->store, read_schema_version, &version), 0);
    assert_int_equal(version, STEP_OF_FACETS - 1);
    assert_int_equal(console_store_write(place->store, clear_the_way, NULL), 0);
    assert_int_equal(console_store_open(place->path, &store, notice), 0);
    (void)console_store_close(store);
    assert_int_equal(console_store_read(place->store, read_schema_version, &version), 0);
    assert_int_equal(version, SCHEMA_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(puts_any_number_of_rows_together, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(undoes_only_what_failed, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(repeats_what_the_database_wants_repeated, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(asks_another_server_after_a_fail_over, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(runs_a_kind_together_and_the_rest_alone, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(runs_each_once_when_kinds_are_mixed, store_place_open,
                                        store_place_close),
        cmocka_unit_test(numbers_rise_and_tell_the_time),
        cmocka_unit_test_setup_teardown(every_page_is_served_by_an_index, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(stores_an_event_once, store_place_open, store_place_close),
        cmocka_unit_test_setup_teardown(a_step_that_fails_takes_back_none_before_it,
                                        store_place_open, store_place_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
