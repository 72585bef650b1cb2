/* Verdicts and codes, and the message as others read it. */
#include "storage/scan/storage_result.h"

#include "common/json/json_tree.h"
#include "common/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct storage_result of(enum scan_verdict verdict, enum scan_reason reason,
                                const char *first)
{
    struct storage_result result = {.object = {.bucket = "b", .key = "k", .region = "r"}};
    struct scan_result scan = {.verdict = verdict, .reason = reason};

    if (verdict == SCAN_INFECTED)
        (void)text_copy(scan.signature, sizeof scan.signature, "Eicar");
    storage_result_take_scan(&result, &scan, first, strlen(first));
    return result;
}

static void test_only_clean_is_clean(void **state UNUSED)
{
    for (int reason = SCAN_REASON_NONE; reason <= SCAN_REASON_INTERNAL; reason++) {
        struct storage_result result = of(SCAN_INCOMPLETE, (enum scan_reason)reason, "");
        assert_int_equal(result.verdict, STORAGE_INCOMPLETE);
        assert_int_equal(result.status, STORAGE_STATUS_UNSUCCESSFUL);
        assert_in_range(result.code, 101, 199);
        result = of(SCAN_ERROR, (enum scan_reason)reason, "");
        assert_int_equal(result.verdict, STORAGE_ERROR);
        assert_true(result.status < 0);
        assert_int_equal(result.code, 0);
    }
    assert_int_equal(of(SCAN_CLEAN, SCAN_REASON_NONE, "").verdict, STORAGE_CLEAN);
    assert_int_equal(of(SCAN_INFECTED, SCAN_REASON_NONE, "").status, STORAGE_STATUS_SCANNED);
}

static void test_codes_of_encryption(void **state UNUSED)
{
    assert_int_equal(of(SCAN_INCOMPLETE, SCAN_REASON_ENCRYPTED, "PK\x03\x04").code, 107);
    assert_int_equal(of(SCAN_INCOMPLETE, SCAN_REASON_ENCRYPTED, "\xD0\xCF\x11\xE0\xA1").code, 108);
    assert_int_equal(of(SCAN_INCOMPLETE, SCAN_REASON_ENCRYPTED, "%PDF-1.7").code, 109);
    assert_int_equal(of(SCAN_INCOMPLETE, SCAN_REASON_ENCRYPTED, "").code, 107);
    assert_int_equal(of(SCAN_INCOMPLETE, SCAN_REASON_FILE_COUNT, "").code, 102);
    assert_int_equal(of(SCAN_INCOMPLETE, SCAN_REASON_RECURSION, "").code, 103);
    assert_int_equal(of(SCAN_INCOMPLETE, SCAN_REASON_UNSUPPORTED, "").code, 105);
}

static void test_the_message(void **state UNUSED)
{
    static const char *const keys[] = {"type",
                                       "timestamp",
                                       "sqs_message_id",
                                       "xamz_request_id",
                                       "bucket",
                                       "bucket_region",
                                       "file_name",
                                       "file_attributes",
                                       "file_url",
                                       "scan_start_timestamp",
                                       "scanner_status",
                                       "scanner_status_message",
                                       "scanning_result",
                                       /* and ours: */ "schema",
                                       "verdict",
                                       "sha256",
                                       "version_id",
                                       "sequencer",
                                       "signatures",
                                       "tagged"};
    struct storage_result result = of(SCAN_INFECTED, SCAN_REASON_NONE, "");
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(256 * 1024);
    struct json_tree *tree;
    char problem[128];

    (void)text_copy(result.object.key, sizeof result.object.key, "a b/\xe6\xab\x93?");
    assert_int_equal(storage_result_write(&result, "scanner", "m", &json), 0);
    assert_int_equal(json_tree_parse(buffer_text(&json), json.length, &tree, problem), 0);
    const struct json_node *root = json_tree_root(tree);
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        if (json_node_find(root, keys[i]) == NULL)
            fail_msg("%s is missing", keys[i]);
    assert_string_equal(json_node_find(root, "file_url")->text,
                        "https://b.s3.r.amazonaws.com/a%20b/%E6%AB%93%3F");
    const struct json_node *scanned = json_node_find(root, "scanning_result");
    const struct json_node *finding = json_node_first(json_node_find(scanned, "Findings"));
    assert_string_equal(json_node_find(finding, "malware")->text, "Eicar");
    assert_non_null(json_node_find(scanned, "TotalBytesOfFile"));
    assert_non_null(json_node_find(scanned, "Error"));
    assert_null(json_node_first(json_node_find(scanned, "Codes")));
    (void)json_tree_free(tree);
}

static void test_the_longest_message_fits(void **state UNUSED)
{
    struct storage_result result = of(SCAN_CLEAN, SCAN_REASON_NONE, "");
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(256 * 1024);

    memset(result.object.key, '\x01', sizeof result.object.key - 1);
    memset(result.object.version, '"', sizeof result.object.version - 1);
    memset(result.problem, '\x01', sizeof result.problem - 1);
    memset(result.tag_problem, '\x01', sizeof result.tag_problem - 1);
    assert_int_equal(storage_result_write(&result, "s", "m", &json), 0);
    assert_true(json.length < 64 * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_only_clean_is_clean),
        cmocka_unit_test(test_codes_of_encryption),
        cmocka_unit_test(test_the_message),
        cmocka_unit_test(test_the_longest_message_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
