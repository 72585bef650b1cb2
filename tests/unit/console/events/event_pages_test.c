/* Pages of events by facets: the same as a scan would give, for everybody, also while a computer
 * changes its group. */
#include "common/database/database.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "console/events/event_moves.h"
#include "console/events/event_query.h"
#include "console/events/event_store.h"
#include "console/store/schema.h"
#include "tests/unit/console/computer_row.h"
#include "tests/unit/console/store_place.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define GROUP_A    "01890a5d-ac96-774b-bcce-b302099a8051"
#define GROUP_B    "01890a5d-ac96-774b-bcce-b302099a8052"
#define COMPUTERS  6 /* 1 and 2 in A, 3 and 4 in B, 5 and 6 in none */
#define EVENTS     400
#define PAGE_MOST  64
#define SEVERITIES 5

static const char *const MODULES[] = {"watch", "malware", "agent"};
static const char *const KINDS[] = {"one", "two", "three", "four"};

static int add_computer(struct sql *sql, int64_t number)
{
    const struct computer_row row = {.number = number,
                                     .group_id = number <= 2   ? GROUP_A
                                                 : number <= 4 ? GROUP_B
                                                               : NULL};
    return computer_row_add(sql, &row);
}

/* Unevenly: some kinds are rare, the first computers are quiet at the end. */
static int add_events(struct sql *sql, void *user UNUSED)
{
    int r = 0;
    uint64_t acknowledged;
    for (int64_t i = 1; r == 0 && i <= COMPUTERS; i++)
        r = add_computer(sql, i);
    for (uint64_t i = 1; r == 0 && i <= EVENTS; i++) {
        struct wire_event event = {.number = i,
                                   .id = GROUP_A,
                                   .module = MODULES[i % 7 % 3],
                                   .kind = KINDS[i % 31 == 0 ? 3 : i % 3],
                                   .severity = (unsigned)(i * i % 11 % SEVERITIES),
                                   .subject = "/srv",
                                   .detail = "{}"};
        struct event_batch batch = {.computer = (int64_t)(i > 300 ? 3 + i % 4 : 1 + i % 6),
                                    .epoch = "e",
                                    .events = &event,
                                    .count = 1};
        r = event_store_add(sql, &batch, &acknowledged);
    }
    return r;
}

struct page {
    const struct event_filter *filter;
    const struct viewer *viewer;
    int64_t limit;
    bool lateral; /* of the database */
    int64_t numbers[PAGE_MOST];
    size_t count;
};

static int read_numbers(struct query *query, struct sql *sql, struct page *page)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = query_prepare(query, sql, &row);
    page->count = 0;
    while (r == 0 && (r = sql_step(row)) == 1) {
        page->numbers[page->count++] = sql_number(row, 0);
        r = 0;
    }
    return r;
}

static int read_page(struct sql *sql, void *user)
{
    struct page *page = user;
    AUTO_QUERY struct query query;
    query_init(&query);
    struct event_filter filter = *page->filter;
    filter.lateral = page->lateral;
    event_query_page(&query, &filter, page->viewer, page->limit);
    return read_numbers(&query, sql, page);
}

/* Without any index's help. */
static int scan(struct sql *sql, void *user)
{
    struct page *page = user;
    const struct event_filter *filter = page->filter;
    AUTO_QUERY struct query query;
    query_init(&query);
    query_add(&query, "SELECT number FROM events WHERE number >= ");
    query_add_number(&query, filter->from);
    query_add(&query, " AND number < ");
    query_add_number(&query, filter->until);
    if (filter->subject == EVENTS_OF_COMPUTER) {
        query_add(&query, " AND computer = (SELECT number FROM computers WHERE id = ");
        query_add_text(&query, filter->id);
        query_add(&query, ")");
    }
    if (filter->module) {
        query_add(&query, " AND module = ");
        query_add_text(&query, filter->module);
    }
    if (filter->kind) {
        query_add(&query, " AND kind = ");
        query_add_text(&query, filter->kind);
    }
    for (int i = 0; i < EVENT_SEVERITIES; i++) {
        if (filter->by_severity && !filter->severities[i]) {
            query_add(&query, " AND severity <> ");
            query_add_number(&query, i);
        }
    }
    viewer_limit_computers(page->viewer, "computer", &query.text);
    query_add(&query, " ORDER BY number DESC LIMIT ");
    query_add_number(&query, page->limit);
    return read_numbers(&query, sql, page);
}

