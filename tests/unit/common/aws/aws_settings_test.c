/* What the environment says, and what stands above it. */
#include "common/aws/aws_settings.h"

#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int clear_environment(void **state UNUSED)
{
    return clearenv();
}

static void set(const char *name, const char *value)
{
    assert_int_equal(setenv(name, value, 1), 0);
}

static struct aws_settings read_it(struct aws_settings settings)
{
    const char *variable = NULL;

    assert_int_equal(aws_settings_from_environment(&settings, &variable), 0);
    return settings;
}

static void test_everything_is_taken(void **state UNUSED)
{
    set("AWS_DEFAULT_REGION", "eu-west-2");
    set("AWS_ACCESS_KEY_ID", "AKID");
    set("AWS_SECRET_ACCESS_KEY", "secret");
    set("AWS_SESSION_TOKEN", "token");
    set("AWS_ENDPOINT_URL", "https://all.test");
    set("AWS_ENDPOINT_URL_SSM", "https://ssm.test");
    set("AWS_USE_FIPS_ENDPOINT", "TRUE");
    set("AWS_USE_DUALSTACK_ENDPOINT", "true");
    set("AWS_EC2_METADATA_DISABLED", "true");
    set("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6");
    set("AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
    set("https_proxy", "http://proxy.test:3128");
    set("NO_PROXY", "internal.test");
    struct aws_settings settings = read_it((struct aws_settings){.region = ""});
    assert_string_equal(settings.region, "eu-west-2");
    assert_string_equal(settings.keys.access_key_id, "AKID");
    assert_string_equal(settings.keys.secret_access_key, "secret");
    assert_string_equal(settings.keys.session_token, "token");
    assert_string_equal(settings.endpoint, "https://all.test");
    assert_string_equal(settings.service_endpoints[0], "https://ssm.test");
    assert_string_equal(settings.metadata_endpoint, "http://[fd00:ec2::254]");
    assert_string_equal(settings.proxy, "http://proxy.test:3128");
    assert_string_equal(settings.no_proxy, "internal.test");
    assert_true(settings.fips && settings.dual_stack && settings.metadata_disabled &&
                settings.web_identity);
    aws_settings_wipe(&settings);
    assert_string_equal(settings.keys.secret_access_key, "");
}

static void test_order_of_regions(void **state UNUSED)
{
    set("AWS_SSM_REGION_NAME", "us-west-1");
    assert_string_equal(read_it((struct aws_settings){.region = ""}).region, "us-west-1");
    set("BWS_REGION", "us-west-2");
    assert_string_equal(read_it((struct aws_settings){.region = ""}).region, "us-west-2");
    set("AWS_DEFAULT_REGION", "eu-west-2");
    set("AWS_REGION", "eu-west-1");
    assert_string_equal(read_it((struct aws_settings){.region = ""}).region, "eu-west-1");
    assert_string_equal(read_it((struct aws_settings){.region = "ap-south-1"}).region,
                        "ap-south-1");
}

/* Never the name of one key with the secret of another. */
static void test_keys_are_not_mixed(void **state UNUSED)
{
    set("AWS_ACCESS_KEY_ID", "ENVIRONMENT");
    set("AWS_SECRET_ACCESS_KEY", "environment");
    set("AWS_SESSION_TOKEN", "environment");
    struct aws_settings settings =
        read_it((struct aws_settings){.keys = {"CONFIGURED", "configured", ""}});
    assert_string_equal(settings.keys.access_key_id, "CONFIGURED");
    assert_string_equal(settings.keys.secret_access_key, "configured");
    assert_string_equal(settings.keys.session_token, "");
    settings = read_it((struct aws_settings){.profile = "configured"});
    assert_string_equal(settings.keys.access_key_id, "");
}

static void test_endpoints_may_be_ignored(void **state UNUSED)
{
    set("AWS_ENDPOINT_URL", "https://all.test");
    set("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
    assert_string_equal(read_it((struct aws_settings){.region = ""}).endpoint, "");
}

static void test_too_long_is_told_and_not_kept(void **state UNUSED)
{
    char value[AWS_SECRET_BYTES + 1];
    struct aws_settings settings = {.region = ""};
    const char *variable = NULL;

    memset(value, 'x', sizeof value - 1);
    value[sizeof value - 1] = '\0';
    set("AWS_SECRET_ACCESS_KEY", value);
    assert_int_equal(aws_settings_from_environment(&settings, &variable), -ENAMETOOLONG);
    assert_string_equal(variable, "AWS_SECRET_ACCESS_KEY");
    assert_string_equal(settings.keys.secret_access_key, "");
}

static void test_names_of_regions(void **state UNUSED)
{
    assert_true(aws_region_is_valid("us-gov-west-1"));
    assert_false(aws_region_is_valid(""));
    assert_false(aws_region_is_valid("us-east-1.evil.test/"));
    assert_false(aws_region_is_valid("US-EAST-1"));
    assert_false(aws_region_is_valid("-east-1"));
    assert_false(aws_region_is_valid(
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_everything_is_taken, clear_environment),
        cmocka_unit_test_setup(test_order_of_regions, clear_environment),
        cmocka_unit_test_setup(test_keys_are_not_mixed, clear_environment),
        cmocka_unit_test_setup(test_endpoints_may_be_ignored, clear_environment),
        cmocka_unit_test_setup(test_too_long_is_told_and_not_kept, clear_environment),
        cmocka_unit_test(test_names_of_regions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
