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

static void said(const char *line, const char *wanted)
{
    char *copy = strdup(line);

    assert_non_null(copy);
    line_secrets_hide_said(copy, strlen(copy));
    assert_string_equal(copy, wanted);
    free(copy);
}

static void credentials_of_headers_are_hidden(void **state UNUSED)
{
    said("curl -H 'Authorization: Basic dXNlcjpodW50ZXI=' https://h/",
         "curl -H 'Authorization: ***** ****************' https://h/");
    said("{\"Authorization\": \"Digest username=bob, response=ab\"}",
         "{\"Authorization\": \"****** ************* ***********\"}");
    said("Proxy-Authorization: Token abc def", "Proxy-Authorization: ***** *** ***");
    said("auth=Bearer abc next", "auth=****** *** next");
    said("got Bearer abc from", "got Bearer *** from");
    said("sent basic dXNlcjp4 twice", "sent basic ******** twice");
    said("Basic authentication failed", "Basic authentication failed");
    said("Failed password for bob from 192.0.2.1", "Failed password for bob from 192.0.2.1");
}

static void passwords_of_commands_are_hidden(void **state UNUSED)
{
    said("COMMAND=/usr/bin/mysql -phunter2 -h db", "COMMAND=/usr/bin/mysql -p******* -h db");
    said("(mysqldump -p 'x y' db", "(mysqldump -p ** ** db");
    said("sshpass -p a\\ b ssh host", "sshpass -p ** * ssh host");
    said("curl -u user:pw https://h/", "curl -u ******* https://h/");
    said("curl -uuser:pw --proxy-user=u:p x", "curl -u******* --proxy-user=*** x");
    said("tool --user u:p --password \"a b\" z", "tool --user *** --password ** ** z");
    said("keytool -storepass abc -list", "keytool -storepass *** -list");
    said("keytool -storepass 'a b' -list", "keytool -storepass ** ** -list");
    said("tool --pass=abc", "tool --pass=***");
    said("docker login -u bob -p abc", "docker login -u bob -p ***");
    said("mkdir -p /srv/x", "mkdir -p /srv/x");
    said("find / -perm -4000 -user root", "find / -perm -4000 -user root");
    said("ssh -p 2222 -u", "ssh -p 2222 -u");
    said("- -- -p", "- -- -p");
    said("mysql -p", "mysql -p");
    said("-", "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_differs_is_told),
        cmocka_unit_test(binary_and_long_texts_are_not_compared),
        cmocka_unit_test(a_long_difference_is_cut),
        cmocka_unit_test(secrets_are_hidden),
        cmocka_unit_test(credentials_of_headers_are_hidden),
        cmocka_unit_test(passwords_of_commands_are_hidden),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
