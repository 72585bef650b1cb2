/* Where a service is: partitions, FIPS and dual-stack names, endpoints an administrator set.
 * Thread-safe: no state. Source:
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-endpoints.html */
#ifndef COMMON_AWS_ENDPOINT_H
#define COMMON_AWS_ENDPOINT_H

#include "common/attributes.h"
#include "common/aws/aws_settings.h"

struct aws_endpoint {
    char origin[AWS_TEXT_BYTES]; /* "https://ssm.eu-west-1.amazonaws.com" */
    char host[AWS_TEXT_BYTES];   /* as the Host header says it */
    char prefix[72];             /* of the path: "/bucket" where the host does not name it; "" */
};

/* bucket NULL but for S3. -EINVAL with the reason in problem: region, bucket or the set endpoint
 * cannot be used. */
int aws_endpoint_find(const struct aws_settings *settings, const char *service, const char *region,
                      const char *bucket, struct aws_endpoint *ret_endpoint, char *problem,
                      size_t problem_size) MUST_USE;
/* Puts "LABEL." before the host's name, as some requests want it (S3 Object Lambda's routes); an
 * endpoint that was set stays as it is. -EINVAL: not letters, digits and dashes. */
int aws_endpoint_label(const struct aws_settings *settings, const char *service, const char *label,
                       struct aws_endpoint *endpoint) MUST_USE;

#endif
