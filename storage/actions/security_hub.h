/* Malicious objects as findings of AWS Security Hub, in its own format. One thread.
 * Source: https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-findings-format.html
 */
#ifndef STORAGE_ACTIONS_SECURITY_HUB_H
#define STORAGE_ACTIONS_SECURITY_HUB_H

#include "common/attributes.h"
#include "common/aws/aws_client.h"
#include "storage/actions/published_result.h"

/* 0; -EAGAIN: try again; -EBADMSG: Security Hub refuses it. account: twelve digits. */
int security_hub_import(struct aws_client *client, const char *account,
                        const struct published_result *result, char *problem,
                        size_t problem_size) MUST_USE;

/* The request's body. The same finding for the same version, so that it is not doubled. */
int security_hub_write(const char *account, const char *region,
                       const struct published_result *result, struct buffer *json) MUST_USE;

#endif
