/* What S3 and SQS answer, read; requests against a stand-in: conditions, errors in good answers,
 * another region, broken bodies. */
#include "common/aws/s3.h"
#include "common/aws/sns.h"
#include "common/aws/sqs.h"

#include "common/text/text.h"
#include "tests/unit/common/aws/http_stand_in.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_tags_are_read(void **state UNUSED)
{
    static const char xml[] = "<Tagging><TagSet><Tag><Key>a&amp;b</Key><Value>1 2</Value></Tag>"
                              "<Tag><Value></Value><Key>c</Key></Tag></TagSet></Tagging>";
    struct s3_tags tags;

    assert_int_equal(s3_tags_read(xml, strlen(xml), &tags), 0);
    assert_int_equal(tags.count, 2);
    assert_string_equal(s3_tags_find(&tags, "a&b"), "1 2");
    assert_string_equal(s3_tags_find(&tags, "c"), "");
    assert_null(s3_tags_find(&tags, "d"));
    static const char *const broken[] = {
        "", "<Error><Code>x</Code></Error>", "<Tagging><TagSet>",
        "<Tagging><TagSet><Tag><Value>x</Value></Tag></TagSet></Tagging>",
        "<T><TagSet><Tag><Key>a</Key></Tag><Tag><Key>a</Key></Tag></TagSet></T>"};
    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++)
        assert_int_equal(s3_tags_read(broken[i], strlen(broken[i]), &tags), -EBADMSG);
}

static void test_tags_have_ten_places(void **state UNUSED)
{
    struct s3_tags tags = {.count = 0};
    char key[16];

    for (unsigned i = 0; i < S3_MOST_TAGS; i++) {
        (void)text_format(key, sizeof key, "k%u", i);
        assert_int_equal(s3_tags_set(&tags, key, "v"), 0);
    }
    assert_int_equal(s3_tags_set(&tags, "other", "v"), -E2BIG);
    assert_int_equal(s3_tags_set(&tags, "k3", "new"), 0);
    assert_string_equal(s3_tags_find(&tags, "k3"), "new");
    assert_int_equal(tags.count, S3_MOST_TAGS);
}

static void test_keys_are_decoded(void **state UNUSED)
{
    char key[S3_KEY_BYTES];

    assert_int_equal(s3_decode_key("a+b%2Bc%20d%E3%81%82/..//", true, key, sizeof key), 0);
    assert_string_equal(key, "a b+c d\xe3\x81\x82/..//");
    assert_int_equal(s3_decode_key("a+b", false, key, sizeof key), 0);
    assert_string_equal(key, "a+b");
    assert_int_equal(s3_decode_key("a%", true, key, sizeof key), -EBADMSG);
    assert_int_equal(s3_decode_key("a%2", true, key, sizeof key), -EBADMSG);
    assert_int_equal(s3_decode_key("a%zz", true, key, sizeof key), -EBADMSG);
    assert_int_equal(s3_decode_key("a%00b", true, key, sizeof key), -EBADMSG);
    assert_int_equal(s3_decode_key("abc", true, key, 3), -ENAMETOOLONG);
    assert_int_equal(s3_decode_key("abc", true, key, 4), 0);
}

struct seen {
    unsigned count;
    struct s3_listed last;
    int answer;
};

static int see(void *user, const struct s3_listed *listed)
{
    struct seen *seen = user;

    seen->count++;
    seen->last = *listed;
    return seen->answer;
}

