/* Names of services, against those of AWS's own SDK (tests/fixtures/aws_endpoints.json: the rules
 * of botocore 1.43 for five services, ten regions of all partitions, FIPS and dual-stack). */
#include "common/aws/endpoint.h"

#include "common/text/text.h"

#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct aws_endpoint find(const struct aws_settings *settings, const char *service,
                                const char *region, const char *bucket)
{
    struct aws_endpoint endpoint;
    char problem[512];

    assert_int_equal(aws_endpoint_find(settings, service, region, bucket, &endpoint, problem,
                                       sizeof problem),
                     0);
    return endpoint;
}

static void test_as_the_sdk_says(void **state UNUSED)
{
    json_t *rows = json_load_file(YAGURA_FIXTURES "/aws_endpoints.json", 0, NULL), *row;
    size_t index;

    assert_true(json_array_size(rows) > 190);
    json_array_foreach(rows, index, row)
    {
        const struct aws_settings settings = {
            .fips = json_is_true(json_object_get(row, "fips")),
            .dual_stack = json_is_true(json_object_get(row, "dual_stack")),
        };
        const char *url = json_string_value(json_object_get(row, "url"));
        struct aws_endpoint endpoint =
            find(&settings, json_string_value(json_object_get(row, "service")),
                 json_string_value(json_object_get(row, "region")), NULL);
        assert_string_equal(endpoint.origin, url);
        assert_string_equal(endpoint.host, url + 8);
    }
    json_decref(rows);
}

static void test_buckets(void **state UNUSED)
{
    const struct aws_settings none = {.region = ""}, own = {.endpoint = "http://127.0.0.1:9000"};

    struct aws_endpoint endpoint = find(&none, "s3", "eu-west-1", "some-bucket");
    assert_string_equal(endpoint.origin, "https://some-bucket.s3.eu-west-1.amazonaws.com");
    assert_string_equal(endpoint.host, "some-bucket.s3.eu-west-1.amazonaws.com");
    assert_string_equal(endpoint.prefix, "");
    endpoint = find(&none, "s3", "eu-west-1", "with.dots");
    assert_string_equal(endpoint.host, "s3.eu-west-1.amazonaws.com");
    assert_string_equal(endpoint.prefix, "/with.dots");
    endpoint = find(&own, "s3", "eu-west-1", "some-bucket");
    assert_string_equal(endpoint.origin, "http://127.0.0.1:9000");
    assert_string_equal(endpoint.host, "127.0.0.1:9000");
    assert_string_equal(endpoint.prefix, "/some-bucket");
}

static void test_own_endpoints(void **state UNUSED)
{
    const struct aws_settings settings = {
        .endpoint = "https://vpce.test:443/",
        .service_endpoints = {[0] = "http://[::1]:80"},
    };

    struct aws_endpoint endpoint = find(&settings, "sns", "eu-west-1", NULL);
    assert_string_equal(endpoint.origin, "https://vpce.test:443");
    assert_string_equal(endpoint.host, "vpce.test");
    endpoint = find(&settings, "ssm", "eu-west-1", NULL);
    assert_string_equal(endpoint.origin, "http://[::1]:80");
    assert_string_equal(endpoint.host, "[::1]");
}

static void refuse(const char *own, const char *region, const char *bucket)
{
    struct aws_settings settings = {.region = ""};
    struct aws_endpoint endpoint;
    char problem[512] = "";

    assert_int_equal(text_copy(settings.endpoint, sizeof settings.endpoint, own), 0);
    assert_int_equal(aws_endpoint_find(&settings, "s3", region, bucket, &endpoint, problem,
                                       sizeof problem),
                     -EINVAL);
    assert_string_not_equal(problem, "");
}

static void test_what_cannot_be_used(void **state UNUSED)
{
    refuse("ftp://host", "eu-west-1", NULL);
    refuse("https://", "eu-west-1", NULL);
    refuse("https://host/path", "eu-west-1", NULL);
    refuse("https://user@host", "eu-west-1", NULL);
    refuse("https://host\r\nX: y", "eu-west-1", NULL);
    refuse("", "eu-west-1/..", NULL);
    refuse("", "", NULL);
    refuse("", "eu-west-1", "Bucket");
    refuse("", "eu-west-1", "evil.test/");
    refuse("", "eu-west-1", "ab");
    refuse("", "eu-west-1", "-ab");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_the_sdk_says),
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_own_endpoints),
        cmocka_unit_test(test_what_cannot_be_used),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
