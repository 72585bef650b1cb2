/* SQS requests in its JSON protocol. Owns: their form, and what of an answer is believed. */
#include "common/aws/sqs.h"

#include "common/json/json_tree.h"
#include "common/json/json_writer.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define MOST_REQUEST (4 * 1024 * 1024)
#define MOST_ANSWER  (16 * 1024 * 1024) /* ten bodies, escaped */

/* The region that stands in a queue's usual name, so that a queue elsewhere works, too. */
static const char *region_of(const char *queue_url, char region[static AWS_REGION_BYTES])
{
    static const char begin[] = "https://sqs.";

    if (!text_starts_with(queue_url, begin))
        return NULL;
    const char *name = queue_url + strlen(begin);
    size_t length = strcspn(name, "./:");
    if (name[length] != '.' ||
        text_format(region, AWS_REGION_BYTES, "%.*s", (int)length, name) < 0 ||
        !aws_region_is_valid(region))
        return NULL;
    return region;
}

static enum aws_outcome call(struct aws_client *client, const char *queue_url, const char *action,
                             const struct buffer *json, uint64_t wait_s,
                             struct aws_answer *ret_answer)
{
    char target[64], region[AWS_REGION_BYTES];

    if (buffer_failed(json) < 0) {
        *ret_answer = (struct aws_answer){.outcome = AWS_REFUSED};
        (void)text_copy(ret_answer->problem, sizeof ret_answer->problem,
                        "the request is longer than SQS takes");
        return AWS_REFUSED;
    }
    (void)text_format(target, sizeof target, "AmazonSQS.%s", action);
    const struct aws_pair header = {"X-Amz-Target", target};
    const struct aws_call request = {
        .service = "sqs",
        .region = region_of(queue_url, region),
        .headers = &header,
        .header_count = 1,
        .content_type = "application/x-amz-json-1.0",
        .body = buffer_text(json),
        .body_length = json->length,
        .maximum_answer = MOST_ANSWER,
        .timeout_ns = (30 + wait_s) * NS_PER_SECOND,
    };
    return aws_client_send(client, &request, ret_answer);
}

static enum aws_outcome not_sqs(struct aws_answer *answer)
{
    (void)text_copy(answer->problem, sizeof answer->problem, "the answer is none of SQS's");
    return answer->outcome = AWS_UNAVAILABLE;
}

/* ---- receiving ---- */

void sqs_message_done(struct sqs_message *message)
{
    free(message->body);
    message->body = NULL;
}

static const char *text_of(const struct json_node *object, const char *key)
{
    const struct json_node *node = json_node_find(object, key);

    return node != NULL && node->kind == JSON_NODE_STRING ? node->text : NULL;
}

static uint64_t number_of(const struct json_node *object, const char *key)
{
    const char *text = object != NULL ? text_of(object, key) : NULL;
    uint64_t value;

    return text != NULL && text_parse_u64(text, &value) == 0 ? value : 0;
}

static bool has_md5(const struct json_node *body, const char *md5)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1];
    size_t length;

    if (md5 == NULL) /* optional in the service's description */
        return true;
    if (EVP_Q_digest(NULL, "MD5", NULL, body->text, body->length, digest, &length) != 1)
        return true; /* not available here (FIPS) */
    text_hex(hex, digest, length);
    return strcasecmp(hex, md5) == 0;
}

static int read_message(const struct json_node *node, struct sqs_message *message)
{
    const struct json_node *body =
        node->kind == JSON_NODE_OBJECT ? json_node_find(node, "Body") : NULL;

    *message = (struct sqs_message){.body = NULL};
    if (body == NULL || body->kind != JSON_NODE_STRING || strlen(body->text) != body->length)
        return -EBADMSG;
    const char *id = text_of(node, "MessageId"), *receipt = text_of(node, "ReceiptHandle");
    const struct json_node *attributes = json_node_find(node, "Attributes");
    if (id == NULL || receipt == NULL || text_copy(message->id, sizeof message->id, id) < 0 ||
        text_copy(message->receipt, sizeof message->receipt, receipt) < 0 ||
        !has_md5(body, text_of(node, "MD5OfBody")))
        return -EBADMSG;
    message->received = number_of(attributes, "ApproximateReceiveCount");
    message->sent_ms = number_of(attributes, "SentTimestamp");
    message->body_length = body->length;
    message->body = text_new(body->text, body->length);
    return message->body != NULL ? 0 : -ENOMEM;
}

