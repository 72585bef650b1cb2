/* Copies larger than one request takes. Owns: the order of its requests, and that nothing half done
 * is left. Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/CopyingObjectsMPUapi.html
 */
#include "common/aws/s3.h"
#include "common/aws/service_error.h"
#include "common/aws/xml_reader.h"
#include "common/text/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define MOST_PARTS      10000
#define LEAST_PART      (5ULL * 1024 * 1024)
#define MOST_SOURCE     (16 * 1024)
#define MOST_LIST       (2 * 1024 * 1024)
#define UPLOAD_BYTES    1024
#define PART_HEADERS    4
#define PART_TIMEOUT_NS (600ULL * 1000000000)

struct parts_copy {
    struct aws_client *client;
    const struct s3_object *from, *to;
    uint64_t size, part_bytes;
    struct aws_answer *answer;
    char *path;                /* of the target */
    char upload[UPLOAD_BYTES]; /* its id; "" before it was begun */
    struct buffer source;      /* x-amz-copy-source */
    struct buffer list;        /* the parts, in XML */
};

static enum aws_outcome fail(struct parts_copy *copy, enum aws_outcome outcome, const char *text)
{
    copy->answer->outcome = outcome;
    (void)text_copy(copy->answer->problem, sizeof copy->answer->problem, text);
    return outcome;
}

/* The text of the first element of that name. An error may hold such an element, too. */
static int find_element(const struct buffer *xml, const char *name, char *text, size_t size)
{
    struct xml_reader reader;
    bool is_root = true;
    int r = -ENOENT;

    xml_reader_begin(&reader, buffer_text(xml), xml->length);
    for (enum xml_token token = xml_reader_next(&reader); r == -ENOENT;
         token = xml_reader_next(&reader)) {
        if (token == XML_BROKEN || token == XML_END ||
            (is_root && text_equal(reader.name, "Error")))
            r = -EBADMSG;
        else if (token == XML_CLOSE && text_equal(reader.name, name))
            r = text_copy(text, size, buffer_text(&reader.text));
        is_root = false;
    }
    xml_reader_done(&reader);
    return r < 0 ? -EBADMSG : 0;
}

/* A request about the target: query of a name and a value, and the upload's id when there is one.
 */
static enum aws_outcome send(struct parts_copy *copy, const char *method, const char *name,
                             const char *value, const struct aws_pair *headers, size_t count,
                             const struct buffer *body)
{
    const struct aws_pair query[] = {{"uploadId", copy->upload}, {name, value}};
    struct aws_pair sent[SIGV4_MOST_HEADERS];
    size_t own = 0, left_out = copy->upload[0] == '\0';
    struct aws_call call = {
        .service = "s3",
        .method = method,
        .bucket = copy->to->bucket,
        .region = copy->to->region,
        .path = copy->path,
        .query = query + left_out,
        .query_count = 1 - left_out + (name != NULL),
        .headers = sent,
        .content_type = body != NULL ? "application/xml" : "application/octet-stream",
        .body = body != NULL ? buffer_text(body) : "",
        .body_length = body != NULL ? body->length : 0,
        .timeout_ns = PART_TIMEOUT_NS,
    };

    if (count + 2 > ARRAY_LENGTH(sent))
        return fail(copy, AWS_REFUSED, "the object has more metadata than can be sent");
    for (size_t i = 0; i < count; i++) {
        /* The object's own stands in the place of ours: two are none that a signature fits. */
        if (strcasecmp(headers[i].name, "Content-Type") == 0)
            call.content_type = headers[i].value;
        else
            sent[own++] = headers[i];
    }
    if (copy->to->owner != NULL)
        sent[own++] = (struct aws_pair){"x-amz-expected-bucket-owner", copy->to->owner};
    call.header_count = own;
    aws_answer_done(copy->answer);
    return aws_client_send(copy->client, &call, copy->answer);
}

/* S3 may begin to answer 200 and end with an error. */
static enum aws_outcome take(struct parts_copy *copy, const char *name, char *text, size_t size)
{
    if (find_element(&copy->answer->http.body, name, text, size) == 0)
        return AWS_OK;
    service_error_read_body(copy->answer);
    if (copy->answer->outcome == AWS_OK)
        copy->answer->outcome = AWS_UNAVAILABLE;
    (void)text_format(copy->answer->problem, sizeof copy->answer->problem,
                      "the copy failed after it was begun: %s %s", copy->answer->code,
                      copy->answer->message);
    return copy->answer->outcome;
}

static enum aws_outcome begin_upload(struct parts_copy *copy, const struct aws_pair *headers,
                                     size_t count)
{
    char upload[UPLOAD_BYTES];

    enum aws_outcome outcome = send(copy, "POST", "uploads", "", headers, count, NULL);
    if (outcome == AWS_OK)
        outcome = take(copy, "UploadId", upload, sizeof upload);
    if (outcome == AWS_OK)
        (void)text_copy(copy->upload, sizeof copy->upload, upload);
    return outcome;
}

