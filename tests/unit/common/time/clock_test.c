/* common/time: the fake holds still, the text is RFC 3339. */
#include "common/time/clock.h"

#include "common/attributes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void test_the_fake_stands_still(void **state UNUSED)
{
    clock_set_fake(5, 7);
    assert_int_equal(clock_monotonic_ns(), 5);
    assert_int_equal(clock_realtime_ns(), 7);
    clock_set_fake(0, 0);
    uint64_t before = clock_monotonic_ns();
    assert_true(before > 7);
    assert_true(clock_monotonic_ns() >= before);
    assert_true(clock_realtime_ns() > 1700000000 * NS_PER_SECOND);
}

static void check_text(uint64_t ns, const char *expected)
{
    char text[CLOCK_TEXT_BYTES];

    clock_format(text, ns);
    assert_string_equal(text, expected);
}

static void test_text_is_rfc_3339(void **state UNUSED)
{
    check_text(0, "1970-01-01T00:00:00.000Z");
    check_text(951782400 * NS_PER_SECOND + 999999999, "2000-02-29T00:00:00.999Z");
    check_text(1795309323 * NS_PER_SECOND + 456 * NS_PER_MS, "2026-11-22T01:02:03.456Z");
    check_text(UINT64_MAX, "2554-07-21T23:34:33.709Z");
}

static void test_timespec_both_ways(void **state UNUSED)
{
    struct timespec time = timespec_from_ns(1234567890123456789);

    assert_int_equal(time.tv_sec, 1234567890);
    assert_int_equal(time.tv_nsec, 123456789);
    assert_true(timespec_to_ns(time) == 1234567890123456789);
}

static void test_a_deadline_is_real_and_saturates(void **state UNUSED)
{
    struct timespec now, deadline;

    clock_set_fake(5, 7);
    assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &now), 0);
    deadline = clock_deadline(NS_PER_SECOND);
    clock_set_fake(0, 0);
    assert_true(timespec_to_ns(deadline) >= timespec_to_ns(now) + NS_PER_SECOND);
    assert_true(timespec_to_ns(clock_deadline(UINT64_MAX)) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_fake_stands_still),
        cmocka_unit_test(test_text_is_rfc_3339),
        cmocka_unit_test(test_timespec_both_ways),
        cmocka_unit_test(test_a_deadline_is_real_and_saturates),
    };

    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
