/* What root knows of AWS, for the messenger, which asks it: where Parameter Store is, by which
 * names, and the files with credentials that only root may open. The delivery thread's. */
#ifndef AGENT_DELIVERY_CLOUD_ACCESS_H
#define AGENT_DELIVERY_CLOUD_ACCESS_H

#include "agent/delivery/console_files.h"
#include "agent/messenger/link_cloud.h"
#include "agent/policy/agent_config.h"
#include "common/attributes.h"

#include <jansson.h>

/* By the configuration, then the environment. For an order, order is its arguments: "prefix",
 * "region", and "environment", an object of the caller's variables, which stand above both. NULL
 * without an order. -EINVAL with the reason in problem. */
int cloud_access_read(const struct agent_config *config, const json_t *order,
                      struct link_cloud *ret_cloud, char *problem, size_t problem_size) MUST_USE;

struct cloud_access;

/* configured is copied. Takes up what an earlier order left in files, which stay the caller's. */
int cloud_access_new(const struct link_cloud *configured, struct console_files *files,
                     struct cloud_access **ret_access) MUST_USE;
struct cloud_access *cloud_access_free(struct cloud_access *access);

/* A host without an identity is to look for its console in Parameter Store. */
bool cloud_access_has_parameters(const struct cloud_access *access);
/* Somebody ordered so; kept, without secrets, until the host leaves. */
int cloud_access_order(struct cloud_access *access, const struct link_cloud *cloud) MUST_USE;
/* Nothing is looked for from now on, whatever the configuration says. */
int cloud_access_leave(struct cloud_access *access) MUST_USE;
/* The console is known otherwise: an order is over. */
int cloud_access_settle(struct cloud_access *access) MUST_USE;

/* ask: Parameter Store may be asked now. */
int cloud_access_introduce(const struct cloud_access *access, int socket, bool ask) MUST_USE;
/* Answers LINK_WANT_FILES. */
int cloud_access_send_files(const struct cloud_access *access, int socket) MUST_USE;

#endif
