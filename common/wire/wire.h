/* The JSON that programs of the suite exchange over the network: activation, heartbeat, events,
 * commands, signed documents. Written and read HERE only; docs/protocol.md is its page.
 *
 * Reading is strict about what is known (types, lengths, counts: limits below) and ignores unknown
 * keys, so that either side may be newer. A decoded struct's texts belong to its root and live
 * until wire_*_done. Writing leaves its error in the buffer too. Errors: -EBADMSG with a problem
 * text that says which key is wrong; -ENOMEM. */
#ifndef COMMON_WIRE_WIRE_H
#define COMMON_WIRE_WIRE_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdint.h>

#define WIRE_PROTOCOL 1

struct json_tree;

struct wire_problem {
    char text[256];
};

/* --- activation: POST /agent/v1/activate */

struct wire_host {
    const char *hostname, *machine_id, *boot_id, *os, *agent_version;
    const char *instance_id;  /* "" outside a cloud */
    const char *display_name; /* "" = hostname */
};

struct wire_activation_request {
    json_t *root;
    const char *token, *csr, *tenant_id, *policy, *group; /* "" = not given */
    const char *session;                                  /* UUID of the messenger's run */
    struct wire_host host;
    /* What EC2's metadata service gives at dynamic/instance-identity/document and /rsa2048 (base64,
     * with or without line ends). encode: NULL or "" outside EC2; decode: "". */
    const char *identity_document, *identity_signature;
};

struct wire_activation_reply {
    json_t *root;
    const char *agent_id, *certificate, *authority, *signing_key, *tenant_id;
    uint64_t heartbeat_seconds;
    const char *move; /* encode: signed wire_move as JSON text, or NULL; decode: "" = none. For a
                         copy that comes as a new computer. */
};

int wire_activation_request_encode(const struct wire_activation_request *request,
                                   struct buffer *body);
int wire_activation_request_decode(const char *body, size_t length,
                                   struct wire_activation_request *ret_request,
                                   struct wire_problem *ret_problem) MUST_USE;
void wire_activation_request_done(struct wire_activation_request *request);
int wire_activation_reply_encode(const struct wire_activation_reply *reply, struct buffer *body);
int wire_activation_reply_decode(const char *body, size_t length,
                                 struct wire_activation_reply *ret_reply,
                                 struct wire_problem *ret_problem) MUST_USE;
void wire_activation_reply_done(struct wire_activation_reply *reply);

/* --- renewal: POST /agent/v1/renew {"csr"} -> {"certificate", "authority"} */

int wire_renewal_encode(const char *certificate, const char *authority, struct buffer *body);

int wire_text_encode(const char *key, const char *text, struct buffer *body);
/* A root with one text of 1 to maximum bytes; ret_text belongs to ret_root (json_decref). */
int wire_text_decode(const char *body, size_t length, const char *key, size_t maximum,
                     json_t **ret_root, const char **ret_text,
                     struct wire_problem *ret_problem) MUST_USE;

/* --- heartbeat: POST /agent/v1/heartbeat */

struct wire_event {
    uint64_t number; /* per store epoch, larger than 0, ascending in a heartbeat */
    uint64_t time_ms;
    unsigned severity; /* 0 info .. 4 critical */
    const char *id, *module, *kind, *subject;
    const char *detail; /* a JSON object as text */
};

struct wire_result {
    const char *command_id;
    bool good;
    bool running; /* not its result yet: output says how far it is */
    const char *output;
};

struct wire_heartbeat {
    struct json_tree *tree; /* decode */
    struct wire_host host;
    const char *session;        /* UUID of the messenger's run: two at once are a clone */
    const char *policy_digest;  /* of the delivered policy in force, "" = none */
    const char *policy_problem; /* why the last delivered one was refused, "" = it was not */
    const char *epoch;          /* of the agent's store */
    uint64_t dropped;           /* events its limits removed before they were acknowledged */
    uint64_t acknowledged;      /* of the epoch, as the agent knows it; 0 = it does not say */
    const char *facts;          /* a JSON object of modules and counters as text; decode: or NULL */
    struct wire_event *events;
    size_t event_count;
    struct wire_result *results;
    size_t result_count;
};

struct wire_heartbeat_reply {
    json_t *root;
    const char *epoch; /* acknowledged: every event up to this number */
    uint64_t acknowledged;
    uint64_t server_ms, next_seconds;
    const char *policy_digest;     /* the agent's target; "" = none is assigned */
    const char *signatures_digest; /* of what the agent should have; "" = none is assigned */
    const char
        *group_id; /* "" = it is in none; NULL: not said. Only a hint: a policy says it signed */
    bool renew;
    uint64_t wait_seconds; /* how long a request for news is held; 0 = the console holds none */
    const char **commands; /* signed documents as JSON texts (encode), see wire_signed */
    json_t *commands_json; /* decode: array of wire_signed objects */
    size_t command_count;
};

