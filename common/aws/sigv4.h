/* AWS Signature Version 4 in headers, over OpenSSL's HMAC. libcurl's own is wrong for S3 keys and
 * absent or broken before 7.86, so it is not used.
 * Source:
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 * Thread-safe: no state. */
#ifndef COMMON_AWS_SIGV4_H
#define COMMON_AWS_SIGV4_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

#include <stdbool.h>
#include <stdint.h>

/* Secrets live as long as the caller keeps them; none is copied beyond the call. */
struct aws_credentials {
    const char *access_key_id;
    const char *secret_access_key;
    const char *session_token; /* NULL for long-lived keys */
};

struct aws_pair {
    const char *name;
    const char *value;
};

struct sigv4_request {
    const char *method;
    const char *service; /* "ssm", "s3", "sqs", ... */
    const char *region;
    const char *host; /* as it goes on the wire, with the port when that is not the scheme's */
    const char *path; /* raw, begins with "/": for S3 the key, never normalised, encoded once */
    const struct aws_pair *query; /* raw names and values, any order */
    size_t query_count;
    const struct aws_pair *headers; /* sent by the caller and signed; not host and x-amz-date */
    size_t header_count;
    const void *body;
    size_t body_length;
    bool unsigned_payload; /* UNSIGNED-PAYLOAD: only where the service takes it, over TLS */
    uint64_t time_ns;      /* realtime, corrected for the service's clock */
};

#define SIGV4_DATE_BYTES   17 /* 20260102T030405Z */
#define SIGV4_HASH_BYTES   65
#define SIGV4_MOST_HEADERS 32
#define SIGV4_MOST_QUERY   32

struct sigv4_signature {
    struct buffer target;                /* path and query as they must go on the wire */
    struct buffer authorization;         /* value of the Authorization header */
    char date[SIGV4_DATE_BYTES];         /* value of X-Amz-Date */
    char content_hash[SIGV4_HASH_BYTES]; /* value of X-Amz-Content-SHA256; "" when it is not sent */
};

/* Signs. Send the caller's headers, Authorization, X-Amz-Date, X-Amz-Security-Token when there is a
 * session token, and X-Amz-Content-SHA256 when content_hash is not empty. -E2BIG, -EMSGSIZE,
 * -ENOMEM. */
int sigv4_sign(const struct sigv4_request *request, const struct aws_credentials *credentials,
               struct sigv4_signature *ret_signature) MUST_USE;
void sigv4_signature_done(struct sigv4_signature *signature);

/* A link that needs no headers: target is path and query with everything in it, good for expires_s
 * (1..604800) from time_ns. The payload is not signed, headers of the request are not allowed.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
 * -EINVAL, -E2BIG, -EMSGSIZE, -ENOMEM. */
int sigv4_presign(const struct sigv4_request *request, const struct aws_credentials *credentials,
                  uint32_t expires_s, struct buffer *target) MUST_USE;

/* Percent-encodes all but unreserved characters (RFC 3986), as paths and queries need it. */
void sigv4_append_encoded(struct buffer *out, const char *text, bool slash_stays);
/* The same for the body of a form, where a blank is "+". */
void sigv4_append_form(struct buffer *out, const char *text);

#endif
