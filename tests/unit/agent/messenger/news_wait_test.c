/* When a console is asked again: the clock and the connection are the test's own. */
#include "agent/messenger/news_wait.h"

#include "agent/messenger/console_client.h"
#include "common/crypto/random.h"
#include "common/time/clock.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define HELD_S 50

static uint64_t now_ns;
static unsigned begun;
static bool refused; /* the request, with Retry-After */

int __wrap_console_client_new(const struct link_settings *settings,
                              const struct link_identity *identity,
                              struct console_client **ret_client);
int __wrap_console_client_new(const struct link_settings *settings UNUSED,
                              const struct link_identity *identity UNUSED,
                              struct console_client **ret_client)
{
    static char client;

    *ret_client = (void *)&client;
    return 0;
}

struct console_client *__wrap_console_client_free(struct console_client *client);
struct console_client *__wrap_console_client_free(struct console_client *client UNUSED)
{
    return NULL;
}

int __wrap_console_client_wait(struct console_client *client, const char *told, uint64_t seconds);
int __wrap_console_client_wait(struct console_client *client UNUSED, const char *told UNUSED,
                               uint64_t seconds UNUSED)
{
    begun++;
    return 0;
}

/* There is something, at once; or too many wait. */
bool __wrap_console_client_waited(struct console_client *client, struct console_result *ret_result,
                                  bool *ret_news);
bool __wrap_console_client_waited(struct console_client *client UNUSED,
                                  struct console_result *ret_result, bool *ret_news)
{
    *ret_result = (struct console_result){.outcome = refused ? CONSOLE_BUSY : CONSOLE_OK,
                                          .retry_after_ns = refused ? 300 * NS_PER_SECOND : 0};
    *ret_news = !refused;
    return true;
}

/* None: delays are the middle of what they may be. */
int __wrap_random_bytes(void *bytes, size_t length);
int __wrap_random_bytes(void *bytes UNUSED, size_t length UNUSED)
{
    return -EIO;
}

static void pass(uint64_t ns)
{
    now_ns += ns;
    clock_set_fake(now_ns, now_ns);
}

static uint64_t next_ns(struct news_wait *wait)
{
    struct pollfd polls[NEWS_WAIT_POLLS];
    uint64_t wait_ns;

    assert_int_equal(news_wait_polls(wait, polls, NEWS_WAIT_POLLS, &wait_ns), 0);
    return wait_ns;
}

/* A heartbeat is answered; in how many seconds it is to wait again. */
static uint64_t answer(struct news_wait *wait, size_t commands)
{
    const struct wire_heartbeat_reply reply = {.policy_digest = "",
                                               .signatures_digest = "",
                                               .group_id = "",
                                               .wait_seconds = HELD_S,
                                               .command_count = commands};

    news_wait_told(wait, &reply);
    return next_ns(wait) / NS_PER_SECOND;
}

static uint64_t beat(struct news_wait *wait, size_t commands)
{
    assert_true(next_ns(wait) == UINT64_MAX); /* not before the answer */
    return answer(wait, commands);
}

static void wait_for_news(struct news_wait *wait)
{
    unsigned before = begun;

    assert_true(news_wait_act(wait));
    assert_int_equal(begun, before + 1);
}

static void test_news_without_end_are_waited_for_less(void **state UNUSED)
{
    const uint64_t pauses[] = {0, 0, 0, 15, 30, 60, 120, 240, 450, 450}; /* s */
    struct news_wait *wait;

    pass(NS_PER_SECOND);
    assert_int_equal(news_wait_new(NULL, NULL, &wait), 0);
    assert_int_equal(beat(wait, 0), 0);
    for (size_t i = 0; i < ARRAY_LENGTH(pauses); i++) {
        wait_for_news(wait);
        assert_int_equal(beat(wait, 0), pauses[i]);
        if (pauses[i] > 0)
            assert_false(news_wait_act(wait)); /* not yet */
        pass(pauses[i] * NS_PER_SECOND);
    }
    assert_null(news_wait_free(wait));
    clock_set_fake(0, 0);
}

static void test_orders_one_after_the_other_are_not_slowed(void **state UNUSED)
{
    struct news_wait *wait;

    pass(NS_PER_SECOND);
    assert_int_equal(news_wait_new(NULL, NULL, &wait), 0);
    assert_int_equal(beat(wait, 0), 0);
    for (int i = 0; i < 10; i++) {
        wait_for_news(wait);
        assert_int_equal(beat(wait, 1), 0);
    }
    for (uint64_t i = 0; i < 4; i++) { /* what follows without one is counted anew */
        wait_for_news(wait);
        assert_int_equal(beat(wait, 0), i < 3 ? 0 : 15);
    }
    assert_null(news_wait_free(wait));
    clock_set_fake(0, 0);
}

static void test_an_order_does_not_end_what_the_console_asked_to_wait(void **state UNUSED)
{
    struct news_wait *wait;

    pass(NS_PER_SECOND);
    assert_int_equal(news_wait_new(NULL, NULL, &wait), 0);
    assert_int_equal(beat(wait, 0), 0);
    refused = true;
    assert_false(news_wait_act(wait));
    assert_int_equal(answer(wait, 1), 330);
    refused = false;
    assert_null(news_wait_free(wait));
    clock_set_fake(0, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_news_without_end_are_waited_for_less),
        cmocka_unit_test(test_orders_one_after_the_other_are_not_slowed),
        cmocka_unit_test(test_an_order_does_not_end_what_the_console_asked_to_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
