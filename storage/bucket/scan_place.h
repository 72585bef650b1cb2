/* How far a scan of a bucket came: a small file, replaced whole after each page. */
#ifndef STORAGE_BUCKET_SCAN_PLACE_H
#define STORAGE_BUCKET_SCAN_PLACE_H

#include "common/attributes.h"
#include "common/aws/s3.h"

#include <stdbool.h>
#include <stdint.h>

enum scan_count {
    SCAN_COUNT_LISTED,
    SCAN_COUNT_LEFT_OUT, /* not wanted by the settings */
    SCAN_COUNT_ARCHIVED, /* in a class that cannot be read at once */
    SCAN_COUNT_QUEUED,
    SCAN_COUNT_CLEAN,
    SCAN_COUNT_CURRENT, /* clean by these very signatures, as its tags say */
    SCAN_COUNT_INFECTED,
    SCAN_COUNT_INCOMPLETE,
    SCAN_COUNT_ERROR,
    SCAN_COUNT_GONE,   /* written over or deleted meanwhile */
    SCAN_COUNT_FAILED, /* could not be fetched, tagged or told */
    SCAN_COUNTS
};
const char *scan_count_name(enum scan_count count);

struct scan_place {
    char bucket[S3_BUCKET_BYTES];
    char prefix[S3_KEY_BYTES];
    char after[S3_KEY_BYTES]; /* all keys up to this one are done with; "" = none */
    char inventory[S3_BUCKET_BYTES + S3_KEY_BYTES + 8]; /* "" = the bucket is listed */
    uint64_t file, row; /* of the inventory: those before are done with */
    bool finished;
    uint64_t counts[SCAN_COUNTS];
    uint64_t bytes; /* of what was queued or scanned */
};

/* path of a file that need not exist: then nothing is changed. -EBADMSG it is none of these, or of
 * another bucket, prefix or inventory; -errno. */
int scan_place_load(const char *path, struct scan_place *place) MUST_USE;
int scan_place_save(const char *path, const struct scan_place *place) MUST_USE;
/* event: "progress", "done". One line. */
int scan_place_write(const struct scan_place *place, const char *event,
                     struct buffer *json) MUST_USE;

#endif
