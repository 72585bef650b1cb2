/* A file of an S3 Inventory as it comes: unpacked (gzip) and divided into rows (CSV, RFC 4180)
 * without ever holding more than a row. Untrusted. One thread. Source:
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html */
#ifndef STORAGE_BUCKET_INVENTORY_READER_H
#define STORAGE_BUCKET_INVENTORY_READER_H

#include "common/attributes.h"
#include "storage/bucket/inventory_manifest.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INVENTORY_ROW_BYTES  16384
#define INVENTORY_FILE_BYTES (64ULL << 30) /* of a file, unpacked */

/* "" or false: the file has no such column. */
struct inventory_row {
    char bucket[S3_BUCKET_BYTES];
    char key[S3_KEY_BYTES]; /* decoded */
    char version[S3_VERSION_BYTES];
    char etag[S3_ETAG_BYTES];
    char storage_class[40];
    uint64_t size;
    bool size_known;
    bool is_old, is_delete_marker;
};

struct inventory_reader;

/* each: 0, or the reading ends with its error. manifest must outlive the reader. -ENOMEM. */
int inventory_reader_new(const struct inventory_manifest *manifest,
                         int (*each)(void *user, const struct inventory_row *row), void *user,
                         struct inventory_reader **ret_reader) MUST_USE;
struct inventory_reader *inventory_reader_free(struct inventory_reader *reader);
/* -EBADMSG: it is no gzip, or a row is none; -EFBIG: it unpacks to too much; each's error. */
int inventory_reader_feed(struct inventory_reader *reader, const void *bytes,
                          size_t length) MUST_USE;
/* At the file's end: -EBADMSG when it was cut short. */
int inventory_reader_end(struct inventory_reader *reader) MUST_USE;

#endif
