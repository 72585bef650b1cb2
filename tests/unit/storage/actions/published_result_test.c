/* Which published results ask for what; records; batches of messages. */
#include "storage/actions/published_result.h"

#include "common/text/text.h"
#include "storage/actions/message_batch.h"
#include "storage/actions/quarantine.h"
#include "storage/actions/quarantine_record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int read_text(const char *text, struct published_result *result)
{
    char problem[128];

    return published_result_read(text, strlen(text), result, problem);
}

/* A result with this middle: status, verdict and findings. */
static enum published_verdict judge(const char *middle)
{
    struct published_result result;
    char text[1024];

    (void)text_format(text, sizeof text,
                      "{\"type\":\"scan-result\",\"bucket\":\"b\",\"file_name\":\"k\",%s}", middle);
    assert_int_equal(read_text(text, &result), 0);
    return result.verdict;
}

#define SCANNED(findings, codes, error)                                                         \
    "\"scanning_result\":{\"Findings\":[" findings "],\"Codes\":[" codes "],\"Error\":\"" error \
    "\"}"

static void test_the_worst_counts(void **state UNUSED)
{
    static const struct {
        const char *middle;
        enum published_verdict verdict;
    } cases[] = {
        /* File Storage Security's, without a word of ours */
        {"\"scanner_status\":0," SCANNED("", "", ""), PUBLISHED_CLEAN},
        {"\"scanner_status\":0," SCANNED("{\"malware\":\"x\"}", "", ""), PUBLISHED_INFECTED},
        {"\"scanner_status\":0," SCANNED("", "107", ""), PUBLISHED_INCOMPLETE},
        {"\"scanner_status\":0," SCANNED("", "", "broken"), PUBLISHED_OTHER},
        {"\"scanner_status\":-4," SCANNED("", "", ""), PUBLISHED_OTHER},
        {"\"scanner_status\":0", PUBLISHED_OTHER},
        {SCANNED("", "", ""), PUBLISHED_OTHER},
        /* ours */
        {"\"verdict\":\"clean\",\"scanner_status\":0," SCANNED("", "", ""), PUBLISHED_CLEAN},
        {"\"verdict\":\"clean\",\"scanner_status\":-2," SCANNED("", "", ""), PUBLISHED_OTHER},
        {"\"verdict\":\"clean\",\"scanner_status\":0," SCANNED("1", "", ""), PUBLISHED_INFECTED},
        {"\"verdict\":\"clean\",\"scanner_status\":0," SCANNED("", "1", ""), PUBLISHED_INCOMPLETE},
        {"\"verdict\":\"incomplete\",\"scanner_status\":-2," SCANNED("", "107", ""),
         PUBLISHED_INCOMPLETE},
        {"\"verdict\":\"superseded\",\"scanner_status\":0," SCANNED("", "", ""), PUBLISHED_OTHER},
        {"\"verdict\":\"CLEAN\",\"scanner_status\":0," SCANNED("", "", ""), PUBLISHED_OTHER},
        {"\"verdict\":\"infected\",\"scanner_status\":-2," SCANNED("1", "", ""),
         PUBLISHED_INFECTED},
    };

    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++)
        assert_int_equal(judge(cases[i].middle), cases[i].verdict);
}

static void test_fields(void **state UNUSED)
{
    static const char text[] =
        "{\"Type\":\"Notification\",\"Message\":\"{\\\"type\\\":\\\"scan-result\\\","
        "\\\"timestamp\\\":5,\\\"bucket\\\":\\\"b\\\",\\\"bucket_region\\\":\\\"eu-west-1\\\","
        "\\\"file_name\\\":\\\"a+b \\\\u3042\\\",\\\"version_id\\\":\\\"v\\\","
        "\\\"file_attributes\\\":{\\\"etag\\\":\\\"e\\\"},\\\"scanner_status\\\":0,"
        "\\\"scanning_result\\\":{\\\"Findings\\\":[{\\\"malware\\\":\\\"Eicar\\\"}]}}\"}";
    struct published_result result;

    assert_int_equal(read_text(text, &result), 0);
    assert_int_equal(result.verdict, PUBLISHED_INFECTED);
    assert_string_equal(result.bucket, "b");
    assert_string_equal(result.region, "eu-west-1");
    assert_string_equal(result.key, "a+b \xe3\x81\x82");
    assert_string_equal(result.version, "v");
    assert_string_equal(result.etag, "e");
    assert_string_equal(result.sha256, "");
    assert_string_equal(result.malware, "Eicar");
    assert_int_equal(result.time_ms, 5000);
}

