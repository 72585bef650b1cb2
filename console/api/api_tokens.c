/* Owns activation tokens and groups over the API. */
#include "common/text/text.h"
#include "console/agents/tokens.h"
#include "console/api/api_internal.h"
#include "console/policies/policy_store.h"

#include <errno.h>

#define DAY_MS         86400000LL
#define MOST_DAYS      3650
#define USES_UNLIMITED (-1)

static const struct list_column TOKEN_COLUMNS[] = {
    {"id", LIST_TEXT},      {"name", LIST_TEXT},        {"group", LIST_TEXT},
    {"policy", LIST_TEXT},  {"tags", LIST_JSON},        {"cidrs", LIST_JSON},
    {"expires", LIST_TIME}, {"uses_left", LIST_NUMBER}, {"uses", LIST_NUMBER},
    {"created", LIST_TIME}, {"created_by", LIST_TEXT},  {"revoked", LIST_TIME},
};

static int build_tokens(const struct list_page *page, struct query *query)
{
    query_add(query, "SELECT tokens.id, tokens.id, tokens.name, groups.name, policies.name,"
                     " tokens.tags, tokens.cidrs, tokens.expires_ms,"
                     " CASE WHEN tokens.uses_left < 0 THEN NULL ELSE tokens.uses_left END,"
                     " tokens.uses, tokens.created_ms, tokens.created_by, tokens.revoked_ms"
                     " FROM tokens LEFT JOIN groups ON groups.id = tokens.group_id"
                     " LEFT JOIN policies ON policies.id = tokens.policy_id"
                     " WHERE tokens.org_id = ");
    query_add_number(query, API_ORG);
    viewer_limit_groups(page->viewer, "tokens.group_id", &query->text);
    list_end_by_text_descending(page, query, "tokens.id");
    return 0;
}

static const struct list TOKENS = {.name = "tokens",
                                   .columns = TOKEN_COLUMNS,
                                   .column_count = ARRAY_LENGTH(TOKEN_COLUMNS),
                                   .cursor_is_text = true,
                                   .build = build_tokens};

void api_tokens(struct http_request *request, void *user)
{
    api_list(request, user, &TOKENS);
}

struct token_create_work {
    struct http_request *request;
    struct token_draft draft;
    const char *group, *policy;
    char id[UUID_TEXT_BYTES], token[SECRET_TEXT_BYTES];
};

static int create_token(struct sql *sql, void *user)
{
    struct token_create_work *work = user;
    char group_id[UUID_TEXT_BYTES] = "", policy_id[UUID_TEXT_BYTES] = "";
    const struct viewer *viewer = api_viewer(work->request);
    int r = api_find_group(sql, work->group, group_id);
    if (r == 0)
        r = api_find_policy(sql, work->policy, policy_id);
    bool allowed = viewer->group_count == 0;
    for (size_t i = 0; i < viewer->group_count; i++)
        allowed = allowed || text_equal(viewer->groups[i], group_id);
    if (r == 0 && !allowed)
        r = -ENOENT; /* who is limited to groups makes tokens for them only */
    if (r < 0)
        return r;
    work->draft.group_id = group_id[0] ? group_id : NULL;
    work->draft.policy_id = policy_id[0] ? policy_id : NULL;
    r = token_create(sql, &work->draft, work->id, work->token);
    return r < 0 ? r : api_audit(sql, work->request, "token_created", work->draft.name, "");
}

static void answer_token(struct http_request *request, const struct token_create_work *work)
{
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(16384);
    struct json_writer json;
    json_writer_init(&json, &body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "id", work->id);
    json_write_field_string(&json, "token", work->token);
    api_write_time(&json, "expires", work->draft.expires_ms);
    json_write_object_end(&json);
    http_respond_buffer(request, 201, "application/json", &body);
}

static bool is_tag(const char *text)
{
    return api_is_name(text) && strlen(text) <= 64;
}

