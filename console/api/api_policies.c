/* Owns policies over the API. A text is checked by the agents' own parser before anything is
 * stored; ETag and If-Match carry the revision, so that nobody overwrites what they have not read.
 */
#include "common/limits.h"
#include "common/text/text.h"
#include "console/api/api_internal.h"
#include "console/policies/policy_check.h"
#include "console/policies/policy_store.h"

#include <errno.h>

static const struct list_column POLICY_COLUMNS[] = {
    {"name", LIST_TEXT},
    {"parent", LIST_TEXT},
    {"revision", LIST_NUMBER},
    {"author", LIST_TEXT},
    {"changed", LIST_TIME},
    {"computers", LIST_NUMBER},
    {"effective_computers", LIST_NUMBER},
};

/* For how many computers each policy counts, as (policy_id, count): one pass over all of them. */
static void add_effective_counts(const struct list_page *page, struct query *query)
{
    query_add(query, "(SELECT COALESCE(computers.policy_id, groups.policy_id, base.id)"
                     " AS policy_id, count(*) AS count FROM computers"
                     " LEFT JOIN groups ON groups.id = computers.group_id"
                     " LEFT JOIN policies AS base ON base.org_id = computers.org_id"
                     " AND base.name = 'base' WHERE computers.org_id = ");
    query_add_number(query, API_ORG);
    viewer_limit_groups(page->viewer, "computers.group_id", &query->text);
    query_add(query, " GROUP BY COALESCE(computers.policy_id, groups.policy_id, base.id))");
}

static int build_policies(const struct list_page *page, struct query *query)
{
    query_add(query, "SELECT name, name, parent, revision, author, changed_ms,"
                     " (SELECT count(*) FROM computers WHERE computers.policy_id = policies.id");
    viewer_limit_groups(page->viewer, "computers.group_id", &query->text);
    query_add(query, "), COALESCE(effective.count, 0) FROM policies LEFT JOIN ");
    add_effective_counts(page, query);
    query_add(query, " AS effective ON effective.policy_id = policies.id WHERE org_id = ");
    query_add_number(query, API_ORG);
    list_end_by_text(page, query, "name");
    return 0;
}

static const struct list POLICIES = {.name = "policies",
                                     .columns = POLICY_COLUMNS,
                                     .column_count = ARRAY_LENGTH(POLICY_COLUMNS),
                                     .cursor_is_text = true,
                                     .build = build_policies};

void api_policies(struct http_request *request, void *user)
{
    api_list(request, user, &POLICIES);
}

static const struct list_column REVISION_COLUMNS[] = {{"revision", LIST_NUMBER},
                                                      {"author", LIST_TEXT},
                                                      {"changed", LIST_TIME}};

static int build_revisions(const struct list_page *page, struct query *query)
{
    query_add(query, "SELECT policy_revisions.revision, policy_revisions.revision,"
                     " policy_revisions.author, policy_revisions.changed_ms FROM policy_revisions"
                     " JOIN policies ON policies.id = policy_revisions.policy_id"
                     " WHERE policies.org_id = ");
    query_add_number(query, API_ORG);
    query_add(query, " AND policies.name = ");
    query_add_text(query, http_request_segment(page->request, 0));
    list_end_by_number_descending(page, query, "policy_revisions.revision");
    return 0;
}

static const struct list REVISIONS = {.name = "revisions",
                                      .columns = REVISION_COLUMNS,
                                      .column_count = ARRAY_LENGTH(REVISION_COLUMNS),
                                      .build = build_revisions};

void api_policy_revisions(struct http_request *request, void *user)
{
    api_list(request, user, &REVISIONS);
}

/* --- one policy */

struct policy_get {
    const char *name;
    int64_t revision; /* 0: the newest */
    char tag[32];
    struct buffer body;
};

