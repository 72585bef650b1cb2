/* The inventory of programs while memory runs out, SQLite's too: what was added stays to be
 * written, and want of memory is never taken for tampering. */
#include "agent/application_control/inventory.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "tests/unit/support/failing_allocator.h"
#include "tests/unit/support/failing_sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MOST_FAILURES 60

struct fixture {
    char folder[64], path[96], key[96];
    struct inventory *inventory;
    unsigned added; /* whose number is their digest */
};

static int open_inventory(struct fixture *fixture)
{
    char notice[512] = "";
    int r = inventory_open(fixture->path, fixture->key, &fixture->inventory, notice);

    if (r < 0)
        fixture->inventory = NULL;
    else
        assert_string_equal(notice, "");
    return r;
}

static int add(struct fixture *fixture)
{
    struct inventory_program program = {
        .size = 1, .path = "/usr/bin/program", .origin = INVENTORY_RUN, .package = ""};
    unsigned number = fixture->added;

    memcpy(program.sha256, &number, sizeof number);
    int r = inventory_add(fixture->inventory, &program);
    fixture->added += r == 1;
    return r < 0 ? r : inventory_commit(fixture->inventory);
}

/* After all that failed, one commit writes what waits. */
static void expect_all(struct fixture *fixture)
{
    if (fixture->inventory == NULL)
        assert_int_equal(open_inventory(fixture), 0);
    assert_int_equal(inventory_count(fixture->inventory), fixture->added);
    assert_int_equal(inventory_commit(fixture->inventory), 0);
    fixture->inventory = inventory_close(fixture->inventory);
    assert_int_equal(open_inventory(fixture), 0);
    assert_int_equal(inventory_count(fixture->inventory), fixture->added);
    assert_false(inventory_is_tampered(fixture->inventory));
}

static int close_and_open(struct fixture *fixture)
{
    fixture->inventory = inventory_close(fixture->inventory);
    return open_inventory(fixture);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    (void)text_copy(fixture->folder, sizeof fixture->folder, "/tmp/yagura-inventory-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    (void)text_format(fixture->path, sizeof fixture->path, "%s/programs.db", fixture->folder);
    (void)text_format(fixture->key, sizeof fixture->key, "%s/programs.key", fixture->folder);
    assert_int_equal(open_inventory(fixture), 0);
    assert_int_equal(add(fixture), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    (void)failing_allocator_disarm();
    (void)inventory_close(fixture->inventory);
    assert_int_equal(file_remove_tree(AT_FDCWD, fixture->folder), 0);
    free(fixture);
    return 0;
}

static void starve(struct fixture *fixture, int (*attempt)(struct fixture *fixture))
{
    failing_allocator_arm(0, false);
    assert_int_equal(attempt(fixture), 0);
    size_t allocations = failing_allocator_count();

    (void)failing_allocator_disarm();
    expect_all(fixture);
    assert_true(allocations > 0);
    for (size_t number = 1; number <= allocations; number += MAX(allocations / MOST_FAILURES, 1))
        for (int all_after = 0; all_after < 2; all_after++) {
            failing_allocator_arm(number, all_after != 0);
            (void)attempt(fixture);
            (void)failing_allocator_disarm();
            expect_all(fixture);
        }
}

static void what_was_added_is_written_later(void **state)
{
    starve(*state, add);
}

static void opening_forgets_nothing(void **state)
{
    starve(*state, close_and_open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_added_is_written_later, set_up, tear_down),
        cmocka_unit_test_setup_teardown(opening_forgets_nothing, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, failing_sqlite_begin, NULL);
}
