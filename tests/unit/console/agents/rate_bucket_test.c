#include "console/agents/rate_bucket.h"

#include "common/time/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint64_t now_ns = 1;

uint64_t __wrap_clock_monotonic_ns(void);
uint64_t __wrap_clock_monotonic_ns(void)
{
    return now_ns;
}

static void test_one_for_all(void **state)
{
    (void)state;
    struct rate_bucket bucket;

    rate_bucket_init(&bucket, 2);
    assert_true(rate_bucket_take(&bucket) && rate_bucket_take(&bucket));
    assert_false(rate_bucket_take(&bucket));
    assert_in_range(rate_retry_seconds(), 5, 30);
    now_ns += NS_PER_SECOND / 2;
    assert_true(rate_bucket_take(&bucket));
    assert_false(rate_bucket_take(&bucket));
    /* No more than a second's stays. */
    now_ns += 100 * NS_PER_SECOND;
    assert_true(rate_bucket_take(&bucket) && rate_bucket_take(&bucket));
    assert_false(rate_bucket_take(&bucket));
}

static void test_one_for_each(void **state)
{
    (void)state;
    static struct rate_shares shares;

    rate_shares_init(&shares, 2);
    assert_true(rate_shares_take(&shares, 1) && rate_shares_take(&shares, 1));
    assert_false(rate_shares_take(&shares, 1));
    assert_true(rate_shares_take(&shares, 2) && rate_shares_take(&shares, 2));
    assert_false(rate_shares_take(&shares, 2));
    assert_false(rate_shares_take(&shares, 1));
    now_ns += NS_PER_SECOND / 2;
    assert_true(rate_shares_take(&shares, 1));
    assert_false(rate_shares_take(&shares, 1));
}

static void test_two_that_take_turns(void **state)
{
    (void)state;
    static struct rate_shares shares;
    int64_t other = 1;

    do { /* another one on the place of 1 */
        other++;
        rate_shares_init(&shares, 1);
        assert_true(rate_shares_take(&shares, 1));
    } while (rate_shares_take(&shares, other) && other < 100LL * RATE_SHARES);
    assert_false(rate_shares_take(&shares, 1));
    now_ns += NS_PER_SECOND;
    assert_true(rate_shares_take(&shares, other));
    assert_false(rate_shares_take(&shares, 1));
    assert_false(rate_shares_take(&shares, other));
}

/* Numbers of computers: each of another millisecond, the first of it. */
static void test_computers_have_places_of_their_own(void **state)
{
    (void)state;
    static struct rate_shares shares;
    size_t taken = 0;

    rate_shares_init(&shares, 1);
    for (int64_t i = 0; i < RATE_SHARES; i++)
        taken += rate_shares_take(&shares, (200000000000LL + 1000 * i) << 22);
    assert_in_range(taken, RATE_SHARES / 2, RATE_SHARES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_for_all),
                                       cmocka_unit_test(test_one_for_each),
                                       cmocka_unit_test(test_two_that_take_turns),
                                       cmocka_unit_test(test_computers_have_places_of_their_own)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
