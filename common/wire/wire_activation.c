/* Owns the activation and renewal messages. */
#include "common/json/json_writer.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "common/wire/wire_internal.h"
#include "common/wire/wire_read.h"

#include <errno.h>

static void write_identity(struct json_writer *json, const struct wire_activation_request *request)
{
    if (!request->identity_document || !request->identity_document[0])
        return;
    json_write_key(json, "instance_identity");
    json_write_object_begin(json);
    json_write_field_string(json, "document", request->identity_document);
    json_write_field_string(json, "rsa2048", request->identity_signature);
    json_write_object_end(json);
}

int wire_activation_request_encode(const struct wire_activation_request *request,
                                   struct buffer *body)
{
    struct json_writer json;
    json_writer_init(&json, body);
    json_write_object_begin(&json);
    wire_sender_write(&json, request->session, &request->host);
    json_write_field_string(&json, "token", request->token);
    json_write_field_string(&json, "csr", request->csr);
    if (request->tenant_id[0])
        json_write_field_string(&json, "tenant_id", request->tenant_id);
    if (request->policy[0])
        json_write_field_string(&json, "policy", request->policy);
    if (request->group[0])
        json_write_field_string(&json, "group", request->group);
    write_identity(&json, request);
    json_write_object_end(&json);
    return buffer_failed(body);
}

static void read_identity(struct wire_reader *parent, struct wire_activation_request *request)
{
    const json_t *object = wire_read_object(parent, "instance_identity", true);
    request->identity_document = request->identity_signature = "";
    if (!object)
        return;
    struct wire_reader reader = wire_reader_of(object, parent->problem);
    reader.error = parent->error;
    request->identity_document = wire_read_text(&reader, "document", 2, 4096, NULL);
    request->identity_signature = wire_read_text(&reader, "rsa2048", 1, 8192, NULL);
    parent->error = reader.error;
}

int wire_activation_request_decode(const char *body, size_t length,
                                   struct wire_activation_request *ret_request,
                                   struct wire_problem *ret_problem)
{
    struct wire_reader reader;
    json_t *root = NULL;
    int r = wire_open(body, length, &root, &reader, ret_problem);
    if (r < 0)
        return r;
    struct wire_activation_request request = {.root = root};
    wire_sender_read(&reader, &request.session, &request.host);
    request.token = wire_read_text(&reader, "token", 0, 512, "");
    request.csr = wire_read_text(&reader, "csr", 1, 8192, NULL);
    request.tenant_id = wire_read_text(&reader, "tenant_id", 1, 64, "");
    request.policy = wire_read_text(&reader, "policy", 1, 128, "");
    request.group = wire_read_text(&reader, "group", 1, 128, "");
    read_identity(&reader, &request);
    r = wire_close(&reader, root);
    if (r < 0)
        return r;
    *ret_request = request;
    return 0;
}

void wire_activation_request_done(struct wire_activation_request *request)
{
    json_decref(request->root);
    request->root = NULL;
}

int wire_activation_reply_encode(const struct wire_activation_reply *reply, struct buffer *body)
{
    struct json_writer json;
    json_writer_init(&json, body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "agent_id", reply->agent_id);
    json_write_field_string(&json, "certificate", reply->certificate);
    json_write_field_string(&json, "authority", reply->authority);
    json_write_field_string(&json, "signing_key", reply->signing_key);
    json_write_field_string(&json, "tenant_id", reply->tenant_id);
    json_write_field_unsigned(&json, "heartbeat_seconds", reply->heartbeat_seconds);
    if (reply->move)
        json_write_field_string(&json, "move", reply->move);
    json_write_object_end(&json);
    return buffer_failed(body);
}

int wire_activation_reply_decode(const char *body, size_t length,
                                 struct wire_activation_reply *ret_reply,
                                 struct wire_problem *ret_problem)
{
    struct wire_reader reader;
    json_t *root = NULL;
    int r = wire_open(body, length, &root, &reader, ret_problem);
    if (r < 0)
        return r;
    struct wire_activation_reply reply = {.root = root};
    reply.agent_id = wire_read_text(&reader, "agent_id", 36, 36, NULL);
    reply.certificate = wire_read_text(&reader, "certificate", 1, 65536, NULL);
    reply.authority = wire_read_text(&reader, "authority", 1, 65536, NULL);
    reply.signing_key = wire_read_text(&reader, "signing_key", 1, 64, NULL);
    reply.tenant_id = wire_read_text(&reader, "tenant_id", 0, 64, "");
    reply.heartbeat_seconds = wire_read_number(&reader, "heartbeat_seconds", false);
    reply.move = wire_read_text(&reader, "move", 2, 8192, "");
    if (!reader.error && !wire_is_uuid(reply.agent_id))
        wire_fail(&reader, "agent_id must be a UUID");
    r = wire_close(&reader, root);
    if (r < 0)
        return r;
    *ret_reply = reply;
    return 0;
}

void wire_activation_reply_done(struct wire_activation_reply *reply)
{
    json_decref(reply->root);
    reply->root = NULL;
}

int wire_text_encode(const char *key, const char *text, struct buffer *body)
{
    struct json_writer json;
    json_writer_init(&json, body);
    json_write_object_begin(&json);
    json_write_field_string(&json, key, text);
    json_write_object_end(&json);
    return buffer_failed(body);
}

int wire_renewal_encode(const char *certificate, const char *authority, struct buffer *body)
{
    struct json_writer json;
    json_writer_init(&json, body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "certificate", certificate);
    json_write_field_string(&json, "authority", authority);
    json_write_object_end(&json);
    return buffer_failed(body);
}

int wire_text_decode(const char *body, size_t length, const char *key, size_t maximum,
                     json_t **ret_root, const char **ret_text, struct wire_problem *ret_problem)
{
    struct wire_reader reader;
    json_t *root = NULL;
    int r = wire_open(body, length, &root, &reader, ret_problem);
    if (r < 0)
        return r;
    const char *text = wire_read_text(&reader, key, 1, maximum, NULL);
    r = wire_close(&reader, root);
    if (r < 0)
        return r;
    *ret_root = root;
    *ret_text = text;
    return 0;
}
