/* What a reader asks the read gate for: GET or HEAD /object?bucket=B&key=K[&versionId=V], and who
 * may: whoever the function's URL has identified, or the holder of a token,
 * &expires=SECONDS&token=HMAC. All is an outsider's. The object stands in the query because its
 * encoding reaches us as it was sent in every way a request takes; that of a path does not.
 * Thread-safe: no state. */
#ifndef STORAGE_GATE_GATE_REQUEST_H
#define STORAGE_GATE_GATE_REQUEST_H

#include "common/attributes.h"
#include "common/aws/s3.h"
#include "common/buffers/buffer.h"
#include "common/crypto/hash.h"

#include <stdbool.h>
#include <stdint.h>

#define GATE_PATH         "/object"
#define GATE_HEALTH_PATH  "/health"
#define GATE_LONGEST_LINK (7 * 24 * 3600) /* seconds */

/* "" and 0 = not said. */
struct gate_request {
    bool head;
    bool identified; /* by AWS, before the request came here */
    char bucket[S3_BUCKET_BYTES];
    char key[S3_KEY_BYTES];
    char version[S3_VERSION_BYTES];
    uint64_t expires; /* since 1970 */
    char token[SHA256_HEX_BYTES];
};

/* The query of a request, without "?". Names of AWS's own signature are passed over; any other, or
 * one twice, is -EBADMSG. Does not touch head and identified. */
int gate_request_read_query(const char *query, struct gate_request *request) MUST_USE;
/* An event of a function's URL (payload format 2.0). -ENOENT: another path; -EPERM: another method;
 * -EBADMSG; -ENOMEM. */
int gate_request_read_event(const char *json, size_t length,
                            struct gate_request *ret_request) MUST_USE;

/* The token of an object for anyone until expires. */
int gate_token_make(const char *secret, const char *bucket, const char *key, const char *version,
                    uint64_t expires, char ret_token[static SHA256_HEX_BYTES]) MUST_USE;
/* secret "": nobody has tokens. */
bool gate_request_is_allowed(const struct gate_request *request, const char *secret,
                             uint64_t now_s);
/* "/object?..." with its token. */
int gate_request_write_link(const char *secret, const struct gate_request *request,
                            struct buffer *link) MUST_USE;

#endif