static void test_listings_are_read(void **state UNUSED)
{
    static const char xml[] =
        "<ListBucketResult><Name>b</Name><EncodingType>url</EncodingType>"
        "<NextContinuationToken>t==</NextContinuationToken>"
        "<Contents><Key>a%2Bb+c</Key><LastModified>2026</LastModified><ETag>&quot;e&quot;</ETag>"
        "<Size>7</Size><Owner><ID>x</ID></Owner><StorageClass>GLACIER</StorageClass></Contents>"
        "</ListBucketResult>";
    struct seen seen = {.count = 0};
    const struct s3_list list = {.each = see, .user = &seen};
    char token[S3_TOKEN_BYTES] = "before";

    assert_int_equal(s3_list_read(xml, strlen(xml), &list, token), 0);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.last.key, "a+b c");
    assert_string_equal(seen.last.etag, "e");
    assert_string_equal(seen.last.storage_class, "GLACIER");
    assert_int_equal(seen.last.size, 7);
    assert_string_equal(token, "t==");
    seen.answer = -EINTR;
    assert_int_equal(s3_list_read(xml, strlen(xml), &list, token), -EINTR);
    static const char empty[] = "<ListBucketResult><Name>b</Name></ListBucketResult>";
    assert_int_equal(s3_list_read(empty, strlen(empty), &list, token), 0);
    assert_string_equal(token, "");
    assert_int_equal(s3_list_read("<x/>", 4, &list, token), -EBADMSG);
}

