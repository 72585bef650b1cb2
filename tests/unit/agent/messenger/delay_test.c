/* The bounds of every delay, and that a fleet does not come back at once. */
#include "agent/messenger/delay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND_NS 1000000000ULL
#define TRIES     2000

static void test_after_success_it_is_the_interval_more_or_less(void **state UNUSED)
{
    struct delay delay = {.interval_ns = 60 * SECOND_NS, .failures = 9};

    for (int i = 0; i < TRIES; i++)
        assert_in_range(delay_next(&delay), 54 * SECOND_NS, 66 * SECOND_NS);
    assert_int_equal(delay.failures, 0);
}

static void test_failures_double_up_to_the_cap(void **state UNUSED)
{
    uint64_t base = 15 * SECOND_NS;

    for (unsigned failures = 0; failures < 40; failures++) {
        for (int i = 0; i < 100; i++) {
            struct delay delay = {.interval_ns = 60 * SECOND_NS, .failures = failures};
            assert_in_range(delay_after_failure(&delay, 0, false), base, 2 * base);
            assert_int_equal(delay.failures, failures + 1);
        }
        base = MIN(base * 2, DELAY_LONGEST_NS / 2);
    }
}

static void test_a_wait_is_tried_again_anywhere_up_to_a_bound(void **state UNUSED)
{
    for (unsigned failures = 0; failures < 40; failures++) {
        uint64_t most =
            MIN(30 * SECOND_NS << MIN(failures > 0 ? failures - 1 : 0, 5U), DELAY_LONGEST_NS);
        uint64_t shortest = UINT64_MAX, longest = 0;
        for (int i = 0; i < 500; i++) {
            uint64_t waits = delay_of_wait(failures, 0);
            shortest = MIN(shortest, waits);
            longest = MAX(longest, waits);
        }
        assert_true(longest <= most && longest > most * 9 / 10 && shortest < most / 10);
    }
    for (int i = 0; i < TRIES; i++)
        assert_in_range(delay_of_wait(9, 100 * SECOND_NS), 100 * SECOND_NS, 120 * SECOND_NS);
    assert_true(delay_of_wait(1, UINT64_MAX) <= DELAY_LONGEST_NS * 6 / 5);
}

/* The jitter is drawn after the cap: at the cap, hosts still spread over half of it. */
static void test_at_the_cap_a_fleet_is_spread(void **state UNUSED)
{
    uint64_t least = UINT64_MAX, most = 0;

    for (int i = 0; i < TRIES; i++) {
        struct delay delay = {.interval_ns = 86400 * SECOND_NS, .failures = 1000};
        uint64_t waits = delay_after_failure(&delay, 0, false);
        least = MIN(least, waits);
        most = MAX(most, waits);
    }
    assert_true(most <= DELAY_LONGEST_NS);
    assert_true(most - least > DELAY_LONGEST_NS / 2 * 9 / 10);
}

/* Over its whole range evenly: each tenth gets a tenth, within five standard deviations. */
static void expect_even(uint64_t from, uint64_t to, uint64_t (*draw)(void))
{
    enum { TENTHS = 10, DRAWS = 20000, EXPECTED = DRAWS / TENTHS, MOST_OFF = 213 };
    int counts[TENTHS] = {0};

    for (int i = 0; i < DRAWS; i++) {
        uint64_t value = draw();
        assert_in_range(value, from, to);
        size_t tenth = (size_t)((value - from) * TENTHS / (to - from + 1));
        counts[MIN(tenth, (size_t)TENTHS - 1)]++;
    }
    for (int i = 0; i < TENTHS; i++)
        assert_in_range(counts[i], EXPECTED - MOST_OFF, EXPECTED + MOST_OFF);
}

static uint64_t draw_at_the_cap(void)
{
    struct delay delay = {.interval_ns = 60 * SECOND_NS, .failures = 30};

    return delay_after_failure(&delay, 0, false);
}

static uint64_t draw_asked_for(void)
{
    struct delay delay = {.interval_ns = 60 * SECOND_NS};

    return delay_after_failure(&delay, 100 * SECOND_NS, false);
}

static uint64_t draw_first(void)
{
    const struct delay delay = {.interval_ns = 60 * SECOND_NS};

    return delay_first(&delay);
}

static void test_the_jitter_is_even(void **state UNUSED)
{
    expect_even(DELAY_LONGEST_NS / 2, DELAY_LONGEST_NS, draw_at_the_cap);
    expect_even(100 * SECOND_NS, 120 * SECOND_NS, draw_asked_for);
    expect_even(0, 60 * SECOND_NS, draw_first);
}

