/* The environment above the file above the table. */
#include "storage/settings/storage_settings.h"

#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const char *lookup(void *user, const char *name)
{
    const char *const *pairs = user;

    for (; pairs[0] != NULL; pairs += 2)
        if (text_equal(pairs[0], name))
            return pairs[1];
    return NULL;
}

static void test_variables_are_read(void **state UNUSED)
{
    const char *const pairs[] = {"YAGURA_TAGS_FORMAT",
                                 "fss",
                                 "YAGURA_SCANNER_DATABASES",
                                 "/a:/b c",
                                 "YAGURA_MAXIMUM_OBJECT",
                                 "64M",
                                 "YAGURA_TAGS_TRUST",
                                 "true",
                                 "YAGURA_CONCURRENCY",
                                 "7",
                                 "YAGURA_QUEUE_URL",
                                 "https://x/\"q\\",
                                 "YAGURA_TOPIC_ARN",
                                 "",
                                 NULL};
    struct storage_settings settings;
    struct settings_error error;

    assert_int_equal(storage_settings_load(NULL, lookup, (void *)pairs, &settings, &error), 0);
    assert_string_equal(storage_settings_text(&settings, STORAGE_TAG_FORMAT), "fss");
    assert_string_equal(storage_settings_list(&settings, STORAGE_DATABASES)[1], "/b c");
    assert_null(storage_settings_list(&settings, STORAGE_DATABASES)[2]);
    assert_int_equal(storage_settings_number(&settings, STORAGE_MAXIMUM_OBJECT), 64 << 20);
    assert_int_equal(storage_settings_number(&settings, STORAGE_SKIP_SAME), 1);
    assert_int_equal(storage_settings_number(&settings, STORAGE_CONCURRENCY), 7);
    assert_string_equal(storage_settings_text(&settings, STORAGE_QUEUE), "https://x/\"q\\");
    assert_string_equal(storage_settings_text(&settings, STORAGE_TAG_PREFIX), "yagura");
    storage_settings_done(&settings);
}

static void test_wrong_variables_are_refused(void **state UNUSED)
{
    static const char *const wrong[][3] = {{"YAGURA_TAGS_FORMAT", "red", NULL},
                                           {"YAGURA_CONCURRENCY", "many", NULL},
                                           {"YAGURA_CONCURRENCY", "999", NULL},
                                           {"YAGURA_TAGS_TRUST", "yes", NULL},
                                           {"YAGURA_SCANNER_DATABASES", "relative", NULL},
                                           {"YAGURA_VISIBILITY", "1s", NULL}};
    struct storage_settings settings;
    struct settings_error error;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        assert_int_equal(storage_settings_load(NULL, lookup, (void *)wrong[i], &settings, &error),
                         -EINVAL);
        assert_true(text_starts_with(error.text, "environment"));
    }
}

static void test_every_default_is_good(void **state UNUSED)
{
    const char *const none[] = {NULL};
    struct storage_settings settings;
    struct settings_error error;

    assert_int_equal(storage_settings_load(NULL, lookup, (void *)none, &settings, &error), 0);
    assert_string_equal(storage_settings_list(&settings, STORAGE_DATABASES)[0], "/var/lib/clamav");
    storage_settings_done(&settings);
}

static void test_the_environment_stands_above_the_file(void **state UNUSED)
{
    const char *const pairs[] = {"YAGURA_TAGS_FORMAT", "none", NULL};
    char path[] = "/tmp/storage-settings-XXXXXX";
    struct storage_settings settings;
    struct settings_error error;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_true(dprintf(fd, "tags = { format = \"fss\"; prefix = \"own\"; };\n") > 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(storage_settings_load(path, lookup, (void *)pairs, &settings, &error), 0);
    assert_string_equal(storage_settings_text(&settings, STORAGE_TAG_FORMAT), "none");
    assert_string_equal(storage_settings_text(&settings, STORAGE_TAG_PREFIX), "own");
    storage_settings_done(&settings);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variables_are_read),
        cmocka_unit_test(test_wrong_variables_are_refused),
        cmocka_unit_test(test_every_default_is_good),
        cmocka_unit_test(test_the_environment_stands_above_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
