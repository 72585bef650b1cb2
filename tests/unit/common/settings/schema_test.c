/* schema.c: every type, bound and refusal, table-driven. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/limits.h"
#include "common/settings/schema.h"
#include "common/text/text.h"

enum { ENABLED, WORKERS, SIZE, AGE, MODE, TITLE, PATHS, SKIP, NAMES, ENDINGS, HASHES, RULES };
static const struct settings_rule rules[RULES] = {
    [ENABLED] = {"watch.enabled", SETTINGS_BOOL, "true", "", "-"},
    [WORKERS] = {"scan.workers", SETTINGS_NUMBER, "0", "0..64", "-"},
    [SIZE] = {"scan.max_file_size", SETTINGS_SIZE, "100M", "1K..2G", "-"},
    [AGE] = {"store.max_age", SETTINGS_DURATION, "90d", "1h..3650d", "-"},
    [MODE] = {"scan.reload", SETTINGS_CHOICE, "auto", "auto|overlap|sequential", "-"},
    [TITLE] = {"title", SETTINGS_TEXT, "", "text", "-"},
    [PATHS] = {"watch.paths", SETTINGS_LIST, "/srv|/home", "absolute", "-"},
    [SKIP] = {"watch.skip", SETTINGS_LIST, "", "directory", "-"},
    [NAMES] = {"watch.files", SETTINGS_LIST, "", "file", "-"},
    [ENDINGS] = {"watch.extensions", SETTINGS_LIST, "", "extension", "-"},
    [HASHES] = {"hashes", SETTINGS_LIST, "", "sha256", "-"},
};

static int read_all(const char *text, struct settings_value values[static RULES],
                    struct settings_error *error)
{
    struct settings *settings = NULL;
    int r = settings_parse("t.conf", text, &settings, error);
    if (r < 0)
        return r;
    r = settings_read(settings, rules, RULES, true, values, error);
    settings_free(settings);
    return r;
}

static void test_every_type(void **state)
{
    (void)state;
    struct settings_value values[RULES] = {0};
    struct settings_error error;
    int r = read_all(
        "title = \"Web\";\n"
        "watch = { enabled = false; paths = (\"/srv/\", \"/\");\n"
        "  skip = [\"/srv/a\", \"/var/*/tmp/\", \"node_modules\"]; files = (\"*.tmp\", \"/a/b*\"); };\n"
        "scan : { workers = 4; max_file_size = \"64M\"; reload = \"overlap\" };\n"
        "store = { max_age = 7200; };\n"
        "hashes = (\"ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef0123456789\");",
        values, &error);
    if (r < 0)
        fail_msg("%s", error.text);
    assert_true(values[ENABLED].set);
    assert_int_equal(values[ENABLED].number, 0);
    assert_int_equal(values[WORKERS].number, 4);
    assert_int_equal(values[WORKERS].line, 4);
    assert_int_equal(values[SIZE].number, 64 << 20);
    assert_int_equal(values[AGE].number, 7200ULL * 1000000000ULL);
    assert_string_equal(values[MODE].text, "overlap");
    assert_string_equal(values[TITLE].text, "Web");
    assert_int_equal(values[PATHS].length, 2);
    assert_string_equal(values[PATHS].list[0], "/srv");
    assert_string_equal(values[PATHS].list[1], "/");
    assert_null(values[PATHS].list[2]);
    assert_string_equal(values[SKIP].list[0], "/srv/a/");
    assert_string_equal(values[SKIP].list[1], "/var/*/tmp/");
    assert_string_equal(values[SKIP].list[2], "node_modules");
    assert_false(values[ENDINGS].set);
    assert_memory_equal(values[HASHES].list[0], "abcdef", 6);
    settings_values_done(values, RULES);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {"\nwatch = {\n enabld = true; };",
         "t.conf:3: watch.enabld: is not a known key; did you mean watch.enabled?"},
        {"paths = (\"/\");", "t.conf:1: paths: is not a known key; did you mean watch.paths?"},
        {"zzzzzz = 1;", "t.conf:1: zzzzzz: is not a known key; remove it"},
        {"wacth = { };", "is not a known key"},
        {"watch = 1;", "t.conf:1: watch: is not a known key"},
        {"watch = { enabled = { }; };", "watch.enabled: is not a known key"},
        {"watch = { enabled = 1; };", "watch.enabled: must be true or false"},
        {"watch = { enabled = \"true\"; };", "watch.enabled: must be true or false"},
        {"scan = { workers = \"4\"; };", "scan.workers: must be a whole number"},
        {"scan = { workers = 4.5; };", "scan.workers: must be a whole number"},
        {"scan = { workers = 65; };", "scan.workers: 65 is out of range; it must be 0..64"},
        {"scan = { workers = -1; };", "scan.workers: -1 is out of range"},
        {"scan = { max_file_size = \"3G\"; };",
         "scan.max_file_size: 3G is out of range; it must be 1K..2G"},
        {"scan = { max_file_size = \"12X\"; };", "\"12X\" is not a size such as \"64M\""},
        {"scan = { max_file_size = \"-1\"; };", "\"-1\" is not a size"},
        {"store = { max_age = \"5 days\"; };", "\"5 days\" is not a duration"},
        {"store = { max_age = 9223372036854775807L; };", "is out of range"},
        {"scan = { reload = \"both\"; };",
         "\"both\" is not known; it must be one of auto|overlap|sequential"},
        {"scan = { reload = \"auto|overlap\"; };", "is not known"},
        {"scan = { reload = \"\"; };", "\"\" is not known"},
        {"title = \"\";", "title: \"\" is empty"},
        {"watch = { paths = \"/srv\"; };", "watch.paths: must be a list such as"},
        {"watch = { paths = (\"/srv\", 5); };", "watch.paths[1]: must be a text in quotes"},
        {"watch = { paths = (\"srv\"); };", "watch.paths[0]: \"srv\" must be an absolute path"},
        {"watch = { paths = (\"/srv/../etc\"); };", "holds a . or .. part"},
        {"watch = { paths = (\"/srv//a\"); };", "holds //"},
        {"watch = { paths = (\"/${HOME}\"); };", "is not expanded"},
        {"watch = { paths = (\"/a\\x1b[2J..\", \"x\"); };", "\"x\" must be"},
        {"watch = { skip = (\"/\"); };", "would leave everything unprotected"},
        {"watch = { skip = (\"/a/**/\"); };", "holds **"},
        {"watch = { skip = (\"*\"); };", "would leave everything unprotected"},
        {"watch = { skip = (\"a/b\"); };", "must be an absolute path"},
        {"watch = { skip = (\"\"); };", "must be an absolute path"},
        {"watch = { files = (\"*\"); };", "would leave every file unprotected"},
        {"watch = { files = (\"/a/\"); };", "is a directory"},
        {"watch = { files = (\"a/b\"); };", "must be an absolute path"},
        {"watch = { extensions = (\".log\"); };", "without it"},
        {"watch = { extensions = (\"*\"); };", "plain extension"},
        {"hashes = (\"abc\");", "is not a SHA-256"},
        {"watch = { paths = (\"/a\"); paths_add = (\"/b\"); };",
         "stands beside watch.paths of line 1"},
        {"scan = { reload = 5; };", "scan.reload: must be one of its choices in quotes"},
        {"title = 5;", "title: must be a text in quotes"},
        {"watch = { enabled_add = true; };", "watch.enabled_add: is not a known key"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct settings_value values[RULES] = {0};
        struct settings_error error = {0};
        assert_int_equal(read_all(cases[i].text, values, &error), -EINVAL);
        if (strstr(error.text, cases[i].expected) == NULL)
            fail_msg("%s\n  says: %s\n  wanted: %s", cases[i].text, error.text, cases[i].expected);
        for (size_t j = 0; j < RULES; j++)
            assert_null(values[j].list);
    }
}

