#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/watch/budget.h"

static void leaves_others_their_part(void **state)
{
    (void)state;
    assert_int_equal(budget_of(100000, 0, 0), 80000);
    assert_int_equal(budget_of(100000, 30000, 0), 50000);
    assert_int_equal(budget_of(100000, 90000, 0), 0);
    assert_int_equal(budget_of(0, 0, 0), 0);
}

static void policy_lowers_but_never_raises(void **state)
{
    (void)state;
    assert_int_equal(budget_of(100000, 0, 500), 500);
    assert_int_equal(budget_of(100000, 0, 90000), 80000);
    assert_int_equal(budget_of(UINT64_MAX, 12, 0), UINT64_MAX);
    assert_int_equal(budget_of(UINT64_MAX, 12, 7), 7);
}

static void knows_the_kernel_limit(void **state)
{
    (void)state;
    assert_true(budget_kernel_limit() > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_others_their_part),
        cmocka_unit_test(policy_lowers_but_never_raises),
        cmocka_unit_test(knows_the_kernel_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
