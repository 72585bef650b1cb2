/* What yagura-agent (root) and yagura-messenger (the only program of the agent that touches the
 * network) say to each other, over one SOCK_SEQPACKET pair. Long JSON travels as a sealed memfd.
 *
 * The messenger can never say "do this": policies and commands are documents that the console
 * signed, and root checks them. Each side refuses, by its table, what the other may not say now.
 *
 *   messenger                                root
 *   <-- LINK_IDENTITY, LINK_TOKEN            what it may show for itself, either or both
 *   <-- LINK_SETTINGS                        where the console is, who this host is: now it begins
 *   --> LINK_WANT_BEAT                       it is time (its clock: jitter, back-off, Retry-After)
 *   <-- LINK_BEAT  fd                        the heartbeat's JSON
 *   --> LINK_BEAT_DONE                       what the console acknowledged and asks for
 *   --> LINK_COMMAND fd, LINK_POLICY fd      signed documents
 *   --> LINK_IDENTITY                        new or renewed: root keeps it
 *   --> LINK_MOVE fd                         signed: this host is a copy, and becomes another
 *   --> LINK_STATE                           for `yaguractl status`
 *   <-- LINK_WANT_POLICY                     root lacks the policy that BEAT_DONE named
 *   <-- LINK_LEAVE                           say goodbye, then LINK_STATE whether the console
 *                                            knows, and end
 *   <-- LINK_BUNDLE fd                       diagnostics for the console, a command's id
 *   --> LINK_BUNDLE_DONE                     what became of it
 *   <-- LINK_WANT_SIGNATURES                 root lacks the set that BEAT_DONE named
 *   --> LINK_SIGNATURES fd                   signed
 *   <-- LINK_WANT_PIECE                      a piece of a file of the console's mirror
 *   --> LINK_PIECE fd                        it, or why not
 *   <-- LINK_URGENT                          something is worth a heartbeat now */
#ifndef AGENT_MESSENGER_LINK_H
#define AGENT_MESSENGER_LINK_H

#include "common/attributes.h"
#include "common/limits.h"

#include <stdbool.h>
#include <stdint.h>

struct message;

enum link_type {
    LINK_SETTINGS = 1,
    LINK_IDENTITY,
    LINK_TOKEN,
    LINK_BEAT,
    LINK_URGENT,
    LINK_WANT_BEAT,
    LINK_BEAT_DONE,
    LINK_COMMAND,
    LINK_POLICY,
    LINK_MOVE,
    LINK_STATE,
    LINK_WANT_POLICY,
    LINK_LEAVE,
    LINK_BUNDLE,
    LINK_BUNDLE_DONE,
    LINK_WANT_SIGNATURES,
    LINK_SIGNATURES,
    LINK_WANT_PIECE,
    LINK_PIECE,
    LINK_CLOUD, /* these: link_cloud.h */
    LINK_WANT_FILES,
    LINK_FILE,
    LINK_FILES_DONE,
    LINK_CONSOLE,
};

#define LINK_TEXT_BYTES 512
#define LINK_PEM_BYTES  8192

/* Texts of the host and of the configuration; "" = none. */
struct link_settings {
    char url[LINK_TEXT_BYTES];   /* https://console:4120 */
    char proxy[LINK_TEXT_BYTES]; /* http://[user:password@]host:port; "" = none */
    char pin[LINK_TEXT_BYTES]; /* sha256//... of a CA in the verified chain; "" = system's trust */
    char tenant_id[64], policy[128], group[256];
    char session[64]; /* UUID of this run of the messenger: two at once are a clone */
    char hostname[256], machine_id[64], boot_id[64], os[128], instance_id[64], display_name[256];
};

struct link_identity {
    char agent_id[64];
    char certificate[LINK_PEM_BYTES], key[LINK_PEM_BYTES], authority[LINK_PEM_BYTES];
    char signing_key[64]; /* base64 of the console's Ed25519 public key */
    uint32_t heartbeat_seconds;
};

/* The activation token; wiped by whoever is done with it. */
struct link_token {
    char text[LINK_TEXT_BYTES];
};