static int read_policy(struct sql *sql, void *user)
{
    struct policy_get *get = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = get->revision
                ? sql_run(sql,
                          "SELECT policies.name, '', policy_revisions.revision,"
                          " policy_revisions.author, policy_revisions.changed_ms,"
                          " policy_revisions.text FROM policy_revisions"
                          " JOIN policies ON policies.id = policy_revisions.policy_id"
                          " WHERE policies.org_id = $1 AND policies.name = $2"
                          " AND policy_revisions.revision = $3",
                          &row, "ntn", API_ORG, get->name, get->revision)
                : sql_run(sql,
                          "SELECT name, parent, revision, author, changed_ms, text FROM policies"
                          " WHERE org_id = $1 AND name = $2",
                          &row, "nt", API_ORG, get->name);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    struct json_writer json;
    json_writer_init(&json, &get->body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "name", sql_text(row, 0));
    if (!get->revision)
        json_write_field_string(&json, "parent", sql_text(row, 1));
    json_write_field_number(&json, "revision", sql_number(row, 2));
    json_write_field_string(&json, "author", sql_text(row, 3));
    api_write_time(&json, "changed", sql_number(row, 4));
    json_write_field_string(&json, "text", sql_text(row, 5));
    json_write_object_end(&json);
    (void)text_format(get->tag, sizeof(get->tag), "\"%lld\"", (long long)sql_number(row, 2));
    return 0;
}

static void respond_policy(struct http_request *request, struct api_service *service,
                           struct policy_get *get, unsigned status)
{
    buffer_init(&get->body, 4 * LIMIT_SETTINGS_BYTES);
    int r = console_store_read(service->store, read_policy, get);
    if (r < 0) {
        api_respond_error(request, r);
    } else {
        http_response_header(request, "ETag", get->tag);
        http_respond_buffer(request, status, "application/json", &get->body);
    }
    buffer_done(&get->body);
}

void api_policy(struct http_request *request, void *user)
{
    struct policy_get get = {.name = http_request_segment(request, 0)};
    respond_policy(request, user, &get, 200);
}

static bool parse_revision(struct http_request *request, const char *text, int64_t *ret_revision)
{
    uint64_t revision;
    if (text_parse_u64(text, &revision) < 0 || revision == 0 || revision > INT64_MAX) {
        api_respond_error(request, -ENOENT);
        return false;
    }
    *ret_revision = (int64_t)revision;
    return true;
}

void api_policy_revision(struct http_request *request, void *user)
{
    struct policy_get get = {.name = http_request_segment(request, 0)};
    if (parse_revision(request, http_request_segment(request, 1), &get.revision))
        respond_policy(request, user, &get, 200);
}

/* --- change */

struct policy_put {
    struct http_request *request;
    const struct api_service *service;
    struct policy_substitute policy;
    char parent[128];
    int64_t expected, revision;
    bool restored; /* the text of an earlier revision */
    struct settings_error error;
};

static int check_policy(struct sql *sql, void *user)
{
    struct policy_put *put = user;
    return policy_check(sql, &put->policy, put->service->scratch_directory, &put->error);
}

static int store_policy(struct sql *sql, void *user)
{
    struct policy_put *put = user;
    char detail[64];
    int r = policy_store_put(sql, &put->policy, api_viewer(put->request)->actor, put->expected,
                             &put->revision);
    (void)text_format(detail, sizeof(detail), "{\"revision\":%lld}", (long long)put->revision);
    return r < 0 ? r
                 : api_audit(sql, put->request,
                             put->restored       ? "policy_restored"
                             : put->expected < 0 ? "policy_created"
                                                 : "policy_changed",
                             put->policy.name, detail);
}

static void put_policy(struct http_request *request, struct api_service *service,
                       struct policy_put *put)
{
    int r = policy_check_parent(put->policy.name, put->policy.text, put->parent, &put->error);
    put->policy.parent = put->parent;
    if (r == 0)
        r = console_store_read(service->store, check_policy, put);
    if (r == -EINVAL) {
        http_respond_problem(request, 422, "policy_refused", "%s", put->error.text);
        return;
    }
    if (r == 0)
        r = console_store_write(service->store, store_policy, put);
    if (r < 0) {
        api_respond_error(request, r);
        return;
    }
    struct policy_get get = {.name = put->policy.name};
    respond_policy(request, service, &get, put->expected < 0 ? 201 : 200);
}

