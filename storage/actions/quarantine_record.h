/* The record of a quarantined object: records/ID.json. Thread-safe: no state. */
#ifndef STORAGE_ACTIONS_QUARANTINE_RECORD_H
#define STORAGE_ACTIONS_QUARANTINE_RECORD_H

#include "common/attributes.h"
#include "common/aws/s3.h"
#include "common/crypto/hash.h"
#include "common/time/clock.h"
#include "storage/actions/published_result.h"

#define QUARANTINE_RECORD_BYTES (64 * 1024)

/* "" = not known. */
struct quarantine_record {
    char bucket[S3_BUCKET_BYTES], region[AWS_REGION_BYTES], key[S3_KEY_BYTES];
    char version[S3_VERSION_BYTES], etag[S3_ETAG_BYTES];
    char sha256[SHA256_HEX_BYTES];
    char verdict[16], malware[PUBLISHED_NAME_BYTES];
    char time[CLOCK_TEXT_BYTES]; /* when it was moved */
    struct s3_tags tags;         /* as they were, without our own */
};

int quarantine_record_write(const struct quarantine_record *record, struct buffer *json) MUST_USE;
/* -EBADMSG with a problem, -ENOMEM. */
int quarantine_record_read(const char *json, size_t length, struct quarantine_record *ret_record,
                           char ret_problem[static 128]) MUST_USE;

#endif
