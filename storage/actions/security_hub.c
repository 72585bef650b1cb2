/* Findings. Owns: their form. */
#include "storage/actions/security_hub.h"

#include "common/json/json_tree.h"
#include "common/json/json_writer.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "storage/actions/quarantine.h"

#include <errno.h>
#include <string.h>

#define MOST_BODY  65536
#define MOST_TITLE 256
#define MOST_TEXT  1024
#define MOST_NAME  64 /* of malware */

static const char *partition_of(const char *region)
{
    return text_starts_with(region, "cn-")       ? "aws-cn"
           : text_starts_with(region, "us-gov-") ? "aws-us-gov"
                                                 : "aws";
}

/* Cut to most bytes, at a whole character. */
static void write_cut(struct json_writer *writer, const char *key, const char *text, size_t most)
{
    size_t length = strlen(text);

    if (length > most)
        for (length = most; length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80;)
            length--;
    json_write_key(writer, key);
    json_write_string_length(writer, text, length);
}

static int write_resource(struct json_writer *writer, const char *region,
                          const struct published_result *result)
{
    AUTO_FREE char *arn =
        text_format_new("arn:%s:s3:::%s/%s", partition_of(region), result->bucket, result->key);

    if (arn == NULL)
        return -ENOMEM;
    json_write_key(writer, "Resources");
    json_write_array_begin(writer);
    json_write_object_begin(writer);
    json_write_field_string(writer, "Type", "AwsS3Object");
    write_cut(writer, "Id", arn, 512);
    json_write_field_string(writer, "Partition", partition_of(region));
    json_write_field_string(writer, "Region", region);
    json_write_key(writer, "Details");
    json_write_object_begin(writer);
    json_write_key(writer, "AwsS3Object");
    json_write_object_begin(writer);
    if (result->version[0] != '\0')
        json_write_field_string(writer, "VersionId", result->version);
    if (result->etag[0] != '\0')
        json_write_field_string(writer, "ETag", result->etag);
    json_write_object_end(writer);
    json_write_object_end(writer);
    json_write_object_end(writer);
    json_write_array_end(writer);
    return 0;
}

static void write_malware(struct json_writer *writer, const struct published_result *result)
{
    const char *name = result->malware[0] != '\0' ? result->malware : "unnamed";

    json_write_key(writer, "Malware");
    json_write_array_begin(writer);
    json_write_object_begin(writer);
    write_cut(writer, "Name", name, MOST_NAME);
    write_cut(writer, "Path", result->key, 512);
    json_write_field_string(writer, "State", "OBSERVED");
    json_write_object_end(writer);
    json_write_array_end(writer);
}

static int write_finding(struct json_writer *writer, const char *account, const char *region,
                         const struct published_result *result)
{
    char id[QUARANTINE_ID_BYTES], name[256], time[CLOCK_TEXT_BYTES];
    AUTO_FREE char *text = NULL;

    int r = quarantine_id(result, id);
    if (r < 0)
        return r;
    text = text_format_new("s3://%s/%s holds %s.", result->bucket, result->key,
                           result->malware[0] != '\0' ? result->malware : "malware");
    if (text == NULL)
        return -ENOMEM;
    clock_format(time, result->time_ms > 0 ? result->time_ms * NS_PER_MS : clock_realtime_ns());
    json_write_object_begin(writer);
    json_write_field_string(writer, "SchemaVersion", "2018-10-08");
    (void)text_format(name, sizeof name, "yagura/%s/%s", region, id);
    json_write_field_string(writer, "Id", name);
    (void)text_format(name, sizeof name, "arn:%s:securityhub:%s:%s:product/%s/default",
                      partition_of(region), region, account, account);
    json_write_field_string(writer, "ProductArn", name);
    json_write_field_string(writer, "GeneratorId", "yagura-storage");
    json_write_field_string(writer, "AwsAccountId", account);
    json_write_key(writer, "Types");
    json_write_array_begin(writer);
    json_write_string(writer, "TTPs/Object/S3-MaliciousFile");
    json_write_array_end(writer);
    json_write_field_string(writer, "CreatedAt", time);
    json_write_field_string(writer, "UpdatedAt", time);
    json_write_key(writer, "Severity");
    json_write_object_begin(writer);
    json_write_field_string(writer, "Label", "HIGH");
    json_write_object_end(writer);
    write_cut(writer, "Title", "Malware in an S3 object", MOST_TITLE);
    write_cut(writer, "Description", text, MOST_TEXT);
    r = write_resource(writer, region, result);
    write_malware(writer, result);
    json_write_object_end(writer);
    return r;
}

int security_hub_write(const char *account, const char *region,
                       const struct published_result *result, struct buffer *json)
{
    struct json_writer writer;

    json_writer_init(&writer, json);
    json_write_object_begin(&writer);
    json_write_key(&writer, "Findings");
    json_write_array_begin(&writer);
    int r = write_finding(&writer, account, region, result);
    json_write_array_end(&writer);
    json_write_object_end(&writer);
    return r < 0 ? r : buffer_failed(json);
}

/* A good status may still say that the finding was not taken. */
static bool was_taken(const struct buffer *body)
{
    struct json_tree *tree = NULL;
    char reason[128];

    if (json_tree_parse(buffer_text(body), body->length, &tree, reason) < 0)
        return false;
    const struct json_node *root = json_tree_root(tree);
    const struct json_node *failed =
        root->kind == JSON_NODE_OBJECT ? json_node_find(root, "FailedCount") : NULL;
    bool taken = failed != NULL && failed->kind == JSON_NODE_INTEGER && failed->integer == 0;
    (void)json_tree_free(tree);
    return taken;
}

int security_hub_import(struct aws_client *client, const char *account,
                        const struct published_result *result, char *problem, size_t problem_size)
{
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(MOST_BODY);
    char region[AWS_REGION_BYTES];
    struct aws_answer answer;
    int r = 0;

    if (aws_client_region(client, region, problem, problem_size) != AWS_OK)
        return -EAGAIN;
    if (security_hub_write(account, region, result, &json) < 0) {
        (void)text_copy(problem, problem_size, "memory is short");
        return -EAGAIN;
    }
    const struct aws_call call = {.service = "securityhub",
                                  .path = "/findings/import",
                                  .content_type = "application/json",
                                  .body = buffer_text(&json),
                                  .body_length = json.length};
    enum aws_outcome outcome = aws_client_send(client, &call, &answer);
    (void)text_copy(problem, problem_size, answer.problem);
    if (outcome == AWS_OK && !was_taken(&answer.http.body)) {
        (void)text_copy(problem, problem_size, "Security Hub did not take the finding");
        r = -EBADMSG;
    } else if (outcome != AWS_OK) {
        r = outcome == AWS_REFUSED ? -EBADMSG : -EAGAIN;
    }
    aws_answer_done(&answer);
    return r;
}
