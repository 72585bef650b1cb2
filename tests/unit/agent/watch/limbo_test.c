#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "agent/watch/limbo.h"

static struct limbo_node node(uint32_t number)
{
    return (struct limbo_node){.number = number, .generation = 1};
}

static void pairs_by_cookie(void **state)
{
    struct limbo *limbo = calloc(1, sizeof(*limbo));

    (void)state;
    assert_non_null(limbo);
    assert_int_equal(limbo_add_moved(limbo, node(10), 100, 0).number, 0);
    assert_int_equal(limbo_add_moved(limbo, node(11), 101, 0).number, 0);
    assert_int_equal(limbo_take_moved(limbo, 102).number, 0);
    assert_int_equal(limbo_take_moved(limbo, 0).number, 0);
    assert_int_equal(limbo_take_moved(limbo, 101).number, 11);
    assert_int_equal(limbo_take_moved(limbo, 101).number, 0);
    assert_int_equal(limbo_take_moved(limbo, 100).number, 10);
    assert_int_equal(limbo_deadline(limbo), UINT64_MAX);
    free(limbo);
}

static void gives_up_in_time(void **state)
{
    struct limbo *limbo = calloc(1, sizeof(*limbo));

    (void)state;
    assert_non_null(limbo);
    (void)limbo_add_moved(limbo, node(10), 100, 1000);
    (void)limbo_add_moved(limbo, node(11), 101, 2000);
    (void)limbo_add_moved(limbo, node(12), 102, 3000);
    assert_int_equal(limbo_deadline(limbo), 1000 + LIMBO_WAIT_NS);
    assert_int_equal(limbo_take_expired(limbo, 999 + LIMBO_WAIT_NS).number, 0);
    assert_int_equal(limbo_take_expired(limbo, 1000 + LIMBO_WAIT_NS).number, 10);
    assert_int_equal(limbo_take_moved(limbo, 101).number, 11);
    /* The hole that 11 left is passed over. */
    assert_int_equal(limbo_deadline(limbo), 3000 + LIMBO_WAIT_NS);
    assert_int_equal(limbo_take_expired(limbo, UINT64_MAX).number, 12);
    assert_int_equal(limbo_take_expired(limbo, UINT64_MAX).number, 0);
    free(limbo);
}

static void displaced_are_found_by_the_name_they_had(void **state)
{
    struct limbo *limbo = calloc(1, sizeof(*limbo));
    struct limbo_entry entry = {
        .node = node(10), .parent = 5, .parent_generation = 2, .name_hash = 77};

    (void)state;
    assert_non_null(limbo);
    (void)limbo_add_displaced(limbo, &entry, 0);
    assert_int_equal(limbo_take_displaced(limbo, 5, 1, 77).number, 0);
    assert_int_equal(limbo_take_displaced(limbo, 5, 2, 78).number, 0);
    assert_int_equal(limbo_take_moved(limbo, 0).number, 0);
    assert_int_equal(limbo_take_displaced(limbo, 5, 2, 77).number, 10);
    assert_int_equal(limbo_take_displaced(limbo, 5, 2, 77).number, 0);
    free(limbo);
}

static void a_full_limbo_gives_back_the_oldest(void **state)
{
    struct limbo *limbo = calloc(1, sizeof(*limbo));

    (void)state;
    assert_non_null(limbo);
    for (uint32_t i = 0; i < LIMBO_ENTRIES; i++)
        assert_int_equal(limbo_add_moved(limbo, node(i + 1), i + 1, i).number, 0);
    assert_int_equal(limbo_add_moved(limbo, node(5000), 5000, 9999).number, 1);
    assert_int_equal(limbo_take_moved(limbo, 5000).number, 5000);
    assert_int_equal(limbo_take_moved(limbo, 2).number, 2);
    free(limbo);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_by_cookie),
        cmocka_unit_test(gives_up_in_time),
        cmocka_unit_test(displaced_are_found_by_the_name_they_had),
        cmocka_unit_test(a_full_limbo_gives_back_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
