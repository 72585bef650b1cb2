/* What is done about a published result: malicious objects go to the quarantine bucket, clean ones
 * to the promotion bucket where there is one, incomplete ones by policy and never to the latter.
 *
 * The quarantine bucket holds, for an id made of bucket, key and version:
 *   quarantine/ID    the object, its metadata kept
 *   records/ID.json  where it came from, its tags, why it was moved: written first
 *   allowed/SHA256   content that a person released: it is not moved again
 * One thread. */
#ifndef STORAGE_ACTIONS_QUARANTINE_H
#define STORAGE_ACTIONS_QUARANTINE_H

#include "common/attributes.h"
#include "common/aws/s3.h"
#include "storage/actions/published_result.h"

#include <stdbool.h>
#include <stdint.h>

#define QUARANTINE_ID_BYTES  33
#define QUARANTINE_KEY_BYTES 128

/* "" = none. Borrowed. */
struct quarantine_policy {
    const char *bucket, *kms_key;
    const char *promote_bucket, *promote_kms_key;
    bool incomplete; /* is quarantined, too */
    const char *tag_prefix;
    uint64_t part_bytes; /* 0 = as S3 wants */
};

enum quarantine_action {
    QUARANTINE_NOTHING,     /* the result asks for none */
    QUARANTINE_QUARANTINED, /* moved, or was before */
    QUARANTINE_PROMOTED,
    QUARANTINE_ALLOWED, /* a person released this content: tagged so, left where it is */
    QUARANTINE_GONE,    /* no longer there, or another content: nothing was touched */
    QUARANTINE_FAILED,  /* try again */
    QUARANTINE_REFUSED, /* a person must act; trying again does not help */
};
const char *quarantine_action_name(enum quarantine_action action);

struct quarantine_outcome {
    enum quarantine_action action;
    char id[QUARANTINE_ID_BYTES]; /* of what was quarantined */
    char problem[512];
};

enum quarantine_action quarantine_act(struct aws_client *client,
                                      const struct quarantine_policy *policy,
                                      const struct published_result *result,
                                      struct quarantine_outcome *ret_outcome);

/* The same for every try at the same version. -ENOMEM. */
int quarantine_id(const struct published_result *result,
                  char ret_id[static QUARANTINE_ID_BYTES]) MUST_USE;

#endif