int sqs_messages_read(const char *json, size_t length,
                      struct sqs_message ret_messages[static SQS_MOST_MESSAGES], size_t *ret_count)
{
    struct json_tree *tree;
    char problem[128];
    size_t count = 0;

    int r = json_tree_parse(json, length, &tree, problem);
    if (r < 0)
        return r;
    const struct json_node *root = json_tree_root(tree);
    const struct json_node *list =
        root->kind == JSON_NODE_OBJECT ? json_node_find(root, "Messages") : NULL;
    bool none = list == NULL || list->kind == JSON_NODE_NULL;
    if (root->kind != JSON_NODE_OBJECT || (!none && list->kind != JSON_NODE_ARRAY))
        r = -EBADMSG;
    for (const struct json_node *node = none || r < 0 ? NULL : json_node_first(list);
         r == 0 && node != NULL; node = json_node_next(node)) {
        r = count < SQS_MOST_MESSAGES ? read_message(node, &ret_messages[count]) : -EBADMSG;
        count += r == 0;
    }
    (void)json_tree_free(tree);
    for (size_t i = 0; r < 0 && i < count; i++)
        sqs_message_done(&ret_messages[i]);
    *ret_count = r == 0 ? count : 0;
    return r;
}

enum aws_outcome sqs_receive(struct aws_client *client, const char *queue_url, unsigned most,
                             unsigned wait_s, unsigned hide_s,
                             struct sqs_message ret_messages[static SQS_MOST_MESSAGES],
                             size_t *ret_count, struct aws_answer *ret_answer)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(MOST_REQUEST);
    struct json_writer writer;

    *ret_count = 0;
    json_writer_init(&writer, &json);
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "QueueUrl", queue_url);
    json_write_field_unsigned(&writer, "MaxNumberOfMessages", most);
    json_write_field_unsigned(&writer, "WaitTimeSeconds", wait_s);
    json_write_field_unsigned(&writer, "VisibilityTimeout", hide_s);
    /* The older name of the parameter is understood by the newer service, not the reverse. */
    json_write_key(&writer, "AttributeNames");
    json_write_array_begin(&writer);
    json_write_string(&writer, "ApproximateReceiveCount");
    json_write_string(&writer, "SentTimestamp");
    json_write_array_end(&writer);
    json_write_object_end(&writer);
    if (call(client, queue_url, "ReceiveMessage", &json, wait_s, ret_answer) != AWS_OK)
        return ret_answer->outcome;
    if (sqs_messages_read(buffer_text(&ret_answer->http.body), ret_answer->http.body.length,
                          ret_messages, ret_count) < 0)
        return not_sqs(ret_answer);
    return AWS_OK;
}

/* ---- batches ---- */

static void begin_batch(struct json_writer *writer, struct buffer *json, const char *queue_url)
{
    json_writer_init(writer, json);
    json_write_object_begin(writer);
    json_write_field_string(writer, "QueueUrl", queue_url);
    json_write_key(writer, "Entries");
    json_write_array_begin(writer);
}

static void begin_entry(struct json_writer *writer, size_t index)
{
    const char id[] = {(char)('0' + index), '\0'}; /* ten at most */

    json_write_object_begin(writer);
    json_write_field_string(writer, "Id", id);
}

/* Those that the answer names as successful did not fail. */
static int read_successes(const struct aws_answer *answer, size_t count, bool *failed)
{
    struct json_tree *tree;
    char problem[128];
    uint64_t index;

    int r =
        json_tree_parse(buffer_text(&answer->http.body), answer->http.body.length, &tree, problem);
    if (r < 0)
        return r;
    const struct json_node *root = json_tree_root(tree);
    const struct json_node *list =
        root->kind == JSON_NODE_OBJECT ? json_node_find(root, "Successful") : NULL;
    const struct json_node *entry =
        list != NULL && list->kind == JSON_NODE_ARRAY ? json_node_first(list) : NULL;
    for (; entry != NULL; entry = json_node_next(entry)) {
        const char *id = entry->kind == JSON_NODE_OBJECT ? text_of(entry, "Id") : NULL;
        if (id != NULL && text_parse_u64(id, &index) == 0 && index < count)
            failed[index] = false;
    }
    (void)json_tree_free(tree);
    return 0;
}

