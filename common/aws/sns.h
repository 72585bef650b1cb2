/* SNS over aws_client. As s3.h: blocking, the client's thread, ret_answer set in every case.
 * Source: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html */
#ifndef COMMON_AWS_SNS_H
#define COMMON_AWS_SNS_H

#include "common/attributes.h"
#include "common/aws/aws_client.h"

#include <stdbool.h>

#define SNS_MOST_MESSAGE    (256 * 1024)
#define SNS_MOST_ATTRIBUTES 10

/* attributes: of type String, for filter policies; those with an empty value are left out, which
 * the service would refuse. */
enum aws_outcome sns_publish(struct aws_client *client, const char *topic_arn, const char *message,
                             const struct aws_pair *attributes, size_t count,
                             struct aws_answer *ret_answer);

/* One of several messages that go in one request. */
struct sns_entry {
    const char *message;
    const struct aws_pair *attributes; /* as above */
    size_t count;
    bool failed;   /* set: the topic does not have it */
    char code[64]; /* set: the service's word for why; "" = it said nothing of this one */
};
#define SNS_MOST_ENTRIES     10
#define SNS_MOST_BATCH_BYTES (256 * 1024) /* of all messages and attributes together */
/* Up to SNS_MOST_ENTRIES. AWS_OK: the service answered; each entry says what became of it.
 * Source: https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html */
enum aws_outcome sns_publish_batch(struct aws_client *client, const char *topic_arn,
                                   struct sns_entry *entries, size_t count,
                                   struct aws_answer *ret_answer);

#endif