int wire_heartbeat_encode(const struct wire_heartbeat *heartbeat, struct buffer *body);
int wire_heartbeat_decode(const char *body, size_t length, struct wire_heartbeat *ret_heartbeat,
                          struct wire_problem *ret_problem) MUST_USE;
void wire_heartbeat_done(struct wire_heartbeat *heartbeat);
int wire_heartbeat_reply_encode(const struct wire_heartbeat_reply *reply, struct buffer *body);
int wire_heartbeat_reply_decode(const char *body, size_t length,
                                struct wire_heartbeat_reply *ret_reply,
                                struct wire_problem *ret_problem) MUST_USE;
void wire_heartbeat_reply_done(struct wire_heartbeat_reply *reply);

/* --- sensors that are not hosts: POST /api/v1/sensor/report */

struct wire_sensor {
    const char *kind; /* "storage" or "application" */
    const char *name; /* of the scanner's deployment, or of the function: 1 to 256 bytes */
    const char *version, *account, *region, *arn, *runtime, *host; /* "" = unknown */
};

struct wire_sensor_report {
    struct json_tree *tree; /* decode */
    struct wire_sensor sensor;
    const char *epoch;          /* UUID of this run: event numbers are its own */
    uint64_t dropped;           /* events this run had to give up */
    const char *policy_digest;  /* of the delivered policy in force, "" = none */
    const char *policy_problem; /* why the last delivered one was refused, "" = it was not */
    const char *facts;          /* a JSON object of counters and health as text; decode: or NULL */
    struct wire_event *events;
    size_t event_count;
};

struct wire_sensor_reply {
    json_t *root;
    const char *sensor_id; /* UUID: signed documents name it as their agent_id */
    const char *epoch;     /* acknowledged: every event up to this number */
    uint64_t acknowledged;
    uint64_t server_ms, next_seconds;
    const char *policy_digest; /* the sensor's target; "" = none is assigned */
};

bool wire_is_sensor_kind(const char *text);
int wire_sensor_report_encode(const struct wire_sensor_report *report, struct buffer *body);
int wire_sensor_report_decode(const char *body, size_t length,
                              struct wire_sensor_report *ret_report,
                              struct wire_problem *ret_problem) MUST_USE;
void wire_sensor_report_done(struct wire_sensor_report *report);
int wire_sensor_reply_encode(const struct wire_sensor_reply *reply, struct buffer *body);
int wire_sensor_reply_decode(const char *body, size_t length, struct wire_sensor_reply *ret_reply,
                             struct wire_problem *ret_problem) MUST_USE;
void wire_sensor_reply_done(struct wire_sensor_reply *reply);

/* --- signed documents: policies and commands
 *
 * {"document": text, "signature": base64, "key_id": hex}: the signature covers exactly the bytes
 * of the text, which is itself a JSON object that names its purpose, agent and expiry. */

int wire_signed_encode(const char *document, EVP_PKEY *key, struct buffer *body) MUST_USE;
/* The same with "successors": links, a JSON array as text (see wire_successor), or NULL. */
int wire_signed_encode_linked(const char *document, EVP_PKEY *key, const char *links,
                              struct buffer *body) MUST_USE;
/* Checks the signature with key (public half) before the document is parsed. -EACCES when it is
 * not the key's. ret_document: the text; belongs to ret_root. */
int wire_signed_decode(const char *body, size_t length, EVP_PKEY *key, json_t **ret_root,
                       const char **ret_document, struct wire_problem *ret_problem) MUST_USE;

/* An envelope that nobody has checked. */
struct wire_envelope {
    json_t *root; /* NULL: of another one */
    const char *key_id, *signature, *document;
    const json_t *successors; /* array of envelopes; NULL = none */
};
int wire_envelope_decode(const char *body, size_t length, struct wire_envelope *ret_envelope,
                         struct wire_problem *ret_problem) MUST_USE;
int wire_envelope_read(const json_t *object, struct wire_envelope *ret_envelope,
                       struct wire_problem *ret_problem) MUST_USE;
void wire_envelope_done(struct wire_envelope *envelope);
/* 0, or -EACCES when key did not sign it. */
int wire_envelope_check(const struct wire_envelope *envelope, EVP_PKEY *key) MUST_USE;

/* The console's next signing key, announced in a document that the one before signed. */
#define WIRE_SUCCESSORS_MAXIMUM 16
struct wire_successor {
    json_t *root;
    const char *key;                /* base64 of the public half */
    uint64_t issued_ms, retires_ms; /* until then the one before is good for documents */
};
int wire_successor_encode(const struct wire_successor *successor, struct buffer *document) MUST_USE;
int wire_successor_decode(const char *document, struct wire_successor *ret_successor,
                          struct wire_problem *ret_problem) MUST_USE;
void wire_successor_done(struct wire_successor *successor);

