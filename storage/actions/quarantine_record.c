/* Quarantine records in JSON. */
#include "storage/actions/quarantine_record.h"

#include "common/json/json_tree.h"
#include "common/json/json_writer.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

#define SCHEMA "yagura-quarantine-1"

/* X(field, key) */
#define FIELDS(X)         \
    X(bucket, "bucket")   \
    X(region, "region")   \
    X(key, "key")         \
    X(version, "version") \
    X(etag, "etag")       \
    X(sha256, "sha256")   \
    X(verdict, "verdict") \
    X(malware, "malware") \
    X(time, "time")

int quarantine_record_write(const struct quarantine_record *record, struct buffer *json)
{
    struct json_writer writer;

    json_writer_init(&writer, json);
    json_write_object_begin(&writer);
    json_write_field_string(&writer, "schema", SCHEMA);
#define WRITE_FIELD(field, key) json_write_field_string(&writer, key, record->field);
    FIELDS(WRITE_FIELD)
#undef WRITE_FIELD
    json_write_key(&writer, "tags");
    json_write_object_begin(&writer);
    for (size_t i = 0; i < record->tags.count; i++)
        json_write_field_string(&writer, record->tags.tags[i].key, record->tags.tags[i].value);
    json_write_object_end(&writer);
    json_write_object_end(&writer);
    return buffer_failed(json);
}

static int read_text(const struct json_node *root, const char *key, char *text, size_t size)
{
    const struct json_node *node = json_node_find(root, key);

    if (node == NULL || node->kind != JSON_NODE_STRING)
        return -EBADMSG;
    return text_copy(text, size, node->text) < 0 ? -EBADMSG : 0;
}

static int read_tags(const struct json_node *root, struct s3_tags *tags)
{
    const struct json_node *node = json_node_find(root, "tags");

    if (node == NULL || node->kind != JSON_NODE_OBJECT)
        return -EBADMSG;
    for (node = json_node_first(node); node != NULL; node = json_node_next(node))
        if (node->kind != JSON_NODE_STRING || node->key[0] == '\0' ||
            s3_tags_set(tags, node->key, node->text) < 0)
            return -EBADMSG;
    return 0;
}

static int read_record(const struct json_node *root, struct quarantine_record *record)
{
    char schema[32];
    int r = root->kind == JSON_NODE_OBJECT ? 0 : -EBADMSG;

    if (r == 0)
        r = read_text(root, "schema", schema, sizeof schema);
    if (r == 0 && !text_equal(schema, SCHEMA))
        r = -EBADMSG;
#define READ_FIELD(field, key) \
    if (r == 0)                \
        r = read_text(root, key, record->field, sizeof record->field);
    FIELDS(READ_FIELD)
#undef READ_FIELD
    if (r == 0)
        r = read_tags(root, &record->tags);
    if (r == 0 && (record->bucket[0] == '\0' || record->key[0] == '\0'))
        r = -EBADMSG;
    return r;
}

int quarantine_record_read(const char *json, size_t length, struct quarantine_record *ret_record,
                           char ret_problem[static 128])
{
    struct json_tree *tree = NULL;

    *ret_record = (struct quarantine_record){.bucket = ""};
    ret_problem[0] = '\0';
    int r = length <= QUARANTINE_RECORD_BYTES ? json_tree_parse(json, length, &tree, ret_problem)
                                              : -EBADMSG;
    if (r < 0)
        return r;
    r = read_record(json_tree_root(tree), ret_record);
    if (r < 0)
        (void)text_copy(ret_problem, 128, "it is no record of the quarantine");
    (void)json_tree_free(tree);
    return r;
}
