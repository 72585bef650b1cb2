/* S3 requests. Owns: how a request is written, and that a bucket may be in another region. Hands
 * off: bodies in XML to s3_xml.c. */
#include "common/aws/s3.h"

#include "common/aws/service_error.h"
#include "common/crypto/base64.h"
#include "common/crypto/hash.h"
#include "common/text/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MOST_LIST_ANSWER  (8 * 1024 * 1024)
#define MOST_TAGS_ANSWER  (64 * 1024)
#define MOST_OWN_HEADERS  4
#define MOST_SOURCE_BYTES (16 * 1024)

/* ---- one call ---- */

/* The parts of a call that live as long as it does. */
struct s3_call {
    struct aws_call call;
    struct aws_pair headers[SIGV4_MOST_HEADERS];
    struct aws_pair query[8];
    char *path;
    char etag[S3_ETAG_BYTES + 4];
    char range[64];
};

static void add_header(struct s3_call *call, const char *name, const char *value)
{
    if (value != NULL && call->call.header_count < ARRAY_LENGTH(call->headers))
        call->headers[call->call.header_count++] = (struct aws_pair){name, value};
}

static void add_query(struct s3_call *call, const char *name, const char *value)
{
    if (value != NULL)
        call->query[call->call.query_count++] = (struct aws_pair){name, value};
}

static void begin(struct s3_call *call, const char *method, const struct s3_object *object)
{
    *call = (struct s3_call){.call = {.service = "s3",
                                      .method = method,
                                      .bucket = object->bucket,
                                      .region = object->region}};
    call->call.headers = call->headers;
    call->call.query = call->query;
    call->path = text_format_new("/%s", object->key != NULL ? object->key : "");
    call->call.path = call->path;
    add_query(call, "versionId", object->version);
    add_header(call, "x-amz-expected-bucket-owner", object->owner);
}

/* The quoted form that conditions want. */
static const char *quoted(struct s3_call *call, const char *etag)
{
    (void)text_format(call->etag, sizeof call->etag, etag[0] == '"' ? "%s" : "\"%s\"", etag);
    return call->etag;
}

static enum aws_outcome send_in(struct aws_client *client, const struct s3_call *call,
                                struct aws_answer *answer)
{
    char used[AWS_REGION_BYTES], named[AWS_REGION_BYTES];

    enum aws_outcome outcome = aws_client_send(client, &call->call, answer);
    if (outcome != AWS_REFUSED && outcome != AWS_BAD_CREDENTIALS)
        return outcome;
    if (http_answer_header(&answer->http, "x-amz-bucket-region", named, sizeof named) < 0 ||
        !aws_region_is_valid(named))
        return outcome;
    if (call->call.region != NULL)
        (void)text_copy(used, sizeof used, call->call.region);
    else if (aws_client_region(client, used, answer->problem, sizeof answer->problem) != AWS_OK)
        return outcome;
    if (text_equal(used, named) || call->call.source != NULL)
        return outcome;
    aws_answer_done(answer);
    struct aws_call elsewhere = call->call;
    elsewhere.region = named;
    return aws_client_send(client, &elsewhere, answer);
}

static enum aws_outcome finish(struct aws_client *client, struct s3_call *call,
                               struct aws_answer *ret_answer)
{
    enum aws_outcome outcome;

    if (call->path != NULL) {
        outcome = send_in(client, call, ret_answer);
    } else {
        *ret_answer = (struct aws_answer){.outcome = AWS_UNAVAILABLE};
        (void)text_copy(ret_answer->problem, sizeof ret_answer->problem, "memory is short");
        outcome = ret_answer->outcome;
    }
    free(call->path);
    return outcome;
}

static enum aws_outcome not_s3(struct aws_answer *answer)
{
    (void)text_copy(answer->problem, sizeof answer->problem, "the answer is none of S3's");
    return answer->outcome = AWS_UNAVAILABLE;
}