struct wire_command {
    json_t *root;
    const char *agent_id, *id, *type;
    const char *arguments;  /* encode: a JSON object as text */
    json_t *arguments_json; /* decode */
    uint64_t issued_ms, expires_ms;
};
int wire_command_encode(const struct wire_command *command, struct buffer *document) MUST_USE;
int wire_command_decode(const char *document, struct wire_command *ret_command,
                        struct wire_problem *ret_problem) MUST_USE;
void wire_command_done(struct wire_command *command);

/* An agent may go on under another name. */
struct wire_move {
    json_t *root;
    const char *agent_id, *successor_id;
    uint64_t issued_ms, expires_ms;
};
int wire_move_encode(const struct wire_move *move, struct buffer *document) MUST_USE;
int wire_move_decode(const char *document, struct wire_move *ret_move,
                     struct wire_problem *ret_problem) MUST_USE;
void wire_move_done(struct wire_move *move);

/* Whoever has it may take protected agents away: one, those of a group, or all of the console's. */
struct wire_removal {
    json_t *root;
    const char *id;
    const char *scope;   /* one of WIRE_REMOVAL_* */
    const char *subject; /* id of the computer or group; "" for all */
    const char *created_by;
    uint64_t issued_ms, expires_ms;
};
#define WIRE_REMOVAL_COMPUTER "computer"
#define WIRE_REMOVAL_GROUP    "group"
#define WIRE_REMOVAL_ALL      "all"
int wire_removal_encode(const struct wire_removal *removal, struct buffer *document) MUST_USE;
int wire_removal_decode(const char *document, struct wire_removal *ret_removal,
                        struct wire_problem *ret_problem) MUST_USE;
void wire_removal_done(struct wire_removal *removal);
/* The form in which people carry one: an envelope as one word, "yr1." and base64url. */
int wire_removal_code_encode(const char *envelope, size_t length, struct buffer *code) MUST_USE;
/* Blanks and line ends around it do not count. -EBADMSG: it is none. */
int wire_removal_code_decode(const char *code, size_t length, struct buffer *envelope) MUST_USE;

struct wire_policy_text {
    const char *name, *text;
};
struct wire_policy {
    json_t *root;
    const char *agent_id;
    const char *digest;   /* names the content: SHA-256 of the texts, see wire_policy_body */
    const char *body;     /* encode: from wire_policy_body */
    const char *group_id; /* whom it is for is in this one when it is issued; "" = in none */
    uint64_t revision, issued_ms, expires_ms;
    struct wire_policy_text *texts; /* decode: the oldest ancestor first */
    size_t text_count;
};
/* The part of a policy document that is the same for every agent: [{"name","text"},...]. */
int wire_policy_body(const struct wire_policy_text *texts, size_t count, struct buffer *body,
                     char ret_digest[static 65]) MUST_USE;
int wire_policy_encode(const struct wire_policy *policy, struct buffer *document) MUST_USE;
int wire_policy_decode(const char *document, struct wire_policy *ret_policy,
                       struct wire_problem *ret_problem) MUST_USE;
void wire_policy_done(struct wire_policy *policy);

/* Which signatures a computer has besides the ones it fetches itself. Names of lists begin so. */
#define WIRE_CONSOLE_LIST "yagura-console-"
struct wire_signature_list {
    const char *name, *text; /* a file as libclamav reads it */
};
struct wire_mirror_file {
    const char *name, *sha256;
    uint64_t size, version, built_ms; /* version, built_ms: of a .cvd's head; 0 = it has none */
};
struct wire_signatures {
    json_t *root;
    const char *agent_id;
    const char *digest;  /* names the content */
    const char *content; /* encode: from wire_signatures_content */
    uint64_t issued_ms, expires_ms;
    struct wire_signature_list *lists;
    const char **allowed; /* SHA-256 of contents that are no malware */
    struct wire_mirror_file *files;
    size_t list_count, allowed_count, file_count;
};
/* The part that is the same for many computers, of lists, allowed and files. */
int wire_signatures_content(const struct wire_signatures *signatures, struct buffer *content,
                            char ret_digest[static 65]) MUST_USE;
int wire_signatures_encode(const struct wire_signatures *signatures,
                           struct buffer *document) MUST_USE;
int wire_signatures_decode(const char *document, struct wire_signatures *ret_signatures,
                           struct wire_problem *ret_problem) MUST_USE;
void wire_signatures_done(struct wire_signatures *signatures);
/* A file's name that leads nowhere: letters, digits, ".", "_", "-", no "." at first. */
bool wire_is_signature_name(const char *name);
/* 64 lower-case hexadecimal digits. */
bool wire_is_sha256(const char *text);

/* --- words */

/* "info" .. "critical"; NULL beyond. */
const char *wire_severity_name(unsigned severity);
int wire_severity_parse(const char *name, unsigned *ret_severity) MUST_USE;
/* [a-z][a-z0-9_]{0,63}: modules, kinds, command types. */
bool wire_is_word(const char *text);
/* 8-4-4-4-12 lower-case hexadecimal. */
bool wire_is_uuid(const char *text);

#endif
