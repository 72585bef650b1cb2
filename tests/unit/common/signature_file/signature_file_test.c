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

static int read_head(const char *text, uint64_t *ret_version)
{
    char head[SIGNATURE_HEAD_BYTES];

    memset(head, ' ', sizeof head);
    memcpy(head, text, strlen(text));
    return signature_head_read(head, sizeof head, ret_version);
}

#define REST ":2000:90:0123456789abcdef0123456789abcdef:signature:builder:1700000000"

static void test_heads(void **state)
{
    (void)state;
    uint64_t version = 0;

    assert_int_equal(read_head("ClamAV-VDB:22 Nov 2026 08-00 -0500:27431" REST, &version), 0);
    assert_int_equal(version, 27431);
    static const char *const broken[] = {
        "",
        "ClamAV-VDB:",
        "ClamAV-VDB:time:1",
        "ClamAV-VDB:time:x" REST,
        "ClamAV-VDB:time:" REST,
        "ClamAV-VDB:time:-1" REST,
        "ClamAV-VDB:time:99999999999999999999999" REST,
        "clamav-vdb:time:1" REST,
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_int_equal(read_head(broken[i], &version), -EBADMSG);
    assert_int_equal(version, 27431);
    assert_int_equal(signature_head_read("ClamAV-VDB:time:1" REST, 90, &version), -EBADMSG);
}

static void test_what_freshclam_makes(void **state)
{
    (void)state;
    char head[SIGNATURE_HEAD_BYTES];

    assert_true(signature_file_is_updated("daily.cld"));
    assert_false(signature_file_is_updated("daily.cvd"));
    assert_false(signature_file_is_updated("../daily.cld"));
    memset(head, ' ', sizeof head);
    memcpy(head, "ClamAV-VDB:time:1" REST, strlen("ClamAV-VDB:time:1" REST));
    assert_int_equal(signature_head_built(head), 1700000000);
    memset(head, ':', sizeof head);
    assert_int_equal(signature_head_built(head), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_heads),
                                       cmocka_unit_test(test_what_freshclam_makes)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