static bool may_change_policies(struct http_request *request)
{
    return api_sees_all(request, "change policies");
}

void api_policy_put(struct http_request *request, void *user)
{
    static const char *const names[] = {"text", NULL};
    struct policy_put put = {.request = request, .service = user};
    put.policy.name = http_request_segment(request, 0);
    if (!may_change_policies(request))
        return;
    if (!api_is_policy_name(put.policy.name)) {
        http_respond_problem(request, 400, "bad_name",
                             "a policy's name is 1 to 64 of letters, digits, '.', '_' and '-'");
        return;
    }
    if (!api_read_expected(request, &put.expected))
        return;
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!api_form_open(request, names, &form))
        return;
    put.policy.text = wire_read_text(&form.reader, "text", 0, LIMIT_SETTINGS_BYTES / 2, NULL);
    if (!api_refused(request, &form.reader))
        put_policy(request, user, &put);
}

/* --- back to an earlier revision, as a new one */

struct policy_text {
    const char *name;
    int64_t revision;
    char *text;
};

static int read_revision_text(struct sql *sql, void *user)
{
    struct policy_text *text = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT policy_revisions.text FROM policy_revisions"
                    " JOIN policies ON policies.id = policy_revisions.policy_id"
                    " WHERE policies.org_id = $1 AND policies.name = $2"
                    " AND policy_revisions.revision = $3",
                    &row, "ntn", API_ORG, text->name, text->revision);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    text->text = strdup(sql_text(row, 0));
    return text->text ? 0 : -ENOMEM;
}

/* Checked like any other text: its parents may be others now. */
void api_policy_restore(struct http_request *request, void *user)
{
    struct api_service *service = user;
    struct policy_put put = {.request = request, .service = service, .restored = true};
    struct policy_text text = {.name = http_request_segment(request, 0)};
    if (!may_change_policies(request) ||
        !parse_revision(request, http_request_segment(request, 1), &text.revision) ||
        !api_read_expected(request, &put.expected))
        return;
    int r = console_store_read(service->store, read_revision_text, &text);
    AUTO_FREE char *owned = text.text;
    put.policy.name = text.name;
    put.policy.text = owned;
    if (r < 0)
        api_respond_error(request, r);
    else
        put_policy(request, service, &put);
}

static int delete_policy(struct sql *sql, void *user)
{
    struct http_request *request = user;
    const char *name = http_request_segment(request, 0);
    int r = policy_store_delete(sql, name);
    return r < 0 ? r : api_audit(sql, request, "policy_deleted", name, "");
}

void api_policy_delete(struct http_request *request, void *user)
{
    struct api_service *service = user;
    int r = api_viewer(request)->group_count > 0
                ? -ENOENT
                : console_store_write(service->store, delete_policy, request);
    api_respond_done(request, r);
}

/* --- effective values */

struct effective {
    const char *name;
    const struct api_service *service;
    struct buffer values;
    struct settings_error error;
};

static int read_effective(struct sql *sql, void *user)
{
    struct effective *effective = user;
    return policy_check_effective(sql, effective->name, effective->service->scratch_directory,
                                  &effective->values, &effective->error);
}

void api_policy_effective(struct http_request *request, void *user)
{
    struct api_service *service = user;
    struct effective effective = {.name = http_request_segment(request, 0),
                                  .service = service,
                                  .values = BUFFER_WITH_MAXIMUM(8 * LIMIT_SETTINGS_BYTES)};
    int r = console_store_read(service->store, read_effective, &effective);
    if (r == -EINVAL) {
        http_respond_problem(request, 422, "policy_refused", "%s", effective.error.text);
    } else if (r < 0) {
        api_respond_error(request, r);
    } else {
        AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(9 * LIMIT_SETTINGS_BYTES);
        struct json_writer json;
        json_writer_init(&json, &body);
        json_write_object_begin(&json);
        json_write_field_string(&json, "name", effective.name);
        json_write_key(&json, "values");
        json_write_raw(&json, buffer_text(&effective.values));
        json_write_object_end(&json);
        http_respond_buffer(request, 200, "application/json", &body);
    }
    buffer_done(&effective.values);
}
