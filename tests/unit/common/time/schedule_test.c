/* When the next time is, in UTC. */
#include "common/time/schedule.h"

#include "common/attributes.h"
#include "common/time/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define HOUR (3600 * NS_PER_SECOND)
#define DAY  (24 * HOUR)
#define NOON (1000 * DAY + 12 * HOUR)

static void windows_are_read(void **state UNUSED)
{
    unsigned begin, end;

    assert_int_equal(schedule_parse_window("22:00-05:30", &begin, &end), 0);
    assert_int_equal(begin, 22 * 60);
    assert_int_equal(end, 5 * 60 + 30);
    assert_int_equal(schedule_parse_window("", &begin, &end), 0);
    assert_int_equal(begin, end);
    static const char *const wrong[] = {"22:00",       "24:00-01:00",  "1:00-02:00",
                                        "01:00-01:00", "01:60-02:00",  "01:00-02:00x",
                                        "-",           "01:00 - 02:00"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(schedule_parse_window(wrong[i], &begin, &end), -EINVAL);
}

static void the_interval_counts_from_the_last_time(void **state UNUSED)
{
    struct schedule schedule = {.interval_ns = DAY};

    assert_int_equal(schedule_next(&schedule, NOON, NOON + HOUR), NOON + DAY);
    assert_int_equal(schedule_next(&schedule, NOON, NOON + 3 * DAY), NOON + 3 * DAY);
    assert_int_equal(schedule_next(&schedule, 0, NOON), NOON);
    schedule.interval_ns = 0;
    assert_true(schedule_next(&schedule, NOON, NOON) == UINT64_MAX);
}

static void the_window_is_waited_for(void **state UNUSED)
{
    struct schedule schedule = {.interval_ns = DAY, .begin = 22 * 60, .end = 5 * 60};

    assert_int_equal(schedule_next(&schedule, NOON, NOON + HOUR), NOON + DAY + 10 * HOUR);
    assert_false(schedule_is_open(&schedule, NOON));
    assert_true(schedule_is_open(&schedule, NOON + 11 * HOUR));
    assert_true(schedule_is_open(&schedule, NOON + 16 * HOUR));
    assert_false(schedule_is_open(&schedule, NOON + 17 * HOUR));
    /* Missed while the host slept, and the window is open: at once. */
    assert_int_equal(schedule_next(&schedule, NOON, NOON + 3 * DAY + 11 * HOUR),
                     NOON + 3 * DAY + 11 * HOUR);
}

static void hosts_differ_and_stay_within_bounds(void **state UNUSED)
{
    struct schedule schedule = {.interval_ns = DAY, .jitter_ns = HOUR, .seed = 1};
    uint64_t first = schedule_next(&schedule, NOON, NOON);
    bool differs = false;

    assert_int_equal(schedule_next(&schedule, NOON, NOON + HOUR), first);
    for (schedule.seed = 2; schedule.seed < 50; schedule.seed++) {
        uint64_t other = schedule_next(&schedule, NOON, NOON);
        assert_true(other >= NOON + DAY && other < NOON + DAY + HOUR);
        differs = differs || other != first;
    }
    assert_true(differs);
    schedule.begin = 1 * 60;
    schedule.end = 1 * 60 + 30;
    for (schedule.seed = 2; schedule.seed < 50; schedule.seed++)
        assert_true(schedule_is_open(&schedule, schedule_next(&schedule, NOON, NOON)));
}

#define MINUTE (60 * NS_PER_SECOND)

static void what_was_planned_stays(void **state UNUSED)
{
    const struct schedule schedule = {.interval_ns = DAY, .jitter_ns = HOUR, .seed = 7};
    struct schedule_plan plan = {.next_ns = 0};
    uint64_t next = schedule_plan_next(&plan, &schedule, 0, NOON);

    assert_true(next > NOON && next < NOON + HOUR);
    for (uint64_t now = NOON; now < next; now += MINUTE)
        assert_int_equal(schedule_plan_next(&plan, &schedule, 0, now), next);
    assert_int_equal(schedule_plan_next(&plan, &schedule, 0, next), next);
    assert_int_equal(schedule_plan_next(&plan, &schedule, 0, next + MINUTE), next);
    /* The clock went back. */
    assert_true(schedule_plan_next(&plan, &schedule, 0, NOON - DAY) < NOON);
}

static void the_delay_is_not_taken_for_a_time_missed(void **state UNUSED)
{
    const struct schedule schedule = {.interval_ns = DAY, .jitter_ns = HOUR, .seed = 7};
    uint64_t next = schedule_next(&schedule, NOON, NOON);

    assert_true(next > NOON + DAY + MINUTE);
    assert_int_equal(schedule_next(&schedule, NOON, NOON + DAY + MINUTE), next);
    assert_int_equal(schedule_next(&schedule, NOON, next + MINUTE), next + MINUTE);
}

/* As the callers do it: looked at every minute, for ten days; returns how often it was time. */
static unsigned times_in_ten_days(const struct schedule *schedule)
{
    struct schedule_plan plan = {.next_ns = 0};
    uint64_t last = 0;
    unsigned times = 0;

    for (uint64_t now = NOON; now < NOON + 10 * DAY; now += MINUTE) {
        if (schedule_plan_next(&plan, schedule, last, now) > now)
            continue;
        assert_true(schedule_is_open(schedule, now));
        last = now;
        times++;
    }
    return times;
}

static void every_host_has_its_turn_each_day(void **state UNUSED)
{
    struct schedule schedule = {.interval_ns = DAY - HOUR, .jitter_ns = HOUR};

    for (schedule.seed = 1; schedule.seed < 20; schedule.seed++)
        assert_in_range(times_in_ten_days(&schedule), 9, 11);
    schedule.interval_ns = 20 * HOUR;
    schedule.begin = 22 * 60;
    schedule.end = 5 * 60;
    for (schedule.seed = 1; schedule.seed < 20; schedule.seed++)
        assert_in_range(times_in_ten_days(&schedule), 8, 10);
}

static int use_utc(void **state UNUSED)
{
    (void)setenv("TZ", "UTC", 1);
    tzset();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_read),
        cmocka_unit_test(the_interval_counts_from_the_last_time),
        cmocka_unit_test(the_window_is_waited_for),
        cmocka_unit_test(hosts_differ_and_stay_within_bounds),
        cmocka_unit_test(what_was_planned_stays),
        cmocka_unit_test(the_delay_is_not_taken_for_a_time_missed),
        cmocka_unit_test(every_host_has_its_turn_each_day),
    };

    return cmocka_run_group_tests(tests, use_utc, NULL);
}
