/* What an answer of a service means: JSON, XML and neither. Thread-safe: no state. */
#ifndef COMMON_AWS_SERVICE_ERROR_H
#define COMMON_AWS_SERVICE_ERROR_H

#include "common/aws/aws_client.h"

/* Sets outcome, code and message by status, header and body in answer->http. */
void service_error_read(struct aws_answer *answer);
/* The body of a good status is an error after all (S3's copies are answered before they are made):
 * sets the same by it. */
void service_error_read_body(struct aws_answer *answer);
/* The service says, in any of its ways, that our clock is wrong. */
bool service_error_is_clock(const struct aws_answer *answer);

#endif