void api_token_create(struct http_request *request, void *user)
{
    static const char *const names[] = {"name",   "days", "uses",  "group",
                                        "policy", "tags", "cidrs", NULL};
    struct api_service *service = user;
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!api_form_open(request, names, &form))
        return;
    struct token_create_work work = {.request = request};
    work.draft.name = wire_read_text(&form.reader, "name", 1, 128, NULL);
    work.draft.created_by = api_viewer(request)->actor;
    uint64_t days =
        json_object_get(form.body, "days") ? wire_read_number(&form.reader, "days", false) : 7;
    uint64_t uses = wire_read_number(&form.reader, "uses", true);
    work.group = wire_read_text(&form.reader, "group", 0, 128, "");
    work.policy = wire_read_text(&form.reader, "policy", 0, 128, "");
    AUTO_FREE char *tags = api_read_list(&form.reader, "tags", is_tag, "texts of 1 to 64 bytes");
    AUTO_FREE char *cidrs =
        api_read_list(&form.reader, "cidrs", cidr_is_valid, "networks like 10.0.0.0/8");
    if (!form.reader.error && !api_is_name(work.draft.name))
        wire_fail(&form.reader, "name must be printable, without blanks around it");
    if (!form.reader.error && (days == 0 || days > MOST_DAYS || uses > INT32_MAX))
        wire_fail(&form.reader, "days must be 1 to %d, uses less than 2^31 (0: without limit)",
                  MOST_DAYS);
    work.draft.tags = tags ? tags : "[]";
    work.draft.cidrs = cidrs ? cidrs : "[]";
    work.draft.uses = uses == 0 ? USES_UNLIMITED : (int64_t)uses;
    work.draft.expires_ms = console_store_now_ms() + (int64_t)days * DAY_MS;
    if (!api_refused(request, &form.reader)) {
        int r = console_store_write(service->store, create_token, &work);
        if (r < 0)
            api_respond_error(request, r);
        else
            answer_token(request, &work);
    }
}

