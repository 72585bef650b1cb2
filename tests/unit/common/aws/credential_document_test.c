/* The JSON of temporary credentials. */
#include "common/aws/credential_document.h"

#include "common/text/text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static char problem[512];

static int read_it(const char *text, struct aws_keys *keys, uint64_t *expires_s)
{
    problem[0] = '\0';
    return credential_document_read(text, strlen(text), keys, expires_s, problem, sizeof problem);
}

static void test_of_an_instance(void **state UNUSED)
{
    struct aws_keys keys = {.access_key_id = ""};
    uint64_t expires_s = 0;

    assert_int_equal(read_it("{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"AccessKeyId\":\"ASIA\","
                             "\"SecretAccessKey\":\"s\",\"Token\":\"t\","
                             "\"Expiration\":\"2026-11-22T03:04:05Z\"}",
                             &keys, &expires_s),
                     0);
    assert_string_equal(keys.access_key_id, "ASIA");
    assert_string_equal(keys.secret_access_key, "s");
    assert_string_equal(keys.session_token, "t");
    assert_int_equal(expires_s, 1795316645);
}

static void test_of_a_container(void **state UNUSED)
{
    struct aws_keys keys = {.access_key_id = ""};
    uint64_t expires_s = 7;

    assert_int_equal(
        read_it("{\"RoleArn\":\"x\",\"AccessKeyId\":\"ASIA\",\"SecretAccessKey\":\"s\","
                "\"Token\":\"t\",\"Expiration\":\"2026-11-22T03:04:05.25Z\"}",
                &keys, &expires_s),
        0);
    assert_int_equal(expires_s, 1795316645);
    assert_int_equal(
        read_it("{\"AccessKeyId\":\"AKIA\",\"SecretAccessKey\":\"s\"}", &keys, &expires_s), 0);
    assert_string_equal(keys.session_token, "");
    assert_int_equal(expires_s, 0);
}

static void test_an_error_is_no_credential(void **state UNUSED)
{
    struct aws_keys keys = {.access_key_id = ""};
    uint64_t expires_s;

    assert_int_equal(read_it("{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"EC2 cannot "
                             "assume\\u0007 the role\"}",
                             &keys, &expires_s),
                     -EBADMSG);
    assert_string_equal(problem, "AssumeRoleUnauthorizedAccess: EC2 cannot assume\\x07 the role");
    assert_int_equal(read_it("{\"code\":\"AccessDenied\",\"message\":\"no\"}", &keys, &expires_s),
                     -EBADMSG);
    assert_string_equal(problem, "AccessDenied: no");
    assert_string_equal(keys.access_key_id, "");
}

static void test_what_is_no_document(void **state UNUSED)
{
    static const char *const texts[] = {"",
                                        "[]",
                                        "nonsense",
                                        "<html>",
                                        "{}",
                                        "{\"AccessKeyId\":\"A\"}",
                                        "{\"AccessKeyId\":1,\"SecretAccessKey\":2}",
                                        "{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"\"}"};
    struct aws_keys keys = {.access_key_id = ""};
    uint64_t expires_s;

    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        assert_int_equal(read_it(texts[i], &keys, &expires_s), -EBADMSG);
        assert_string_not_equal(problem, "");
        assert_string_equal(keys.access_key_id, "");
    }
}

static void test_longer_than_any_known(void **state UNUSED)
{
    char text[600], name[300];
    struct aws_keys keys = {.access_key_id = ""};
    uint64_t expires_s;

    memset(name, 'A', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_true(text_format(text, sizeof text, "{\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"s\"}",
                            name) > 0);
    assert_int_equal(read_it(text, &keys, &expires_s), -EBADMSG);
    assert_string_equal(keys.access_key_id, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_an_instance),
        cmocka_unit_test(test_of_a_container),
        cmocka_unit_test(test_an_error_is_no_credential),
        cmocka_unit_test(test_what_is_no_document),
        cmocka_unit_test(test_longer_than_any_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
