/* Batches of SQS messages, and which of them shall come again. */
#include "storage/actions/message_batch.h"

#include "common/json/json_tree.h"
#include "common/json/json_writer.h"
#include "common/text/text.h"

#include <errno.h>

static const struct json_node *text_of(const struct json_node *object, const char *key)
{
    const struct json_node *node =
        object->kind == JSON_NODE_OBJECT ? json_node_find(object, key) : NULL;

    return node != NULL && node->kind == JSON_NODE_STRING && node->length > 0 ? node : NULL;
}

static const struct json_node *records_of(const struct json_node *root)
{
    const struct json_node *records =
        root->kind == JSON_NODE_OBJECT ? json_node_find(root, "Records") : NULL;

    return records != NULL && records->kind == JSON_NODE_ARRAY ? records : NULL;
}

/* Looked at before the first one is handled, so that a broken batch is not half done. */
static bool are_messages(const struct json_node *records)
{
    for (const struct json_node *one = json_node_first(records); one != NULL;
         one = json_node_next(one))
        if (text_of(one, "messageId") == NULL || text_of(one, "body") == NULL)
            return false;
    return true;
}

/* Who says nothing of it is taken for the first time. */
static bool is_again(const struct json_node *record)
{
    const struct json_node *attributes = json_node_find(record, "attributes");
    const struct json_node *count =
        attributes != NULL ? text_of(attributes, "ApproximateReceiveCount") : NULL;

    return count != NULL && !text_equal(count->text, "1");
}

static void handle_records(const struct json_node *records, message_handler *handle, void *user,
                           struct buffer *answer)
{
    struct json_writer writer;

    json_writer_init(&writer, answer);
    json_write_object_begin(&writer);
    json_write_key(&writer, "batchItemFailures");
    json_write_array_begin(&writer);
    for (const struct json_node *one = json_node_first(records); one != NULL;
         one = json_node_next(one)) {
        const struct json_node *body = text_of(one, "body");
        if (handle(user, body->text, body->length, is_again(one)) == 0)
            continue;
        json_write_object_begin(&writer);
        json_write_field_string(&writer, "itemIdentifier", text_of(one, "messageId")->text);
        json_write_object_end(&writer);
    }
    json_write_array_end(&writer);
    json_write_object_end(&writer);
}

int message_batch_handle(const char *event, size_t length, message_handler *handle, void *user,
                         struct buffer *answer)
{
    struct json_tree *tree = NULL;
    char problem[128];

    int r = json_tree_parse(event, length, &tree, problem);
    if (r < 0)
        return r;
    const struct json_node *records = records_of(json_tree_root(tree));
    if (records != NULL && are_messages(records)) {
        handle_records(records, handle, user, answer);
        r = buffer_failed(answer);
    } else {
        r = -EBADMSG;
    }
    (void)json_tree_free(tree);
    return r;
}
