/* The part of the link that is about AWS: what root knows of it, the files that only root may open,
 * and what the messenger found. See link.h.
 *
 *   messenger                                root
 *   <-- LINK_CLOUD                           before LINK_SETTINGS: where to look, and for what
 *   --> LINK_WANT_FILES                      before each attempt: they change
 *   <-- LINK_FILE  fd  (as many as there are)
 *   <-- LINK_FILES_DONE                      and why the others are not there
 *   --> LINK_CONSOLE                         where the console is, as Parameter Store says */
#ifndef AGENT_MESSENGER_LINK_CLOUD_H
#define AGENT_MESSENGER_LINK_CLOUD_H

#include "agent/messenger/link.h"
#include "common/attributes.h"
#include "common/aws/aws_files.h"
#include "common/aws/aws_settings.h"

struct link_cloud {
    bool parameters;              /* activate from Parameter Store */
    bool instance;                /* on EC2: its identity is worth asking for */
    char prefix[LINK_TEXT_BYTES]; /* of the parameters' names; ends with a slash */
    struct aws_settings aws;      /* with the files' paths, for what is told about them */
};

/* "/", letters, digits and "._-"; made to end with a slash. -EINVAL. */
int link_cloud_read_prefix(const char *text, char *prefix, size_t size) MUST_USE;

/* Errors of aws_file_open, 0 where a descriptor was sent. */
struct link_files {
    int error[AWS_FILES];
};

int link_send_cloud(int socket, const struct link_cloud *cloud) MUST_USE;
int link_send_file(int socket, enum aws_file file, int fd) MUST_USE;
int link_send_files_done(int socket, const struct link_files *files) MUST_USE;
/* url, pin, tenant_id, policy, group and instance_id of settings. */
int link_send_console(int socket, const struct link_settings *settings) MUST_USE;

/* -EBADMSG: the peer is broken and must end. */
int link_read_cloud(const struct message *message, struct link_cloud *ret_cloud) MUST_USE;
int link_read_file(const struct message *message, enum aws_file *ret_file) MUST_USE;
int link_read_files_done(const struct message *message, struct link_files *ret_files) MUST_USE;
/* Sets only those members. */
int link_read_console(const struct message *message, struct link_settings *settings) MUST_USE;

#endif
