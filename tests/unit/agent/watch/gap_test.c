#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "agent/watch/gap.h"
#include "common/time/clock.h"

#define T0 (1000 * NS_PER_SECOND)

/* Loses and closes once; returns how long the walk was put off. */
static uint64_t lose_and_close(struct gap *gap, uint64_t now_ns)
{
    uint64_t delay_ns;

    assert_true(gap_note_loss(gap, T0 + now_ns, now_ns));
    delay_ns = gap->due_ns - now_ns;
    if (delay_ns > 0)
        assert_false(gap_begin_walk(gap, gap->due_ns - 1));
    assert_true(gap_begin_walk(gap, gap->due_ns));
    assert_true(gap->open);
    assert_true(gap_end_walk(gap, now_ns));
    assert_false(gap->open);
    return delay_ns;
}

static void backs_off_and_starts_anew_after_peace(void **state)
{
    static const uint64_t milliseconds[] = {0,    0,    0,     100,   200,   400,   800,  1600,
                                            3200, 6400, 12800, 25600, 51200, 60000, 60000};
    struct gap gap;
    uint64_t now_ns = NS_PER_SECOND;

    (void)state;
    gap_init(&gap);
    for (size_t i = 0; i < sizeof(milliseconds) / sizeof(*milliseconds); i++) {
        now_ns += NS_PER_MS;
        assert_int_equal(lose_and_close(&gap, now_ns), milliseconds[i] * NS_PER_MS);
    }
    now_ns += 61 * NS_PER_SECOND;
    assert_int_equal(lose_and_close(&gap, now_ns), 0);
}

static void reaches_back_to_the_last_empty_queue(void **state)
{
    struct gap gap;

    (void)state;
    gap_init(&gap);
    gap_note_drained(&gap, T0, 5 * NS_PER_SECOND);
    assert_true(gap_note_loss(&gap, T0 + 3 * NS_PER_SECOND, 8 * NS_PER_SECOND));
    assert_int_equal(gap.since_ns, T0 - 2 * NS_PER_SECOND);
    /* A second loss is part of the same gap. */
    gap_note_drained(&gap, T0 + 4 * NS_PER_SECOND, 9 * NS_PER_SECOND);
    assert_false(gap_note_loss(&gap, T0 + 5 * NS_PER_SECOND, 10 * NS_PER_SECOND));
    assert_int_equal(gap.since_ns, T0 - 2 * NS_PER_SECOND);
}

static void takes_everything_when_the_clock_was_set(void **state)
{
    struct gap gap;

    (void)state;
    gap_init(&gap);
    gap_note_drained(&gap, T0, 5 * NS_PER_SECOND);
    assert_true(gap_note_loss(&gap, T0 - 3600 * NS_PER_SECOND, 6 * NS_PER_SECOND));
    assert_int_equal(gap.since_ns, 0);
}

static void stays_open_when_more_is_lost_during_the_walk(void **state)
{
    struct gap gap;

    (void)state;
    gap_init(&gap);
    assert_true(gap_note_loss(&gap, T0, 1));
    assert_true(gap_begin_walk(&gap, 1));
    assert_false(gap_note_loss(&gap, T0, 2));
    assert_false(gap_begin_walk(&gap, 2));
    assert_false(gap_end_walk(&gap, 3));
    assert_true(gap.open);
    assert_true(gap_begin_walk(&gap, 3));
    assert_true(gap_end_walk(&gap, 4));
    assert_false(gap.open);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(backs_off_and_starts_anew_after_peace),
        cmocka_unit_test(reaches_back_to_the_last_empty_queue),
        cmocka_unit_test(takes_everything_when_the_clock_was_set),
        cmocka_unit_test(stays_open_when_more_is_lost_during_the_walk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
