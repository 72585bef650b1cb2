/* application/relay/relay_settings: what the environment says, also in the words of the product it
 * replaces. */
#include "application/relay/relay_settings.h"

#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Pairs of a name and a value, ended by NULL. */
static const char *lookup(void *user, const char *name)
{
    const char *const *pairs = user;

    for (; *pairs != NULL; pairs += 2)
        if (text_equal(pairs[0], name))
            return pairs[1];
    return NULL;
}

static char problem[256];

static int read_settings(const char *const *pairs, struct relay_settings *settings)
{
    return relay_settings_read(lookup, (void *)(uintptr_t)pairs, settings, problem);
}

static void test_lambda_alone_is_enough(void **state UNUSED)
{
    static const char *const pairs[] = {"AWS_LAMBDA_RUNTIME_API", "169.254.100.1:9001",
                                        "AWS_LAMBDA_FUNCTION_NAME", "shop", NULL};
    struct relay_settings settings;

    assert_int_equal(read_settings(pairs, &settings), 0);
    assert_string_equal(problem, "");
    assert_int_equal(settings.mode, RELAY_MODE_POLICY);
    assert_int_equal(settings.port, 9009);
    assert_int_equal(ntohs(settings.upstream.sin_port), 9001);
    assert_string_equal(settings.home, "/opt/yagura");
    assert_string_equal(settings.function_name, "shop");
    assert_int_equal(settings.budget_ns, 100 * NS_PER_MS);
    assert_false(settings.fail_closed);
    assert_false(settings.reports);
    assert_true(settings.invoke_events);
}

static void test_our_names_win(void **state UNUSED)
{
    static const char *const pairs[] = {"AWS_LAMBDA_RUNTIME_API",
                                        "127.0.0.1:9001",
                                        "YAGURA_APPLICATION_UPSTREAM",
                                        "localhost:9010",
                                        "YAGURA_APPLICATION_PORT",
                                        "9011",
                                        "YAGURA_APPLICATION_MODE",
                                        "mitigate",
                                        "TREND_AP_AGENT_ENABLED",
                                        "false",
                                        "YAGURA_APPLICATION_FAIL",
                                        "closed",
                                        "YAGURA_APPLICATION_BUDGET_MS",
                                        "7",
                                        "YAGURA_APPLICATION_READY_MS",
                                        "500",
                                        "TREND_AP_READY_TIMEOUT",
                                        "30",
                                        "YAGURA_CONSOLE_URL",
                                        "https://console.example.com:4119",
                                        NULL};
    struct relay_settings settings;

    assert_int_equal(read_settings(pairs, &settings), 0);
    assert_int_equal(ntohs(settings.upstream.sin_port), 9010);
    assert_int_equal(settings.port, 9011);
    assert_int_equal(settings.mode, RELAY_MODE_MITIGATE);
    assert_true(settings.fail_closed);
    assert_int_equal(settings.budget_ns, 7 * NS_PER_MS);
    assert_int_equal(settings.ready_ns, 500 * NS_PER_MS);
    assert_true(settings.reports);
}

static void test_the_other_products_names_are_understood(void **state UNUSED)
{
    static const char *const pairs[] = {"AWS_LAMBDA_RUNTIME_API",
                                        "127.0.0.1:9001",
                                        "TREND_AP_AGENT_ENABLED",
                                        "False",
                                        "TREND_AP_READY_TIMEOUT",
                                        "30",
                                        "TREND_AP_TRANSACTION_FINISH_TIMEOUT",
                                        "10",
                                        NULL};
    struct relay_settings settings;

    assert_int_equal(read_settings(pairs, &settings), 0);
    assert_string_equal(problem, "");
    assert_int_equal(settings.mode, RELAY_MODE_OFF);
    assert_int_equal(settings.ready_ns, 8 * NS_PER_SECOND); /* no longer than an INIT phase has */
    assert_int_equal(settings.report_ns, 10 * NS_PER_SECOND);
}

static void test_mistakes_are_told_and_never_unsafe(void **state UNUSED)
{
    static const char *const mode[] = {"AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001",
                                       "YAGURA_APPLICATION_MODE", "bolck", NULL};
    static const char *const budget[] = {"AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001",
                                         "YAGURA_APPLICATION_BUDGET_MS", "5ms", NULL};
    static const char *const port[] = {"AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001",
                                       "YAGURA_APPLICATION_PORT", "70000", NULL};
    static const char *const nothing[] = {NULL};
    struct relay_settings settings;

    assert_int_equal(read_settings(mode, &settings), 0);
    assert_int_equal(settings.mode, RELAY_MODE_REPORT);
    assert_non_null(strstr(problem, "bolck"));
    assert_int_equal(read_settings(budget, &settings), 0);
    assert_int_equal(settings.budget_ns, 100 * NS_PER_MS);
    assert_non_null(strstr(problem, "YAGURA_APPLICATION_BUDGET_MS"));
    assert_int_equal(read_settings(port, &settings), -EINVAL);
    assert_int_equal(read_settings(nothing, &settings), -EINVAL);
    assert_non_null(strstr(problem, "AWS_LAMBDA_RUNTIME_API"));
}

static void test_managed_instances_tell_of_no_invocations(void **state UNUSED)
{
    static const char *const pairs[] = {"AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001",
                                        "AWS_LAMBDA_INITIALIZATION_TYPE",
                                        "lambda-managed-instances", NULL};
    struct relay_settings settings;

    assert_int_equal(read_settings(pairs, &settings), 0);
    assert_false(settings.invoke_events);
}

static void test_addresses_are_strict(void **state UNUSED)
{
    static const char *const wrong[] = {"",          "127.0.0.1",       "127.0.0.1:",
                                        ":9001",     "127.0.0.1:0",     "127.0.0.1:65536",
                                        "host:9001", "127.0.0.1:9001 ", "127.0.0.1:+1"};
    struct sockaddr_in address;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(relay_settings_address(wrong[i], &address), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lambda_alone_is_enough),
        cmocka_unit_test(test_our_names_win),
        cmocka_unit_test(test_the_other_products_names_are_understood),
        cmocka_unit_test(test_mistakes_are_told_and_never_unsafe),
        cmocka_unit_test(test_managed_instances_tell_of_no_invocations),
        cmocka_unit_test(test_addresses_are_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