static int revoke_token(struct sql *sql, void *user)
{
    struct http_request *request = user;
    const char *id = http_request_segment(request, 0);
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    query_add(&query, "SELECT name FROM tokens WHERE id = ");
    query_add_text(&query, id);
    viewer_limit_groups(api_viewer(request), "group_id", &query.text);
    int r = query_prepare(&query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    r = token_revoke(sql, id);
    if (r <= 0)
        return r < 0 ? r : -ENOENT;
    return api_audit(sql, request, "token_revoked", sql_text(row, 0), "");
}

void api_token_revoke(struct http_request *request, void *user)
{
    struct api_service *service = user;
    api_respond_done(request, console_store_write(service->store, revoke_token, request));
}

/* --- groups */

static const struct list_column GROUP_COLUMNS[] = {
    {"id", LIST_TEXT}, {"name", LIST_TEXT}, {"policy", LIST_TEXT}, {"computers", LIST_NUMBER}};

static int build_groups(const struct list_page *page, struct query *query)
{
    query_add(query, "SELECT groups.name, groups.id, groups.name, policies.name,"
                     " (SELECT count(*) FROM computers WHERE computers.org_id = groups.org_id"
                     " AND computers.group_id = groups.id)"
                     " FROM groups LEFT JOIN policies ON policies.id = groups.policy_id"
                     " WHERE groups.org_id = ");
    query_add_number(query, API_ORG);
    viewer_limit_groups(page->viewer, "groups.id", &query->text);
    list_end_by_text(page, query, "groups.name");
    return 0;
}

static const struct list GROUPS = {.name = "groups",
                                   .columns = GROUP_COLUMNS,
                                   .column_count = ARRAY_LENGTH(GROUP_COLUMNS),
                                   .cursor_is_text = true,
                                   .build = build_groups};

void api_groups(struct http_request *request, void *user)
{
    api_list(request, user, &GROUPS);
}

struct group_work {
    struct http_request *request;
    const char *name, *policy; /* NULL: as it is */
    char id[UUID_TEXT_BYTES];
};

/* Groups are the fences of those who are limited to some: only others may change them. */
static bool may_change_groups(struct http_request *request)
{
    return api_sees_all(request, "change groups");
}

static int create_group(struct sql *sql, void *user)
{
    struct group_work *work = user;
    char policy_id[UUID_TEXT_BYTES];
    int r = api_find_policy(sql, work->policy ? work->policy : "", policy_id);
    if (r == 0)
        r = uuid_new(work->id);
    if (r == 0)
        r = sql_run(sql, "INSERT INTO groups (id, org_id, name, policy_id) VALUES ($1, $2, $3, $4)",
                    NULL, "tntt", work->id, API_ORG, work->name, policy_id[0] ? policy_id : NULL);
    return r < 0 ? r : api_audit(sql, work->request, "group_created", work->name, "");
}

static int change_group(struct sql *sql, void *user)
{
    const struct group_work *work = user;
    const char *id = http_request_segment(work->request, 0);
    char policy_id[UUID_TEXT_BYTES];
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT name FROM groups WHERE id = $1", &row, "t", id);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    r = 0;
    if (work->name)
        r = sql_run(sql, "UPDATE groups SET name = $1 WHERE id = $2", NULL, "tt", work->name, id);
    if (r == 0 && work->policy) {
        r = api_find_policy(sql, work->policy, policy_id);
        if (r == 0)
            r = sql_run(sql, "UPDATE groups SET policy_id = $1 WHERE id = $2", NULL, "tt",
                        policy_id[0] ? policy_id : NULL, id);
        if (r == 0)
            r = policy_store_assign_all(sql);
    }
    return r < 0 ? r : api_audit(sql, work->request, "group_changed", sql_text(row, 0), "");
}

static bool read_group(struct http_request *request, json_t *body, bool name_needed,
                       struct group_work *work, struct wire_problem *problem)
{
    struct wire_reader reader = wire_reader_of(body, problem);
    if (name_needed || json_object_get(body, "name"))
        work->name = wire_read_text(&reader, "name", 1, 128, NULL);
    if (json_object_get(body, "policy"))
        work->policy = wire_read_text(&reader, "policy", 0, 128, "");
    if (!reader.error && work->name && !api_is_name(work->name))
        wire_fail(&reader, "name must be printable, without blanks around it");
    return !api_refused(request, &reader);
}

static const char *const GROUP_NAMES[] = {"name", "policy", NULL};

void api_group_create(struct http_request *request, void *user)
{
    struct api_service *service = user;
    json_t *body = may_change_groups(request) ? api_body(request, GROUP_NAMES) : NULL;
    if (!body)
        return;
    struct group_work work = {.request = request};
    struct wire_problem problem;
    if (read_group(request, body, true, &work, &problem)) {
        int r = console_store_write(service->store, create_group, &work);
        if (r < 0)
            api_respond_error(request, r);
        else
            api_respond_text(request, 201, "id", work.id);
    }
    json_decref(body);
}

void api_group_change(struct http_request *request, void *user)
{
    struct api_service *service = user;
    json_t *body = may_change_groups(request) ? api_body(request, GROUP_NAMES) : NULL;
    if (!body)
        return;
    struct group_work work = {.request = request};
    struct wire_problem problem;
    if (read_group(request, body, false, &work, &problem))
        api_respond_done(request, console_store_write(service->store, change_group, &work));
    json_decref(body);
}

static int delete_group(struct sql *sql, void *user)
{
    struct http_request *request = user;
    const char *id = http_request_segment(request, 0);
    AUTO_STATEMENT struct sql_statement *used = NULL;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT name FROM groups WHERE id = $1", &row, "t", id);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    r = sql_run(sql,
                "SELECT 1 FROM computers WHERE group_id = $1 UNION ALL"
                " SELECT 1 FROM activation_rules WHERE group_id = $1 UNION ALL"
                " SELECT 1 FROM sensors WHERE group_id = $1 UNION ALL"
                " SELECT 1 FROM sensor_keys WHERE group_id = $1 AND revoked_ms = 0 UNION ALL"
                " SELECT 1 FROM tokens WHERE group_id = $1 AND revoked_ms = 0",
                &used, "t", id);
    if (r != 0)
        return r < 0 ? r : -EBUSY;
    char name[129];
    (void)text_copy(name, sizeof(name), sql_text(row, 0));
    r = sql_run(sql, "DELETE FROM groups WHERE id = $1", NULL, "t", id);
    return r < 0 ? r : api_audit(sql, request, "group_deleted", name, "");
}

void api_group_delete(struct http_request *request, void *user)
{
    struct api_service *service = user;
    if (may_change_groups(request))
        api_respond_done(request, console_store_write(service->store, delete_group, request));
}
