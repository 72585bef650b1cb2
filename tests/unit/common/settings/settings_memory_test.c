/* settings.c, schema.c: every allocation of ours may fail; nothing is half read or leaked. */
#include "common/buffers/buffer.h"
#include "common/settings/schema.h"
#include "tests/unit/support/failing_allocator.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static const struct settings_rule rules[] = {
    {"on", SETTINGS_BOOL, "true", "", "a switch"},
    {"group.size", SETTINGS_SIZE, "1M", "1K..1G", "a size"},
    {"group.name", SETTINGS_TEXT, "none", "text", "a text"},
    {"group.choice", SETTINGS_CHOICE, "a", "a|b", "a choice"},
    {"group.list", SETTINGS_LIST, "x|y", "text", "a list"},
};

static const char text[] = "on = false;\n"
                           "group = { size = \"64K\"; name = \"n\"; choice = \"b\";\n"
                           "  list = (\"one\", \"two\", \"three\"); };\n";

static int read_all(struct settings_value *values)
{
    struct settings *settings = NULL;
    struct settings_error error;

    int r = settings_parse("test", text, &settings, &error);
    if (r < 0)
        return r;
    r = settings_read(settings, rules, ARRAY_LENGTH(rules), true, values, &error);
    settings_free(settings);
    return r;
}

static int attempt_reading(void *user UNUSED)
{
    struct settings_value values[ARRAY_LENGTH(rules)] = {0};

    int r = read_all(values);
    if (r < 0)
        return r;
    assert_int_equal(values[1].number, 65536);
    assert_int_equal(values[4].length, 3);
    settings_values_done(values, ARRAY_LENGTH(rules));
    return 0;
}

static int work_with(const struct settings_value *list)
{
    struct settings_value copy = {0}, fallback = {0};

    int r = settings_value_copy(list, &copy);
    if (r == 0)
        r = settings_fallback(&rules[4], &fallback);
    if (r == 0)
        r = settings_value_extend(&copy, &fallback);
    AUTO_FREE char *shown = r == 0 ? settings_value_show(&rules[4], &copy) : NULL;
    if (r == 0 && shown == NULL)
        r = -ENOMEM;
    if (r == 0)
        assert_string_equal(shown, "(\"x\", \"y\", \"one\", \"two\", \"three\")");
    settings_value_done(&copy);
    settings_value_done(&fallback);
    return r;
}

static int attempt_working(void *user)
{
    return work_with(user);
}

static void test_reading_survives_out_of_memory(void **state UNUSED)
{
    assert_true(failing_allocator_each(attempt_reading, NULL) >= 7);
}

static void test_copies_survive_out_of_memory(void **state UNUSED)
{
    struct settings_value values[ARRAY_LENGTH(rules)] = {0};

    assert_int_equal(read_all(values), 0);
    assert_true(failing_allocator_each(attempt_working, &values[4]) >= 7);
    settings_values_done(values, ARRAY_LENGTH(rules));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading_survives_out_of_memory),
        cmocka_unit_test(test_copies_survive_out_of_memory),
    };

    return cmocka_run_group_tests_name("settings_memory", tests, NULL, NULL);
}
