/* The JSON with temporary credentials that an instance's metadata and containers give.
 * Thread-safe: no state. Source:
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-metadata-security-credentials.html
 */
#ifndef COMMON_AWS_CREDENTIAL_DOCUMENT_H
#define COMMON_AWS_CREDENTIAL_DOCUMENT_H

#include "common/attributes.h"
#include "common/aws/aws_settings.h"

#include <stddef.h>
#include <stdint.h>

#define CREDENTIAL_DOCUMENT_MOST_BYTES (32 * 1024)

/* ret_expires_s: seconds since 1970; 0 = not said. -EBADMSG with the reason in problem: not such a
 * document, or one that tells of an error. */
int credential_document_read(const char *text, size_t length, struct aws_keys *ret_keys,
                             uint64_t *ret_expires_s, char *problem, size_t problem_size) MUST_USE;

#endif
