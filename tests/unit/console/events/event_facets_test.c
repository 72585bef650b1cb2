/* Facets are made once, bounded by group and module, and go with their events; at all nodes. */
#include "console/events/event_facets.h"

#include "common/limits.h"
#include "common/text/text.h"
#include "console/events/event_query.h"
#include "console/events/event_store.h"
#include "tests/unit/console/store_place.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define GROUP_A "01890a5d-ac96-774b-bcce-b302099a8051"
#define GROUP_B "01890a5d-ac96-774b-bcce-b302099a8052"

/* --- what the writer remembers */

static int ask(struct sql *sql, void *user)
{
    struct event_facet facet = {"", "watch", "new", 1};
    return event_facet_number(sql, &facet, user);
}

static int ask_and_fail(struct sql *sql, void *user)
{
    return ask(sql, user) < 0 ? -EIO : -EINVAL;
}

static int has_facet(struct sql *sql, void *user)
{
    return sql_run(sql, "SELECT 1 FROM event_facets WHERE id = $1", NULL, "n", *(int64_t *)user);
}

static void a_facet_that_was_undone_is_made_again(void **state)
{
    const struct store_place *place = *state;
    int64_t undone = 0, number = 0, again = 0;
    assert_int_equal(console_store_write(place->store, ask_and_fail, &undone), -EINVAL);
    assert_int_equal(console_store_write(place->store, ask, &number), 0);
    assert_int_equal(console_store_read(place->store, has_facet, &undone), 0);
    assert_int_equal(console_store_read(place->store, has_facet, &number), 1);
    assert_int_equal(console_store_write(place->store, ask, &again), 0);
    assert_true(again == number);
}

/* --- inventing kinds has an end, and is the inventor's own trouble */

/* Of a module in no group all but one are there. */
static int fill_module(struct sql *sql, void *user UNUSED)
{
    return sql_run(sql,
                   "INSERT INTO event_facets (id, group_id, module, kind, severity)"
                   " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)"
                   " SELECT i, '', 'storage', 'kind_' || i, 1 FROM n",
                   NULL, "n", (int64_t)LIMIT_EVENT_FACETS_MODULE - 1);
}

/* And of group A none is free. */
static int fill_group(struct sql *sql, void *user UNUSED)
{
    return sql_run(sql,
                   "INSERT INTO event_facets (id, group_id, module, kind, severity)"
                   " WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)"
                   " SELECT 10000 + i, '" GROUP_A "', 'module_' || i, 'other', 1 FROM n",
                   NULL, "n", (int64_t)LIMIT_EVENT_FACETS);
}

#define INVENTED 8
struct invented {
    int64_t numbers[INVENTED];
    char modules[INVENTED][32], kinds[INVENTED][32];
};

static int invent(struct sql *sql, void *user)
{
    static const struct event_facet facets[INVENTED] = {
        {"", "storage", "kind_1", 1},      {"", "storage", "last", 1},
        {"", "storage", "one_more", 1},    {"", "storage", "another", 1},
        {"", "watch", "honest", 1},        {GROUP_B, "storage", "honest", 1},
        {GROUP_A, "module_x", "other", 1}, {GROUP_A, "module_1", "new", 1}};
    struct invented *invented = user;
    int r = 0;
    for (size_t i = 0; r == 0 && i < INVENTED; i++) {
        AUTO_STATEMENT struct sql_statement *row = NULL;
        r = event_facet_number(sql, &facets[i], &invented->numbers[i]);
        if (r == 0)
            r = sql_run(sql, "SELECT module, kind FROM event_facets WHERE id = $1", &row, "n",
                        invented->numbers[i]);
        if (r == 1) {
            (void)text_copy(invented->modules[i], 32, sql_text(row, 0));
            (void)text_copy(invented->kinds[i], 32, sql_text(row, 1));
        }
        r = MIN(r, 0);
    }
    return r;
}

