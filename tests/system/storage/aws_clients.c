/* S3, SQS and SNS of common/aws against a server that knows them (moto). Buckets "plain" and
 * "versions" exist; TEST_QUEUE gets what is published to TEST_TOPIC. */
#include "common/aws/s3.h"
#include "common/aws/sns.h"
#include "common/aws/sqs.h"

#include "common/text/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct aws_client *client;

static int set_up(void **state UNUSED)
{
    struct aws_settings settings = {.region = ""};
    const char *variable;

    int r = aws_settings_from_environment(&settings, &variable);
    return r == 0 ? aws_client_new(&settings, NULL, &client) : r;
}

static int tear_down(void **state UNUSED)
{
    (void)aws_client_free(client);
    return 0;
}

/* The answer freed, its problem shown when it is not what was wanted. */
static void expect(enum aws_outcome outcome, struct aws_answer *answer, enum aws_outcome wanted)
{
    if (outcome != wanted)
        fail_msg("%s: %s", aws_outcome_name(outcome), answer->problem);
    aws_answer_done(answer);
}

static void put(const char *bucket, const char *key, const char *text, struct s3_facts *facts)
{
    const struct s3_object object = {.bucket = bucket, .key = key};
    const struct s3_put body = {.body = text, .body_length = strlen(text)};
    struct aws_answer answer;

    enum aws_outcome outcome = s3_put(client, &object, &body, &answer);
    s3_facts_read(&answer.http, facts);
    expect(outcome, &answer, AWS_OK);
}

static const char *const keys[] = {
    "plain",    "a b",    "a+b",     "100%",      "\xe6\xab\x93/\xf0\x9f\x98\x80",
    "a//b",     "a/../b", "folder/", "q?x=1&y#z", "<\"'>;:@=,!*()$",
    "~tilde_-."};

static void test_every_key_comes_back(void **state UNUSED)
{
    struct s3_facts made, found;
    struct aws_answer answer;

    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        put("plain", keys[i], keys[i], &made);
        const struct s3_object object = {.bucket = "plain", .key = keys[i], .etag = made.etag};
        const struct s3_get get = {.maximum_answer = 4096};
        enum aws_outcome outcome = s3_get(client, &object, &get, &found, &answer);
        assert_string_equal(buffer_text(&answer.http.body), keys[i]);
        expect(outcome, &answer, AWS_OK);
        assert_string_equal(found.etag, made.etag);
        assert_int_equal(found.size, strlen(keys[i]));
    }
}

struct names {
    unsigned known, count;
    char last[S3_KEY_BYTES];
};

static int note_name(void *user, const struct s3_listed *listed)
{
    struct names *names = user;

    names->count++;
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++)
        names->known += text_equal(keys[i], listed->key);
    (void)text_copy(names->last, sizeof names->last, listed->key);
    return 0;
}

static void test_a_bucket_is_listed(void **state UNUSED)
{
    struct names names = {.count = 0};
    struct s3_list list = {.bucket = "plain", .each = note_name, .user = &names};
    char token[S3_TOKEN_BYTES] = "";
    struct aws_answer answer;

    expect(s3_list(client, &list, token, &answer), &answer, AWS_OK);
    assert_int_equal(names.known, ARRAY_LENGTH(keys));
    assert_string_equal(token, "");
    names.count = 0;
    list.prefix = "a b";
    expect(s3_list(client, &list, token, &answer), &answer, AWS_OK);
    assert_int_equal(names.count, 1);
    assert_string_equal(names.last, "a b");
}

