/* Credentials of a container: ECS, and EKS Pod Identity. Thread-safe: no state. Source:
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html */
#ifndef COMMON_AWS_CONTAINER_CREDENTIALS_H
#define COMMON_AWS_CONTAINER_CREDENTIALS_H

#include "common/aws/aws_client.h"

/* Asks the service that the environment names, never through a proxy; plain HTTP only to this host
 * and to the services of ECS and EKS. The document into document; otherwise problem says why. */
enum aws_outcome container_credentials_get(const struct aws_settings *settings,
                                           const struct aws_file_opener *opener,
                                           struct buffer *document, char *problem,
                                           size_t problem_size);
/* http:// to such a host, or https:// to any. */
bool container_credentials_uri_is_safe(const char *uri);

#endif
