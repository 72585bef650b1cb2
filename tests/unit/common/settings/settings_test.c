/* settings.c and suggestion.c: what is refused before libconfig sees it, and how errors read. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/limits.h"
#include "common/settings/settings.h"
#include "common/settings/suggestion.h"
#include "common/text/text.h"

static void assert_refused(const char *text, const char *expected)
{
    struct settings *settings = NULL;
    struct settings_error error = {0};
    assert_int_equal(settings_parse("t.conf", text, &settings, &error), -EINVAL);
    assert_null(settings);
    if (strstr(error.text, expected) == NULL)
        fail_msg("%s\n  says: %s\n  wanted: %s", text, error.text, expected);
}

static void assert_accepted(const char *text)
{
    struct settings *settings = NULL;
    struct settings_error error = {0};
    int r = settings_parse("t.conf", text, &settings, &error);
    if (r != 0)
        fail_msg("%s\n  says: %s", text, error.text);
    assert_string_equal(settings_name(settings), "t.conf");
    settings_free(settings);
}

static void test_parse_errors_name_the_line(void **state)
{
    (void)state;
    assert_refused("a = 1;\nb = ;\n", "t.conf:2: ");
    assert_refused("a = 1;\n\na = 2;\n", "t.conf:3: duplicate");
    assert_refused("a = \"unfinished", "t.conf:");
}

static void test_include_is_refused(void **state)
{
    (void)state;
    assert_refused("a = 1;\n  @include \"/etc/passwd\"\n", "t.conf:2: @include is not allowed");
    assert_refused("@include \"x\"", "t.conf:1: @include");
    assert_refused("# comment\n\t@include\"x\"", "t.conf:2: @include");
    assert_refused("/* \n*/\n@include\"x\"", "t.conf:3: @include");
    assert_accepted("a = \"use @include\"; # @include\n");
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    char text[64 * 1024] = "";
    size_t length = 0;
    for (size_t i = 0; i < 10000; i++)
        length += (size_t)text_format(text + length, sizeof(text) - length, "a={");
    assert_refused(text, "t.conf:1: nested too deeply");
    assert_accepted("a = \"((((((((((((((((((((((((((((((((((\"; // ((((((((((((((((((\n"
                    "/* {{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{ \n */ b = ((1), (2));");
}

static void test_size_and_nul_are_bounded(void **state)
{
    (void)state;
    char *text = malloc(LIMIT_SETTINGS_BYTES + 2);
    assert_non_null(text);
    memset(text, ' ', LIMIT_SETTINGS_BYTES + 1);
    text[LIMIT_SETTINGS_BYTES + 1] = '\0';
    assert_refused(text, "larger than a configuration may be");
    text[LIMIT_SETTINGS_BYTES] = '\0';
    assert_accepted(text);
    free(text);
    assert_refused("a = \"/srv\\x00/hidden\";", "\\x00 cannot stand in a text");
    assert_accepted("a = \"\\\\x00\";");
}

static void write_file(const char *path, const void *bytes, size_t length)
{
    AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(file_write(fd, bytes, length), 0);
}

static void test_load(void **state)
{
    (void)state;
    char directory[] = "/tmp/yagura-settings-XXXXXX";
    assert_non_null(mkdtemp(directory));
    char path[128];
    (void)text_format(path, sizeof(path), "%s/a.conf", directory);
    struct settings *settings = NULL;
    struct settings_error error = {0};
    assert_int_equal(settings_load(path, &settings, &error), -ENOENT);
    assert_non_null(strstr(error.text, "a.conf: cannot be read: No such file"));
    write_file(path, "a = 1;\0b = 2;", 13);
    assert_int_equal(settings_load(path, &settings, &error), -EINVAL);
    assert_non_null(strstr(error.text, "NUL byte"));
    write_file(path, "a = 1;\n", 7);
    assert_int_equal(settings_load(path, &settings, &error), 0);
    assert_string_equal(settings_name(settings), path);
    settings_free(settings);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void test_fail_names_nested_keys(void **state)
{
    (void)state;
    struct settings *settings = NULL;
    struct settings_error error = {0};
    assert_int_equal(settings_parse("a\nb.conf", "\nwatch = { paths = (\"/a\",\n \"b\"); };",
                                    &settings, &error),
                     0);
    const config_setting_t *paths =
        config_setting_get_member(config_setting_get_member(settings_root(settings), "watch"),
                                  "paths");
    assert_int_equal(settings_fail(&error, settings, config_setting_get_elem(paths, 1), "is %s",
                                   "bad"),
                     -EINVAL);
    assert_string_equal(error.text, "a\\x0ab.conf:3: watch.paths[1]: is bad");
    assert_int_equal(settings_fail(&error, settings, NULL, "whole"), -EINVAL);
    assert_string_equal(error.text, "a\\x0ab.conf: whole");
    settings_free(settings);
}

static const char *const words[] = {"watch.paths", "watch.enabled", "scan.workers", "status"};

static const char *word_at(const void *user, size_t index)
{
    return ((const char *const *)user)[index];
}

static const char *nearest(const char *word)
{
    return suggestion_nearest(word, ARRAY_LENGTH(words), word_at, words);
}

static void test_suggestions(void **state)
{
    (void)state;
    assert_string_equal(nearest("watch.path"), "watch.paths");
    assert_string_equal(nearest("wacth.paths"), "watch.paths");
    assert_string_equal(nearest("Scan.Wokers"), "scan.workers");
    assert_string_equal(nearest("stauts"), "status");
    assert_null(nearest("quarantine"));
    assert_null(nearest(""));
    char longest[200];
    memset(longest, 'a', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_null(nearest(longest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_errors_name_the_line),
        cmocka_unit_test(test_include_is_refused),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_size_and_nul_are_bounded),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_fail_names_nested_keys),
        cmocka_unit_test(test_suggestions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
