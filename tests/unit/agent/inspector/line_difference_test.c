/* Lines that differ, and what is hidden in them. */
#include "agent/inspector/line_difference.h"
#include "agent/inspector/line_secrets.h"

#include "common/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void expect(const char *before, const char *after, const char *wanted)
{
    AUTO_BUFFER struct buffer lines = BUFFER_WITH_MAXIMUM(LIMIT_INTEGRITY_DIFFERENCE * 2);
    enum inspector_difference outcome;

    assert_int_equal(
        line_difference_write(before, strlen(before), after, strlen(after), &lines, &outcome), 0);
    assert_int_equal(outcome, INSPECTOR_LINES);
    assert_string_equal(buffer_text(&lines), wanted);
}

static void only_what_differs_is_told(void **state UNUSED)
{
    expect("a\nb\nc\n", "a\nx\nc\n", "@2\n-b\n+x\n");
    expect("a\nb\n", "a\nb\nc\n", "@3\n+c\n");
    expect("a\nb\nc\nd\ne\n", "a\nB\nc\nD\ne\n", "@2\n-b\n+B\n@4\n-d\n+D\n");
    expect("a\nb\n", "", "@1\n-a\n-b\n");
    expect("same\n", "same\n", "");
    expect("\x1b[31m\n", "b\n", "@1\n-\\x1b[31m\n+b\n");
}

static void binary_and_long_texts_are_not_compared(void **state UNUSED)
{
    AUTO_BUFFER struct buffer lines = BUFFER_WITH_MAXIMUM(100), many = BUFFER_WITH_MAXIMUM(100000);
    enum inspector_difference outcome;

    assert_int_equal(line_difference_write("a\0b", 3, "c", 1, &lines, &outcome), 0);
    assert_int_equal(outcome, INSPECTOR_NO_TEXT);
    for (int i = 0; i <= LIMIT_INTEGRITY_DIFFERENCE_LINES; i++)
        (void)buffer_append_text(&many, "x\n");
    assert_int_equal(
        line_difference_write(buffer_text(&many), many.length, "c", 1, &lines, &outcome), 0);
    assert_int_equal(outcome, INSPECTOR_TOO_LARGE);
    assert_int_equal(lines.length, 0);
}

static void a_long_difference_is_cut(void **state UNUSED)
{
    AUTO_BUFFER struct buffer lines = BUFFER_WITH_MAXIMUM(LIMIT_INTEGRITY_DIFFERENCE * 2);
    AUTO_BUFFER struct buffer many = BUFFER_WITH_MAXIMUM(100000);
    enum inspector_difference outcome;

    for (int i = 0; i < 1500; i++)
        (void)buffer_append_format(&many, "line number %d\n", i);
    assert_int_equal(
        line_difference_write("", 0, buffer_text(&many), many.length, &lines, &outcome), 0);
    assert_true(lines.length <= LIMIT_INTEGRITY_DIFFERENCE);
    assert_non_null(strstr(buffer_text(&lines), "\n...\n"));
}

static void hidden(const char *line, const char *wanted)
{
    char copy[256];

    memcpy(copy, line, strlen(line) + 1);
    line_secrets_hide(copy, strlen(copy));
    assert_string_equal(copy, wanted);
}

static void secrets_are_hidden(void **state UNUSED)
{
    hidden("password = hunter2", "password = *******");
    hidden("  db_password: \"x y\"", "  db_password: ** **");
    hidden("APITOKEN=abc", "APITOKEN=***");
    hidden("proxy http://user:pass@host/", "proxy http://*********@host/");
    hidden("key AbCd1234EfGh5678IjKl9012MnOp", "key ****************************");
    hidden("PermitRootLogin no", "PermitRootLogin no");
    hidden("Include /etc/ssh/sshd_config.d/*.conf", "Include /etc/ssh/sshd_config.d/*.conf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_differs_is_told),
        cmocka_unit_test(binary_and_long_texts_are_not_compared),
        cmocka_unit_test(a_long_difference_is_cut),
        cmocka_unit_test(secrets_are_hidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
