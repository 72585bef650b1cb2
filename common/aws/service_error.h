/* What an answer of a service means: JSON, XML and neither. Thread-safe: no state. */
#ifndef COMMON_AWS_SERVICE_ERROR_H
#define COMMON_AWS_SERVICE_ERROR_H

#include "common/aws/aws_client.h"

/* Sets outcome, code and message by status, header and body in answer->http. */
void service_error_read(struct aws_answer *answer);
/* The service says, in any of its ways, that our clock is wrong. */
bool service_error_is_clock(const struct aws_answer *answer);

#endif
