/* Verdicts in an object's tags. Tags of others stay; tags that look like ours go, whoever wrote
 * them; never more than ten. Source:
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html */
#ifndef STORAGE_SCAN_TAGGER_H
#define STORAGE_SCAN_TAGGER_H

#include "common/attributes.h"
#include "common/aws/s3.h"
#include "storage/scan/storage_result.h"

#include <stdbool.h>

enum tag_format {
    TAG_SEPARATED, /* PREFIX-scan-status, -date, -detail, -signatures */
    TAG_MERGED,    /* PREFIX-scan-status, and all else in PREFIX-scan */
    TAG_FSS,       /* those of File Storage Security */
    TAG_NONE,
};
/* -EINVAL. */
int tag_format_read(const char *word, enum tag_format *ret_format) MUST_USE;

struct tagger {
    enum tag_format format;
    const char *prefix; /* "yagura" */
};

/* Replaces our tags in tags by those of the result. The status alone must find room: -E2BIG when
 * ten tags of others stand there; then none of ours is among them. What finds no room besides is
 * left out. */
int tagger_merge(const struct tagger *tagger, const struct storage_result *result,
                 struct s3_tags *tags) MUST_USE;
/* Removes all that look like ours. */
void tagger_clear(const struct tagger *tagger, struct s3_tags *tags);
/* Tags say clean, by these very signatures. */
bool tagger_is_current(const struct tagger *tagger, const struct s3_tags *tags,
                       const char *signatures);

#endif
