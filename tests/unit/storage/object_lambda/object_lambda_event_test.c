/* Events of Object Lambda, ranges, and where links may lead. */
#include "storage/object_lambda/object_lambda_event.h"

#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int read_event(const char *context, const char *headers, struct object_lambda_event *event)
{
    char json[2048];

    (void)text_format(json, sizeof json,
                      "{%s,\"configuration\":{\"payload\":\"{\\\"bucket\\\":\\\"bkt\\\"}\"},"
                      "\"userRequest\":{\"url\":\"https://x/a%%20b?c=d\",\"headers\":{%s}}}",
                      context, headers);
    return object_lambda_event_read(json, strlen(json), event);
}

#define GET(signed) \
    "\"getObjectContext\":{\"inputS3Url\":\"https://b/k?X-Amz-SignedHeaders=" signed "&X=1\",\"outputRoute\":\"r\",\"outputToken\":\"t\"}"

static void test_get(void **state UNUSED)
{
    struct object_lambda_event event;

    assert_int_equal(read_event(GET("host%3Bx-amz-checksum-mode"),
                                "\"Host\":\"h\",\"X-Amz-Checksum-Mode\":\"ENABLED\","
                                "\"Range\":\"bytes=1-2\"",
                                &event),
                     0);
    assert_false(event.head);
    assert_string_equal(event.route, "r");
    assert_string_equal(event.key, "a b");
    assert_string_equal(event.bucket, "bkt");
    assert_string_equal(event.range, "bytes=1-2");
    assert_false(event.range_is_signed);
    assert_int_equal(event.header_count, 1);
    assert_string_equal(event.headers[0].value, "ENABLED");
    object_lambda_event_done(&event);
    assert_int_equal(read_event(GET("host;range"), "\"range\":\"bytes=1-2\"", &event), 0);
    assert_true(event.range_is_signed);
    object_lambda_event_done(&event);
}

static void test_others(void **state UNUSED)
{
    struct object_lambda_event event;
    static const char head[] =
        "\"headObjectContext\":{\"inputS3Url\":\"https://b/k?X-Amz-SignedHeaders=host\"}";

    assert_int_equal(read_event(head, "", &event), 0);
    assert_true(event.head);
    object_lambda_event_done(&event);
    static const char *const broken[][2] = {
        {GET("host;x-missing"), ""},
        {GET("host;x-a"), "\"x-a\":\"1\\r\\nx: 2\""},
        {"\"getObjectContext\":{\"inputS3Url\":\"https://b/k?X-Amz-SignedHeaders=host\"}", ""},
        {"\"getObjectContext\":{\"inputS3Url\":\"https://b/k\",\"outputRoute\":\"r\","
         "\"outputToken\":\"t\"}",
         ""},
        {"\"listObjectsV2Context\":{}", ""}};
    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++)
        assert_int_equal(read_event(broken[i][0], broken[i][1], &event), -EBADMSG);
    assert_int_equal(object_lambda_event_read("[]", 2, &event), -EBADMSG);
}

static void test_ranges(void **state UNUSED)
{
    static const struct {
        const char *text;
        uint64_t size;
        int error;
        uint64_t first, length;
    } cases[] = {{"bytes=0-0", 10, 0, 0, 1},
                 {"bytes=2-", 10, 0, 2, 8},
                 {"bytes=2-100", 10, 0, 2, 8},
                 {"bytes=-3", 10, 0, 7, 3},
                 {"bytes=-30", 10, 0, 0, 10},
                 {"bytes=10-", 10, -ERANGE, 0, 0},
                 {"bytes=-0", 10, -ERANGE, 0, 0},
                 {"bytes=0-", 0, -ERANGE, 0, 0},
                 {"bytes=5-4", 10, -EINVAL, 0, 0},
                 {"bytes=1-2,4-5", 10, -EINVAL, 0, 0},
                 {"bytes=", 10, -EINVAL, 0, 0},
                 {"bytes=a-", 10, -EINVAL, 0, 0},
                 {"lines=1-2", 10, -EINVAL, 0, 0},
                 {"bytes= 1-2", 10, -EINVAL, 0, 0},
                 {"bytes=18446744073709551616-", 10, -EINVAL, 0, 0}};

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        uint64_t first = 0, length = 0;
        assert_int_equal(object_lambda_range(cases[i].text, cases[i].size, &first, &length),
                         cases[i].error);
        assert_int_equal(first, cases[i].first);
        assert_int_equal(length, cases[i].length);
    }
}

static void test_links(void **state UNUSED)
{
    assert_true(object_lambda_url_is_s3("https://b.s3.eu-west-1.amazonaws.com/k", ""));
    assert_true(object_lambda_url_is_s3("https://b.s3.cn-north-1.amazonaws.com.cn/k", ""));
    assert_true(object_lambda_url_is_s3("http://127.0.0.1:5/b/k", "http://127.0.0.1:5"));
    static const char *const wrong[] = {"http://b.s3.eu-west-1.amazonaws.com/k",
                                        "https://evil.example/k",
                                        "https://evil.example/.amazonaws.com/k",
                                        "https://evil.example?.amazonaws.com/k",
                                        "https://x@evil.example/k",
                                        "https://amazonaws.com.evil.example/k",
                                        "https://b.s3.amazonaws.com:8443/k",
                                        "http://127.0.0.1:55/b/k",
                                        "https://b.s3.amazonaws.com"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_false(object_lambda_url_is_s3(wrong[i], "http://127.0.0.1:5"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_links),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
