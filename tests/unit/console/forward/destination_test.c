/* Addresses nothing is sent to, and what a destination's settings may be. */
#include "common/text/text.h"
#include "console/forward/address_guard.h"
#include "console/forward/destination.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static bool allowed(const char *text)
{
    struct sockaddr_in four = {.sin_family = AF_INET};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &four.sin_addr) == 1)
        return address_is_allowed((const struct sockaddr *)&four);
    assert_int_equal(inet_pton(AF_INET6, text, &six.sin6_addr), 1);
    return address_is_allowed((const struct sockaddr *)&six);
}

static void addresses(void **state UNUSED)
{
    static const char *const good[] = {"127.0.0.1",   "10.1.2.3",   "192.168.1.1",
                                       "203.0.113.5", "100.64.0.1", "::1",
                                       "2001:db8::1", "fd12::1",    "::ffff:10.0.0.1"};
    static const char *const bad[] = {"169.254.169.254",   "169.254.1.1",
                                      "0.0.0.0",           "0.1.2.3",
                                      "224.0.0.1",         "255.255.255.255",
                                      "100.100.100.200",   "::",
                                      "fe80::1",           "ff02::1",
                                      "fd00:ec2::254",     "::ffff:169.254.169.254",
                                      "::169.254.169.254", "64:ff9b::a9fe:a9fe",
                                      "::ffff:0.0.0.0"};
    for (size_t i = 0; i < ARRAY_LENGTH(good); i++)
        if (!allowed(good[i]))
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        if (allowed(bad[i]))
            fail_msg("%s", bad[i]);
}

static int check(enum destination_type type, const char *settings, const char *secret)
{
    struct destination destination;
    struct wire_problem problem;
    json_t *one = json_loads(settings, 0, NULL), *two = json_loads(secret, 0, NULL);
    assert_non_null(one);
    assert_non_null(two);
    int r = destination_read(type, one, two, &destination, &problem);
    destination_done(&destination);
    json_decref(one);
    json_decref(two);
    return r;
}

static void settings(void **state UNUSED)
{
    static const char key[] = "{\"key\":\"0123456789abcdef\"}";
    assert_int_equal(check(DESTINATION_SYSLOG, "{\"host\":\"log.test\"}", "{}"), 0);
    assert_int_equal(check(DESTINATION_SYSLOG, "{\"host\":\"::1\",\"port\":1}", "{}"), 0);
    assert_int_equal(check(DESTINATION_WEBHOOK, "{\"url\":\"https://a.test:1/x?y\"}", key), 0);
    assert_int_equal(check(DESTINATION_SNS,
                           "{\"topic_arn\":\"arn:aws:sns:eu-west-1:123456789012:t\"}", "{}"),
                     0);
    static const struct {
        enum destination_type type;
        const char *settings, *secret;
    } bad[] = {
        {DESTINATION_SYSLOG, "{}", "{}"},
        {DESTINATION_SYSLOG, "{\"host\":\"a b\"}", "{}"},
        {DESTINATION_SYSLOG, "{\"host\":\"-a\"}", "{}"},
        {DESTINATION_SYSLOG, "{\"host\":\"a\",\"port\":0}", "{}"},
        {DESTINATION_SYSLOG, "{\"host\":\"a\",\"port\":65536}", "{}"},
        {DESTINATION_SYSLOG, "{\"host\":\"a\",\"authority\":\"x\"}", "{}"},
        {DESTINATION_SYSLOG, "{\"host\":\"a\",\"url\":\"x\"}", "{}"},
        {DESTINATION_SYSLOG, "{\"host\":\"a\"}", "{\"key\":\"-----BEGIN X\"}"},
        {DESTINATION_WEBHOOK, "{\"url\":\"https://a\"}", "{}"},
        {DESTINATION_WEBHOOK, "{\"url\":\"https://a\"}", "{\"key\":\"short\"}"},
        {DESTINATION_WEBHOOK, "{\"url\":\"http://a\"}", key},
        {DESTINATION_WEBHOOK, "{\"url\":\"https://\"}", key},
        {DESTINATION_WEBHOOK, "{\"url\":\"https://u:p@a/\"}", key},
        {DESTINATION_WEBHOOK, "{\"url\":\"https://a/#f\"}", key},
        {DESTINATION_WEBHOOK, "{\"url\":\"https://a/ b\"}", key},
        {DESTINATION_WEBHOOK, "{\"url\":\"file:///etc/passwd\"}", key},
        {DESTINATION_SNS, "{\"topic_arn\":\"arn:aws:sqs:eu-west-1:1:t\"}", "{}"},
        {DESTINATION_SNS, "{\"topic_arn\":\"arn:aws:sns::1:t\"}", "{}"},
        {DESTINATION_SNS, "{\"topic_arn\":\"arn:aws:sns:evil.test/:1:t\"}", "{}"},
        {DESTINATION_SNS, "{\"topic_arn\":\"arn:aws:sns:eu-west-1:1:\"}", "{}"},
        {DESTINATION_SNS, "{\"topic_arn\":\"arn:aws:sns:eu-west-1:1:t\"}",
         "{\"access_key_id\":\"A\"}"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        if (check(bad[i].type, bad[i].settings, bad[i].secret) != -EBADMSG)
            fail_msg("%s %s", bad[i].settings, bad[i].secret);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses),
        cmocka_unit_test(settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
