/* S3 over aws_client: objects pinned to a version and to their content, tags, listings. As
 * aws_client: a call blocks, belongs to the client's thread, sets ret_answer in every case (free it
 * with aws_answer_done) and returns its outcome.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/Welcome.html */
#ifndef COMMON_AWS_S3_H
#define COMMON_AWS_S3_H

#include "common/attributes.h"
#include "common/aws/aws_client.h"

#include <stdbool.h>
#include <stdint.h>

#define S3_KEY_BYTES     1025 /* of UTF-8, with the NUL */
#define S3_BUCKET_BYTES  64
#define S3_VERSION_BYTES 1025
#define S3_ETAG_BYTES    128
#define S3_TIME_BYTES    40
#define S3_MOST_TAGS     10
#define S3_MOST_PUT      (5ULL * 1024 * 1024 * 1024) /* of one request: put and copy */

/* Which object. NULL: no matter, or not known. */
struct s3_object {
    const char *bucket;
    const char *key; /* raw UTF-8 */
    const char *version;
    const char *etag;   /* with or without quotes; another one is AWS_CHANGED */
    const char *region; /* of the bucket; NULL = the client's. Another one is found by itself */
    const char *owner;  /* account that must own the bucket */
};

/* What the head of an answer says; "" = not said. */
struct s3_facts {
    uint64_t size;                  /* of the whole object, also in the answer to a range */
    char etag[S3_ETAG_BYTES];       /* without quotes */
    char version[S3_VERSION_BYTES]; /* "null" in a bucket whose versioning is suspended */
    char modified[S3_TIME_BYTES];   /* as the service writes it */
    char storage_class[40];         /* "" = STANDARD */
    char encryption[24];            /* "aws:kms" */
    char kms_key[256];              /* ARN */
    uint64_t tags;                  /* how many; 0 also without the permission to know */
};
void s3_facts_read(const struct http_answer *answer, struct s3_facts *ret_facts);

enum aws_outcome s3_head(struct aws_client *client, const struct s3_object *object,
                         struct s3_facts *ret_facts, struct aws_answer *ret_answer);

struct s3_get {
    bool range;
    uint64_t first, last; /* bytes, both included */
    const struct http_sink *sink;
    size_t maximum_answer; /* without a sink; of an error, too */
    uint64_t timeout_ns, stall_timeout_ns;
};
enum aws_outcome s3_get(struct aws_client *client, const struct s3_object *object,
                        const struct s3_get *get, struct s3_facts *ret_facts,
                        struct aws_answer *ret_answer);

struct s3_put {
    const void *body;
    size_t body_length;
    const struct http_source *source; /* instead of body */
    const char *content_type;         /* NULL = application/octet-stream */
    const struct aws_pair *headers;   /* x-amz-..., If-None-Match */
    size_t header_count;
    uint64_t timeout_ns;
};
enum aws_outcome s3_put(struct aws_client *client, const struct s3_object *object,
                        const struct s3_put *put, struct aws_answer *ret_answer);
/* from's version and etag are conditions. Up to S3_MOST_PUT bytes. A 200 that holds an error is
 * that error. headers: directives, tags, encryption. */
enum aws_outcome s3_copy(struct aws_client *client, const struct s3_object *from,
                         const struct s3_object *to, const struct aws_pair *headers, size_t count,
                         struct aws_answer *ret_answer);
/* "/bucket/key?versionId=V", as x-amz-copy-source wants it. */
int s3_write_copy_source(const struct s3_object *object, struct buffer *text) MUST_USE;
/* With a version: that one alone, for good. Without, or with "null": etag is the condition.
 * AWS_NOT_FOUND only for the bucket: an object that is not there is deleted. */
enum aws_outcome s3_delete(struct aws_client *client, const struct s3_object *object,
                           struct aws_answer *ret_answer);

/* A link to that version of the object, by GET or HEAD, good for expires_s: appends the URL. Its
 * etag is no condition: S3 takes none from a link. */
enum aws_outcome s3_link(struct aws_client *client, const struct s3_object *object,
                         const char *method, uint32_t expires_s, struct buffer *url, char *problem,
                         size_t problem_size);

/* A copy of any size in parts of part_bytes (5 MiB..S3_MOST_PUT, at most 10,000 of them), each
 * under the conditions of from; abandoned whole when one fails. headers: those of s3_put; nothing
 * of from but its bytes is taken over. size is from's. */
enum aws_outcome s3_copy_parts(struct aws_client *client, const struct s3_object *from,
                               const struct s3_object *to, uint64_t size, uint64_t part_bytes,
                               const struct aws_pair *headers, size_t count,
                               struct aws_answer *ret_answer);

/* ---- tags ---- */

struct s3_tag {
    char key[128 * 4 + 1];
    char value[256 * 4 + 1];
};
struct s3_tags {
    size_t count;
    struct s3_tag tags[S3_MOST_TAGS];
};
/* etag is no condition of tags: the service has none. AWS_UNAVAILABLE when the answer is none. */
enum aws_outcome s3_get_tags(struct aws_client *client, const struct s3_object *object,
                             struct s3_tags *ret_tags, struct aws_answer *ret_answer);
/* Replaces all; none: an empty set. A 200 that holds an error is that error. */
enum aws_outcome s3_put_tags(struct aws_client *client, const struct s3_object *object,
                             const struct s3_tags *tags, struct aws_answer *ret_answer);
/* -EBADMSG. */
int s3_tags_read(const char *xml, size_t length, struct s3_tags *ret_tags) MUST_USE;
/* -E2BIG when there is no room for another one. */
int s3_tags_set(struct s3_tags *tags, const char *key, const char *value) MUST_USE;
const char *s3_tags_find(const struct s3_tags *tags, const char *key);

/* ---- listings ---- */

struct s3_listed {
    char key[S3_KEY_BYTES];
    char etag[S3_ETAG_BYTES];
    char modified[40];
    char storage_class[40];
    uint64_t size;
};
#define S3_TOKEN_BYTES 2048
/* One page, at most 1,000 objects in the order of their keys. each: 0, or the reading ends with its
 * error, which is then answer.taker_error of AWS_TAKER_FAILED. token: "" at first, and again after
 * the last page.
 */
struct s3_list {
    const char *bucket, *region, *owner;
    const char *prefix, *start_after; /* NULL = none */
    unsigned page;                    /* most objects of it; 0 = 1,000 */
    int (*each)(void *user, const struct s3_listed *listed);
    void *user;
};
enum aws_outcome s3_list(struct aws_client *client, const struct s3_list *list,
                         char token[static S3_TOKEN_BYTES], struct aws_answer *ret_answer);
/* The same of an answer's body; -EBADMSG, or the error of each. */
int s3_list_read(const char *xml, size_t length, const struct s3_list *list,
                 char ret_token[static S3_TOKEN_BYTES]) MUST_USE;

/* Decodes %XX, and "+" to a blank where forms are meant. -EBADMSG for a broken escape or a NUL;
 * -ENAMETOOLONG. */
int s3_decode_key(const char *text, bool form, char *key, size_t size) MUST_USE;

#endif
