#include "common/limits.h"
#include "common/text/text.h"
#include "common/wire/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define AGENT "01a20110-8b87-741b-b374-275c67b8f792"
#define HASH  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void encode(struct buffer *document, char digest[static 65])
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(1U << 16);
    struct wire_signature_list list = {"yagura-console-a.ndb", "A:0:*:41\n"};
    struct wire_mirror_file file = {
        .name = "daily.cvd", .sha256 = HASH, .size = 7, .version = 8, .built_ms = 9};
    const char *allowed[] = {HASH};
    struct wire_signatures signatures = {.agent_id = AGENT,
                                         .digest = digest,
                                         .issued_ms = 1,
                                         .expires_ms = 2,
                                         .lists = &list,
                                         .list_count = 1,
                                         .allowed = allowed,
                                         .allowed_count = 1,
                                         .files = &file,
                                         .file_count = 1};

    assert_int_equal(wire_signatures_content(&signatures, &content, digest), 0);
    signatures.content = buffer_text(&content);
    assert_int_equal(wire_signatures_encode(&signatures, document), 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(1U << 16);
    struct wire_signatures got;
    struct wire_problem problem;
    char digest[65];

    encode(&document, digest);
    assert_int_equal(wire_signatures_decode(buffer_text(&document), &got, &problem), 0);
    assert_string_equal(got.agent_id, AGENT);
    assert_string_equal(got.digest, digest);
    assert_int_equal(got.issued_ms, 1);
    assert_int_equal(got.expires_ms, 2);
    assert_int_equal(got.list_count, 1);
    assert_string_equal(got.lists[0].name, "yagura-console-a.ndb");
    assert_string_equal(got.lists[0].text, "A:0:*:41\n");
    assert_int_equal(got.allowed_count, 1);
    assert_string_equal(got.allowed[0], HASH);
    assert_int_equal(got.file_count, 1);
    assert_string_equal(got.files[0].name, "daily.cvd");
    assert_int_equal(got.files[0].size, 7);
    assert_int_equal(got.files[0].version, 8);
    assert_int_equal(got.files[0].built_ms, 9);
    wire_signatures_done(&got);
}

/* One word of a good document becomes another. */
static void expect_refused(const char *old, const char *new)
{
    AUTO_BUFFER struct buffer document = BUFFER_WITH_MAXIMUM(1U << 16);
    AUTO_BUFFER struct buffer changed = BUFFER_WITH_MAXIMUM(1U << 16);
    struct wire_signatures got;
    struct wire_problem problem = {.text = ""};
    char digest[65];

    encode(&document, digest);
    const char *text = buffer_text(&document), *at = strstr(text, old);
    assert_non_null(at);
    assert_int_equal(buffer_append(&changed, text, (size_t)(at - text)), 0);
    assert_int_equal(buffer_append_text(&changed, new), 0);
    assert_int_equal(buffer_append_text(&changed, at + strlen(old)), 0);
    assert_int_equal(wire_signatures_decode(buffer_text(&changed), &got, &problem), -EBADMSG);
    assert_string_not_equal(problem.text, "");
}

static void test_refusals(void **state)
{
    (void)state;
    expect_refused("\"signatures\"", "\"policy\"");
    expect_refused("yagura-console-a.ndb", "../a.ndb");
    expect_refused("yagura-console-a.ndb", ".hidden");
    expect_refused("daily.cvd", "daily/../../cvd");
    expect_refused("[\"" HASH "\"]", "[\"ABC\"]");
    expect_refused("[\"" HASH "\"]", "[7]");
    expect_refused("\"size\":7", "\"size\":2000000000");
    expect_refused("\"size\":7", "\"size\":-1");
    expect_refused("\"version\":8", "\"version\":\"8\"");
    expect_refused("\"expires_ms\":2,", "");
    expect_refused("\"lists\":[", "\"other\":[");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_refusals)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
