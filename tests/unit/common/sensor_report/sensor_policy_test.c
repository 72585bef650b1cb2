/* Which text of a chain decides. */
#include "common/sensor_report/sensor_policy.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct sensor_policy *make(const char *base, const char *child)
{
    struct wire_policy_text texts[] = {{"base", base}, {"child", child}};
    const struct wire_policy wire = {
        .digest = "digest", .revision = 4, .texts = texts, .text_count = 2};
    struct sensor_policy *policy = NULL;
    char problem[256];
    assert_int_equal(sensor_policy_new(&wire, &policy, problem), 0);
    return policy;
}

static void the_child_decides(void **state UNUSED)
{
    int64_t number = 5;
    struct sensor_policy *policy = make("application = { a = \"report\"; b = \"off\"; n = 3; };",
                                        "parent = \"base\"; application = { a = \"mitigate\"; };");
    assert_string_equal(sensor_policy_text(policy, "application.a"), "mitigate");
    assert_string_equal(sensor_policy_text(policy, "application.b"), "off");
    assert_null(sensor_policy_text(policy, "application.c"));
    assert_null(sensor_policy_text(policy, "application.a.b"));
    assert_null(sensor_policy_text(policy, "application.n"));
    assert_true(sensor_policy_number(policy, "application.n", &number));
    assert_int_equal(number, 3);
    assert_false(sensor_policy_number(policy, "application.a", &number));
    assert_string_equal(sensor_policy_digest(policy), "digest");
    assert_int_equal(sensor_policy_revision(policy), 4);
    (void)sensor_policy_free(policy);
}

static void lists_replace_or_add(void **state UNUSED)
{
    struct sensor_policy *policy =
        make("x = { a = (\"1\", \"2\"); b = (\"1\"); };", "x = { a = (\"3\"); b_add = (\"2\"); };");
    assert_string_equal(sensor_policy_entry(policy, "x.a", 0), "3");
    assert_null(sensor_policy_entry(policy, "x.a", 1));
    assert_string_equal(sensor_policy_entry(policy, "x.b", 0), "1");
    assert_string_equal(sensor_policy_entry(policy, "x.b", 1), "2");
    assert_null(sensor_policy_entry(policy, "x.b", 2));
    assert_null(sensor_policy_entry(policy, "x.c", 0));
    (void)sensor_policy_free(policy);
}

static void what_does_not_parse_is_refused(void **state UNUSED)
{
    struct wire_policy_text text = {"broken", "x = ;"};
    const struct wire_policy wire = {.digest = "d", .texts = &text, .text_count = 1};
    struct sensor_policy *policy = NULL;
    char problem[256];
    assert_int_equal(sensor_policy_new(&wire, &policy, problem), -EINVAL);
    assert_non_null(strstr(problem, "broken"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_child_decides),
        cmocka_unit_test(lists_replace_or_add),
        cmocka_unit_test(what_does_not_parse_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
