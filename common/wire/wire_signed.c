/* Owns signed documents: the envelope, commands and policies. The signature is checked over the
 * text's bytes before the text is parsed. */
#include "common/crypto/hash.h"
#include "common/crypto/keys.h"
#include "common/crypto/signatures.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/wire/wire_internal.h"

#include <errno.h>

int wire_signed_encode(const char *document, EVP_PKEY *key, struct buffer *body)
{
    return wire_signed_encode_linked(document, key, NULL, body);
}

int wire_signed_encode_linked(const char *document, EVP_PKEY *key, const char *links,
                              struct buffer *body)
{
    char signature[SIGNATURE_TEXT_BYTES];
    char id[KEY_ID_BYTES];
    int r = signature_make(key, document, strlen(document), signature);
    if (r == 0)
        r = key_id(key, id);
    if (r < 0)
        return r;
    struct json_writer json;
    json_writer_init(&json, body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "key_id", id);
    json_write_field_string(&json, "signature", signature);
    json_write_field_string(&json, "document", document);
    if (links) {
        json_write_key(&json, "successors");
        json_write_raw(&json, links);
    }
    json_write_object_end(&json);
    return buffer_failed(body);
}

static void read_envelope(struct wire_reader *reader, struct wire_envelope *envelope)
{
    envelope->key_id = wire_read_text(reader, "key_id", 0, 64, "");
    envelope->signature = wire_read_text(reader, "signature", 1, 128, NULL);
    envelope->document = wire_read_text(reader, "document", 2, LIMIT_SIGNED_DOCUMENT_BYTES, NULL);
}

int wire_envelope_read(const json_t *object, struct wire_envelope *ret_envelope,
                       struct wire_problem *ret_problem)
{
    struct wire_reader reader = wire_reader_of(object, ret_problem);
    *ret_envelope = (struct wire_envelope){.root = NULL};
    read_envelope(&reader, ret_envelope);
    return reader.error;
}

int wire_envelope_decode(const char *body, size_t length, struct wire_envelope *ret_envelope,
                         struct wire_problem *ret_problem)
{
    struct wire_reader reader;
    struct wire_envelope envelope = {.root = NULL};
    int r = wire_open(body, length, &envelope.root, &reader, ret_problem);
    if (r < 0)
        return r;
    read_envelope(&reader, &envelope);
    envelope.successors = wire_read_array(&reader, "successors", WIRE_SUCCESSORS_MAXIMUM, true);
    if (reader.error) {
        wire_envelope_done(&envelope);
        return reader.error;
    }
    *ret_envelope = envelope;
    return 0;
}

void wire_envelope_done(struct wire_envelope *envelope)
{
    json_decref(envelope->root);
    *envelope = (struct wire_envelope){.root = NULL};
}

int wire_envelope_check(const struct wire_envelope *envelope, EVP_PKEY *key)
{
    return signature_check(key, envelope->document, strlen(envelope->document),
                           envelope->signature) < 0
               ? -EACCES
               : 0;
}

int wire_signed_decode(const char *body, size_t length, EVP_PKEY *key, json_t **ret_root,
                       const char **ret_document, struct wire_problem *ret_problem)
{
    struct wire_envelope envelope;
    int r = wire_envelope_decode(body, length, &envelope, ret_problem);
    if (r < 0)
        return r;
    r = wire_envelope_check(&envelope, key);
    if (r < 0) {
        (void)text_copy(ret_problem->text, sizeof(ret_problem->text),
                        "the signature is not the console's");
        wire_envelope_done(&envelope);
        return r;
    }
    *ret_root = envelope.root;
    *ret_document = envelope.document;
    return 0;
}

int wire_successor_encode(const struct wire_successor *successor, struct buffer *document)
{
    struct json_writer json = wire_document_begin(document, "signing_key");
    json_write_field_string(&json, "key", successor->key);
    json_write_field_unsigned(&json, "issued_ms", successor->issued_ms);
    json_write_field_unsigned(&json, "retires_ms", successor->retires_ms);
    return wire_document_end(&json, document);
}

int wire_successor_decode(const char *document, struct wire_successor *ret_successor,
                          struct wire_problem *ret_problem)
{
    struct wire_reader reader;
    struct wire_successor successor = {.root = NULL};
    int r = wire_document_open(document, "signing_key", &successor.root, &reader, ret_problem);
    if (r < 0)
        return r;
    successor.key = wire_read_text(&reader, "key", 40, 63, NULL);
    successor.issued_ms = wire_read_number(&reader, "issued_ms", false);
    successor.retires_ms = wire_read_number(&reader, "retires_ms", false);
    r = wire_close(&reader, successor.root);
    if (r == 0)
        *ret_successor = successor;
    return r;
}

void wire_successor_done(struct wire_successor *successor)
{
    json_decref(successor->root);
    *successor = (struct wire_successor){.root = NULL};
}

int wire_command_encode(const struct wire_command *command, struct buffer *document)
{
    struct json_writer json = wire_document_begin(document, "command");
    json_write_field_string(&json, "agent_id", command->agent_id);
    json_write_field_string(&json, "id", command->id);
    json_write_field_string(&json, "type", command->type);
    json_write_key(&json, "arguments");
    json_write_raw(&json, command->arguments);
    wire_times_write(&json, command->issued_ms, command->expires_ms);
    return wire_document_end(&json, document);
}

