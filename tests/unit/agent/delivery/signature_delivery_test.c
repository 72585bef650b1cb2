/* Which of two sets of signatures counts, and when its files are fetched. */
#include "agent/delivery/delivery_internal.h"
#include "common/time/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define AGENT   "01a20110-8b87-741b-b374-275c67b8f792"
#define OTHER   "01a20110-8b87-741b-b374-000000000000"
#define HOUR_MS 3600000ULL

static uint64_t now_ms(void)
{
    return clock_realtime_ns() / NS_PER_MS;
}

static int judge(uint64_t had_ms, uint64_t issued_ms, uint64_t expires_ms, const char *agent_id)
{
    json_t *root = json_object();
    const struct wire_signatures had = {.root = root, .agent_id = AGENT, .issued_ms = had_ms};
    const struct wire_signatures set = {.agent_id = agent_id,
                                        .issued_ms = issued_ms,
                                        .expires_ms = expires_ms};
    const char *why = NULL;

    assert_non_null(root);
    int r = signature_delivery_judge(&had, &set, AGENT, &why);
    assert_true((r == 0) == (why == NULL));
    json_decref(root);
    return r;
}

static void test_older(void **state)
{
    (void)state;
    uint64_t now = now_ms();

    assert_int_equal(judge(now, now + 1, now + HOUR_MS, AGENT), 0);
    assert_int_equal(judge(now, now, now + HOUR_MS, AGENT), 0);
    assert_int_equal(judge(now, now - 1, now + HOUR_MS, AGENT), -EALREADY);
    assert_int_equal(judge(now, now + 1, now - HOUR_MS, AGENT), -ETIME);
    assert_int_equal(judge(now, now + 1, now + HOUR_MS, OTHER), -EACCES);
}

/* Its clock was ahead once, and is right again: the set of that time does not hold off others. */
static void test_a_console_that_was_ahead(void **state)
{
    (void)state;
    uint64_t now = now_ms();

    assert_int_equal(judge(now + HOUR_MS, now, now + HOUR_MS, AGENT), 0);
    /* Clocks that differ by little are no reason to take what is older. */
    assert_int_equal(judge(now + HOUR_MS / 12, now, now + HOUR_MS, AGENT), -EALREADY);
}

/* A fleet that hears of new files at once: no tenth of the time is without hosts, or has many more
 * than its part. */
static void test_a_fleet_is_spread(void **state)
{
    (void)state;
    enum { HOSTS = 2000, PARTS = 10 };
    const uint64_t most = 600 * NS_PER_SECOND;
    unsigned hosts[PARTS] = {0};

    assert_int_equal(signature_delivery_spread(0), 0);
    for (int i = 0; i < HOSTS; i++) {
        uint64_t delay = signature_delivery_spread(most);
        assert_true(delay < most);
        hosts[delay * PARTS / most]++;
    }
    for (int i = 0; i < PARTS; i++)
        assert_in_range(hosts[i], HOSTS / PARTS / 2, HOSTS / PARTS * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_older),
                                       cmocka_unit_test(test_a_console_that_was_ahead),
                                       cmocka_unit_test(test_a_fleet_is_spread)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
