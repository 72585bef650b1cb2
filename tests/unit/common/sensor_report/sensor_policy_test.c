/* Which text of a chain decides. */
#include "common/sensor_report/sensor_policy.h"

#include "common/settings/settings.h"

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

static void a_section_is_a_text_of_its_own(void **state UNUSED)
{
    struct sensor_policy *policy =
        make("watch = { paths = (\"/\"); }; application = { protection = { sql_injection ="
             " \"report\"; }; address = { deny = (\"192.0.2.1\"); }; };",
             "application = { protection = { sql_injection = \"mitigate\"; }; address = { deny_add"
             " = (\"192.0.2.2\"); }; detection = { threshold = 7; }; };");
    char *text = NULL;
    struct settings *settings = NULL;
    struct settings_error error;
    const char *mode = NULL;
    int threshold = 0;
    assert_int_equal(sensor_policy_section(policy, "application", &text), 0);
    assert_int_equal(settings_parse("section", text, &settings, &error), 0);
    const config_setting_t *root = settings_root(settings);
    assert_null(config_setting_get_member(root, "watch"));
    (void)config_setting_lookup_string(config_setting_get_member(root, "protection"),
                                       "sql_injection", &mode);
    assert_string_equal(mode, "mitigate");
    (void)config_setting_lookup_int(config_setting_get_member(root, "detection"), "threshold",
                                    &threshold);
    assert_int_equal(threshold, 7);
    const config_setting_t *deny =
        config_setting_get_member(config_setting_get_member(root, "address"), "deny");
    assert_int_equal(config_setting_length(deny), 2);
    assert_string_equal(config_setting_get_string_elem(deny, 1), "192.0.2.2");
    (void)settings_free(settings);
    free(text);
    assert_int_equal(sensor_policy_section(policy, "storage", &text), 0);
    assert_string_equal(text, "");
    free(text);
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
        cmocka_unit_test(a_section_is_a_text_of_its_own),
        cmocka_unit_test(what_does_not_parse_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
