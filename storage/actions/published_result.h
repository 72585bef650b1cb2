/* A scan result as it was published: ours, or File Storage Security's, of which ours is a superset.
 * It comes bare or in SNS's envelope. It is believed only as far as it is checked against the
 * object itself. Thread-safe: no state. Source of the fields: docs/storage.md. */
#ifndef STORAGE_ACTIONS_PUBLISHED_RESULT_H
#define STORAGE_ACTIONS_PUBLISHED_RESULT_H

#include "common/attributes.h"
#include "common/aws/s3.h"
#include "common/crypto/hash.h"

#include <stddef.h>
#include <stdint.h>

#define PUBLISHED_RESULT_BYTES (256 * 1024) /* what SNS carries */
#define PUBLISHED_NAME_BYTES   257

/* The worst of what a message says counts: a finding is no clean object, whatever its verdict. */
enum published_verdict {
    PUBLISHED_OTHER, /* no verdict about the object as it is: an error, superseded, deleted */
    PUBLISHED_CLEAN,
    PUBLISHED_INFECTED,
    PUBLISHED_INCOMPLETE,
};
const char *published_verdict_name(enum published_verdict verdict);

/* "" = not said. */
struct published_result {
    enum published_verdict verdict;
    char bucket[S3_BUCKET_BYTES];
    char region[AWS_REGION_BYTES];
    char key[S3_KEY_BYTES];
    char version[S3_VERSION_BYTES];
    char etag[S3_ETAG_BYTES];
    char sha256[SHA256_HEX_BYTES];
    char malware[PUBLISHED_NAME_BYTES]; /* the first finding; any text */
    uint64_t time_ms;                   /* since 1970 */
};

/* -EBADMSG with a problem: not such a message. -ENOMSG: another kind of message, not for us (SNS's
 * own, or of another type). -ENOMEM. */
int published_result_read(const char *text, size_t length, struct published_result *ret_result,
                          char ret_problem[static 128]) MUST_USE;

#endif