static void test_messages_are_read(void **state UNUSED)
{
    static const char json[] =
        "{\"Messages\":[{\"MessageId\":\"m\",\"ReceiptHandle\":\"r\",\"Body\":\"{}\","
        "\"MD5OfBody\":\"99914b932bd37a50b983c5e7c90ae93b\","
        "\"Attributes\":{\"ApproximateReceiveCount\":\"3\",\"SentTimestamp\":\"17\"}}]}";
    struct sqs_message messages[SQS_MOST_MESSAGES];
    size_t count;

    assert_int_equal(sqs_messages_read(json, strlen(json), messages, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(messages[0].body, "{}");
    assert_int_equal(messages[0].received, 3);
    assert_int_equal(messages[0].sent_ms, 17);
    sqs_message_done(&messages[0]);
    assert_int_equal(sqs_messages_read("{}", 2, messages, &count), 0);
    assert_int_equal(count, 0);
    static const char *const broken[] = {
        "[]", "{\"Messages\":{}}", "{\"Messages\":[1]}", "{\"Messages\":[{}]}",
        ("{\"Messages\":[{\"MessageId\":\"m\",\"ReceiptHandle\":\"r\",\"Body\":\"x\","
         "\"MD5OfBody\":\"99914b932bd37a50b983c5e7c90ae93b\"}]}")};
    for (size_t i = 0; i < ARRAY_LENGTH(broken); i++)
        assert_int_equal(sqs_messages_read(broken[i], strlen(broken[i]), messages, &count),
                         -EBADMSG);
}

/* ---- requests ---- */

struct world {
    struct stand_in stand_in;
    struct aws_client *client;
    struct stand_in_request last;
    int status, first_status;
    const char *lines, *first_lines, *body, *first_body;
    unsigned calls;
};

static void answer(void *user, const struct stand_in_request *request, char *text, size_t size)
{
    struct world *world = user;

    world->last = *request;
    if (world->calls++ == 0 && world->first_status != 0)
        stand_in_write(text, size, world->first_status, world->first_lines, world->first_body);
    else
        stand_in_write(text, size, world->status, world->lines, world->body);
}

static void no_sleep(void *user UNUSED, uint64_t ns UNUSED) {}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    struct aws_settings settings = {.region = "eu-west-1",
                                    .metadata_disabled = true,
                                    .keys = {"testing", "secret", ""}};

    if (world == NULL)
        return -1;
    world->status = 200;
    world->lines = world->body = world->first_lines = world->first_body = "";
    world->stand_in.answer = answer;
    world->stand_in.user = world;
    stand_in_start(&world->stand_in);
    (void)text_copy(settings.endpoint, sizeof settings.endpoint, world->stand_in.url);
    int r = aws_client_new(&settings, NULL, &world->client);
    if (r == 0)
        aws_client_set_sleep(world->client, no_sleep, NULL);
    *state = world;
    return r;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    stand_in_stop(&world->stand_in);
    (void)aws_client_free(world->client);
    free(world);
    return 0;
}

static const struct s3_object thing = {
    .bucket = "bucket", .key = "a b", .version = "v/1", .etag = "e"};

static const char *header(const struct world *world, const char *name)
{
    static char value[512];

    stand_in_header(&world->last, name, value, sizeof value);
    return value;
}

/* Of a bucket whose versioning is suspended: any newer object is that version as well. */
static void test_a_version_that_is_none(void **state)
{
    struct world *world = *state;
    struct s3_object object = thing;
    struct aws_answer got;

    object.version = "null";
    world->status = 204;
    assert_int_equal(s3_delete(world->client, &object, &got), AWS_OK);
    aws_answer_done(&got);
    assert_string_equal(world->last.target, "/bucket/a%20b");
    assert_string_equal(header(world, "If-Match"), "\"e\"");
}

static void test_conditions_go_along(void **state)
{
    struct world *world = *state;
    struct aws_answer got;
    struct s3_facts facts;
    const struct s3_get get = {.range = true, .first = 5, .last = 9};

    world->lines = "ETag: \"e\"\r\nx-amz-version-id: v/1\r\nContent-Range: bytes 5-9/100\r\n";
    assert_int_equal(s3_get(world->client, &thing, &get, &facts, &got), AWS_OK);
    aws_answer_done(&got);
    assert_string_equal(world->last.target, "/bucket/a%20b?versionId=v%2F1");
    assert_string_equal(header(world, "If-Match"), "\"e\"");
    assert_string_equal(header(world, "Range"), "bytes=5-9");
    assert_int_equal(facts.size, 100);
    assert_string_equal(facts.etag, "e");
    assert_string_equal(facts.version, "v/1");
    world->status = 412;
    world->body = "<Error><Code>PreconditionFailed</Code></Error>";
    assert_int_equal(s3_get(world->client, &thing, &get, &facts, &got), AWS_CHANGED);
    aws_answer_done(&got);
    assert_int_equal(s3_delete(world->client, &thing, &got), AWS_CHANGED);
    aws_answer_done(&got);
    assert_string_equal(header(world, "If-Match"), ""); /* the version is enough */
}

static void test_a_copy_that_fails_after_200(void **state)
{
    struct world *world = *state;
    const struct s3_object to = {.bucket = "other", .key = "x"};
    struct aws_answer got;

    world->body = "<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code></Error>";
    assert_int_equal(s3_copy(world->client, &thing, &to, NULL, 0, &got), AWS_THROTTLED);
    aws_answer_done(&got);
    assert_string_equal(header(world, "x-amz-copy-source"), "/bucket/a%20b?versionId=v%2F1");
    assert_string_equal(header(world, "x-amz-copy-source-if-match"), "\"e\"");
    world->body = "<CopyObjectResult><ETag>&quot;e&quot;</ETag></CopyObjectResult>";
    assert_int_equal(s3_copy(world->client, &thing, &to, NULL, 0, &got), AWS_OK);
    aws_answer_done(&got);
    world->body = "";
    assert_int_equal(s3_copy(world->client, &thing, &to, NULL, 0, &got), AWS_UNAVAILABLE);
    aws_answer_done(&got);
}

static void test_another_region(void **state)
{
    struct world *world = *state;
    struct aws_answer got;
    struct s3_facts facts;

    world->first_status = 301;
    world->first_lines = "x-amz-bucket-region: us-west-2\r\n";
    assert_int_equal(s3_head(world->client, &thing, &facts, &got), AWS_OK);
    aws_answer_done(&got);
    assert_non_null(strstr(header(world, "Authorization"), "/us-west-2/s3/aws4_request"));
    assert_int_equal(world->calls, 2);
}

static void test_tags_are_written(void **state)
{
    struct world *world = *state;
    struct s3_tags tags = {.count = 1, .tags = {{.key = "a<", .value = "b&c\"\n"}}}, back;
    struct aws_answer got;

    assert_int_equal(s3_put_tags(world->client, &thing, &tags, &got), AWS_OK);
    aws_answer_done(&got);
    assert_string_equal(world->last.target, "/bucket/a%20b?tagging=&versionId=v%2F1");
    assert_int_equal(s3_tags_read(world->last.body, strlen(world->last.body), &back), 0);
    assert_string_equal(s3_tags_find(&back, "a<"), "b&c\"\n");
    world->body = "<Error><Code>InternalError</Code></Error>"; /* in a good answer */
    assert_int_equal(s3_put_tags(world->client, &thing, &tags, &got), AWS_UNAVAILABLE);
    aws_answer_done(&got);
    world->body = "not xml";
    assert_int_equal(s3_get_tags(world->client, &thing, &back, &got), AWS_UNAVAILABLE);
    aws_answer_done(&got);
}

struct taken {
    unsigned begins;
    size_t bytes;
    int answer;
};

static int take_begin(void *user, const struct http_answer *given)
{
    struct taken *taken = user;

    assert_int_equal(given->status, 200);
    taken->begins++;
    taken->bytes = 0;
    return 0;
}

static int take_bytes(void *user, const void *bytes UNUSED, size_t length)
{
    struct taken *taken = user;

    taken->bytes += length;
    return taken->answer;
}

static void test_a_sink_takes_only_good_answers(void **state)
{
    struct world *world = *state;
    struct taken taken = {.begins = 0};
    const struct http_sink sink = {take_begin, take_bytes, &taken};
    const struct s3_get get = {.sink = &sink};
    struct aws_answer got;
    struct s3_facts facts;

    world->first_status = 503;
    world->first_body = "<Error><Code>SlowDown</Code></Error>";
    world->body = "0123456789";
    assert_int_equal(s3_get(world->client, &thing, &get, &facts, &got), AWS_OK);
    aws_answer_done(&got);
    assert_int_equal(taken.begins, 1);
    assert_int_equal(taken.bytes, 10);
    assert_int_equal(facts.size, 10);
    taken.answer = -ENOSPC;
    assert_int_equal(s3_get(world->client, &thing, &get, &facts, &got), AWS_TAKER_FAILED);
    assert_int_equal(got.taker_error, -ENOSPC);
    aws_answer_done(&got);
}

static void test_a_batch_of_which_half_fails(void **state)
{
    struct world *world = *state;
    const char *const receipts[] = {"r0", "r1", "r2"};
    bool failed[SQS_MOST_MESSAGES];
    struct aws_answer got;

    world->body = "{\"Successful\":[{\"Id\":\"2\"},{\"Id\":\"0\"},{\"Id\":\"9\"}],"
                  "\"Failed\":[{\"Id\":\"1\",\"SenderFault\":true,\"Code\":\"x\"}]}";
    assert_int_equal(sqs_delete(world->client, "https://sqs.us-east-2.amazonaws.com/1/q", receipts,
                                3, failed, &got),
                     AWS_OK);
    aws_answer_done(&got);
    assert_false(failed[0]);
    assert_true(failed[1]);
    assert_false(failed[2]);
    assert_non_null(strstr(header(world, "Authorization"), "/us-east-2/sqs/aws4_request"));
}

static void test_attributes_of_a_notification(void **state)
{
    struct world *world = *state;
    const struct aws_pair attributes[] = {{"type", "scan-result"}, {"empty", ""}, {"bucket", "b"}};
    struct aws_answer got;

    assert_int_equal(sns_publish(world->client, "arn:aws:sns:ap-northeast-1:1:t", "{}", attributes,
                                 3, &got),
                     AWS_OK);
    aws_answer_done(&got);
    assert_non_null(strstr(world->last.body, "MessageAttributes.entry.2.Name=bucket"));
    assert_null(strstr(world->last.body, "empty"));
    assert_non_null(strstr(header(world, "Authorization"), "/ap-northeast-1/sns/aws4_request"));
}

static void test_a_batch_of_notifications(void **state)
{
    struct world *world = *state;
    const struct aws_pair attributes[] = {{"empty", ""}, {"bucket", "b"}};
    struct sns_entry entries[] = {{.message = "zero"},
                                  {.message = "one", .attributes = attributes, .count = 2},
                                  {.message = "two"},
                                  {.message = "three"}};
    struct aws_answer got;

    world->body =
        "<PublishBatchResponse><PublishBatchResult><Failed><member><Id>1</Id><Code>Busy</Code>"
        "<SenderFault>false</SenderFault></member></Failed><Successful><member><MessageId>m"
        "</MessageId><Id>2</Id></member><member><Id>9</Id></member><member><Id>0</Id></member>"
        "<member><MessageId>n</MessageId></member></Successful></PublishBatchResult>"
        "</PublishBatchResponse>";
    assert_int_equal(sns_publish_batch(world->client, "arn:aws:sns:ap-northeast-1:1:t", entries, 4,
                                       &got),
                     AWS_OK);
    aws_answer_done(&got);
    assert_false(entries[0].failed);
    assert_true(entries[1].failed);
    assert_string_equal(entries[1].code, "Busy");
    assert_false(entries[2].failed);
    assert_true(entries[3].failed); /* of which nothing is said */
    assert_string_equal(entries[3].code, "");
    assert_non_null(strstr(world->last.body, "Action=PublishBatch&"));
    assert_non_null(strstr(world->last.body, "PublishBatchRequestEntries.member.2.Id=1&"));
    assert_non_null(strstr(world->last.body, "PublishBatchRequestEntries.member.2."
                                             "MessageAttributes.entry.1.Name=bucket"));
    assert_non_null(strstr(world->last.body, "PublishBatchRequestEntries.member.4.Message=three"));
    world->body = "<PublishBatchResponse><PublishBatchResult><Successful>";
    assert_int_equal(sns_publish_batch(world->client, "arn:aws:sns:ap-northeast-1:1:t", entries, 4,
                                       &got),
                     AWS_UNAVAILABLE);
    aws_answer_done(&got);
}

/* ---- SQS ---- */

#define QUEUE "https://sqs.ap-northeast-1.amazonaws.com/1/q"

static void test_messages_are_asked_for(void **state)
{
    struct world *world = *state;
    struct sqs_message messages[SQS_MOST_MESSAGES];
    struct aws_answer got;
    size_t count = 7;

    world->body = "{\"Messages\":[{\"MessageId\":\"m\",\"ReceiptHandle\":\"r\",\"Body\":\"{}\"}]}";
    assert_int_equal(sqs_receive(world->client, QUEUE, 10, 20, 300, messages, &count, &got),
                     AWS_OK);
    aws_answer_done(&got);
    assert_int_equal(count, 1);
    assert_string_equal(messages[0].body, "{}");
    assert_int_equal(messages[0].received, 0); /* not said */
    sqs_message_done(&messages[0]);
    assert_string_equal(header(world, "X-Amz-Target"), "AmazonSQS.ReceiveMessage");
    assert_non_null(strstr(header(world, "Authorization"), "/ap-northeast-1/sqs/"));
    assert_non_null(strstr(world->last.body, "\"WaitTimeSeconds\":20,\"VisibilityTimeout\":300"));
    world->body = "{\"Messages\":[{}]}";
    assert_int_equal(sqs_receive(world->client, QUEUE, 10, 20, 300, messages, &count, &got),
                     AWS_UNAVAILABLE);
    aws_answer_done(&got);
    assert_int_equal(count, 0);
    world->status = 403;
    world->body = "{\"__type\":\"com.amazonaws.sqs#AccessDenied\",\"message\":\"no\"}";
    assert_int_not_equal(sqs_receive(world->client, QUEUE, 10, 20, 300, messages, &count, &got),
                         AWS_OK);
    aws_answer_done(&got);
}

static void test_batches_go_to_the_queue(void **state)
{
    struct world *world = *state;
    const char *const texts[] = {"first", "second"};
    bool failed[SQS_MOST_MESSAGES];
    struct aws_answer got;

    world->body = "{\"Successful\":[{\"Id\":\"1\"},{\"Id\":\"9\"},{\"Id\":\"x\"},7]}";
    assert_int_equal(sqs_hide(world->client, QUEUE, texts, 2, 5, failed, &got), AWS_OK);
    aws_answer_done(&got);
    assert_true(failed[0]);
    assert_false(failed[1]);
    assert_non_null(strstr(world->last.body, "\"VisibilityTimeout\":5"));
    assert_string_equal(header(world, "X-Amz-Target"), "AmazonSQS.ChangeMessageVisibilityBatch");
    assert_int_equal(sqs_send(world->client, QUEUE, texts, 2, failed, &got), AWS_OK);
    aws_answer_done(&got);
    assert_non_null(strstr(world->last.body, "\"MessageBody\":\"second\""));
    world->body = "no JSON";
    assert_int_equal(sqs_send(world->client, QUEUE, texts, 2, failed, &got), AWS_UNAVAILABLE);
    aws_answer_done(&got);
    assert_true(failed[0] && failed[1]);
    AUTO_FREE char *huge = calloc(1, 5U << 20); /* more than a request holds: none is made */
    assert_non_null(huge);
    memset(huge, 'x', (5U << 20) - 1);
    const char *const too_long[] = {huge};
    unsigned calls = world->calls;
    assert_int_equal(sqs_send(world->client, QUEUE, too_long, 1, failed, &got), AWS_REFUSED);
    assert_non_null(strstr(got.problem, "longer than SQS takes"));
    aws_answer_done(&got);
    assert_int_equal(world->calls, calls);
}

static void test_the_depth_of_a_queue(void **state)
{
    struct world *world = *state;
    struct sqs_depth depth = {.visible = 99};
    struct aws_answer got;

    world->body = "{\"Attributes\":{\"ApproximateNumberOfMessages\":\"3\","
                  "\"ApproximateNumberOfMessagesNotVisible\":\"4\","
                  "\"ApproximateNumberOfMessagesDelayed\":\"many\"}}";
    assert_int_equal(sqs_depth(world->client, "http://localhost/q", &depth, &got), AWS_OK);
    aws_answer_done(&got);
    assert_int_equal(depth.visible, 3);
    assert_int_equal(depth.hidden, 4);
    assert_int_equal(depth.delayed, 0);
    assert_non_null(strstr(header(world, "Authorization"), "/eu-west-1/sqs/")); /* our own */
    static const char *const none[] = {"[]", "{}", "{\"Attributes\":7}", "{"};
    for (size_t i = 0; i < ARRAY_LENGTH(none); i++) {
        world->body = none[i];
        assert_int_equal(sqs_depth(world->client, QUEUE, &depth, &got), AWS_UNAVAILABLE);
        aws_answer_done(&got);
    }
    world->status = 400;
    world->body = "{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\"}";
    assert_int_not_equal(sqs_depth(world->client, "https://sqs.NOWHERE/1/q", &depth, &got), AWS_OK);
    aws_answer_done(&got);
}

/* ---- whole objects, pages, parts ---- */

static void test_an_object_is_put(void **state)
{
    struct world *world = *state;
    const struct aws_pair headers[] = {{"x-amz-tagging", "a=b"}};
    const struct s3_object object = {.bucket = "bucket", .key = "new", .owner = "123456789012"};
    const struct s3_put put = {
        .body = "content", .body_length = 7, .headers = headers, .header_count = 1};
    struct aws_answer got;

    assert_int_equal(s3_put(world->client, &object, &put, &got), AWS_OK);
    aws_answer_done(&got);
    assert_string_equal(world->last.method, "PUT");
    assert_string_equal(world->last.body, "content");
    assert_string_equal(header(world, "Content-Type"), "application/octet-stream");
    assert_string_equal(header(world, "x-amz-tagging"), "a=b");
    assert_string_equal(header(world, "x-amz-expected-bucket-owner"), "123456789012");
}

static void test_pages_are_asked_for(void **state)
{
    struct world *world = *state;
    struct seen seen = {.count = 0};
    const struct s3_list list = {.bucket = "bucket",
                                 .prefix = "p/",
                                 .start_after = "p/a",
                                 .page = 2,
                                 .each = see,
                                 .user = &seen};
    char token[S3_TOKEN_BYTES] = "";
    struct aws_answer got;

    world->body = "<ListBucketResult><NextContinuationToken>t</NextContinuationToken>"
                  "<Contents><Key>p%2Fb</Key><Size>1</Size></Contents></ListBucketResult>";
    assert_int_equal(s3_list(world->client, &list, token, &got), AWS_OK);
    aws_answer_done(&got);
    assert_int_equal(seen.count, 1);
    assert_string_equal(token, "t");
    assert_non_null(strstr(world->last.target, "start-after=p%2Fa"));
    assert_non_null(strstr(world->last.target, "max-keys=2"));
    assert_int_equal(s3_list(world->client, &list, token, &got), AWS_OK);
    aws_answer_done(&got);
    assert_non_null(strstr(world->last.target, "continuation-token=t"));
    assert_null(strstr(world->last.target, "start-after"));
    seen.answer = -EINTR;
    assert_int_equal(s3_list(world->client, &list, token, &got), AWS_TAKER_FAILED);
    assert_int_equal(got.taker_error, -EINTR);
    aws_answer_done(&got);
    world->body = "<html>";
    assert_int_equal(s3_list(world->client, &list, token, &got), AWS_UNAVAILABLE);
    aws_answer_done(&got);
    world->status = 404;
    world->body = "<Error><Code>NoSuchBucket</Code></Error>";
    assert_int_equal(s3_list(world->client, &list, token, &got), AWS_NOT_FOUND);
    aws_answer_done(&got);
}

#define MIB (UINT64_C(1) << 20)

static void test_a_copy_in_parts(void **state)
{
    struct world *world = *state;
    const struct aws_pair headers[] = {{"Content-Type", "text/plain"}, {"x-amz-tagging", "a=b"}};
    const struct s3_object from = {.bucket = "bucket", .key = "a", .etag = "e", .owner = "1"};
    const struct s3_object to = {.bucket = "other", .key = "b", .owner = "2"};
    struct aws_pair many[64];
    struct aws_answer got;

    /* One answer that serves all steps. */
    world->body = "<R><UploadId>u</UploadId><ETag>&quot;part&quot;</ETag></R>";
    assert_int_equal(s3_copy_parts(world->client, &from, &to, 12 * MIB, 5 * MIB, headers, 2, &got),
                     AWS_OK);
    aws_answer_done(&got);
    assert_int_equal(world->calls, 5); /* begun, three parts, completed */
    assert_string_equal(world->last.method, "POST");
    assert_string_equal(world->last.target, "/other/b?uploadId=u");
    assert_non_null(strstr(world->last.body, "<PartNumber>3</PartNumber>"));

    world->first_status = 200; /* begun, and the first part fails: abandoned */
    world->first_lines = "";
    world->first_body = world->body;
    world->body = "<Error><Code>InternalError</Code></Error>";
    world->calls = 0;
    assert_int_not_equal(s3_copy_parts(world->client, &from, &to, 12 * MIB, 5 * MIB, NULL, 0, &got),
                         AWS_OK);
    aws_answer_done(&got);
    assert_string_equal(world->last.method, "DELETE");
    world->body = "<R><ETag>&lt;x&gt;</ETag></R>";
    world->calls = 0;
    assert_int_equal(s3_copy_parts(world->client, &from, &to, 5 * MIB, 5 * MIB, NULL, 0, &got),
                     AWS_UNAVAILABLE);
    assert_non_null(strstr(got.problem, "none of S3's"));
    aws_answer_done(&got);

    for (size_t i = 0; i < ARRAY_LENGTH(many); i++)
        many[i] = (struct aws_pair){"x-amz-meta-a", "b"};
    assert_int_equal(s3_copy_parts(world->client, &from, &to, MIB, 5 * MIB, many,
                                   ARRAY_LENGTH(many), &got),
                     AWS_REFUSED);
    aws_answer_done(&got);
    assert_int_equal(s3_copy_parts(world->client, &from, &to, 0, 5 * MIB, NULL, 0, &got),
                     AWS_REFUSED);
    aws_answer_done(&got);
    assert_int_equal(s3_copy_parts(world->client, &from, &to, 50001 * MIB, 5 * MIB, NULL, 0, &got),
                     AWS_REFUSED);
    aws_answer_done(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tags_are_read),
        cmocka_unit_test(test_tags_have_ten_places),
        cmocka_unit_test(test_keys_are_decoded),
        cmocka_unit_test(test_listings_are_read),
        cmocka_unit_test(test_messages_are_read),
        cmocka_unit_test_setup_teardown(test_conditions_go_along, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_version_that_is_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_copy_that_fails_after_200, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_another_region, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tags_are_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_sink_takes_only_good_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_batch_of_which_half_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_attributes_of_a_notification, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_batch_of_notifications, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_messages_are_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_batches_go_to_the_queue, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_depth_of_a_queue, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_object_is_put, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pages_are_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_copy_in_parts, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