static enum aws_outcome finish_batch(struct aws_client *client, const char *queue_url,
                                     const char *action, struct json_writer *writer, size_t count,
                                     bool *failed, struct aws_answer *ret_answer)
{
    for (size_t i = 0; i < SQS_MOST_MESSAGES; i++)
        failed[i] = i < count;
    json_write_array_end(writer);
    json_write_object_end(writer);
    if (call(client, queue_url, action, writer->buffer, 0, ret_answer) != AWS_OK)
        return ret_answer->outcome;
    return read_successes(ret_answer, count, failed) < 0 ? not_sqs(ret_answer) : AWS_OK;
}

enum aws_outcome sqs_delete(struct aws_client *client, const char *queue_url,
                            const char *const *receipts, size_t count,
                            bool ret_failed[static SQS_MOST_MESSAGES],
                            struct aws_answer *ret_answer)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(MOST_REQUEST);
    struct json_writer writer;

    begin_batch(&writer, &json, queue_url);
    for (size_t i = 0; i < count; i++) {
        begin_entry(&writer, i);
        json_write_field_string(&writer, "ReceiptHandle", receipts[i]);
        json_write_object_end(&writer);
    }
    return finish_batch(client, queue_url, "DeleteMessageBatch", &writer, count, ret_failed,
                        ret_answer);
}

enum aws_outcome sqs_hide(struct aws_client *client, const char *queue_url,
                          const char *const *receipts, size_t count, unsigned hide_s,
                          bool ret_failed[static SQS_MOST_MESSAGES], struct aws_answer *ret_answer)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(MOST_REQUEST);
    struct json_writer writer;

    begin_batch(&writer, &json, queue_url);
    for (size_t i = 0; i < count; i++) {
        begin_entry(&writer, i);
        json_write_field_string(&writer, "ReceiptHandle", receipts[i]);
        json_write_field_unsigned(&writer, "VisibilityTimeout", hide_s);
        json_write_object_end(&writer);
    }
    return finish_batch(client, queue_url, "ChangeMessageVisibilityBatch", &writer, count,
                        ret_failed, ret_answer);
}

enum aws_outcome sqs_send(struct aws_client *client, const char *queue_url,
                          const char *const *bodies, size_t count,
                          bool ret_failed[static SQS_MOST_MESSAGES], struct aws_answer *ret_answer)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(MOST_REQUEST);
    struct json_writer writer;

    begin_batch(&writer, &json, queue_url);
    for (size_t i = 0; i < count; i++) {
        begin_entry(&writer, i);
        json_write_field_string(&writer, "MessageBody", bodies[i]);
        json_write_object_end(&writer);
    }
    return finish_batch(client, queue_url, "SendMessageBatch", &writer, count, ret_failed,
                        ret_answer);
}

/* ---- depth ---- */

static int read_depth(const struct aws_answer *answer, struct sqs_depth *depth)
{
    struct json_tree *tree;
    char problem[128];

    int r =
        json_tree_parse(buffer_text(&answer->http.body), answer->http.body.length, &tree, problem);
    if (r < 0)
        return r;
    const struct json_node *root = json_tree_root(tree);
    const struct json_node *attributes =
        root->kind == JSON_NODE_OBJECT ? json_node_find(root, "Attributes") : NULL;
    if (attributes != NULL && attributes->kind == JSON_NODE_OBJECT)
        *depth = (struct sqs_depth){
            .visible = number_of(attributes, "ApproximateNumberOfMessages"),
            .hidden = number_of(attributes, "ApproximateNumberOfMessagesNotVisible"),
            .delayed = number_of(attributes, "ApproximateNumberOfMessagesDelayed"),
        };
    else
        r = -EBADMSG;
    (void)json_tree_free(tree);
    return r;
}

enum aws_outcome sqs_depth(struct aws_client *client, const char *queue_url,
                           struct sqs_depth *ret_depth, struct aws_answer *ret_answer)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(MOST_REQUEST);
    struct json_writer writer;

    json_writer_init(&writer, &json);
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "QueueUrl", queue_url);
    json_write_key(&writer, "AttributeNames");
    json_write_array_begin(&writer);
    json_write_string(&writer, "ApproximateNumberOfMessages");
    json_write_string(&writer, "ApproximateNumberOfMessagesNotVisible");
    json_write_string(&writer, "ApproximateNumberOfMessagesDelayed");
    json_write_array_end(&writer);
    json_write_object_end(&writer);
    if (call(client, queue_url, "GetQueueAttributes", &json, 0, ret_answer) != AWS_OK)
        return ret_answer->outcome;
    return read_depth(ret_answer, ret_depth) < 0 ? not_sqs(ret_answer) : AWS_OK;
}
