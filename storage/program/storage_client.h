/* The AWS client of a mode: from the environment, as AWS's own tools read it. */
#ifndef STORAGE_PROGRAM_STORAGE_CLIENT_H
#define STORAGE_PROGRAM_STORAGE_CLIENT_H

#include "common/attributes.h"
#include "common/aws/aws_client.h"

#include <stddef.h>

/* No request is made. -EINVAL with a problem for a person, -ENOMEM. */
int storage_client_open(struct aws_client **ret_client, char *problem,
                        size_t problem_size) MUST_USE;

#endif
