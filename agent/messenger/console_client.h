/* The console's agent API as calls. Knows HTTP and the wire; keeps no state but the connection. */
#ifndef AGENT_MESSENGER_CONSOLE_CLIENT_H
#define AGENT_MESSENGER_CONSOLE_CLIENT_H

#include "agent/messenger/instance_identity.h"
#include "agent/messenger/link.h"
#include "common/attributes.h"
#include "common/http_client/http_client.h"

/* What an exchange came to. */
enum console_outcome {
    CONSOLE_OK,
    CONSOLE_UNREACHABLE, /* no answer: try again later */
    CONSOLE_UNTRUSTED,   /* the server is not the one we trust: a person must act */
    CONSOLE_BUSY,        /* 429, 503, 5xx: try again, as Retry-After says */
    CONSOLE_REFUSED,     /* 400, 403: a person must act */
    CONSOLE_UNKNOWN,     /* 401: the certificate is worth nothing: activate again */
    CONSOLE_CLONE,       /* 409: the identity is another host's: forget it */
    CONSOLE_GONE,        /* 410: deactivated */
    CONSOLE_NOTHING,     /* 404: there is none */
};

struct console_result {
    enum console_outcome outcome;
    uint64_t retry_after_ns;
    char problem[LINK_TEXT_BYTES]; /* what was wrong; "" when OK */
};

struct console_client;

/* identity NULL before activation. -EBADMSG when pin or identity cannot be read. */
int console_client_new(const struct link_settings *settings, const struct link_identity *identity,
                       struct console_client **ret_client) MUST_USE;
struct console_client *console_client_free(struct console_client *client);

/* What a host shows to be activated; instance NULL outside EC2. */
struct console_activation {
    const struct link_settings *settings;
    const struct link_token *token;
    const struct instance_identity *instance;
};
/* Makes a key, has it certified, fills ret_identity. ret_move: the signed document by which a copy
 * may become another computer, "" without; freed by the caller. */
void console_client_activate(struct console_client *client,
                             const struct console_activation *activation,
                             struct link_identity *ret_identity, struct buffer *ret_move,
                             struct console_result *ret_result);
/* This host does not come back on its own. */
void console_client_leave(struct console_client *client, struct console_result *ret_result);
/* Whether two thirds of the certificate's life are over. */
bool console_client_is_due(const struct link_identity *identity, uint64_t now_ns);
/* A new key and certificate for the same identity. */
void console_client_renew(struct console_client *client, const struct link_identity *identity,
                          struct link_identity *ret_identity, struct console_result *ret_result);
/* Sends a heartbeat's JSON; the reply's JSON in ret_body, freed by the caller. */
void console_client_beat(struct console_client *client, const char *body, size_t length,
                         struct buffer *ret_body, struct console_result *ret_result);
/* A bundle of diagnostics, the answer to the command of this id. */
void console_client_bundle(struct console_client *client, const char *command_id, const char *bytes,
                           size_t length, struct console_result *ret_result);
/* The signed set of signatures, as JSON. */
void console_client_signatures(struct console_client *client, struct buffer *ret_body,
                               struct console_result *ret_result);
/* Bytes of a file of the console's mirror; at most length of them. */
void console_client_piece(struct console_client *client, const char *sha256, uint64_t offset,
                          uint64_t length, struct buffer *ret_body,
                          struct console_result *ret_result);
/* Asks to be told when there is something new, beside what seconds the console holds such a
 * request; told: the query that says what is known. Does not wait: the client is busy until it
 * ends. */
int console_client_wait(struct console_client *client, const char *told, uint64_t seconds) MUST_USE;
struct pollfd;
/* As http_client_polls. */
size_t console_client_polls(struct console_client *client, struct pollfd *polls, size_t most,
                            uint64_t *ret_wait_ns);
/* True: it has ended. ret_news: with CONSOLE_OK, whether there is something; otherwise its time is
 * over. */
bool console_client_waited(struct console_client *client, struct console_result *ret_result,
                           bool *ret_news);
/* The signed policy's JSON. */
void console_client_policy(struct console_client *client, struct buffer *ret_body,
                           struct console_result *ret_result);

#endif