static void test_others_are_not_ours(void **state UNUSED)
{
    struct published_result result;
    static const char *const broken[] = {
        "",
        "[]",
        "{\"type\":\"scan-result\"}",
        "{\"type\":\"scan-result\",\"bucket\":\"b\"}",
        "{\"type\":\"scan-result\",\"bucket\":\"b\",\"file_name\":\"k\",\"sha256\":\"x\"}",
        "{\"type\":\"scan-result\",\"bucket\":\"b\",\"file_name\":\"k\",\"bucket_region\":\"a/b\"}",
        "{\"Type\":\"Notification\",\"Message\":\"x\"}"};

    assert_int_equal(read_text("{\"Type\":\"SubscriptionConfirmation\"}", &result), -ENOMSG);
    assert_int_equal(read_text("{\"type\":\"action\"}", &result), -ENOMSG);
    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++)
        assert_int_equal(read_text(broken[i], &result), -EBADMSG);
}

static void test_records_come_back(void **state UNUSED)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(QUARANTINE_RECORD_BYTES);
    struct quarantine_record record = {.bucket = "b",
                                       .key = "a\"\n\xe3\x81\x82",
                                       .version = "v",
                                       .verdict = "infected",
                                       .malware = "x"};
    struct quarantine_record read;
    char problem[128];

    assert_int_equal(s3_tags_set(&record.tags, "team", "red"), 0);
    assert_int_equal(quarantine_record_write(&record, &json), 0);
    assert_int_equal(quarantine_record_read(buffer_text(&json), json.length, &read, problem), 0);
    assert_string_equal(read.key, record.key);
    assert_string_equal(read.version, "v");
    assert_string_equal(s3_tags_find(&read.tags, "team"), "red");
    assert_int_equal(quarantine_record_read("{}", 2, &read, problem), -EBADMSG);
}

static void test_ids(void **state UNUSED)
{
    const struct published_result one = {.bucket = "b", .key = "k", .version = "v"};
    const struct published_result shifted = {.bucket = "bk", .key = "", .version = "v"};
    char first[QUARANTINE_ID_BYTES], second[QUARANTINE_ID_BYTES];

    assert_int_equal(quarantine_id(&one, first), 0);
    assert_int_equal(quarantine_id(&one, second), 0);
    assert_string_equal(first, second);
    assert_int_equal(quarantine_id(&shifted, second), 0);
    assert_string_not_equal(first, second);
}

static int fail_on_b(void *user, const char *body, size_t length UNUSED, bool again)
{
    (*(unsigned *)user)++;
    assert_int_equal(again, text_equal(body, "b"));
    return text_equal(body, "b") ? -EAGAIN : 0;
}

static void test_batches(void **state UNUSED)
{
    static const char event[] =
        ("{\"Records\":[{\"messageId\":\"1\",\"body\":\"a\"},"
         "{\"messageId\":\"2\",\"body\":\"b\",\"attributes\":{\"ApproximateReceiveCount\":\"2\"}},"
         "{\"messageId\":\"3\",\"body\":\"c\",\"attributes\":{\"ApproximateReceiveCount\":\"1\"}}]}");
    static const char broken[] = "{\"Records\":[{\"messageId\":\"1\",\"body\":\"a\"},"
                                 "{\"messageId\":\"\",\"body\":\"b\"}]}";
    AUTO_BUFFER struct buffer answer = BUFFER_WITH_MAXIMUM(4096);
    unsigned count = 0;

    assert_int_equal(message_batch_handle(event, strlen(event), fail_on_b, &count, &answer), 0);
    assert_string_equal(buffer_text(&answer),
                        "{\"batchItemFailures\":[{\"itemIdentifier\":\"2\"}]}");
    assert_int_equal(count, 3);
    assert_int_equal(message_batch_handle(broken, strlen(broken), fail_on_b, &count, &answer),
                     -EBADMSG);
    assert_int_equal(count, 3); /* none of a broken batch */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_worst_counts),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_others_are_not_ours),
        cmocka_unit_test(test_records_come_back),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_batches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