static void test_content_is_pinned(void **state UNUSED)
{
    struct s3_facts first, second, facts;
    struct aws_answer answer;

    put("plain", "pinned", "one", &first);
    put("plain", "pinned", "two", &second);
    const struct s3_object old = {.bucket = "plain", .key = "pinned", .etag = first.etag};
    const struct s3_object none = {.bucket = "plain", .key = "nobody"};
    const struct s3_get get = {.maximum_answer = 4096};
    expect(s3_get(client, &old, &get, &facts, &answer), &answer, AWS_CHANGED);
    expect(s3_head(client, &old, &facts, &answer), &answer, AWS_CHANGED);
    expect(s3_delete(client, &old, &answer), &answer, AWS_CHANGED);
    expect(s3_get(client, &none, &get, &facts, &answer), &answer, AWS_NOT_FOUND);
    expect(s3_head(client, &none, &facts, &answer), &answer, AWS_NOT_FOUND);
}

static void test_versions_are_pinned(void **state UNUSED)
{
    struct s3_facts first, second, facts;
    struct aws_answer answer;

    put("versions", "thing", "one", &first);
    put("versions", "thing", "two", &second);
    assert_string_not_equal(first.version, second.version);
    const struct s3_object old = {.bucket = "versions", .key = "thing", .version = first.version};
    const struct s3_get get = {.range = true, .first = 1, .last = 2, .maximum_answer = 4096};
    enum aws_outcome outcome = s3_get(client, &old, &get, &facts, &answer);
    assert_string_equal(buffer_text(&answer.http.body), "ne");
    expect(outcome, &answer, AWS_OK);
    assert_int_equal(facts.size, 3);
    assert_string_equal(facts.version, first.version);
    expect(s3_delete(client, &old, &answer), &answer, AWS_OK);
    expect(s3_head(client, &old, &facts, &answer), &answer, AWS_NOT_FOUND);
    const struct s3_object now = {.bucket = "versions", .key = "thing"};
    expect(s3_head(client, &now, &facts, &answer), &answer, AWS_OK);
    assert_string_equal(facts.version, second.version);
}

static void test_tags_of_a_version(void **state UNUSED)
{
    struct s3_tags tags = {.count = 0}, found;
    struct s3_facts first, second;
    struct aws_answer answer;

    put("versions", "tagged", "one", &first);
    put("versions", "tagged", "two", &second);
    const struct s3_object old = {.bucket = "versions", .key = "tagged", .version = first.version};
    assert_int_equal(s3_tags_set(&tags, "yagura-verdict", "clean"), 0);
    assert_int_equal(s3_tags_set(&tags, "a+b c", "x/y:z@=."), 0);
    expect(s3_put_tags(client, &old, &tags, &answer), &answer, AWS_OK);
    expect(s3_get_tags(client, &old, &found, &answer), &answer, AWS_OK);
    assert_int_equal(found.count, 2);
    assert_string_equal(s3_tags_find(&found, "a+b c"), "x/y:z@=.");
    const struct s3_object other = {.bucket = "versions",
                                    .key = "tagged",
                                    .version = second.version};
    expect(s3_get_tags(client, &other, &found, &answer), &answer, AWS_OK);
    assert_int_equal(found.count, 0);
}

static void test_a_copy(void **state UNUSED)
{
    const struct aws_pair headers[] = {{"x-amz-tagging-directive", "REPLACE"},
                                       {"x-amz-tagging", "a=b"}};
    struct s3_facts first, facts;
    struct aws_answer answer;

    put("versions", "from here+%\xe6\xab\x93", "content", &first);
    const struct s3_object from = {.bucket = "versions",
                                   .key = "from here+%\xe6\xab\x93",
                                   .version = first.version,
                                   .etag = first.etag};
    const struct s3_object to = {.bucket = "plain", .key = "to/there"};
    expect(s3_copy(client, &from, &to, headers, 2, &answer), &answer, AWS_OK);
    expect(s3_head(client, &to, &facts, &answer), &answer, AWS_OK);
    assert_string_equal(facts.etag, first.etag);
    assert_int_equal(facts.tags, 1);
    const struct s3_object gone = {.bucket = "versions", .key = "nobody"};
    expect(s3_copy(client, &gone, &to, NULL, 0, &answer), &answer, AWS_NOT_FOUND);
}

static ssize_t read_as(void *user, void *bytes, size_t size)
{
    size_t *left = user;
    size_t length = MIN(size, *left);

    memset(bytes, 'a', length);
    *left -= length;
    return (ssize_t)length;
}

