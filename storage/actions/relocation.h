/* Moving one version of an object to another place: copied under the condition that it is still
 * what was scanned, the copy compared, and only then that version deleted. A copy that does not
 * compare is deleted itself. Idempotent: what is gone was moved before. One thread. */
#ifndef STORAGE_ACTIONS_RELOCATION_H
#define STORAGE_ACTIONS_RELOCATION_H

#include "common/attributes.h"
#include "common/aws/s3.h"

#include <stdbool.h>
#include <stdint.h>

enum relocation_end {
    RELOCATION_DONE,
    RELOCATION_GONE,    /* nothing with this version and content is there: moved or overwritten */
    RELOCATION_FAILED,  /* try again; the problem says why */
    RELOCATION_REFUSED, /* trying again does not help */
};

/* "" = none. Borrowed. */
struct relocation {
    const char *bucket, *region, *key;
    const char *version; /* one of both is needed, so that another content is never touched */
    const char *etag;
    const char *sha256; /* of the content, in hexadecimal; "" = not known */
    const char *to_bucket, *to_key;
    const char *kms_key;         /* of the copy; "" = the bucket's own default */
    const char *tags;            /* of the copy, form-encoded; NULL = those of the original */
    bool keep_source, if_absent; /* never over an object that is there */
    uint64_t part_bytes; /* larger objects are copied in parts of this size; 0 = as S3 wants */
};

struct relocation_result {
    enum relocation_end end;
    uint64_t size;
    char version[S3_VERSION_BYTES]; /* of the original, found when it was not given */
    char etag[S3_ETAG_BYTES];
    bool hashed; /* the copy was compared by its SHA-256 */
    char problem[512];
};

enum relocation_end relocation_run(struct aws_client *client, const struct relocation *relocation,
                                   struct relocation_result *ret_result);

#endif
