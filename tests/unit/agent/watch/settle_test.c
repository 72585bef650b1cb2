#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/watch/settle.h"

static struct settle settle;

static int set_up(void **state)
{
    (void)state;
    return settle_init(&settle, 42, 100, 1000);
}

static int tear_down(void **state)
{
    (void)state;
    settle_done(&settle);
    return 0;
}

static void expect(uint64_t now_ns, const char *name)
{
    struct settle_entry *entry = settle_take(&settle, now_ns);

    if (name == NULL) {
        assert_null(entry);
        return;
    }
    assert_non_null(entry);
    assert_int_equal(entry->name_length, strlen(name));
    assert_memory_equal(entry->name, name, entry->name_length);
    free(entry);
}

static void told_when_nothing_closes_them(void **state)
{
    (void)state;
    assert_int_equal(settle_deadline(&settle), UINT64_MAX);
    assert_true(settle_add(&settle, 1, 0, "a", 1, 10));
    assert_true(settle_add(&settle, 1, 0, "b", 1, 20));
    assert_int_equal(settle_deadline(&settle), 1010);
    expect(1009, NULL);
    expect(1010, "a");
    expect(1010, NULL);
    expect(1020, "b");
    assert_int_equal(settle_deadline(&settle), UINT64_MAX);
}

static void not_told_when_cancelled(void **state)
{
    (void)state;
    assert_true(settle_add(&settle, 1, 0, "a", 1, 10));
    assert_true(settle_add(&settle, 1, 0, "b", 1, 10));
    assert_true(settle_add(&settle, 2, 0, "a", 1, 10));
    assert_true(settle_add(&settle, 1, 7, "a", 1, 10));
    settle_cancel(&settle, 1, 0, "a", 1);
    settle_cancel(&settle, 1, 0, "never", 5);
    expect(UINT64_MAX, "b");
    expect(UINT64_MAX, "a");
    expect(UINT64_MAX, "a");
    expect(UINT64_MAX, NULL);
}

static void created_again_waits_anew(void **state)
{
    (void)state;
    assert_true(settle_add(&settle, 1, 0, "a", 1, 10));
    assert_true(settle_add(&settle, 1, 0, "b", 1, 20));
    assert_true(settle_add(&settle, 1, 0, "a", 1, 500));
    assert_int_equal(settle.count, 2);
    expect(1499, "b");
    expect(1499, NULL);
    expect(1500, "a");
}

static void has_a_limit(void **state)
{
    char name[16];

    (void)state;
    for (int i = 0; i < 100; i++) {
        (void)snprintf(name, sizeof(name), "%d", i);
        assert_true(settle_add(&settle, 1, 0, name, strlen(name), 10));
    }
    assert_false(settle_add(&settle, 1, 0, "more", 4, 10));
    assert_true(settle_add(&settle, 1, 0, "5", 1, 10));
    settle_cancel(&settle, 1, 0, "50", 2);
    assert_true(settle_add(&settle, 1, 0, "more", 4, 10));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(told_when_nothing_closes_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(not_told_when_cancelled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(created_again_waits_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(has_a_limit, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
