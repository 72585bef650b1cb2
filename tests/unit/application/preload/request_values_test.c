/* application/preload/request_values: what of a request leads where, and what only looks like it.
 */
#include "application/preload/request_values.h"

#include "common/attributes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

struct trial {
    const char *value, *text;
    bool expected;
};

static struct request_text text_of(const char *value)
{
    return (struct request_text){value, strlen(value)};
}

static void try_all(request_test test, const struct trial *trials, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (test(text_of(trials[i].value), trials[i].text) != trials[i].expected)
            fail_msg("\"%s\" and \"%s\"", trials[i].value, trials[i].text);
    }
}

static void test_a_request_that_chooses_a_file(void **state UNUSED)
{
    static const struct trial trials[] = {
        {"../../../etc/passwd", "/etc/passwd", true},
        {"../../../etc/passwd", "/var/task/public/../../../etc/passwd", true},
        {"..\\..\\secret.txt", "/var/task/secret.txt", true},
        {"images/../../secret", "/var/secret.json", true},
        {"/var/task/.env", "/var/task/.env", true},
        {"file:///var/task/.env", "/var/task/.env", true},
        {"FILE:/var/task/.env", "/var/task/.env", true},
        /* What routes and names of files are made of. */
        {"/index.html", "/var/task/public/index.html", false},
        {"docs/readme.txt", "/var/task/docs/readme.txt", false},
        {"report.pdf", "/tmp/report.pdf", false},
        {"/tmp", "/tmp", false},
        {"/var/task/.env", "/var/task/.environment", false},
        {"..", "/var/task", false},
        {"../", "/var/task/", false},
        {"wait...and see", "/tmp/wait...and see", false},
        {"a..b/c", "/tmp/a..b/c", false},
        {"version..2", "/tmp/version..2", false},
        {"../../other", "/var/task/index.js", false},
        {"file:", "/", false},
        {"file:///", "/", false},
    };

    try_all(request_value_leads, trials, ARRAY_LENGTH(trials));
    assert_true(
        request_value_leads((struct request_text){"../../etc/passwd\0.png", 21}, "/etc/passwd"));
    assert_true(request_value_leads((struct request_text){"/etc/passwd\0.png", 16}, "/etc/passwd"));
    assert_false(request_value_leads((struct request_text){"", 0}, "/etc/passwd"));
}

static void test_a_request_that_acts_in_a_shell(void **state UNUSED)
{
    static const struct trial trials[] = {
        {"8.8.8.8; id", "ping -c 1 8.8.8.8; id", true},
        {"$(id)", "echo \"$(id)\"", true},
        {"`id`", "echo \"`id`\" >/dev/null", true},
        {"x' ; id #", "echo 'x' ; id #'", true},
        {"x\" | id \"", "echo \"x\" | id \"\"", true},
        {"a\nid", "echo a\nid", true},
        {"> /tmp/x", "echo > /tmp/x", true},
        {"Tom & Jerry", "echo Tom & Jerry", true},
        {"ls -la /", "ls -la /", true},
        /* Quoted, or nothing that a shell pays attention to. */
        {"Tom & Jerry", "echo 'Tom & Jerry'", false},
        {"Tom & Jerry", "echo \"Tom & Jerry\"", false},
        {"$(id)", "echo '$(id)'", false},
        {"O'Reilly", "echo 'O'\\''Reilly'", false},
        {"a;b", "echo a\\;b", false},
        {"plain words", "echo plain words", false},
        {"whoami", "whoami", false},
        {"; rm -rf /", "convert a.png b.png; echo done", false},
    };

    try_all(request_value_commands, trials, ARRAY_LENGTH(trials));
}

static void test_records_end_where_they_end(void **state UNUSED)
{
    static const char records[] = "\x05\x00hello\x06\x00../usr\x0b\x00/etc/passwd";
    struct request_text value = {NULL, 0};

    assert_true(request_values_find(records, sizeof records - 1, request_value_leads, "/etc/passwd",
                                    &value));
    assert_int_equal(value.length, 11);
    assert_memory_equal(value.data, "/etc/passwd", 11);
    /* One byte less, and the last record is none. */
    assert_false(request_values_find(records, sizeof records - 2, request_value_leads,
                                     "/etc/passwd", &value));
    assert_false(request_values_find("\xff\xff", 2, request_value_leads, "/etc/passwd", &value));
    assert_false(request_values_find("\x00", 1, request_value_leads, "/etc/passwd", &value));
    assert_false(request_values_find("", 0, request_value_leads, "/etc/passwd", &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_that_chooses_a_file),
        cmocka_unit_test(test_a_request_that_acts_in_a_shell),
        cmocka_unit_test(test_records_end_where_they_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
