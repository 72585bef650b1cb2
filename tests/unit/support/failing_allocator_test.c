/* The helper that breaks others must itself be right. */
#include "tests/unit/support/failing_allocator.h"

#include "common/attributes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int three_allocations(void *user)
{
    unsigned *calls = user;
    AUTO_FREE char *first = malloc(10);
    AUTO_FREE char *second = first != NULL ? strdup("second") : NULL;
    char *text = NULL;

    (*calls)++;
    if (second == NULL || asprintf(&text, "%s %d", second, 3) < 0)
        return -ENOMEM;
    assert_string_equal(text, "second 3");
    free(text);
    return 0;
}

static void test_each_allocation_fails_in_turn(void **state UNUSED)
{
    unsigned calls = 0;

    assert_int_equal(failing_allocator_each(three_allocations, &calls), 3);
    /* Undisturbed, three failures alone and with all after, and the attempt that meets none. */
    assert_int_equal(calls, 1 + 2 * 3 + 1);
}

static void test_the_named_allocation_fails_alone(void **state UNUSED)
{
    failing_allocator_arm(2, false);
    void *first = malloc(1), *second = calloc(1, 1), *third = realloc(NULL, 1);
    size_t failed = failing_allocator_disarm();

    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    assert_int_equal(failed, 1);
    free(first);
    free(third);
}

static void test_all_after_it_fail_too(void **state UNUSED)
{
    failing_allocator_arm(1, true);
    void *first = malloc(1), *second = strndup("abc", 2);

    assert_null(first);
    assert_null(second);
    assert_int_equal(failing_allocator_disarm(), 2);
    AUTO_FREE void *after = malloc(1);
    assert_non_null(after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_allocation_fails_in_turn),
        cmocka_unit_test(test_the_named_allocation_fails_alone),
        cmocka_unit_test(test_all_after_it_fail_too),
    };

    return cmocka_run_group_tests_name("failing_allocator", tests, NULL, NULL);
}
