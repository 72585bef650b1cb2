/* The index of events by computer that is filled behind: what waits is found, entered when enough
 * waits, and at once when its number is of the past; what is removed is removed from it, too. */
#include "console/events/computer_index.h"

#include "common/text/text.h"
#include "console/events/event_query.h"
#include "console/events/event_store.h"
#include "tests/unit/console/computer_row.h"
#include "tests/unit/console/store_place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>

#define COMPUTERS 7

struct batch {
    uint64_t first, count;
    bool fails;
};

/* A event each for the computers 1 to 7 in turn. */
static int add(struct sql *sql, void *user)
{
    const struct batch *batch = user;
    int r = 0;
    for (uint64_t i = batch->first; r == 0 && i < batch->first + batch->count; i++) {
        struct wire_event event = {.number = i,
                                   .id = "i",
                                   .module = i % 2 ? "watch" : "agent",
                                   .kind = "k",
                                   .severity = (unsigned)(i % 3),
                                   .subject = "",
                                   .detail = "{}"};
        struct event_delivery delivery = {.batch = {.computer = (int64_t)(i % COMPUTERS) + 1,
                                                    .epoch = "e",
                                                    .events = &event,
                                                    .count = 1,
                                                    .group = ""}};
        r = event_store_add_many(sql, &delivery, 1);
    }
    return r == 0 && batch->fails ? -ECANCELED : r;
}

static void add_events(const struct store_place *place, uint64_t first, uint64_t count)
{
    struct batch batch = {.first = first, .count = count};
    assert_int_equal(console_store_write(place->store, add, &batch), 0);
}

static int run_text(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    int r = sql_prepare_once(sql, user, &statement);
    return r < 0 ? r : sql_step(statement);
}

static void execute(const struct store_place *place, const char *text)
{
    assert_int_equal(console_store_write(place->store, run_text, (void *)(uintptr_t)text), 0);
}

