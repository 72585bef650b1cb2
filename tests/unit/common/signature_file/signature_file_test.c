#include "common/signature_file/signature_file.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(signature_file_kind("main.cvd"), SIGNATURE_SIGNED);
    assert_int_equal(signature_file_kind("daily-2.cvd"), SIGNATURE_SIGNED);
    assert_int_equal(signature_file_kind("own.hdb"), SIGNATURE_UNSIGNED);
    assert_int_equal(signature_file_kind("own.ign2"), SIGNATURE_UNSIGNED);
    static const char *const others[] = {
        "",           ".cvd",    ".hidden.cvd", "folder/main.cvd", "../main.cvd", "main.cvd.sign",
        "rules.yara", "a b.cvd", "main.CVD",    "main.cld",        "x\n.cvd",     "..",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_int_equal(signature_file_kind(others[i]), SIGNATURE_OTHER);
    char longest[SIGNATURE_NAME_BYTES + 8];
    memset(longest, 'a', sizeof longest);
    memcpy(longest + SIGNATURE_NAME_BYTES - 4, ".cvd", 5);
    assert_int_equal(signature_file_kind(longest), SIGNATURE_OTHER);
    assert_int_equal(signature_file_kind(longest + 1), SIGNATURE_SIGNED);
}

static int read_head(const char *text, struct signature_head *ret_head)
{
    char head[SIGNATURE_HEAD_BYTES];

    memset(head, ' ', sizeof head);
    memcpy(head, text, strlen(text));
    return signature_head_read(head, sizeof head, ret_head);
}

#define LONG_REST ":2000:90:0123456789abcdef0123456789abcdef:signature:builder:"
#define REST      LONG_REST "1700000000"

static void test_heads(void **state)
{
    (void)state;
    struct signature_head head = {0};

    assert_int_equal(read_head("ClamAV-VDB:22 Nov 2026 08-00 -0500:27431" REST, &head), 0);
    assert_int_equal(head.version, 27431);
    assert_int_equal(head.built_s, 1700000000);
    static const char *const broken[] = {
        "",
        "ClamAV-VDB:",
        "ClamAV-VDB:time:1",
        "ClamAV-VDB:time:1:2000:90:md5:signature:builder",
        "ClamAV-VDB:time:x" REST,
        "ClamAV-VDB:time:" REST,
        "ClamAV-VDB:time:-1" REST,
        "ClamAV-VDB:time:99999999999999999999999" REST,
        "clamav-vdb:time:1" REST,
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_int_equal(read_head(broken[i], &head), -EBADMSG);
    assert_int_equal(head.version, 27431);
    assert_int_equal(head.built_s, 1700000000);
    assert_int_equal(signature_head_read("ClamAV-VDB:time:1" REST, 90, &head), -EBADMSG);
}

static void test_times_of_building(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t built_s;
    } cases[] = {
        {LONG_REST, 0},
        {LONG_REST "today", 0},
        {LONG_REST "1700000000:more", 1700000000},
        {LONG_REST "99999999999999999999", 0},           /* beyond a number */
        {LONG_REST "000000000000000000001700000000", 0}, /* longer than any */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct signature_head head;
        char text[SIGNATURE_HEAD_BYTES];
        (void)snprintf(text, sizeof text, "ClamAV-VDB:time:1%s", cases[i].text);
        assert_int_equal(read_head(text, &head), 0);
        assert_int_equal(head.version, 1);
        assert_int_equal(head.built_s, cases[i].built_s);
    }
    /* Digits up to the head's last byte. */
    char full[SIGNATURE_HEAD_BYTES];
    struct signature_head head;
    memset(full, '7', sizeof full);
    memcpy(full, "ClamAV-VDB:time:1" LONG_REST, strlen("ClamAV-VDB:time:1" LONG_REST));
    assert_int_equal(signature_head_read(full, sizeof full, &head), 0);
    assert_int_equal(head.built_s, 0);
}

static void test_what_freshclam_makes(void **state)
{
    (void)state;
    assert_true(signature_file_is_updated("daily.cld"));
    assert_false(signature_file_is_updated("daily.cvd"));
    assert_false(signature_file_is_updated("../daily.cld"));
}

static void test_of_a_file(void **state)
{
    (void)state;
    struct signature_head head;
    FILE *file = tmpfile();

    assert_non_null(file);
    (void)fprintf(file, "ClamAV-VDB:time:8" REST);
    (void)fflush(file);
    assert_int_equal(signature_head_read_file(fileno(file), &head), -EBADMSG); /* cut short */
    (void)fprintf(file, "%*s", SIGNATURE_HEAD_BYTES, "");
    (void)fflush(file);
    assert_int_equal(signature_head_read_file(fileno(file), &head), 0);
    assert_int_equal(head.version, 8);
    assert_int_equal(head.built_s, 1700000000);
    (void)fclose(file);
    assert_int_equal(signature_head_read_file(-1, &head), -EBADF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_heads),
                                       cmocka_unit_test(test_times_of_building),
                                       cmocka_unit_test(test_what_freshclam_makes),
                                       cmocka_unit_test(test_of_a_file)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