static const struct settings_rule groups = {"rules", SETTINGS_LIST, "", "group", "-"};

static int read_groups(const char *text, struct settings_value *value, struct settings_error *error)
{
    struct settings *settings = NULL;
    assert_int_equal(settings_parse("t.conf", text, &settings, error), 0);
    int r = settings_read(settings, &groups, 1, true, value, error);
    settings_free(settings);
    return r;
}

/* Whatever was written, one line of it is kept, which reads as the same again. */
static void test_groups_are_kept_in_one_spelling(void **state)
{
    (void)state;
    struct settings_value value = {0}, again = {0};
    struct settings_error error = {""};
    if (read_groups("rules = (\n { id = 1; big = 5000000000L; on = true;\n off = false;\n"
                    "  text = \"a \\\"b\\\"\"; deep : { x = (1, \"y\", { }); y = [1, 2]; };\n },\n"
                    " { } );",
                    &value, &error) < 0)
        fail_msg("%s", error.text);
    assert_string_equal(value.list[0],
                        "{ id = 1; big = 5000000000L; on = true; off = false; "
                        "text = \"a \\x22b\\x22\"; deep = { x = (1, \"y\", { }); y = [1, 2]; }; }");
    AUTO_FREE char *text = text_format_new("rules = ( %s );", value.list[0]);
    if (read_groups(text, &again, &error) < 0)
        fail_msg("%s", error.text);
    assert_string_equal(again.list[0], value.list[0]);
    settings_value_done(&again);
    settings_value_done(&value);
    assert_int_equal(read_groups("rules = ( \"x\" );", &value, &error), -EINVAL);
    assert_non_null(strstr(error.text, "rules[0]: must be a group"));
    assert_int_equal(read_groups("rules = ( { a = ( { b = 1.5; } ); } );", &value, &error),
                     -EINVAL);
    assert_non_null(strstr(error.text, "holds a fraction"));
}