static void test_a_stream_goes_up(void **state UNUSED)
{
    const struct s3_object object = {.bucket = "plain", .key = "streamed"};
    size_t left = 3 << 20;
    const struct http_source source = {.read = read_as, .user = &left, .length = left};
    const struct s3_put put = {.source = &source};
    struct s3_facts facts;
    struct aws_answer answer;

    expect(s3_put(client, &object, &put, &answer), &answer, AWS_OK);
    expect(s3_head(client, &object, &facts, &answer), &answer, AWS_OK);
    assert_int_equal(facts.size, 3 << 20);
}

static void receive(const char *queue, struct sqs_message *messages, size_t *count)
{
    struct aws_answer answer;

    expect(sqs_receive(client, queue, 10, 1, 60, messages, count, &answer), &answer, AWS_OK);
}

static void test_a_queue(void **state UNUSED)
{
    const char *queue = getenv("TEST_QUEUE");
    const char *const bodies[] = {"one", "{\"t\":\"\\u6ad3\"}"};
    struct sqs_message messages[SQS_MOST_MESSAGES];
    bool failed[SQS_MOST_MESSAGES];
    struct aws_answer answer;
    struct sqs_depth depth;
    size_t count;

    expect(sqs_send(client, queue, bodies, 2, failed, &answer), &answer, AWS_OK);
    assert_false(failed[0] || failed[1]);
    receive(queue, messages, &count);
    assert_int_equal(count, 2);
    assert_int_equal(messages[0].received, 1);
    assert_true(messages[0].sent_ms > 0);
    expect(sqs_depth(client, queue, &depth, &answer), &answer, AWS_OK);
    assert_int_equal(depth.visible, 0);
    assert_int_equal(depth.hidden, 2);
    const char *const receipts[] = {messages[0].receipt, messages[1].receipt};
    expect(sqs_hide(client, queue, receipts, 1, 0, failed, &answer), &answer, AWS_OK);
    assert_false(failed[0]);
    expect(sqs_delete(client, queue, receipts + 1, 1, failed, &answer), &answer, AWS_OK);
    assert_false(failed[0]);
    for (size_t i = 0; i < count; i++)
        sqs_message_done(&messages[i]);
    receive(queue, messages, &count);
    assert_int_equal(count, 1);
    assert_int_equal(messages[0].received, 2);
    const char *const last[] = {messages[0].receipt};
    expect(sqs_delete(client, queue, last, 1, failed, &answer), &answer, AWS_OK);
    sqs_message_done(&messages[0]);
    expect(sqs_receive(client, "http://127.0.0.1/1/nobody", 1, 0, 1, messages, &count, &answer),
           &answer, AWS_NOT_FOUND);
}

static void test_a_topic(void **state UNUSED)
{
    const struct aws_pair attributes[] = {{"type", "scan-result"}, {"verdict", "clean"}};
    struct sqs_message messages[SQS_MOST_MESSAGES];
    struct aws_answer answer;
    size_t count;

    expect(sns_publish(client, getenv("TEST_TOPIC"), "{\"a\":\"1 2+3&\"}", attributes, 2, &answer),
           &answer, AWS_OK);
    receive(getenv("TEST_QUEUE"), messages, &count);
    assert_int_equal(count, 1);
    assert_non_null(strstr(messages[0].body, "1 2+3&"));
    assert_non_null(strstr(messages[0].body, "scan-result"));
    sqs_message_done(&messages[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_key_comes_back),
        cmocka_unit_test(test_a_bucket_is_listed),
        cmocka_unit_test(test_content_is_pinned),
        cmocka_unit_test(test_versions_are_pinned),
        cmocka_unit_test(test_tags_of_a_version),
        cmocka_unit_test(test_a_copy),
        cmocka_unit_test(test_a_stream_goes_up),
        cmocka_unit_test(test_a_queue),
        cmocka_unit_test(test_a_topic),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
