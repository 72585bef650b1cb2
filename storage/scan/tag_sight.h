/* In which buckets S3 tells with an object how many tags it has. It says so only to whom may read
 * them, other servers of its protocol may never do, and to none at all it says nothing. So silence
 * means "no tags" only where the number was seen before, beside tags of ours: to ask for them is a
 * request less then. Thread-safe.
 * Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
 * (x-amz-tagging-count) */
#ifndef STORAGE_SCAN_TAG_SIGHT_H
#define STORAGE_SCAN_TAG_SIGHT_H

#include "common/attributes.h"

#include <stdbool.h>

#define TAG_SIGHT_BUCKETS 64 /* that are remembered; the oldest goes first */

struct tag_sight;

int tag_sight_new(struct tag_sight **ret_sight) MUST_USE; /* -ENOMEM */
/* NULL is legal. */
struct tag_sight *tag_sight_free(struct tag_sight *sight);

/* The number was seen in the bucket within the last hour. */
bool tag_sight_is_proven(struct tag_sight *sight, const char *bucket);
/* True for one caller a minute, as long as it is not proven: who then looks for the number. */
bool tag_sight_wants_proof(struct tag_sight *sight, const char *bucket);
void tag_sight_prove(struct tag_sight *sight, const char *bucket);
/* Somebody was refused the tags of an object there: silence means nothing until the next proof. */
void tag_sight_doubt(struct tag_sight *sight, const char *bucket);

#endif
