/* What the agent keeps about its console, in STATE/console (root only): where it is, the token
 * until it has been used, the identity, what it was told to obey. Written durably. */
#ifndef AGENT_DELIVERY_CONSOLE_FILES_H
#define AGENT_DELIVERY_CONSOLE_FILES_H

#include "agent/messenger/link.h"
#include "agent/messenger/link_cloud.h"
#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

#define CONSOLE_SEEN_COMMANDS 1024

/* Orders obeyed so far: no lower revision, no command twice. */
struct console_orders {
    char agent_id[64];     /* whose orders: another identity begins anew */
    char previous_key[64]; /* the console's signing key before the identity's; "" = none */
    uint64_t previous_key_until_ms;
    uint64_t policy_revision;
    char policy_digest[80];            /* of the delivered policy in force; "" = none */
    char policy_path[LINK_TEXT_BYTES]; /* its file; "" = none */
    uint64_t begun_ms;                 /* realtime: since when this identity is ours; 0 = unknown */
    char board[64];           /* of the machine that the identity is bound to; "" = unknown */
    bool board_counts;        /* host_binding.h: the machine-id alone is another's */
    char group_id[40];        /* this host's, as the console signed it; "" = none */
    uint64_t group_issued_ms; /* when it did, by its clock; 0 = not yet */
    size_t seen_count;
    struct {
        char id[40];
        uint64_t expires_ms;
    } seen[CONSOLE_SEEN_COMMANDS];
};

/* What an order said of AWS, without secrets. */
struct console_cloud {
    bool left; /* a person, or the console, ended the activation: the configuration starts none */
    struct link_cloud cloud;
};

/* directory is copied and made. */
struct console_files;
int console_files_open(const char *state_directory, struct console_files **ret_files) MUST_USE;
struct console_files *console_files_close(struct console_files *files);
const char *console_files_directory(const struct console_files *files);

/* Each reads one file: 0, -ENOENT when there is none, -EBADMSG when it is not ours. */
int console_files_read_console(struct console_files *files,
                               struct link_settings *settings) MUST_USE;
int console_files_read_token(struct console_files *files, struct link_token *ret_token) MUST_USE;
int console_files_read_identity(struct console_files *files,
                                struct link_identity *ret_identity) MUST_USE;
int console_files_read_orders(struct console_files *files,
                              struct console_orders *ret_orders) MUST_USE;

int console_files_read_cloud(struct console_files *files, struct console_cloud *ret_cloud) MUST_USE;

int console_files_write_console(struct console_files *files,
                                const struct link_settings *settings) MUST_USE;
int console_files_write_token(struct console_files *files, const struct link_token *token) MUST_USE;
int console_files_write_identity(struct console_files *files,
                                 const struct link_identity *identity) MUST_USE;
int console_files_write_orders(struct console_files *files,
                               const struct console_orders *orders) MUST_USE;
int console_files_write_cloud(struct console_files *files,
                              const struct console_cloud *cloud) MUST_USE;
/* Absent is fine. */
void console_files_remove_token(struct console_files *files);
void console_files_remove_identity(struct console_files *files);

#endif
