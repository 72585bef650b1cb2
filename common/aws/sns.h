/* SNS over aws_client. As s3.h: blocking, the client's thread, ret_answer set in every case.
 * Source: https://docs.aws.amazon.com/sns/latest/api/API_Publish.html */
#ifndef COMMON_AWS_SNS_H
#define COMMON_AWS_SNS_H

#include "common/attributes.h"
#include "common/aws/aws_client.h"

#define SNS_MOST_MESSAGE    (256 * 1024)
#define SNS_MOST_ATTRIBUTES 10

/* attributes: of type String, for filter policies; those with an empty value are left out, which
 * the service would refuse. */
enum aws_outcome sns_publish(struct aws_client *client, const char *topic_arn, const char *message,
                             const struct aws_pair *attributes, size_t count,
                             struct aws_answer *ret_answer);

#endif
