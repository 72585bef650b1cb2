/* inspection.c: what passes, what is reported, what is refused, and with what answer. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "application/detection/inspection.h"
#include "application/runtime_area.h"

#define ATTACK "1'%20OR%20'1'='1'--%20"

static const char mitigate[] = "protection = { sql_injection = \"mitigate\"; };";

static struct inspection *open_policy(const char *policy)
{
    const struct inspection_options options = {.table_fd = -1, .policy = policy};
    struct inspection *inspection = NULL;
    struct inspection_error error = {""};
    if (inspection_open(&options, &inspection, &error) < 0)
        fail_msg("%s", error.text);
    return inspection;
}

static enum inspection_action judge(struct inspection *inspection, const char *path,
                                    const char *query, struct inspection_result *result)
{
    char event[2048];
    assert_true(
        snprintf(event, sizeof(event),
                 "{\"version\":\"2.0\",\"rawPath\":\"%s\",\"rawQueryString\":\"%s\","
                 "\"headers\":{\"host\":\"h\"},\"requestContext\":{\"http\":{\"method\":\"GET\","
                 "\"sourceIp\":\"198.51.100.7\"},\"requestId\":\"r-1\"}}",
                 path, query) < (int)sizeof(event));
    assert_int_equal(inspection_judge(inspection, event, strlen(event), 0, result), 0);
    assert_true(result->is_http);
    assert_true(span_is(result->source, "198.51.100.7"));
    return result->action;
}

static void test_modes(void **state)
{
    (void)state;
    static const struct {
        const char *policy;
        enum inspection_action action;
    } cases[] = {
        {NULL, INSPECTION_REPORT},
        {mitigate, INSPECTION_BLOCK},
        {"protection = { sql_injection = \"off\"; };", INSPECTION_PASS},
        {"detection = { exclusions = (\"route=/s* argument=id\"); };", INSPECTION_PASS},
        {"detection = { exclusions = (\"route=/other\"); };", INSPECTION_REPORT},
        {"detection = { exclusions = (\"rule=1-2\"); };", INSPECTION_REPORT},
        {"address = { allow = (\"198.51.100.0/24\"); };", INSPECTION_PASS},
        {"address = { deny = (\"198.51.100.7\"); };", INSPECTION_REPORT},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct inspection_result result;
        struct inspection *inspection = open_policy(cases[i].policy);
        assert_int_equal(judge(inspection, "/search", "id=12&q=hello+world", &result),
                         i == 7 ? INSPECTION_REPORT : INSPECTION_PASS);
        if (judge(inspection, "/search", "id=" ATTACK, &result) != cases[i].action)
            fail_msg("case %zu", i);
        inspection_free(inspection);
    }
}

/* Whether the values that functions are watched for have text in them. */
static bool has_value(const struct runtime_values *values, const char *text)
{
    assert_int_equal(values->sequence % 2, 0);
    return values->length > 0 &&
           memmem(values->records, values->length, text, strlen(text)) != NULL;
}

static void test_what_functions_are_watched_for(void **state)
{
    (void)state;
    static struct runtime_area area;
    struct inspection_result result;
    struct inspection *inspection = open_policy(
        "protection = { sql_injection = \"mitigate\"; illegal_file_access = \"mitigate\"; "
        "remote_command_execution = \"off\"; }; detection = { threshold = 6; }; "
        "runtime = { files = (\"allow:/a\", \"deny:/b*\"); correlation = false; };");
    inspection_share_policy(inspection, &area);
    assert_int_equal(area.lists[RUNTIME_FILES].mode, RUNTIME_MITIGATE);
    assert_int_equal(area.lists[RUNTIME_COMMANDS].mode, RUNTIME_OFF);
    assert_int_equal(area.lists[RUNTIME_FILES].length, 18);
    assert_memory_equal(area.lists[RUNTIME_FILES].rules, "allow:/a;deny:/b*;", 18);
    assert_int_equal(area.lists[RUNTIME_COMMANDS].length, 0);
    assert_int_equal(area.correlates, 0);

    struct runtime_values *values = &area.requests[1];
    (void)judge(inspection, "/", "a=word&b=x%3Bid&f=..%2Fup&g=%2Fetc%2Fhosts&h=a", &result);
    inspection_share_values(inspection, &result, &area, 1);
    assert_true(has_value(values, "x;id") && has_value(values, "../up") &&
                has_value(values, "/etc/hosts"));
    assert_false(has_value(values, "word"));
    /* Another request's, and none of one that the handler does not see. */
    (void)judge(inspection, "/", "a=%2Ftmp%2Fx", &result);
    inspection_share_values(inspection, &result, &area, 1);
    assert_true(has_value(values, "/tmp/x") && !has_value(values, "x;id"));
    assert_int_equal(judge(inspection, "/", "a=" ATTACK "&b=" ATTACK "&f=..%2F..%2Fetc%2Fpasswd",
                           &result),
                     INSPECTION_BLOCK);
    inspection_share_values(inspection, &result, &area, 1);
    assert_false(has_value(values, "OR"));
    assert_int_equal(values->length, 0);
    inspection_share_values(inspection, &result, &area, RUNTIME_AREA_SLOTS); /* there is no such */
    inspection_free(inspection);
}

static void test_secrets_are_masked(void **state)
{
    (void)state;
    struct inspection_result result;
    struct inspection *inspection = open_policy(mitigate);
    assert_int_equal(judge(inspection, "/", "user_password=" ATTACK, &result), INSPECTION_BLOCK);
    assert_true(span_is(result.findings[0].excerpt, "***"));
    assert_true(span_is(result.findings[0].matched, "ARGS:user_password"));
    assert_int_equal(judge(inspection, "/", "name=" ATTACK, &result), INSPECTION_BLOCK);
    assert_true(span_is(result.findings[0].excerpt, "1' OR '1'='1'-- "));
    inspection_free(inspection);
}

static void test_policies_that_are_wrong(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "protection = { sql_injection = \"block\"; };",
        "detection = { exclusions = (\"path=/a\"); };",
        "detection = { exclusions = (\"rule=9-1\"); };",
        "address = { deny = (\"10.0.0.0/33\"); };",
        "address = { deny = (\"example.com\"); };",
        "runtime = { files = (\"forbid:/etc\"); };",
        "runtime = { commands = (\"deny:a;allow:b\"); };",
        "nonsense = 1;",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        const struct inspection_options options = {.table_fd = -1, .policy = wrong[i]};
        struct inspection *inspection = NULL;
        struct inspection_error error = {""};
        assert_int_equal(inspection_open(&options, &inspection, &error), -EINVAL);
        assert_true(error.text[0] != '\0');
        assert_null(inspection);
    }
}

static void test_other_events_pass(void **state)
{
    (void)state;
    struct inspection *inspection = open_policy(mitigate);
    struct inspection_result result;
    static const char event[] = "{\"Records\":[{\"body\":\"1' OR '1'='1'-- \"}]}";
    assert_int_equal(inspection_judge(inspection, event, sizeof(event) - 1, 0, &result), 0);
    assert_false(result.is_http);
    assert_int_equal(result.action, INSPECTION_PASS);
    inspection_free(inspection);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_what_functions_are_watched_for),
        cmocka_unit_test(test_secrets_are_masked),
        cmocka_unit_test(test_policies_that_are_wrong),
        cmocka_unit_test(test_other_events_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