/* ---- facts ---- */

static void take(const struct http_answer *answer, const char *name, char *text, size_t size)
{
    if (http_answer_header(answer, name, text, size) < 0)
        text[0] = '\0';
}

static void drop_quotes(char *etag)
{
    size_t length = strlen(etag);

    if (length >= 2 && etag[0] == '"' && etag[length - 1] == '"') {
        memmove(etag, etag + 1, length - 2);
        etag[length - 2] = '\0';
    }
}

static uint64_t number_header(const struct http_answer *answer, const char *name)
{
    char text[32];
    uint64_t value;

    take(answer, name, text, sizeof text);
    return text_parse_u64(text, &value) == 0 ? value : 0;
}

void s3_facts_read(const struct http_answer *answer, struct s3_facts *ret_facts)
{
    char range[96];
    uint64_t whole;

    *ret_facts = (struct s3_facts){.size = number_header(answer, "Content-Length")};
    take(answer, "Content-Range", range, sizeof range); /* "bytes 0-9/100" */
    const char *slash = strchr(range, '/');
    if (slash != NULL && text_parse_u64(slash + 1, &whole) == 0)
        ret_facts->size = whole;
    take(answer, "ETag", ret_facts->etag, sizeof ret_facts->etag);
    drop_quotes(ret_facts->etag);
    take(answer, "x-amz-version-id", ret_facts->version, sizeof ret_facts->version);
    take(answer, "Last-Modified", ret_facts->modified, sizeof ret_facts->modified);
    take(answer, "x-amz-storage-class", ret_facts->storage_class, sizeof ret_facts->storage_class);
    take(answer, "x-amz-server-side-encryption", ret_facts->encryption,
         sizeof ret_facts->encryption);
    take(answer, "x-amz-server-side-encryption-aws-kms-key-id", ret_facts->kms_key,
         sizeof ret_facts->kms_key);
    ret_facts->tags = number_header(answer, "x-amz-tagging-count");
}

/* ---- objects ---- */

enum aws_outcome s3_head(struct aws_client *client, const struct s3_object *object,
                         struct s3_facts *ret_facts, struct aws_answer *ret_answer)
{
    struct s3_call call;

    begin(&call, "HEAD", object);
    if (object->etag != NULL)
        add_header(&call, "If-Match", quoted(&call, object->etag));
    enum aws_outcome outcome = finish(client, &call, ret_answer);
    s3_facts_read(&ret_answer->http, ret_facts);
    return outcome;
}

enum aws_outcome s3_get(struct aws_client *client, const struct s3_object *object,
                        const struct s3_get *get, struct s3_facts *ret_facts,
                        struct aws_answer *ret_answer)
{
    struct s3_call call;

    begin(&call, "GET", object);
    if (object->etag != NULL)
        add_header(&call, "If-Match", quoted(&call, object->etag));
    if (get->range) {
        (void)text_format(call.range, sizeof call.range, "bytes=%" PRIu64 "-%" PRIu64, get->first,
                          get->last);
        add_header(&call, "Range", call.range);
    }
    call.call.sink = get->sink;
    call.call.maximum_answer = get->maximum_answer;
    call.call.timeout_ns = get->timeout_ns;
    call.call.stall_timeout_ns = get->stall_timeout_ns;
    enum aws_outcome outcome = finish(client, &call, ret_answer);
    s3_facts_read(&ret_answer->http, ret_facts);
    return outcome;
}

enum aws_outcome s3_put(struct aws_client *client, const struct s3_object *object,
                        const struct s3_put *put, struct aws_answer *ret_answer)
{
    struct s3_call call;

    begin(&call, "PUT", object);
    call.call.body = put->body;
    call.call.body_length = put->body_length;
    call.call.source = put->source;
    call.call.timeout_ns = put->timeout_ns;
    call.call.content_type =
        put->content_type != NULL ? put->content_type : "application/octet-stream";
    for (size_t i = 0; i < put->header_count; i++)
        add_header(&call, put->headers[i].name, put->headers[i].value);
    return finish(client, &call, ret_answer);
}

