/* The metadata of an EC2 instance, version 2 only: a session token first, never a proxy, no
 * redirects, no fall-back to version 1. One thread. Source:
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html */
#ifndef COMMON_AWS_INSTANCE_METADATA_H
#define COMMON_AWS_INSTANCE_METADATA_H

#include "common/attributes.h"
#include "common/aws/aws_settings.h"
#include "common/buffers/buffer.h"

#include <stddef.h>

struct instance_metadata;

enum metadata_outcome {
    METADATA_OK,
    METADATA_NOTHING,   /* 404: this instance has no such thing */
    METADATA_DISABLED,  /* by the settings */
    METADATA_ABSENT,    /* nobody answers: no EC2 instance, or a firewall */
    METADATA_OFF,       /* the instance's metadata are switched off */
    METADATA_HOP_LIMIT, /* it answers, but the token's packets do not come as far as here */
    METADATA_FAILED,    /* anything else */
};

/* settings stay the caller's, unchanged. -ENOMEM. */
int instance_metadata_new(const struct aws_settings *settings,
                          struct instance_metadata **ret_metadata) MUST_USE;
struct instance_metadata *instance_metadata_free(struct instance_metadata *metadata);

/* The text at path ("meta-data/placement/region", below latest/) into content, which is bounded by
 * its maximum. On failure problem says what is wrong and what to do. */
enum metadata_outcome instance_metadata_get(struct instance_metadata *metadata, const char *path,
                                            struct buffer *content, char *problem,
                                            size_t problem_size);

#endif