static void inventing_kinds_has_an_end(void **state)
{
    static const char *const modules[INVENTED] = {"storage", "storage", "storage", "storage",
                                                  "watch",   "storage", "other",   "other"};
    static const char *const kinds[INVENTED] = {"kind_1", "last",   "other", "other",
                                                "honest", "honest", "other", "other"};
    const struct store_place *place = *state;
    struct invented invented;
    assert_int_equal(console_store_write(place->store, fill_module, NULL), 0);
    assert_int_equal(console_store_write(place->store, fill_group, NULL), 0);
    assert_int_equal(console_store_write(place->store, invent, &invented), 0);
    for (size_t i = 0; i < INVENTED; i++) {
        assert_string_equal(invented.modules[i], modules[i]);
        assert_string_equal(invented.kinds[i], kinds[i]);
    }
}

/* Of a computer that is in no group. */
static int add_one(struct sql *sql, void *user)
{
    const uint64_t *number = user;
    const struct wire_event event = {.number = *number,
                                     .id = GROUP_A,
                                     .module = "storage",
                                     .kind = "monthly",
                                     .severity = 1,
                                     .subject = "/srv",
                                     .detail = "{}"};
    const struct event_batch batch = {.computer = 5, .epoch = "m", .events = &event, .count = 1};
    uint64_t acknowledged;
    return event_store_add(sql, &batch, &acknowledged);
}

static int remove_events(struct sql *sql, void *user UNUSED)
{
    return sql_run(sql, "DELETE FROM events", NULL, "");
}

static int count_facets(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT count(*) FROM event_facets", &row, "");
    *(int64_t *)user = sql_number(row, 0);
    return MIN(r, 0);
}

/* Those of the filter for the kind. */
static int count_shown(struct sql *sql, void *user)
{
    const struct viewer all = {.group_count = 0};
    const struct event_filter filter = {.until = INT64_MAX,
                                        .kind = "monthly",
                                        .lateral = getenv("YAGURA_TEST_STORES") != NULL};
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int64_t *count = user;
    query_init(&query);
    event_query_page(&query, &filter, &all, 10);
    int r = query_prepare(&query, sql, &row);
    *count = 0;
    for (r = r < 0 ? r : sql_step(row); r == 1; r = sql_step(row))
        ++*count;
    return r;
}

static void expect(struct console_store *store, console_store_work *count, int64_t expected)
{
    int64_t there = -1;
    assert_int_equal(console_store_read(store, count, &there), 0);
    assert_int_equal(there, expected);
}

/* Also at another node, which remembers their numbers. */
static void facets_go_with_their_events(void **state)
{
    const struct store_place *place = *state;
    struct console_store *other = NULL;
    char notice[512];
    int64_t removed = 0;
    uint64_t number = 1;
    assert_int_equal(console_store_open(place->path, &other, notice), 0);
    assert_int_equal(console_store_write(place->store, add_one, &number), 0);
    number++;
    assert_int_equal(console_store_write(other, add_one, &number), 0);
    assert_int_equal(console_store_read(place->store, event_facets_look_unused, NULL), 0);
    assert_int_equal(console_store_write(place->store, fill_module, NULL), 0);
    assert_int_equal(console_store_read(place->store, event_facets_look_unused, NULL), 1);
    assert_int_equal(console_store_write(place->store, event_facets_remove_unused, &removed), 0);
    assert_int_equal(removed, LIMIT_EVENT_FACETS_MODULE - 1);
    expect(place->store, count_shown, 2);
    assert_int_equal(console_store_write(place->store, remove_events, NULL), 0);
    assert_int_equal(console_store_write(place->store, event_facets_remove_unused, &removed), 0);
    expect(place->store, count_facets, 0);
    number++;
    assert_int_equal(console_store_write(other, add_one, &number), 0);
    number++;
    assert_int_equal(console_store_write(place->store, add_one, &number), 0);
    expect(place->store, count_shown, 2);
    other = console_store_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_facet_that_was_undone_is_made_again, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(inventing_kinds_has_an_end, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(facets_go_with_their_events, store_place_open,
                                        store_place_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