struct link_beat_done {
    bool delivered;
    char epoch[64]; /* every event up to acknowledged of this epoch is the console's */
    uint64_t acknowledged;
    char policy_digest[80];     /* what this host should obey; "" = nothing is assigned */
    bool has_group;             /* the console says which one it is in */
    char group_id[40];          /* "" = none */
    char signatures_digest[80]; /* the set it should have; "" = the console has none */
};

enum link_state_code {
    LINK_STATE_IDLE,       /* not told to activate */
    LINK_STATE_ACTIVATING, /* trying */
    LINK_STATE_REFUSED,    /* a person must act: text says how */
    LINK_STATE_ONLINE,
    LINK_STATE_OFFLINE, /* activated, but the console does not answer */
    LINK_STATE_DEACTIVATED,
};
const char *link_state_name(enum link_state_code code);

struct link_state {
    enum link_state_code code;
    char text[LINK_TEXT_BYTES]; /* what is wrong and what to do; "" */
    uint64_t last_contact_ns;   /* realtime of the last answer; 0 = never */
    uint64_t next_try_ns;       /* realtime; 0 = unknown */
};

enum link_bundle_outcome { LINK_BUNDLE_DELIVERED, LINK_BUNDLE_LATER, LINK_BUNDLE_REFUSED };

struct link_bundle_done {
    char id[40]; /* of the command */
    enum link_bundle_outcome outcome;
    char problem[LINK_TEXT_BYTES];
};

/* Of a file that the console names by its SHA-256. */
struct link_piece {
    char sha256[65];
    uint64_t offset, length; /* length: wanted; of an answer, that of its document */
    bool delivered;          /* of an answer: otherwise the document says nothing */
    bool gone;               /* the console has no such file any more */
    uint64_t retry_after_ns; /* it asks for patience; 0 = it does not */
    char problem[LINK_TEXT_BYTES];
};

/* Each sends one message. -errno as message_send. */
int link_send_settings(int socket, const struct link_settings *settings) MUST_USE;
int link_send_identity(int socket, const struct link_identity *identity) MUST_USE;
int link_send_token(int socket, const struct link_token *token) MUST_USE;
int link_send_beat_done(int socket, const struct link_beat_done *done) MUST_USE;
int link_send_state(int socket, const struct link_state *state) MUST_USE;
/* WANT_BEAT, URGENT, WANT_POLICY, WANT_SIGNATURES, LEAVE, WANT_FILES: no payload. */
int link_send_plain(int socket, enum link_type type) MUST_USE;
/* BEAT, COMMAND, POLICY, MOVE, SIGNATURES: the bytes in a sealed memfd. */
int link_send_document(int socket, enum link_type type, const void *bytes, size_t length) MUST_USE;
int link_send_bundle(int socket, const char *id, const void *bytes, size_t length) MUST_USE;
int link_send_want_piece(int socket, const struct link_piece *piece) MUST_USE;
int link_send_piece(int socket, const struct link_piece *piece, const void *bytes) MUST_USE;
int link_send_bundle_done(int socket, const struct link_bundle_done *done) MUST_USE;

/* Each reads one whole payload. -EBADMSG: the peer is broken and must end. */
int link_read_settings(const struct message *message, struct link_settings *ret_settings) MUST_USE;
int link_read_identity(const struct message *message, struct link_identity *ret_identity) MUST_USE;
int link_read_token(const struct message *message, struct link_token *ret_token) MUST_USE;
int link_read_beat_done(const struct message *message, struct link_beat_done *ret_done) MUST_USE;
int link_read_state(const struct message *message, struct link_state *ret_state) MUST_USE;
int link_read_bundle(const struct message *message, char ret_id[static 40]) MUST_USE;
int link_read_bundle_done(const struct message *message,
                          struct link_bundle_done *ret_done) MUST_USE;
/* WANT_PIECE, PIECE. */
int link_read_piece(const struct message *message, struct link_piece *ret_piece) MUST_USE;
/* The content of a document's memfd, bounded by LIMIT_SIGNED_DOCUMENT_BYTES; freed by the caller.
 * -EBADMSG when it is not a sealed memfd: any other file could make the reader wait. */
int link_read_document(int fd, char **ret_text, size_t *ret_length) MUST_USE;

#endif