static enum aws_outcome copy_part(struct parts_copy *copy, unsigned number, uint64_t first)
{
    uint64_t last = MIN(first + copy->part_bytes, copy->size) - 1;
    char part[16], range[64], etag[S3_ETAG_BYTES], condition[S3_ETAG_BYTES + 2];
    struct aws_pair headers[PART_HEADERS] = {{"x-amz-copy-source", buffer_text(&copy->source)},
                                             {"x-amz-copy-source-range", range}};
    size_t count = 2;

    (void)text_format(part, sizeof part, "%u", number);
    (void)text_format(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, first, last);
    if (copy->from->etag != NULL) {
        (void)text_format(condition, sizeof condition, copy->from->etag[0] == '"' ? "%s" : "\"%s\"",
                          copy->from->etag);
        headers[count++] = (struct aws_pair){"x-amz-copy-source-if-match", condition};
    }
    if (copy->from->owner != NULL)
        headers[count++] =
            (struct aws_pair){"x-amz-source-expected-bucket-owner", copy->from->owner};
    enum aws_outcome outcome = send(copy, "PUT", "partNumber", part, headers, count, NULL);
    if (outcome == AWS_OK)
        outcome = take(copy, "ETag", etag, sizeof etag);
    if (outcome == AWS_OK && strpbrk(etag, "<>&") != NULL)
        outcome = fail(copy, AWS_UNAVAILABLE, "the answer is none of S3's");
    if (outcome == AWS_OK)
        (void)buffer_append_format(&copy->list,
                                   "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>",
                                   number, etag);
    return outcome;
}

static enum aws_outcome copy_all(struct parts_copy *copy)
{
    enum aws_outcome outcome = AWS_OK;
    unsigned number = 1;

    (void)buffer_append_text(&copy->list, "<CompleteMultipartUpload>");
    for (uint64_t first = 0; outcome == AWS_OK && first < copy->size; first += copy->part_bytes)
        outcome = copy_part(copy, number++, first);
    if (outcome != AWS_OK)
        return outcome;
    if (buffer_append_text(&copy->list, "</CompleteMultipartUpload>") < 0)
        return fail(copy, AWS_UNAVAILABLE, "memory is short");
    return AWS_OK;
}

static enum aws_outcome complete(struct parts_copy *copy)
{
    char etag[S3_ETAG_BYTES];

    enum aws_outcome outcome = send(copy, "POST", NULL, NULL, NULL, 0, &copy->list);
    return outcome != AWS_OK ? outcome : take(copy, "ETag", etag, sizeof etag);
}

/* What has been copied costs until it is given up; the first failure stays the answer. */
static void abandon(struct parts_copy *copy)
{
    struct aws_answer *first = copy->answer, second = {.outcome = AWS_OK};

    copy->answer = &second;
    (void)send(copy, "DELETE", NULL, NULL, NULL, 0, NULL);
    aws_answer_done(&second);
    copy->answer = first;
}

static enum aws_outcome run(struct parts_copy *copy, const struct aws_pair *headers, size_t count)
{
    enum aws_outcome outcome = begin_upload(copy, headers, count);

    if (outcome != AWS_OK)
        return outcome;
    outcome = copy_all(copy);
    if (outcome == AWS_OK)
        outcome = complete(copy);
    if (outcome != AWS_OK)
        abandon(copy);
    return outcome;
}

enum aws_outcome s3_copy_parts(struct aws_client *client, const struct s3_object *from,
                               const struct s3_object *to, uint64_t size, uint64_t part_bytes,
                               const struct aws_pair *headers, size_t count,
                               struct aws_answer *ret_answer)
{
    struct parts_copy copy = {.client = client,
                              .from = from,
                              .to = to,
                              .size = size,
                              .part_bytes = part_bytes,
                              .answer = ret_answer,
                              .source = BUFFER_WITH_MAXIMUM(MOST_SOURCE),
                              .list = BUFFER_WITH_MAXIMUM(MOST_LIST)};
    enum aws_outcome outcome;

    *ret_answer = (struct aws_answer){.outcome = AWS_OK};
    copy.path = text_format_new("/%s", to->key);
    if (size == 0 || part_bytes < LEAST_PART || part_bytes > S3_MOST_PUT ||
        (size - 1) / part_bytes >= MOST_PARTS)
        outcome = fail(&copy, AWS_REFUSED, "an object of this size cannot be copied in such parts");
    else if (copy.path == NULL || s3_write_copy_source(from, &copy.source) < 0)
        outcome = fail(&copy, AWS_UNAVAILABLE, "memory is short");
    else
        outcome = run(&copy, headers, count);
    free(copy.path);
    buffer_done(&copy.source);
    buffer_done(&copy.list);
    return outcome;
}
