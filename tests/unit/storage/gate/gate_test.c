/* Requests to the gate, their tokens, and how young a verdict must be. */
#include "storage/gate/gate_request.h"
#include "storage/gate/gate_tags.h"

#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define NOW_S 1700000000ULL

static void test_queries(void **state UNUSED)
{
    struct gate_request request = {.head = false};
    static const char *const wrong[] = {"",
                                        "bucket=b",
                                        "key=k",
                                        "bucket=b&key=",
                                        "bucket=b&key=k&key=l",
                                        "bucket=b&key=k&other=1",
                                        "bucket=b&key=%zz",
                                        "bucket=b&key=a%00b",
                                        "bucket=b&key",
                                        "bucket=b&key=k&expires=-1",
                                        "bucket=b&key=k&expires=1x"};

    assert_int_equal(gate_request_read_query("key=a+b%2B%E3%81%82%2F..&bucket=bkt&versionId=v%2F&"
                                             "expires=17&X-Amz-Date=x&token=00",
                                             &request),
                     0);
    assert_string_equal(request.bucket, "bkt");
    assert_string_equal(request.key, "a b+\xe3\x81\x82/..");
    assert_string_equal(request.version, "v/");
    assert_int_equal(request.expires, 17);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        request = (struct gate_request){.head = false};
        assert_int_equal(gate_request_read_query(wrong[i], &request), -EBADMSG);
    }
}

static int read_event(const char *method, const char *path, const char *authorizer,
                      struct gate_request *request)
{
    char json[1024];

    (void)text_format(json, sizeof json,
                      "{\"rawPath\":\"%s\",\"rawQueryString\":\"bucket=b&key=k%%2B\","
                      "\"requestContext\":{\"http\":{\"method\":\"%s\"}%s}}",
                      path, method, authorizer);
    return gate_request_read_event(json, strlen(json), request);
}

static void test_events(void **state UNUSED)
{
    struct gate_request request;

    assert_int_equal(read_event("HEAD", "/object", "", &request), 0);
    assert_true(request.head);
    assert_false(request.identified);
    assert_string_equal(request.key, "k+");
    assert_int_equal(read_event("GET", "/object",
                                ",\"authorizer\":{\"iam\":{\"userArn\":\"arn:x\"}}", &request),
                     0);
    assert_true(request.identified);
    assert_int_equal(
        read_event("GET", "/object", ",\"authorizer\":{\"iam\":{\"userArn\":\"\"}}", &request), 0);
    assert_false(request.identified);
    assert_int_equal(read_event("GET", "/objects", "", &request), -ENOENT);
    assert_int_equal(read_event("POST", "/object", "", &request), -EPERM);
    assert_int_equal(gate_request_read_event("{}", 2, &request), -EBADMSG);
    assert_int_equal(gate_request_read_event("[1]", 3, &request), -EBADMSG);
}

static struct gate_request link_of(const char *key, const char *version, uint64_t expires)
{
    AUTO_BUFFER struct buffer link = BUFFER_WITH_MAXIMUM(16384);
    struct gate_request made = {.bucket = "bkt", .expires = expires}, read = {.head = false};

    (void)text_copy(made.key, sizeof made.key, key);
    (void)text_copy(made.version, sizeof made.version, version);
    assert_int_equal(gate_request_write_link("swordfish", &made, &link), 0);
    assert_int_equal(gate_request_read_query(strchr(buffer_text(&link), '?') + 1, &read), 0);
    return read;
}

static void test_tokens(void **state UNUSED)
{
    struct gate_request request = link_of("a b/&=+%", "v", NOW_S + 60);

    assert_true(gate_request_is_allowed(&request, "swordfish", NOW_S));
    assert_false(gate_request_is_allowed(&request, "other", NOW_S));
    assert_false(gate_request_is_allowed(&request, "", NOW_S));
    assert_false(gate_request_is_allowed(&request, "swordfish", NOW_S + 60));
    request.expires++;
    assert_false(gate_request_is_allowed(&request, "swordfish", NOW_S));
    request = link_of("a", "v", NOW_S + 60);
    request.key[0] = 'b';
    assert_false(gate_request_is_allowed(&request, "swordfish", NOW_S));
    request = link_of("a", "v", NOW_S + 60);
    request.version[0] = '\0';
    assert_false(gate_request_is_allowed(&request, "swordfish", NOW_S));
    request.identified = true;
    assert_true(gate_request_is_allowed(&request, "swordfish", NOW_S));
    /* Good for longer than any link may be. */
    request = link_of("a", "v", NOW_S + GATE_LONGEST_LINK + 1);
    assert_false(gate_request_is_allowed(&request, "swordfish", NOW_S));
}