static void compare(struct console_store *store, const struct event_filter *filter,
                    const struct viewer *viewer)
{
    for (int64_t limit = 1; limit <= PAGE_MOST; limit = limit * 6 + 1) {
        struct page got = {.filter = filter,
                           .viewer = viewer,
                           .limit = limit,
                           .lateral = console_store_is_shared(store)},
                    wanted = got;
        assert_int_equal(console_store_read(store, read_page, &got), 0);
        assert_int_equal(console_store_read(store, scan, &wanted), 0);
        assert_int_equal(got.count, wanted.count);
        assert_memory_equal(got.numbers, wanted.numbers, wanted.count * sizeof(got.numbers[0]));
    }
}

/* All filters, from the newest on and from the middle. */
static void compare_all(struct console_store *store, const struct viewer *viewer)
{
    struct event_filter all = {.until = INT64_MAX};
    struct page newest = {.filter = &all, .viewer = viewer, .limit = PAGE_MOST};
    assert_int_equal(console_store_read(store, scan, &newest), 0);
    int64_t middle = newest.count ? newest.numbers[newest.count / 2] : 1;
    const int64_t ranges[][2] = {{0, INT64_MAX}, {0, middle}, {middle, INT64_MAX}};
    for (size_t range = 0; range < ARRAY_LENGTH(ranges); range++) {
        for (unsigned severities = 0; severities < 1U << SEVERITIES; severities += 11) {
            struct event_filter filter = {.by_severity = severities != 0,
                                          .from = ranges[range][0],
                                          .until = ranges[range][1]};
            for (int i = 0; i < SEVERITIES; i++)
                filter.severities[i] = severities >> i & 1;
            for (unsigned names = 0; names < 4; names++) {
                filter.module = names & 1 ? MODULES[severities % 3] : NULL;
                filter.kind = names & 2 ? KINDS[severities % 4] : NULL;
                filter.subject = EVENTS_OF_ALL;
                compare(store, &filter, viewer);
                filter.subject = EVENTS_OF_COMPUTER;
                filter.id = severities % 2 ? "c1" : "c3";
                compare(store, &filter, viewer);
            }
        }
    }
}

static void limit_to(struct viewer *viewer, const char *group)
{
    (void)text_copy(viewer->groups[viewer->group_count++], UUID_TEXT_BYTES, group);
}

static void pages_are_what_a_scan_would_give(void **state)
{
    const struct store_place *place = *state;
    struct viewer all = {.group_count = 0}, one = all, both = all;
    limit_to(&one, GROUP_A);
    limit_to(&both, GROUP_A);
    limit_to(&both, GROUP_B);
    assert_int_equal(console_store_write(place->store, add_events, NULL), 0);
    compare_all(place->store, &all);
    compare_all(place->store, &one);
    compare_all(place->store, &both);
}

/* Computer 2 goes from A to B. */
static int change_group(struct sql *sql, void *user UNUSED)
{
    int r =
        sql_run(sql, "UPDATE computers SET group_id = '" GROUP_B "' WHERE number = 2", NULL, "");
    return r < 0 ? r : event_moves_begin(sql, 2);
}

static int settle(struct sql *sql, void *user UNUSED)
{
    return sql_run(sql, "UPDATE event_moves SET since_ms = 1", NULL, "");
}

static int count_moves(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT count(*) FROM event_moves", &row, "");
    *(int64_t *)user = sql_number(row, 0);
    return r < 0 ? r : 0;
}

static void a_computer_takes_its_history_along(void **state)
{
    const struct store_place *place = *state;
    struct viewer a = {.group_count = 0}, b = a;
    int64_t moves = 1;
    limit_to(&a, GROUP_A);
    limit_to(&b, GROUP_B);
    assert_int_equal(console_store_write(place->store, add_events, NULL), 0);
    assert_int_equal(console_store_write(place->store, change_group, NULL), 0);
    /* Nothing has moved, and A sees nothing of it any more, and all of the others'. */
    compare_all(place->store, &a);
    while (event_moves_go_on(place->store) == 1)
        continue;
    compare_all(place->store, &a);
    compare_all(place->store, &b);
    /* One more look for what came late. */
    assert_int_equal(console_store_read(place->store, count_moves, &moves), 0);
    assert_int_equal(moves, 1);
    assert_int_equal(console_store_write(place->store, settle, NULL), 0);
    while (event_moves_go_on(place->store) == 1)
        continue;
    assert_int_equal(console_store_read(place->store, count_moves, &moves), 0);
    assert_int_equal(moves, 0);
    compare_all(place->store, &b);
}

/* Computer 3 of group B has the newest events. */
static int remove_newest(struct sql *sql, void *user UNUSED)
{
    int r = sql_run(sql, "DELETE FROM computers WHERE number = 3", NULL, "");
    return r < 0 ? r : event_moves_begin(sql, 3);
}