int wire_command_decode(const char *document, struct wire_command *ret_command,
                        struct wire_problem *ret_problem)
{
    struct wire_reader reader;
    struct wire_command command = {.root = NULL};
    int r = wire_document_open(document, "command", &command.root, &reader, ret_problem);
    if (r < 0)
        return r;
    command.agent_id = wire_read_text(&reader, "agent_id", 36, 36, NULL);
    command.id = wire_read_text(&reader, "id", 36, 36, NULL);
    command.type = wire_read_text(&reader, "type", 1, 64, NULL);
    command.arguments_json = wire_read_object(&reader, "arguments", false);
    wire_times_read(&reader, &command.issued_ms, &command.expires_ms);
    if (!reader.error && !(wire_is_word(command.type) && wire_is_uuid(command.id)))
        wire_fail(&reader, "type must be a word and id a UUID");
    r = wire_close(&reader, command.root);
    if (r == 0)
        *ret_command = command;
    return r;
}

void wire_command_done(struct wire_command *command)
{
    json_decref(command->root);
    *command = (struct wire_command){0};
}

int wire_move_encode(const struct wire_move *move, struct buffer *document)
{
    struct json_writer json = wire_document_begin(document, "move");
    json_write_field_string(&json, "agent_id", move->agent_id);
    json_write_field_string(&json, "successor_id", move->successor_id);
    wire_times_write(&json, move->issued_ms, move->expires_ms);
    return wire_document_end(&json, document);
}

int wire_move_decode(const char *document, struct wire_move *ret_move,
                     struct wire_problem *ret_problem)
{
    struct wire_reader reader;
    struct wire_move move = {.root = NULL};
    int r = wire_document_open(document, "move", &move.root, &reader, ret_problem);
    if (r < 0)
        return r;
    move.agent_id = wire_read_text(&reader, "agent_id", 36, 36, NULL);
    move.successor_id = wire_read_text(&reader, "successor_id", 36, 36, NULL);
    wire_times_read(&reader, &move.issued_ms, &move.expires_ms);
    if (!reader.error && !(wire_is_uuid(move.agent_id) && wire_is_uuid(move.successor_id)))
        wire_fail(&reader, "agent_id and successor_id must be UUIDs");
    r = wire_close(&reader, move.root);
    if (r == 0)
        *ret_move = move;
    return r;
}

void wire_move_done(struct wire_move *move)
{
    json_decref(move->root);
    *move = (struct wire_move){0};
}

int wire_policy_body(const struct wire_policy_text *texts, size_t count, struct buffer *body,
                     char ret_digest[static 65])
{
    struct json_writer json;
    json_writer_init(&json, body);
    json_write_array_begin(&json);
    for (size_t i = 0; i < count; i++) {
        json_write_object_begin(&json);
        json_write_field_string(&json, "name", texts[i].name);
        json_write_field_string(&json, "text", texts[i].text);
        json_write_object_end(&json);
    }
    json_write_array_end(&json);
    int r = buffer_failed(body);
    uint8_t digest[SHA256_BYTES];
    if (r == 0)
        r = hash_sha256(body->data, body->length, digest);
    if (r == 0)
        text_hex(ret_digest, digest, sizeof(digest));
    return r;
}

int wire_policy_encode(const struct wire_policy *policy, struct buffer *document)
{
    struct json_writer json = wire_document_begin(document, "policy");
    json_write_field_string(&json, "agent_id", policy->agent_id);
    json_write_field_unsigned(&json, "revision", policy->revision);
    json_write_field_string(&json, "digest", policy->digest);
    json_write_field_string(&json, "group_id", policy->group_id ? policy->group_id : "");
    wire_times_write(&json, policy->issued_ms, policy->expires_ms);
    json_write_key(&json, "texts");
    json_write_raw(&json, policy->body);
    return wire_document_end(&json, document);
}

static void read_policy_texts(struct wire_reader *parent, struct wire_policy *policy)
{
    const json_t *list = wire_read_array(parent, "texts", LIMIT_POLICY_PARENTS + 1, false);
    size_t count = list ? json_array_size(list) : 0;
    if (parent->error)
        return;
    if (count == 0) {
        wire_fail(parent, "texts must hold at least one policy");
        return;
    }
    policy->texts = calloc(count, sizeof(*policy->texts));
    if (!policy->texts) {
        parent->error = -ENOMEM;
        return;
    }
    policy->text_count = count;
    for (size_t i = 0; i < count && !parent->error; i++) {
        struct wire_reader reader = wire_reader_of(json_array_get(list, i), parent->problem);
        policy->texts[i].name = wire_read_text(&reader, "name", 1, 128, NULL);
        policy->texts[i].text = wire_read_text(&reader, "text", 0, LIMIT_SETTINGS_BYTES, NULL);
        parent->error = reader.error;
    }
}

int wire_policy_decode(const char *document, struct wire_policy *ret_policy,
                       struct wire_problem *ret_problem)
{
    struct wire_reader reader;
    struct wire_policy policy = {.root = NULL};
    int r = wire_document_open(document, "policy", &policy.root, &reader, ret_problem);
    if (r < 0)
        return r;
    policy.agent_id = wire_read_text(&reader, "agent_id", 36, 36, NULL);
    policy.revision = wire_read_number(&reader, "revision", false);
    policy.digest = wire_read_text(&reader, "digest", 64, 64, NULL);
    policy.group_id = wire_read_text(&reader, "group_id", 0, 36, "");
    wire_times_read(&reader, &policy.issued_ms, &policy.expires_ms);
    read_policy_texts(&reader, &policy);
    if (reader.error) {
        wire_policy_done(&policy);
        return reader.error;
    }
    *ret_policy = policy;
    return 0;
}

void wire_policy_done(struct wire_policy *policy)
{
    json_decref(policy->root);
    free(policy->texts);
    *policy = (struct wire_policy){0};
}
