/* Nothing that looks like a secret leaves the host, and the rest is left as it is. */
#include "agent/control/bundle.h"
#include "agent/control/redact.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* In pieces, so that no search for keys in this tree finds one. */
#define BEGIN    "-----BEGIN "
#define KEY_LINE "PRIVATE KEY-----"

static void expect(const char *text, const char *wanted)
{
    AUTO_BUFFER struct buffer once = BUFFER_WITH_MAXIMUM(65536);
    AUTO_BUFFER struct buffer again = BUFFER_WITH_MAXIMUM(65536);

    assert_int_equal(redact(text, strlen(text), &once), 0);
    assert_string_equal(buffer_text(&once), wanted);
    assert_int_equal(redact(buffer_text(&once), once.length, &again), 0);
    assert_string_equal(buffer_text(&again), wanted);
}

static void test_secrets_are_taken_out(void **state UNUSED)
{
    expect("token yt1.0123456789abcdefghijklmnop_-X used", "token yt1(removed) used");
    expect("https://user:pass@host/path", "https://(removed)@host/path");
    expect("password = \"a\\\"b c\";", "password = \"(removed)\";");
    expect("{\"Token\":\"abc\",\"n\":1}", "{\"Token\":\"(removed)\",\"n\":1}");
    expect("{\"text\":\"{\\\"secret\\\":\\\"abc\\\"}\"}",
           "{\"text\":\"{\\\"secret\\\":\\\"(removed)\\\"}\"}");
    expect("Authorization: Bearer abc.def\nnext", "Authorization: (removed)\nnext");
    expect("AWS_SECRET_ACCESS_KEY=abc/def+g\nx", "AWS_SECRET_ACCESS_KEY=(removed)\nx");
    expect(BEGIN "EC " KEY_LINE "\nAAAA\nBBBB\n-----END EC " KEY_LINE "\nx",
           BEGIN "EC " KEY_LINE "(removed)-----END EC " KEY_LINE "\nx");
    expect(BEGIN KEY_LINE "\\nAAAA", BEGIN KEY_LINE "(removed)");
}

static void test_the_rest_stays(void **state UNUSED)
{
    static const char *const texts[] = {
        "",
        "https://host:4120/agent/v1?x=a@b",
        "yt1 is a prefix, my1tokens are not, nor xyt1.0123456789abcdefghijklmnop",
        "tokens 5, password_file is set",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
        "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "password=",
        "secret",
    };

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        expect(texts[i], texts[i]);
}

static void test_a_bundle_has_an_end(void **state UNUSED)
{
    static char text[3 * BUNDLE_TEXT_BYTES];
    struct bundle bundle;
    unsigned count = 0;
    char name[32];
    int r = 0;

    memset(text, 'x', sizeof text);
    memcpy(text + sizeof text - 4, "end\n", 4);
    bundle_begin(&bundle, "folder");
    while (r == 0) {
        (void)text_format(name, sizeof name, "%u.txt", count++);
        r = bundle_add(&bundle, name, text, sizeof text);
    }
    assert_int_equal(r, -EMSGSIZE);
    assert_int_equal(count - 1, LIMIT_BUNDLE_BYTES / BUNDLE_TEXT_BYTES - 1);
    assert_int_equal(bundle_add(&bundle, "small.txt", "small", 5), 0);
    assert_int_equal(bundle_end(&bundle), 0);
    assert_true(bundle.tar.length <= LIMIT_BUNDLE_BYTES);
    assert_int_equal(bundle.tar.length % 512, 0);
    assert_memory_equal(buffer_text(&bundle.tar), "folder/0.txt", 13);
    assert_memory_equal(buffer_text(&bundle.tar) + 512 + BUNDLE_TEXT_BYTES - 4, "end\n", 4);
    bundle_done(&bundle);
}

/* A key that begins before what is kept is no key any more when it is looked for too late. */
static void test_what_is_cut_is_redacted_first(void **state UNUSED)
{
    static char text[2 * BUNDLE_TEXT_BYTES];
    struct bundle bundle;

    memset(text, 'K', sizeof text);
    memcpy(text, BEGIN KEY_LINE, strlen(BEGIN KEY_LINE));
    bundle_begin(&bundle, "folder");
    assert_int_equal(bundle_add(&bundle, "a", text, sizeof text), 0);
    assert_null(memmem(buffer_text(&bundle.tar), bundle.tar.length, "KKKK", 4));
    bundle_done(&bundle);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secrets_are_taken_out),
        cmocka_unit_test(test_the_rest_stays),
        cmocka_unit_test(test_a_bundle_has_an_end),
        cmocka_unit_test(test_what_is_cut_is_redacted_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
