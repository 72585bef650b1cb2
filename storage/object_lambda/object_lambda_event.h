/* What S3 Object Lambda asks a function: GetObject, which is answered by WriteGetObjectResponse, or
 * HeadObject, which is answered by the function's response. It comes from AWS, but a reader wrote
 * much of it. Thread-safe: no state.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/olap-event-context.html */
#ifndef STORAGE_OBJECT_LAMBDA_OBJECT_LAMBDA_EVENT_H
#define STORAGE_OBJECT_LAMBDA_OBJECT_LAMBDA_EVENT_H

#include "common/attributes.h"
#include "common/aws/s3.h"
#include "common/http_client/http_client.h"
#include "common/json/json_tree.h"

#include <stdbool.h>
#include <stdint.h>

#define OBJECT_LAMBDA_MOST_HEADERS 32

/* Texts live in the tree, names and values of headers too. */
struct object_lambda_event {
    struct json_tree *tree;
    bool head;
    const char *url;              /* presigned by the reader's own credentials */
    const char *route, *token;    /* of the answer; "" for HEAD */
    const char *range;            /* the reader's Range header; "" = none */
    bool range_is_signed;         /* then S3 itself cuts, and the whole is not to be had */
    char bucket[S3_BUCKET_BYTES]; /* from the access point's payload {"bucket": ...}; "" = not said
                                   */
    char key[S3_KEY_BYTES];       /* from the reader's URL */
    struct http_header headers[OBJECT_LAMBDA_MOST_HEADERS]; /* that the presigned URL asks for */
    size_t header_count;
};
/* -EBADMSG, -ENOMEM; on success object_lambda_event_done frees the tree. */
int object_lambda_event_read(const char *json, size_t length,
                             struct object_lambda_event *ret_event) MUST_USE;
void object_lambda_event_done(struct object_lambda_event *event);

/* One range of an object of size bytes: "bytes=A-B", "bytes=A-", "bytes=-N". -ERANGE: none of its
 * bytes are there; -EINVAL: not such a range (then the whole object is meant). */
int object_lambda_range(const char *text, uint64_t size, uint64_t *ret_first,
                        uint64_t *ret_length) MUST_USE;

/* The URL is S3's: https and a host of AWS, or of endpoint ("" = none). */
bool object_lambda_url_is_s3(const char *url, const char *endpoint);

#endif
