/* Whether and when a request is repeated: full jitter, and a bucket of tokens, so that a service in
 * trouble is not buried by those who wait for it. Owns no clock. Source:
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html (standard mode) */
#ifndef COMMON_AWS_RETRY_H
#define COMMON_AWS_RETRY_H

#include "common/attributes.h"
#include "common/aws/aws_client.h"

#include <stdbool.h>
#include <stdint.h>

#define AWS_RETRY_TOKENS     500
#define AWS_RETRY_FIRST_NS   (1ULL * 1000000000)
#define AWS_RETRY_LONGEST_NS (60ULL * 1000000000)

/* For all requests of one client. */
struct aws_retry {
    unsigned tokens;
};

struct aws_retry aws_retry_begin(void);
/* After the attempt-th request (1 = the first) of a call failed. True: repeat it after
 * ret_delay_ns, uniform in 0..1 s, then 0..2 s and so on up to a minute; what the service asked for
 * (Retry-After) is the least. */
bool aws_retry_again(struct aws_retry *retry, enum aws_outcome outcome, unsigned attempt,
                     uint64_t retry_after_ns, uint64_t *ret_delay_ns) MUST_USE;
/* A request went well after so many repetitions. */
void aws_retry_succeeded(struct aws_retry *retry, unsigned repetitions);

#endif