int s3_write_copy_source(const struct s3_object *object, struct buffer *text)
{
    (void)buffer_append_format(text, "/%s/", object->bucket);
    sigv4_append_encoded(text, object->key, true);
    if (object->version != NULL) {
        (void)buffer_append_text(text, "?versionId=");
        sigv4_append_encoded(text, object->version, false);
    }
    return buffer_failed(text);
}

enum aws_outcome s3_copy(struct aws_client *client, const struct s3_object *from,
                         const struct s3_object *to, const struct aws_pair *headers, size_t count,
                         struct aws_answer *ret_answer)
{
    AUTO_BUFFER struct buffer source = BUFFER_WITH_MAXIMUM(MOST_SOURCE_BYTES);
    const struct s3_object target = {
        .bucket = to->bucket, .key = to->key, .region = to->region, .owner = to->owner};
    struct s3_call call;

    int r = s3_write_copy_source(from, &source);
    begin(&call, "PUT", &target);
    if (r < 0) {
        free(call.path);
        call.path = NULL;
    }
    add_header(&call, "x-amz-copy-source", buffer_text(&source));
    add_header(&call, "x-amz-source-expected-bucket-owner", from->owner);
    if (from->etag != NULL)
        add_header(&call, "x-amz-copy-source-if-match", quoted(&call, from->etag));
    for (size_t i = 0; i < count; i++)
        add_header(&call, headers[i].name, headers[i].value);
    call.call.content_type = "application/octet-stream";
    call.call.timeout_ns = 600ULL * 1000000000;
    (void)finish(client, &call, ret_answer);
    if (ret_answer->outcome == AWS_OK &&
        strstr(buffer_text(&ret_answer->http.body), "<CopyObjectResult") == NULL) {
        service_error_read_body(ret_answer);
        (void)text_format(ret_answer->problem, sizeof ret_answer->problem,
                          "the copy failed after it was begun: %s: %s", ret_answer->code,
                          ret_answer->message);
    }
    return ret_answer->outcome;
}

enum aws_outcome s3_delete(struct aws_client *client, const struct s3_object *object,
                           struct aws_answer *ret_answer)
{
    struct s3_object target = *object;
    struct s3_call call;

    /* Each write replaces that version: only its content tells which one is meant. */
    if (target.version != NULL && text_equal(target.version, "null"))
        target.version = NULL;
    begin(&call, "DELETE", &target);
    if (target.version == NULL && target.etag != NULL)
        add_header(&call, "If-Match", quoted(&call, target.etag));
    return finish(client, &call, ret_answer);
}

enum aws_outcome s3_link(struct aws_client *client, const struct s3_object *object,
                         const char *method, uint32_t expires_s, struct buffer *url, char *problem,
                         size_t problem_size)
{
    enum aws_outcome outcome = AWS_UNAVAILABLE;
    struct s3_call call;

    begin(&call, method, object);
    if (call.path != NULL)
        outcome = aws_client_presign(client, &call.call, expires_s, url, problem, problem_size);
    else
        (void)text_copy(problem, problem_size, "memory is short");
    free(call.path);
    return outcome;
}

/* ---- tags ---- */

enum aws_outcome s3_get_tags(struct aws_client *client, const struct s3_object *object,
                             struct s3_tags *ret_tags, struct aws_answer *ret_answer)
{
    struct s3_call call;

    *ret_tags = (struct s3_tags){.count = 0};
    begin(&call, "GET", object);
    add_query(&call, "tagging", "");
    call.call.maximum_answer = MOST_TAGS_ANSWER;
    if (finish(client, &call, ret_answer) != AWS_OK)
        return ret_answer->outcome;
    if (s3_tags_read(buffer_text(&ret_answer->http.body), ret_answer->http.body.length, ret_tags) <
        0)
        return not_s3(ret_answer);
    return AWS_OK;
}

