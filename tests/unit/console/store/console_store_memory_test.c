/* The console's store while memory runs out, SQLite's too: what was told to be written is there,
 * what was not is not, and it goes on afterwards. */
#include "tests/unit/console/store_place.h"

#include "common/text/text.h"
#include "tests/unit/support/failing_allocator.h"
#include "tests/unit/support/failing_sqlite.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST_FAILURES = 60, ROWS = 2 };

static int64_t names, written; /* rows that were tried, and those told to be there */

static int put(struct sql *sql, void *user)
{
    char name[24];
    (void)text_format(name, sizeof(name), "%lld", (long long)*(const int64_t *)user);
    return sql_run(sql, "INSERT INTO meta (name, value) VALUES ($1, 'x')", NULL, "t", name);
}

static int count(struct sql *sql, void *user)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT count(*) FROM meta", &row, "");
    if (r == 1)
        *(int64_t *)user = sql_number(row, 0);
    return r < 0 ? r : 0;
}

static void put_some(struct store_place *place)
{
    for (int i = 0; i < ROWS; i++) {
        int64_t name = ++names;
        int r = console_store_write(place->store, put, &name);
        if (r >= 0)
            written++;
        else
            assert_int_equal(r, -ENOMEM);
    }
}

static void read_some(struct store_place *place)
{
    int64_t rows = -1;
    int r = console_store_read(place->store, count, &rows);
    assert_true(r == 0 || r == -ENOMEM);
    if (r == 0)
        assert_int_equal(rows, written);
}

/* The store that failed goes on; the next write says that all is well again. */
static void expect_all(struct store_place *place)
{
    struct console_store_status status;
    int64_t rows = -1;
    put_some(place);
    assert_int_equal(console_store_read(place->store, count, &rows), 0);
    assert_int_equal(rows, written);
    console_store_status(place->store, &status);
    assert_int_equal(status.problem, 0);
}

static void starve(void **state, void (*attempt)(struct store_place *place))
{
    struct store_place *place = *state;
    if (place->postgres)
        skip(); /* another process' memory */
    names = written = 0;
    expect_all(place);
    attempt(place);
    failing_allocator_arm(0, false);
    attempt(place);
    size_t allocations = failing_allocator_count();
    size_t stride = MAX(allocations / MOST_FAILURES, 1);
    assert_true(allocations > 0);
    for (size_t number = 1; number <= allocations; number += stride)
        for (int all_after = 0; all_after < 2; all_after++) {
            failing_allocator_arm(number, all_after != 0);
            attempt(place);
            (void)failing_allocator_disarm();
            expect_all(place);
        }
}

static void writing_is_all_or_nothing(void **state)
{
    starve(state, put_some);
}

static void reading_is_whole_or_fails(void **state)
{
    starve(state, read_some);
}

/* It opens, or says that it cannot; the file is left as it was. */
static void open_again(struct store_place *place)
{
    char notice[512] = "";
    place->store = console_store_close(place->store);
    if (console_store_open(place->path, &place->store, notice) == 0) {
        assert_string_equal(notice, "");
        return;
    }
    (void)failing_allocator_disarm();
    assert_int_equal(console_store_open(place->path, &place->store, notice), 0);
    assert_string_equal(notice, ""); /* nothing had to be moved aside */
}

static void opening_leaves_the_file(void **state)
{
    starve(state, open_again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(writing_is_all_or_nothing, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(reading_is_whole_or_fails, store_place_open,
                                        store_place_close),
        cmocka_unit_test_setup_teardown(opening_leaves_the_file, store_place_open,
                                        store_place_close),
    };
    return cmocka_run_group_tests(tests, failing_sqlite_begin, NULL);
}