static int find_in_groups(struct sql *sql, void *user UNUSED)
{
    return sql_run(sql,
                   "SELECT 1 FROM events, event_facets WHERE event_facets.id = events.facet AND"
                   " events.computer = 3 AND event_facets.group_id <> '' LIMIT 1",
                   NULL, "");
}

static void who_is_removed_hides_nobody(void **state)
{
    const struct store_place *place = *state;
    struct viewer all = {.group_count = 0}, b = all;
    limit_to(&b, GROUP_B);
    assert_int_equal(console_store_write(place->store, add_events, NULL), 0);
    assert_int_equal(console_store_write(place->store, remove_newest, NULL), 0);
    compare_all(place->store, &b);
    while (event_moves_go_on(place->store) == 1)
        continue;
    assert_int_equal(console_store_read(place->store, find_in_groups, NULL), 0);
    compare_all(place->store, &b);
    compare_all(place->store, &all);
}

/* As a node does that knows no facets. */
static int take_facets(struct sql *sql, void *user UNUSED)
{
    return sql_run(sql, "UPDATE events SET facet = 0 WHERE number % 3 = 0", NULL, "");
}

static void an_event_without_a_facet_gets_one(void **state)
{
    const struct store_place *place = *state;
    struct viewer a = {.group_count = 0};
    limit_to(&a, GROUP_A);
    assert_int_equal(console_store_write(place->store, add_events, NULL), 0);
    assert_int_equal(console_store_write(place->store, take_facets, NULL), 0);
    while (event_moves_go_on(place->store) == 1)
        continue;
    compare_all(place->store, &a);
}

/* --- a database from before there were facets */

#define VERSION_WITHOUT 6

static void execute(struct database *database, const char *text)
{
    assert_int_equal(database_execute(database, text), 0);
}

static void fill_old_one(const char *path)
{
    struct database *database;
    struct database_options options = {.path = path,
                                       .migrations = SCHEMA_SQLITE,
                                       .migration_count = VERSION_WITHOUT};
    enum database_origin origin;
    char moved_to[4096];
    assert_int_equal(database_open(&options, &database, &origin, moved_to), 0);
    execute(database,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6)"
            " INSERT INTO computers (number, id, org_id, state, hostname, display_name, os,"
            " agent_version, address, machine_id, instance_id, session, retired_session,"
            " blocked_session, session_ms, group_id, tags, token_id, certificate,"
            " certificate_expires_ms, activated_ms, last_seen_ms, policy_digest, policy_revision,"
            " applied_digest, applied_problem, facts) SELECT i, i, 1, 'active', 'h', '', '', '',"
            " '', '', '', '', '', '', 0, CASE WHEN i < 3 THEN '" GROUP_A "' WHEN i < 5 THEN"
            " '" GROUP_B "' END, '', '', i, 0, 0, 0, '', 0, '', '', '{}' FROM n");
    /* Some of a computer that is gone. */
    execute(database,
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400)"
            " INSERT INTO events (number, org_id, computer, id, epoch, agent_number, time_ms,"
            " module, kind, severity, subject, detail) SELECT i, 1, 1 + i % 7, 'i', 'e', i, 0,"
            " CASE i % 3 WHEN 0 THEN 'watch' WHEN 1 THEN 'malware' ELSE 'agent' END,"
            " CASE i % 4 WHEN 0 THEN 'one' WHEN 1 THEN 'two' WHEN 2 THEN 'three' ELSE 'four' END,"
            " i * i % 11 % 5, '', '{}' FROM n");
    (void)database_close(database);
}

static void what_was_stored_before_gets_its_facets(void **state UNUSED)
{
    char folder[] = "/tmp/yagura-old-XXXXXX", path[64], notice[512];
    struct console_store *store;
    struct viewer all = {.group_count = 0}, one = all;
    limit_to(&one, GROUP_A);
    assert_non_null(mkdtemp(folder));
    (void)text_format(path, sizeof(path), "%s/console.db", folder);
    fill_old_one(path);
    assert_int_equal(console_store_open(path, &store, notice), 0);
    compare_all(store, &all);
    compare_all(store, &one);
    (void)console_store_close(store);
    assert_int_equal(file_remove_tree(AT_FDCWD, folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_are_what_a_scan_would_give, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(a_computer_takes_its_history_along, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(who_is_removed_hides_nobody, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(an_event_without_a_facet_gets_one, store_place_open,
                                        store_place_close),
        cmocka_unit_test(what_was_stored_before_gets_its_facets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
