/* What a webhook and Security Hub are sent. */
#include "common/json/json_tree.h"
#include "common/text/text.h"
#include "storage/actions/security_hub.h"
#include "storage/actions/webhook.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* printf '%s' '1700000000.{"a":1}' | openssl dgst -sha256 -hmac swordfish */
static void test_signature(void **state UNUSED)
{
    char signature[WEBHOOK_SIGNATURE_BYTES];

    assert_int_equal(webhook_sign("swordfish", "1700000000", "{\"a\":1}", 7, signature), 0);
    assert_string_equal(signature,
                        "v1=8f1701c54ae5132691656d186f95251b9ae92f79d732c3a8d1037301c9d4513c");
}

static void test_addresses(void **state UNUSED)
{
    static const char *const wrong[] = {"", "http://example.org/", "ftp://x", "https:/x"};
    struct webhook *webhook = NULL;

    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++)
        assert_int_equal(webhook_new(wrong[i], "", "secret", &webhook), -EINVAL);
    assert_int_equal(webhook_new("https://example.org/", "", "", &webhook), -EINVAL);
    assert_int_equal(webhook_new("https://example.org/", "x", "secret", &webhook), -EBADMSG);
    assert_int_equal(webhook_new("https://example.org/", "", "secret", &webhook), 0);
    assert_null(webhook_free(webhook));
}

static const struct json_node *at(const struct json_node *node, const char *key)
{
    const struct json_node *found = json_node_find(node, key);

    assert_non_null(found);
    return found->kind == JSON_NODE_ARRAY ? json_node_first(found) : found;
}

static void test_findings_fit(void **state UNUSED)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(65536);
    struct published_result result = {.bucket = "bucket", .version = "v", .etag = "e"};
    struct json_tree *tree = NULL;
    char problem[128];

    memset(result.malware, 'm', sizeof result.malware - 1);
    for (size_t i = 0; i + 3 < sizeof result.key; i += 3)
        memcpy(result.key + i, "\xe3\x81\x82", 3);
    assert_int_equal(security_hub_write("123456789012", "us-gov-west-1", &result, &json), 0);
    assert_int_equal(json_tree_parse(buffer_text(&json), json.length, &tree, problem), 0);
    const struct json_node *finding = at(json_tree_root(tree), "Findings");
    assert_string_equal(at(finding, "ProductArn")->text,
                        "arn:aws-us-gov:securityhub:us-gov-west-1:123456789012:product/"
                        "123456789012/default");
    assert_int_equal(at(at(finding, "Malware"), "Name")->length, 64);
    assert_true(at(at(finding, "Malware"), "Path")->length <= 512);
    assert_true(at(at(finding, "Resources"), "Id")->length <= 512);
    assert_true(at(finding, "Description")->length <= 1024);
    (void)json_tree_free(tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_findings_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
