/* Owns removal codes over the API: who may have one for what. */
#include "common/limits.h"
#include "common/text/text.h"
#include "console/agents/removal_codes.h"
#include "console/api/api_internal.h"

#include <errno.h>

#define LIFE_DEFAULT_SECONDS 86400

struct code_work {
    struct http_request *request;
    const struct api_service *service;
    struct removal_draft draft;
    char subject[UUID_TEXT_BYTES]; /* the id as the store has it; "" for all */
    struct made_removal_code code;
};

/* Sets the subject, if the viewer sees it; ret_name is for the audit log. */
static int find_subject(struct sql *sql, struct code_work *work, char ret_name[static 256])
{
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    const struct viewer *viewer = api_viewer(work->request);
    ret_name[0] = '\0';
    if (text_equal(work->draft.scope, WIRE_REMOVAL_ALL))
        return 0;
    bool group = text_equal(work->draft.scope, WIRE_REMOVAL_GROUP);
    query_init(&query);
    query_add(&query, group ? "SELECT id, name FROM groups WHERE id = "
                            : "SELECT id, hostname FROM computers WHERE id = ");
    query_add_text(&query, http_request_segment(work->request, 0));
    viewer_limit_groups(viewer, group ? "id" : "group_id", &query.text);
    int r = query_prepare(&query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    (void)text_copy(ret_name, 256, sql_text(row, 1));
    return text_copy(work->subject, sizeof(work->subject), sql_text(row, 0)) < 0 ? -EBADMSG : 0;
}

/* Written down before it is given: a code nobody can see must not exist. */
static int make_code(struct sql *sql, void *user)
{
    struct code_work *work = user;
    AUTO_BUFFER struct buffer detail = BUFFER_WITH_MAXIMUM(4096);
    char name[256];
    int r = find_subject(sql, work, name);
    work->draft.subject = work->subject;
    buffer_done(&work->code.text); /* the work may be done twice */
    if (r == 0)
        r = removal_codes_make(work->service->identity->signing, &work->draft, &work->code);
    if (r == 0)
        r = removal_codes_describe(&work->draft, &work->code, &detail);
    return r < 0
               ? r
               : api_audit(sql, work->request, "removal_code_created", name, buffer_text(&detail));
}

static void answer(const struct code_work *work)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(LIMIT_REMOVAL_CODE_BYTES + 1024);
    struct json_writer json;
    json_writer_init(&json, &body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "id", work->code.id);
    json_write_field_string(&json, "code", buffer_text(&work->code.text));
    api_write_time(&json, "expires", work->code.expires_ms);
    json_write_object_end(&json);
    http_respond_buffer(work->request, 201, "application/json", &body);
}

static void create(struct http_request *request, struct api_service *service, const char *scope)
{
    static const char *const names[] = {"expires_seconds", NULL};
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!api_form_open(request, names, &form))
        return;
    uint64_t seconds = json_object_get(form.body, "expires_seconds")
                           ? wire_read_number(&form.reader, "expires_seconds", false)
                           : LIFE_DEFAULT_SECONDS;
    if (!form.reader.error && (seconds == 0 || seconds > LIMIT_REMOVAL_CODE_SECONDS))
        wire_fail(&form.reader, "expires_seconds must be 1 to %d", LIMIT_REMOVAL_CODE_SECONDS);
    if (api_refused(request, &form.reader))
        return;
    struct code_work work = {.request = request,
                             .service = service,
                             .draft = {.scope = scope,
                                       .created_by = api_viewer(request)->actor,
                                       .seconds = (int64_t)seconds}};
    int r = console_store_write(service->store, make_code, &work);
    if (r < 0)
        api_respond_error(request, r);
    else
        answer(&work);
    buffer_done(&work.code.text);
}

void api_removal_code_computer(struct http_request *request, void *user)
{
    create(request, user, WIRE_REMOVAL_COMPUTER);
}

void api_removal_code_group(struct http_request *request, void *user)
{
    create(request, user, WIRE_REMOVAL_GROUP);
}

void api_removal_code_all(struct http_request *request, void *user)
{
    if (api_sees_all(request, "make a code for all computers"))
        create(request, user, WIRE_REMOVAL_ALL);
}
