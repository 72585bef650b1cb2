/* Owns the signing key over the API: what it is, and its change. */
#include "common/log/log.h"
#include "common/text/text.h"
#include "console/api/api_internal.h"

static void respond_key(struct http_request *request, const struct api_service *service)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(4096);
    struct signing_key_facts facts;
    struct json_writer json;
    signing_key_facts(service->identity->signing, &facts);
    json_writer_init(&json, &body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "id", facts.id);
    json_write_field_string(&json, "key", facts.text);
    json_write_field_unsigned(&json, "changes", facts.changes);
    json_write_object_end(&json);
    http_respond_buffer(request, 200, "application/json", &body);
}

void api_signing_key(struct http_request *request, void *user)
{
    respond_key(request, user);
}

static int audit_change(struct sql *sql, void *user)
{
    return api_audit(sql, user, "signing_key_change", "", "");
}

void api_signing_key_change(struct http_request *request, void *user)
{
    static const char *const names[] = {"retire_now", NULL};
    const struct api_service *service = user;
    json_t *body = api_body(request, names);
    if (!body)
        return;
    struct wire_problem problem;
    char file[256] = "";
    struct wire_reader reader = wire_reader_of(body, &problem);
    bool at_once = wire_read_bool(&reader, "retire_now", false);
    bool refused = api_refused(request, &reader);
    json_decref(body);
    if (refused)
        return;
    /* Written down before it is done: a change nobody can see must not happen. */
    int r = console_store_write(service->store, audit_change, request);
    if (r == 0)
        r = signing_key_change(service->identity->signing, at_once ? 0 : SIGNING_DOCUMENT_MS, file);
    if (r == 0)
        respond_key(request, service);
    else if (file[0])
        http_respond_problem(request, 500, "key_not_changed", "%s: %s; the old key goes on", file,
                             log_error_text(r));
    else
        api_respond_error(request, r);
}
