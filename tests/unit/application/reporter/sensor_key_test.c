/* application/reporter/sensor_key: the key in Parameter Store's answer, and where else it may
 * stand. */
#include "application/reporter/sensor_key.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int read_key(const char *json, char key[static SENSOR_KEY_BYTES])
{
    return sensor_key_read(json, strlen(json), key);
}

static void test_the_value_is_the_key(void **state UNUSED)
{
    char key[SENSOR_KEY_BYTES];

    assert_int_equal(read_key("{\"Parameter\":{\"Name\":\"/a\",\"Type\":\"SecureString\","
                              "\"Value\":\"ysk1_abc\"}}",
                              key),
                     0);
    assert_string_equal(key, "ysk1_abc");
}

static void test_anything_else_is_refused(void **state UNUSED)
{
    static const char *const wrong[] = {"",
                                        "{}",
                                        "[]",
                                        "{\"Parameter\":[]}",
                                        "{\"Parameter\":{\"Value\":1}}",
                                        "{\"Parameter\":{\"Value\":\"\"}}",
                                        "{\"Parameter\":{\"Value\":\"a\"}"};
    char key[SENSOR_KEY_BYTES], huge[2 * SENSOR_KEY_BYTES];

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(read_key(wrong[i], key), -EBADMSG);
    (void)snprintf(huge, sizeof huge, "{\"Parameter\":{\"Value\":\"%0*d\"}}", SENSOR_KEY_BYTES, 1);
    assert_int_equal(read_key(huge, key), -EBADMSG);
}

static void test_without_any_setting_the_cure_is_told(void **state UNUSED)
{
    char key[SENSOR_KEY_BYTES], problem[512];

    (void)unsetenv("YAGURA_CONSOLE_KEY_PARAMETER");
    (void)unsetenv("YAGURA_CONSOLE_KEY_FILE");
    (void)setenv("YAGURA_CONSOLE_KEY", "ysk1_direct", 1); /* anybody could read it there */
    assert_int_equal(sensor_key_find(0, key, problem), -ENOKEY);
    assert_non_null(strstr(problem, "YAGURA_CONSOLE_KEY_PARAMETER"));
    (void)setenv("YAGURA_CONSOLE_KEY_FILE", "/nonexistent/key", 1);
    assert_int_equal(sensor_key_find(0, key, problem), -EACCES);
    assert_non_null(strstr(problem, "/nonexistent/key"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_value_is_the_key),
        cmocka_unit_test(test_anything_else_is_refused),
        cmocka_unit_test(test_without_any_setting_the_cure_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
