#include "console/signatures/hash_list.h"

#include "common/text/text.h"
#include "console/signatures/mirror_worker.h"
#include "console/signatures/signature_list.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define MD5    "0123456789abcdef0123456789abcdef"
#define SHA1   MD5 "01234567"
#define SHA256 MD5 MD5

static int take(void *user, const struct hash_entry *entry)
{
    struct hash_entry **next = user;

    *(*next)++ = *entry;
    return 0;
}

static void test_forms(void **state)
{
    (void)state;
    struct hash_entry entries[8], *next = entries;
    struct hash_list_problem problem;
    size_t count = 0;

    assert_int_equal(hash_list_read("# a comment\n\n" SHA256 "\n"
                                    "  0123456789ABCDEF0123456789abcdef  setup.exe\r\n" SHA1
                                    ":*:Tool.One:73 # why\n" SHA256 " *a b\n" MD5 ",name",
                                    100, take, &next, &count, &problem),
                     0);
    assert_int_equal(count, 5);
    assert_string_equal(entries[0].hash, SHA256);
    assert_string_equal(entries[0].name, "");
    assert_string_equal(entries[1].hash, MD5);
    assert_string_equal(entries[1].name, "setup.exe");
    assert_int_equal(entries[2].digits, 40);
    assert_string_equal(entries[2].name, "Tool.One");
    assert_string_equal(entries[3].name, "a_b");
    assert_string_equal(entries[4].name, "name");
}

static void expect_line(const char *text, const char *line)
{
    struct hash_list_problem problem;
    size_t count;

    assert_int_equal(hash_list_read(text, 100, NULL, NULL, &count, &problem), -EINVAL);
    assert_non_null(strstr(problem.text, line));
}

static void test_wrong_lines(void **state)
{
    (void)state;
    struct hash_list_problem problem;
    size_t count;

    expect_line("nothing", "line 1:");
    expect_line(MD5 "\n" MD5 "0\n", "line 2:");
    expect_line("\n\n" SHA256 "g", "line 3:");
    expect_line(MD5 "-name", "line 1:");
    assert_int_equal(hash_list_read(MD5 "\n" MD5, 1, NULL, NULL, &count, &problem), -E2BIG);
    assert_int_equal(hash_list_read("", 1, NULL, NULL, &count, &problem), 0);
    assert_int_equal(count, 0);
}

static void test_names(void **state)
{
    (void)state;
    assert_true(signature_is_list_name("Office-1.all"));
    assert_false(signature_is_list_name(""));
    assert_false(signature_is_list_name("_denied"));
    assert_false(signature_is_list_name("a/b"));
    assert_false(signature_is_list_name(".a"));
    assert_true(signature_is_type("yara"));
    assert_false(signature_is_type("cvd"));
    assert_true(signature_is_hash_type("deny"));
    assert_false(signature_is_hash_type("hdb"));
}

/* ClamAV's terms let no other client fetch from their servers than freshclam and cvdupdate. */
static void test_mirrors(void **state)
{
    (void)state;
    static const char *const refused[] = {
        "http://mirror.example/",
        "https://database.clamav.net/",
        "https://CLAMAV.net",
        "https://database.clamav.net.:443/x",
        "https://user@mirror.example/x",
        "https://",
        "https://mirror@database.clamav.net/",
        "ftp://mirror.example",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_false(mirror_url_is_allowed(refused[i]));
    assert_true(mirror_url_is_allowed("https://mirror.example/clamav"));
    assert_true(mirror_url_is_allowed("https://notclamav.net:8443/"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms),
                                       cmocka_unit_test(test_wrong_lines),
                                       cmocka_unit_test(test_names),
                                       cmocka_unit_test(test_mirrors)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