static void test_times(void **state UNUSED)
{
    static const char *const wrong[] = {"",
                                        "2026-11-29",
                                        "2026-11-29 10:20:30Z",
                                        "2026-13-29T10:20:30Z",
                                        "2026-11-29T24:20:30Z",
                                        "2026-11-29T10:20:30",
                                        "1960-11-29T10:20:30Z",
                                        "2o26-11-29T10:20:30Z"};
    uint64_t ns;

    assert_int_equal(gate_parse_time("2023-11-14T22:13:20.123Z", &ns), 0);
    assert_int_equal(ns, NOW_S * NS_PER_SECOND);
    assert_int_equal(gate_parse_time("2023-11-14T22:13:20Z", &ns), 0);
    assert_int_equal(ns, NOW_S * NS_PER_SECOND);
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(gate_parse_time(wrong[i], &ns), -EINVAL);
}

/* The tags of a verdict that was written at a time. */
static struct s3_tags tags_of(const struct tagger *tagger, enum storage_verdict verdict,
                              uint64_t when_s)
{
    const struct storage_result result = {.verdict = verdict, .signatures = "2023/abc"};
    struct s3_tags tags = {.count = 0};

    clock_set_fake(1, when_s * NS_PER_SECOND);
    assert_int_equal(tagger_merge(tagger, &result, &tags), 0);
    clock_set_fake(0, 0);
    return tags;
}

static enum gate_known judge(enum tag_format format, enum storage_verdict verdict, uint64_t age_s,
                             const char *signatures)
{
    const struct tagger tagger = {.format = format, .prefix = "yagura"};
    const struct s3_tags tags = tags_of(&tagger, verdict, NOW_S - age_s);

    return gate_tags_judge(&tagger, &tags, signatures, NOW_S * NS_PER_SECOND, 3600 * NS_PER_SECOND);
}

static void test_verdicts_age(void **state UNUSED)
{
    static const enum tag_format formats[] = {TAG_SEPARATED, TAG_MERGED};

    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        assert_int_equal(judge(formats[i], STORAGE_CLEAN, 10, ""), GATE_CLEAN);
        assert_int_equal(judge(formats[i], STORAGE_CLEAN, 3601, ""), GATE_UNKNOWN);
        assert_int_equal(judge(formats[i], STORAGE_CLEAN, 3601, "2023/abc"), GATE_CLEAN);
        assert_int_equal(judge(formats[i], STORAGE_CLEAN, 3601, "2024/abc"), GATE_UNKNOWN);
        assert_int_equal(judge(formats[i], STORAGE_INFECTED, 10, ""), GATE_INFECTED);
        assert_int_equal(judge(formats[i], STORAGE_INCOMPLETE, 10, ""), GATE_NOT_CLEAN);
        assert_int_equal(judge(formats[i], STORAGE_ERROR, 10, ""), GATE_NOT_CLEAN);
        /* From the future: no date of ours. */
        assert_int_equal(judge(formats[i], STORAGE_CLEAN, (uint64_t)-100000, ""), GATE_UNKNOWN);
    }
    assert_int_equal(judge(TAG_FSS, STORAGE_CLEAN, 10, "2023/abc"), GATE_UNKNOWN);
    assert_int_equal(judge(TAG_NONE, STORAGE_CLEAN, 10, "2023/abc"), GATE_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_queries),      cmocka_unit_test(test_events),
        cmocka_unit_test(test_tokens),       cmocka_unit_test(test_times),
        cmocka_unit_test(test_verdicts_age),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
