/* Repetition: jitter, its bounds, and the bucket. */
#include "common/aws/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND 1000000000ULL

static void test_delays_are_full_jitter(void **state UNUSED)
{
    static const uint64_t most_s[] = {1, 2, 4, 8, 16, 32, 60, 60};

    for (unsigned attempt = 1; attempt <= ARRAY_LENGTH(most_s); attempt++) {
        uint64_t least = UINT64_MAX, most = 0;
        for (unsigned i = 0; i < 400; i++) {
            struct aws_retry retry = aws_retry_begin();
            uint64_t delay;
            assert_true(aws_retry_again(&retry, AWS_THROTTLED, attempt, 0, &delay));
            least = MIN(least, delay);
            most = MAX(most, delay);
        }
        assert_true(most <= most_s[attempt - 1] * SECOND);
        assert_true(most > most_s[attempt - 1] * SECOND * 8 / 10);
        assert_true(least < most_s[attempt - 1] * SECOND * 2 / 10);
    }
}

static void test_retry_after_is_the_least(void **state UNUSED)
{
    struct aws_retry retry = aws_retry_begin();
    uint64_t delay;

    assert_true(aws_retry_again(&retry, AWS_UNAVAILABLE, 1, 7 * SECOND, &delay));
    assert_in_range(delay, 7 * SECOND, 8 * SECOND);
    assert_true(aws_retry_again(&retry, AWS_UNAVAILABLE, 1, 9999 * SECOND, &delay));
    assert_in_range(delay, 60 * SECOND, 61 * SECOND);
}

static void test_only_what_passes_by_itself(void **state UNUSED)
{
    static const enum aws_outcome final[] = {AWS_OK,        AWS_NOT_CONFIGURED,  AWS_NO_CREDENTIALS,
                                             AWS_DENIED,    AWS_BAD_CREDENTIALS, AWS_REFUSED,
                                             AWS_NOT_FOUND, AWS_UNTRUSTED};
    struct aws_retry retry = aws_retry_begin();
    uint64_t delay;

    for (size_t i = 0; i < ARRAY_LENGTH(final); i++)
        assert_false(aws_retry_again(&retry, final[i], 1, 0, &delay));
    assert_int_equal(retry.tokens, AWS_RETRY_TOKENS);
}

/* A service that is down is asked less and less by a client with many calls. */
static void test_the_bucket_runs_dry_and_fills(void **state UNUSED)
{
    struct aws_retry retry = aws_retry_begin();
    unsigned repetitions = 0;
    uint64_t delay;

    while (aws_retry_again(&retry, AWS_UNREACHABLE, 1, 0, &delay))
        repetitions++;
    assert_int_equal(repetitions, 50);
    aws_retry_succeeded(&retry, 1);
    assert_true(aws_retry_again(&retry, AWS_THROTTLED, 1, 0, &delay));
    assert_false(aws_retry_again(&retry, AWS_THROTTLED, 1, 0, &delay));
    for (unsigned i = 0; i < 2 * AWS_RETRY_TOKENS; i++)
        aws_retry_succeeded(&retry, 0);
    assert_int_equal(retry.tokens, AWS_RETRY_TOKENS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays_are_full_jitter),
        cmocka_unit_test(test_retry_after_is_the_least),
        cmocka_unit_test(test_only_what_passes_by_itself),
        cmocka_unit_test(test_the_bucket_runs_dry_and_fills),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