static void test_the_servers_word_wins_up_to_the_cap(void **state UNUSED)
{
    for (int i = 0; i < TRIES; i++) {
        struct delay delay = {.interval_ns = 60 * SECOND_NS, .failures = 7};
        assert_in_range(delay_after_failure(&delay, 5 * SECOND_NS, true), 5 * SECOND_NS,
                        6 * SECOND_NS);
        assert_in_range(delay_after_failure(&delay, UINT64_MAX, false), DELAY_LONGEST_NS,
                        DELAY_LONGEST_NS + DELAY_LONGEST_NS / 5);
    }
}

static void test_a_lost_console_is_tried_later_by_up_to_half_an_interval(void **state UNUSED)
{
    uint64_t most = 0;

    for (int i = 0; i < TRIES; i++) {
        struct delay delay = {.interval_ns = 60 * SECOND_NS};
        uint64_t one = delay_after_failure(&delay, 0, true);
        most = MAX(most, one);
        delay = (struct delay){.interval_ns = 3600 * SECOND_NS};
        assert_in_range(delay_after_failure(&delay, 0, true), 450 * SECOND_NS,
                        900 * SECOND_NS + DELAY_LOST_MOST_NS);
    }
    assert_in_range(most, 50 * SECOND_NS, 60 * SECOND_NS);
}

/* Whenever in 30 seconds an agent finds its console gone, it is back 60 seconds after its return.
 */
static void test_after_a_short_outage_all_are_back_within_two_minutes(void **state UNUSED)
{
    for (int i = 0; i < TRIES; i++) {
        struct delay delay = {.interval_ns = 60 * SECOND_NS};
        uint64_t now = (uint64_t)i % 30 * SECOND_NS;
        for (bool lost = true; now < 30 * SECOND_NS; lost = false)
            now += delay_after_failure(&delay, 0, lost);
        assert_in_range(now, 30 * SECOND_NS, 150 * SECOND_NS);
    }
}

/* At the cap, a fleet is back within it, and not at once: a hundredth comes in no second. */
static void test_after_a_day_all_are_back_within_the_cap(void **state UNUSED)
{
    enum { SECONDS = DELAY_LONGEST_NS / SECOND_NS + 1 };
    unsigned back[SECONDS] = {0};

    for (int i = 0; i < TRIES; i++) {
        struct delay delay = {.interval_ns = 60 * SECOND_NS};
        uint64_t now = delay_first(&delay), day = 86400 * SECOND_NS;
        for (bool lost = true; now < day; lost = false)
            now += delay_after_failure(&delay, 0, lost);
        assert_true(delay.failures > 86400 / 900);
        assert_true(now - day <= DELAY_LONGEST_NS);
        assert_true(++back[(now - day) / SECOND_NS] < TRIES / 100);
    }
}

static void test_the_first_is_somewhere_in_the_first_interval(void **state UNUSED)
{
    const struct delay delay = {.interval_ns = 10 * SECOND_NS};

    for (int i = 0; i < TRIES; i++)
        assert_in_range(delay_first(&delay), 0, 10 * SECOND_NS);
}

static uint64_t draw_first_of_a_long_interval(void)
{
    const struct delay delay = {.interval_ns = 600 * SECOND_NS};

    return delay_first(&delay);
}

static void test_a_long_interval_does_not_make_the_first_late(void **state UNUSED)
{
    expect_even(0, 60 * SECOND_NS, draw_first_of_a_long_interval);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_success_it_is_the_interval_more_or_less),
        cmocka_unit_test(test_a_wait_is_tried_again_anywhere_up_to_a_bound),
        cmocka_unit_test(test_failures_double_up_to_the_cap),
        cmocka_unit_test(test_at_the_cap_a_fleet_is_spread),
        cmocka_unit_test(test_the_jitter_is_even),
        cmocka_unit_test(test_the_servers_word_wins_up_to_the_cap),
        cmocka_unit_test(test_a_lost_console_is_tried_later_by_up_to_half_an_interval),
        cmocka_unit_test(test_after_a_short_outage_all_are_back_within_two_minutes),
        cmocka_unit_test(test_after_a_day_all_are_back_within_the_cap),
        cmocka_unit_test(test_the_first_is_somewhere_in_the_first_interval),
        cmocka_unit_test(test_a_long_interval_does_not_make_the_first_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