static void append_xml(struct buffer *xml, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("&<>\"'", *text) != NULL || (unsigned char)*text < 0x20)
            (void)buffer_append_format(xml, "&#%u;", (unsigned)(unsigned char)*text);
        else
            (void)buffer_append(xml, text, 1);
    }
}

static int write_tags(const struct s3_tags *tags, struct buffer *xml)
{
    (void)buffer_append_text(xml, "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
                                  "<TagSet>");
    for (size_t i = 0; i < tags->count; i++) {
        (void)buffer_append_text(xml, "<Tag><Key>");
        append_xml(xml, tags->tags[i].key);
        (void)buffer_append_text(xml, "</Key><Value>");
        append_xml(xml, tags->tags[i].value);
        (void)buffer_append_text(xml, "</Value></Tag>");
    }
    return buffer_append_text(xml, "</TagSet></Tagging>");
}

enum aws_outcome s3_put_tags(struct aws_client *client, const struct s3_object *object,
                             const struct s3_tags *tags, struct aws_answer *ret_answer)
{
    AUTO_BUFFER struct buffer xml = BUFFER_WITH_MAXIMUM(MOST_TAGS_ANSWER * 2);
    uint8_t digest[SHA256_BYTES];
    char checksum[BASE64_TEXT_BYTES(SHA256_BYTES)];
    struct s3_call call;

    begin(&call, "PUT", object);
    int r = write_tags(tags, &xml);
    if (r == 0)
        r = hash_sha256(buffer_text(&xml), xml.length, digest);
    if (r < 0) {
        free(call.path);
        call.path = NULL;
    } else {
        base64_encode(checksum, digest, sizeof digest);
        add_header(&call, "x-amz-checksum-sha256", checksum);
    }
    add_query(&call, "tagging", "");
    call.call.body = buffer_text(&xml);
    call.call.body_length = xml.length;
    call.call.content_type = "application/xml";
    if (finish(client, &call, ret_answer) == AWS_OK &&
        strstr(buffer_text(&ret_answer->http.body), "<Error") != NULL) {
        service_error_read_body(ret_answer);
        (void)text_format(ret_answer->problem, sizeof ret_answer->problem,
                          "the tags were not taken: %s", ret_answer->code);
    }
    return ret_answer->outcome;
}

/* ---- listings ---- */

enum aws_outcome s3_list(struct aws_client *client, const struct s3_list *list,
                         char token[static S3_TOKEN_BYTES], struct aws_answer *ret_answer)
{
    const struct s3_object bucket = {.bucket = list->bucket,
                                     .region = list->region,
                                     .owner = list->owner};
    char sent[S3_TOKEN_BYTES], page[16];
    struct s3_call call;

    (void)text_copy(sent, sizeof sent, token);
    (void)text_format(page, sizeof page, "%u", list->page);
    begin(&call, "GET", &bucket);
    add_query(&call, "list-type", "2");
    add_query(&call, "encoding-type", "url");
    add_query(&call, "prefix", list->prefix);
    add_query(&call, "max-keys", list->page > 0 ? page : NULL);
    add_query(&call, "start-after", sent[0] == '\0' ? list->start_after : NULL);
    add_query(&call, "continuation-token", sent[0] != '\0' ? sent : NULL);
    call.call.maximum_answer = MOST_LIST_ANSWER;
    if (finish(client, &call, ret_answer) != AWS_OK)
        return ret_answer->outcome;
    int r = s3_list_read(buffer_text(&ret_answer->http.body), ret_answer->http.body.length, list,
                         token);
    if (r == -EBADMSG)
        return not_s3(ret_answer);
    ret_answer->taker_error = r;
    return r < 0 ? (ret_answer->outcome = AWS_TAKER_FAILED) : AWS_OK;
}