static int count_rows(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT count(*), sum(EXISTS (SELECT 1 FROM events AS e WHERE"
                    " e.number = i.number AND e.computer = i.computer"
                    " AND e.severity = i.severity)) FROM index_events AS i",
                    &row, "");
    if (r != 1)
        return -EIO;
    assert_int_equal(sql_number(row, 0), sql_number(row, 1));
    *(int64_t *)user = sql_number(row, 0);
    return 0;
}

static int64_t entered(const struct store_place *place)
{
    int64_t rows = -1;
    assert_int_equal(console_store_read(place->store, count_rows, &rows), 0);
    return rows;
}

static int add_computer(struct sql *sql, void *user UNUSED)
{
    const struct computer_row row = {.number = 3};
    return computer_row_add(sql, &row);
}

struct page {
    struct event_filter filter;
    int64_t rows;
};

static int read_page(struct sql *sql, void *user)
{
    struct page *page = user;
    const struct viewer all = {.group_count = 0};
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int64_t last = INT64_MAX;
    query_init(&query);
    event_query_page(&query, &page->filter, &all, 100000);
    int r = query_prepare(&query, sql, &row);
    for (page->rows = 0; r == 0 && (r = sql_step(row)) == 1; page->rows++) {
        assert_true(sql_number(row, 0) < last);
        last = sql_number(row, 0);
        r = 0;
    }
    return r;
}

/* Events of the computer 3 on its page: all, those of a module, those of two severities. */
static void pages_have(const struct store_place *place, int64_t all, int64_t module,
                       int64_t severities)
{
    struct page page = {.filter = {.subject = EVENTS_OF_COMPUTER, .id = "c3", .until = INT64_MAX}};
    assert_int_equal(console_store_read(place->store, read_page, &page), 0);
    assert_int_equal(page.rows, all);
    page.filter.module = "watch";
    assert_int_equal(console_store_read(place->store, read_page, &page), 0);
    assert_int_equal(page.rows, module);
    page.filter.module = NULL;
    page.filter.by_severity = page.filter.severities[0] = page.filter.severities[2] = true;
    assert_int_equal(console_store_read(place->store, read_page, &page), 0);
    assert_int_equal(page.rows, severities);
}

/* How many of those below end are what: as pages_have has to say it. */
static void pages_have_all_below(const struct store_place *place, uint64_t end)
{
    int64_t all = 0, module = 0, severities = 0;
    for (uint64_t i = 1; i < end; i++) {
        bool own = i % COMPUTERS + 1 == 3;
        all += own;
        module += own && i % 2;
        severities += own && i % 3 != 1;
    }
    pages_have(place, all, module, severities);
}

static void what_waits_is_found_and_entered_later(void **state)
{
    const struct store_place *place = *state;
    if (place->postgres)
        skip();
    assert_int_equal(console_store_write(place->store, add_computer, NULL), 0);
    add_events(place, 1, 1); /* what waits is not known: it is entered */
    int64_t first = entered(place);
    assert_int_equal(first, 1);
    add_events(place, 2, 999);
    assert_int_equal(entered(place), first);
    pages_have_all_below(place, 1001);
    add_events(place, 1001, COMPUTER_INDEX_WAITING - 1000);
    assert_int_equal(entered(place), first);
    add_events(place, COMPUTER_INDEX_WAITING + 1, 1);
    assert_int_equal(entered(place), COMPUTER_INDEX_WAITING + 1);
    add_events(place, COMPUTER_INDEX_WAITING + 2, 10);
    assert_int_equal(entered(place), COMPUTER_INDEX_WAITING + 1);
    pages_have_all_below(place, COMPUTER_INDEX_WAITING + 12);
}

/* Steps of SQLite's machine for a page, on a connection of the test's own. */
static int steps_of_page(const struct store_place *place, const struct event_filter *filter)
{
    const struct viewer all = {.group_count = 0};
    AUTO_QUERY struct query query;
    sqlite3 *database;
    sqlite3_stmt *page;
    query_init(&query);
    event_query_page(&query, filter, &all, 50);
    assert_int_equal(sqlite3_open(place->path, &database), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(database, buffer_text(&query.text), -1, &page, NULL),
                     SQLITE_OK);
    for (int i = 0; i < query.count; i++) {
        const char *text = query.parameters[i].text;
        assert_int_equal(text ? sqlite3_bind_text(page, i + 1, text, -1, SQLITE_STATIC)
                              : sqlite3_bind_int64(page, i + 1, query.parameters[i].number),
                         SQLITE_OK);
    }
    while (sqlite3_step(page) == SQLITE_ROW)
        continue;
    int steps = sqlite3_stmt_status(page, SQLITE_STMTSTATUS_VM_STEP, 0);
    assert_int_equal(sqlite3_finalize(page), SQLITE_OK);
    assert_int_equal(sqlite3_close(database), SQLITE_OK);
    return steps;
}

static void a_page_looks_through_nothing_that_is_entered(void **state)
{
    const struct store_place *place = *state;
    if (place->postgres)
        skip();
    assert_int_equal(console_store_write(place->store, add_computer, NULL), 0);
    add_events(place, 1, COMPUTER_INDEX_WAITING + 1);
    assert_int_equal(entered(place), COMPUTER_INDEX_WAITING + 1);
    execute(place, "UPDATE computers SET number = 1000"); /* who has no event */
    struct event_filter filter = {.subject = EVENTS_OF_COMPUTER, .id = "c3", .until = INT64_MAX};
    assert_in_range(steps_of_page(place, &filter), 1, COMPUTER_INDEX_WAITING / 8);
    filter.module = "watch";
    assert_in_range(steps_of_page(place, &filter), 1, COMPUTER_INDEX_WAITING / 8);
}

static void what_is_undone_or_removed_is_not_in_it(void **state)
{
    const struct store_place *place = *state;
    struct batch fails = {.first = 101, .count = COMPUTER_INDEX_WAITING + 1, .fails = true};
    if (place->postgres)
        skip();
    assert_int_equal(console_store_write(place->store, add_computer, NULL), 0);
    add_events(place, 1, 100);
    assert_int_equal(console_store_write(place->store, add, &fails), -ECANCELED);
    assert_int_equal(entered(place), 1);
    add_events(place, 101, 1); /* nothing is known any more */
    assert_int_equal(entered(place), 101);
    pages_have_all_below(place, 102);
    execute(place, "DELETE FROM events WHERE agent_number <= 60");
    assert_int_equal(entered(place), 41);
    execute(place, "DELETE FROM events");
    assert_int_equal(entered(place), 0);
    pages_have(place, 0, 0, 0);
}

static void numbers_of_the_past_are_entered_at_once(void **state)
{
    const struct store_place *place = *state;
    if (place->postgres)
        skip();
    assert_int_equal(console_store_write(place->store, add_computer, NULL), 0);
    add_events(place, 1, 10);
    execute(place, "UPDATE index_filled SET number = number + 4194304 * 3600000");
    add_events(place, 11, 700); /* more than one statement's */
    assert_int_equal(entered(place), 701);
    execute(place, "INSERT INTO index_events SELECT computer, severity, number FROM events"
                   " WHERE agent_number BETWEEN 2 AND 10");
    pages_have_all_below(place, 711);
}

static int fill(struct sql *sql, void *user)
{
    int r = computer_index_fill(sql);
    *(int *)user = r;
    return MIN(r, 0);
}

/* As after a restore from PostgreSQL: nothing is entered. */
static void it_is_filled_in_pieces(void **state)
{
    const struct store_place *place = *state;
    int more = -1;
    if (place->postgres)
        skip();
    assert_int_equal(console_store_write(place->store, add_computer, NULL), 0);
    add_events(place, 1, COMPUTER_INDEX_A_PIECE + 1);
    execute(place, "DELETE FROM index_events");
    execute(place, "UPDATE index_filled SET number = 0");
    pages_have_all_below(place, COMPUTER_INDEX_A_PIECE + 2);
    assert_int_equal(console_store_write(place->store, fill, &more), 0);
    assert_int_equal(more, 1);
    assert_int_equal(entered(place), COMPUTER_INDEX_A_PIECE);
    add_events(place, COMPUTER_INDEX_A_PIECE + 2, 1); /* goes on */
    assert_int_equal(entered(place), COMPUTER_INDEX_A_PIECE + 2);
    assert_int_equal(console_store_write(place->store, fill, &more), 0);
    assert_int_equal(more, 0);
    pages_have_all_below(place, COMPUTER_INDEX_A_PIECE + 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_waits_is_found_and_entered_later, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(a_page_looks_through_nothing_that_is_entered,
                                        store_place_open, store_place_close),
        cmocka_unit_test_setup_teardown(what_is_undone_or_removed_is_not_in_it, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(numbers_of_the_past_are_entered_at_once, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(it_is_filled_in_pieces, store_place_open,
                                        store_place_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