static void test_error_texts_are_escaped(void **state)
{
    (void)state;
    struct settings_value values[RULES] = {0};
    struct settings_error error = {0};
    assert_int_equal(read_all("watch = { paths = (\"\\x1b[2J\\n\"); };", values, &error), -EINVAL);
    assert_non_null(strstr(error.text, "\\x1b[2J\\x0a"));
    assert_null(strchr(error.text, '\x1b'));
}

static void test_list_bounds(void **state)
{
    (void)state;
    char *text = malloc(1 << 20);
    assert_non_null(text);
    for (size_t count = LIMIT_SETTINGS_LIST; count <= LIMIT_SETTINGS_LIST + 1; count++) {
        size_t length = (size_t)text_format(text, 1 << 20, "watch = { paths = (");
        for (size_t i = 0; i < count; i++)
            length += (size_t)text_format(text + length, (1 << 20) - length, "%s\"/%zu\"",
                                          i > 0 ? "," : "", i);
        (void)text_format(text + length, (1 << 20) - length, "); };");
        struct settings_value values[RULES] = {0};
        struct settings_error error = {0};
        int r = read_all(text, values, &error);
        if (count == LIMIT_SETTINGS_LIST) {
            assert_int_equal(r, 0);
        } else {
            assert_int_equal(r, -EINVAL);
            assert_non_null(strstr(error.text, "has 4097 entries; at most 4096"));
        }
        settings_values_done(values, RULES);
    }
    free(text);
}

static void assert_fallback(const struct settings_rule *rule, const char *expected)
{
    struct settings_value value;
    assert_int_equal(settings_fallback(rule, &value), 0);
    assert_false(value.set);
    char *text = settings_value_show(rule, &value);
    assert_string_equal(text, expected);
    free(text);
    settings_value_done(&value);
}

static void test_fallbacks_and_showing(void **state)
{
    (void)state;
    static const char *const shown[RULES] = {[ENABLED] = "true",
                                             [WORKERS] = "0",
                                             [SIZE] = "100M",
                                             [AGE] = "90d",
                                             [MODE] = "\"auto\"",
                                             [TITLE] = "\"\"",
                                             [PATHS] = "(\"/srv\", \"/home\")",
                                             [SKIP] = "()",
                                             [NAMES] = "()",
                                             [ENDINGS] = "()",
                                             [HASHES] = "()"};
    for (size_t i = 0; i < RULES; i++)
        assert_fallback(&rules[i], shown[i]);
    assert_fallback(&(struct settings_rule){"k", SETTINGS_DURATION, "1500ms", "0s..1d", "-"},
                    "1500ms");
    assert_fallback(&(struct settings_rule){"k", SETTINGS_SIZE, "1025", "0..1M", "-"}, "1025");
    static const struct settings_rule wrong[] = {
        {"k", SETTINGS_BOOL, "yes", "", "-"},
        {"k", SETTINGS_NUMBER, "9", "0..5", "-"},
        {"k", SETTINGS_CHOICE, "c", "a|b", "-"},
        {"k", SETTINGS_LIST, "relative", "absolute", "-"},
        {"k", SETTINGS_DURATION, "1s", "broken", "-"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        struct settings_value value;
        assert_int_equal(settings_fallback(&wrong[i], &value), -EINVAL);
    }
}

static void test_copy_and_extend(void **state)
{
    (void)state;
    struct settings_value values[RULES] = {0};
    struct settings_error error;
    assert_int_equal(read_all("watch = { paths_add = (\"/b\", \"/a\", \"/b\"); };", values, &error),
                     0);
    assert_true(values[PATHS].added);
    struct settings_value base, copy;
    assert_int_equal(settings_fallback(&(struct settings_rule){"k", SETTINGS_LIST, "/a|/c",
                                                               "absolute", "-"},
                                       &base),
                     0);
    assert_int_equal(settings_value_copy(&values[PATHS], &copy), 0);
    assert_int_equal(settings_value_extend(&copy, &base), 0);
    char *text = settings_value_show(&rules[PATHS], &copy);
    assert_string_equal(text, "(\"/a\", \"/c\", \"/b\")");
    free(text);
    assert_int_equal(values[PATHS].length, 3);
    settings_value_done(&copy);
    settings_value_done(&base);
    settings_values_done(values, RULES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_type),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_groups_are_kept_in_one_spelling),
        cmocka_unit_test(test_error_texts_are_escaped),
        cmocka_unit_test(test_list_bounds),
        cmocka_unit_test(test_fallbacks_and_showing),
        cmocka_unit_test(test_copy_and_extend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
