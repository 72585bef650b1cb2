/* Shared by the files that make up object_scanner.h. Not for others. */
#ifndef STORAGE_SCAN_OBJECT_SCANNER_PRIVATE_H
#define STORAGE_SCAN_OBJECT_SCANNER_PRIVATE_H

#include "storage/scan/object_scanner.h"

/* Reasons of a result: S3 does not even say which content stands there. */
#define REASON_CUSTOMER_KEY "customer-key"
#define REASON_KMS_KEY      "kms-key"

struct object_scanner {
    struct scan_resources *resources;
    struct aws_client *client;
};

/* Its texts are the object's and the settings'. */
struct s3_object object_scanner_s3(const struct object_scanner *scanner,
                                   const struct storage_object *object);

/* False: it can be written over. Tags have no condition, so the content is compared around. */
bool object_is_fixed(const struct storage_object *object);
/* 0 also when it cannot be tagged for a reason that stays; -EAGAIN; -ESTALE: what stands there now
 * had our tags for a moment. */
int object_tags_write(struct object_scanner *scanner, struct storage_result *result) MUST_USE;

#endif
