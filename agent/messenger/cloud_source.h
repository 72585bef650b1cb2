/* Where a host on AWS gets what it needs to join its console: Parameter Store and the instance's
 * identity. Between the conversation, which says when, and the two that know how. One thread. */
#ifndef AGENT_MESSENGER_CLOUD_SOURCE_H
#define AGENT_MESSENGER_CLOUD_SOURCE_H

#include "agent/messenger/instance_identity.h"
#include "agent/messenger/link_cloud.h"
#include "agent/messenger/parameter_store.h"
#include "common/attributes.h"

struct cloud_source;

/* cloud is copied. -ENOMEM. */
int cloud_source_new(const struct link_cloud *cloud, struct cloud_source **ret_source) MUST_USE;
struct cloud_source *cloud_source_free(struct cloud_source *source);

/* Activation is to be had from Parameter Store. */
bool cloud_source_has_parameters(const struct cloud_source *source);
/* It is no longer asked: the host is activated. source may be NULL. */
void cloud_source_settle(struct cloud_source *source);
/* Forgets the files of an earlier attempt. */
void cloud_source_begin(struct cloud_source *source);
/* A file of root's; takes fd. */
void cloud_source_take_file(struct cloud_source *source, enum aws_file file, int fd);
/* Asks, with the files that came; errors: why the others did not. As parameter_store_fetch. */
enum parameter_outcome cloud_source_fetch(struct cloud_source *source,
                                          const struct link_files *errors,
                                          struct link_settings *settings,
                                          struct link_token *ret_token, char *problem,
                                          size_t problem_size);
/* The instance's identity, asked for once; empty outside EC2. Borrowed. Failing to get it is no
 * error here: problem is set, and the console decides. */
const struct instance_identity *cloud_source_identity(struct cloud_source *source, char *problem,
                                                      size_t problem_size);
uint64_t cloud_source_delay(struct cloud_source *source, enum parameter_outcome outcome,
                            struct delay *delay);

#endif
