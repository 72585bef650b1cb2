/* The manifest of an S3 Inventory: which files list a bucket, and in which columns. Untrusted:
 * whoever may write to the inventory's bucket wrote it. Thread-safe: no state. Source:
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html */
#ifndef STORAGE_BUCKET_INVENTORY_MANIFEST_H
#define STORAGE_BUCKET_INVENTORY_MANIFEST_H

#include "common/attributes.h"
#include "common/aws/s3.h"

#include <stddef.h>
#include <stdint.h>

#define INVENTORY_MANIFEST_BYTES (8 * 1024 * 1024)
#define INVENTORY_MOST_FILES     20000
#define INVENTORY_MOST_COLUMNS   64

/* Those that are looked at; others are skipped. */
enum inventory_column {
    INVENTORY_OTHER,
    INVENTORY_BUCKET,
    INVENTORY_KEY,
    INVENTORY_VERSION,
    INVENTORY_IS_LATEST,
    INVENTORY_IS_DELETE_MARKER,
    INVENTORY_SIZE,
    INVENTORY_ETAG,
    INVENTORY_STORAGE_CLASS,
    INVENTORY_COLUMNS
};

struct inventory_file {
    char *key; /* raw */
    uint64_t size;
};

struct inventory_manifest {
    char bucket[S3_BUCKET_BYTES]; /* that is listed */
    enum inventory_column columns[INVENTORY_MOST_COLUMNS];
    size_t column_count;
    struct inventory_file *files;
    size_t file_count;
};

/* -EBADMSG with a problem for a person (another format than CSV, no column of keys, too much of
 * anything); -ENOMEM. */
int inventory_manifest_read(const char *json, size_t length,
                            struct inventory_manifest *ret_manifest,
                            char ret_problem[static 128]) MUST_USE;
void inventory_manifest_done(struct inventory_manifest *manifest);

#endif
