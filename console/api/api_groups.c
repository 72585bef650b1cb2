/* Owns groups over the API. */
#include "common/text/text.h"
#include "console/api/api_internal.h"
#include "console/policies/policy_store.h"

#include <errno.h>

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
                " SELECT 1 FROM signature_lists WHERE group_id = $1 UNION ALL"
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
