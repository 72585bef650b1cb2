/* Owns computers as people see them: list, detail, change, deactivate, delete. */
#include "common/text/text.h"
#include "console/api/api_internal.h"
#include "console/events/event_moves.h"
#include "console/events/event_store.h"
#include "console/policies/policy_store.h"
#include "console/store/agent_news.h"

#include <errno.h>

static const struct list_column COMPUTER_COLUMNS[] = {
    {"id", LIST_TEXT},
    {"hostname", LIST_TEXT},
    {"display_name", LIST_TEXT},
    {"status", LIST_TEXT},
    {"os", LIST_TEXT},
    {"agent_version", LIST_TEXT},
    {"address", LIST_TEXT},
    {"instance_id", LIST_TEXT},
    {"account", LIST_TEXT},
    {"region", LIST_TEXT},
    {"group", LIST_TEXT},
    {"policy", LIST_TEXT},
    {"effective_policy", LIST_TEXT},
    {"policy_in_force", LIST_BOOL},
    {"policy_problem", LIST_TEXT},
    {"tags", LIST_JSON},
    {"activated", LIST_TIME},
    {"last_seen", LIST_TIME},
    {"certificate_expires", LIST_TIME},
    {"facts", LIST_JSON},
};

void api_add_status(struct query *query, int64_t online_after_ms)
{
    query_add(query, "CASE WHEN computers.state = 'deactivated' THEN 'Deactivated'"
                     " WHEN computers.certificate_expires_ms <= ");
    query_add_number(query, console_store_now_ms());
    query_add(query, " THEN 'Reactivation Required' WHEN computers.last_seen_ms >= ");
    query_add_number(query, online_after_ms);
    query_add(query, " THEN 'Managed (Online)' ELSE 'Managed (Offline)' END");
}

static void begin_select(struct query *query, int64_t online_after_ms)
{
    query_add(
        query,
        "SELECT cursor_key, id, hostname, display_name, status, os, agent_version,"
        " address, instance_id, account, region, group_name, policy_name, effective_policy,"
        " policy_in_force,"
        " applied_problem, tags, activated_ms, last_seen_ms, certificate_expires_ms,"
        " facts FROM (SELECT computers.hostname || ' ' || computers.id AS cursor_key,"
        " computers.*, groups.name AS group_name, policies.name AS policy_name,"
        " " EFFECTIVE_POLICY_NAME(
            "computers") " AS effective_policy,"
                         " CASE WHEN computers.policy_digest = computers.applied_digest THEN 1 ELSE 0"
                         " END AS policy_in_force,"
                         " ");
    api_add_status(query, online_after_ms);
    query_add(query, " AS status FROM computers LEFT JOIN groups ON groups.id = computers.group_id"
                     " LEFT JOIN policies ON policies.id = computers.policy_id"
                     " WHERE computers.org_id = ");
    query_add_number(query, API_ORG);
}

static void limit_groups(struct query *query, const struct viewer *viewer)
{
    viewer_limit_groups(viewer, "computers.group_id", &query->text);
}

/* Tags are kept as a JSON array of texts, so one of them stands there between quotes. */
static int add_tag(const struct list_page *page, struct query *query)
{
    char tag[65];
    int r = list_filter(page, "tag", tag, sizeof(tag));
    if (r != 1)
        return r;
    AUTO_BUFFER struct buffer json = BUFFER_WITH_MAXIMUM(1024);
    struct json_writer writer;
    json_writer_init(&writer, &json);
    json_write_string(&writer, tag);
    query_add(query, " AND replace(computers.tags, ");
    query_add_text(query, buffer_text(&json));
    query_add(query, ", '') <> computers.tags");
    return 0;
}

static int build_computers(const struct list_page *page, struct query *query)
{
    static const char *const statuses[][2] = {{"online", "Managed (Online)"},
                                              {"offline", "Managed (Offline)"},
                                              {"reactivation_required", "Reactivation Required"},
                                              {"deactivated", "Deactivated"}};
    char group[129], policy[129], effective[129], status[64], name[254];
    int with_group = list_filter(page, "group", group, sizeof(group));
    int with_policy =
        with_group < 0 ? -EINVAL : list_filter(page, "policy", policy, sizeof(policy));
    int with_effective = with_policy < 0
                             ? -EINVAL
                             : list_filter(page, "effective_policy", effective, sizeof(effective));
    int with_status =
        with_effective < 0 ? -EINVAL : list_filter(page, "status", status, sizeof(status));
    int with_name = with_status < 0 ? -EINVAL : list_filter(page, "hostname", name, sizeof(name));
    if (with_name < 0)
        return -EINVAL;
    const char *shown = NULL;
    for (size_t i = 0; with_status && i < ARRAY_LENGTH(statuses); i++)
        if (text_equal(statuses[i][0], status))
            shown = statuses[i][1];
    if (with_status && !shown) {
        http_respond_problem(
            page->request, 400, "bad_filter",
            "status must be online, offline, reactivation_required or deactivated");
        return -EINVAL;
    }
    begin_select(query, page->online_after_ms);
    limit_groups(query, page->viewer);
    if (add_tag(page, query) < 0)
        return -EINVAL;
    if (with_name) { /* a prefix, as a range that the index by name serves */
        query_add(query, " AND computers.hostname >= ");
        query_add_text(query, name);
        query_add(query, " AND computers.hostname < ");
        char end[260];
        (void)text_format(end, sizeof(end), "%s\xf4\x8f\xbf\xbf", name);
        query_add_text(query, end);
    }
    query_add(query, ") AS listed WHERE 1 = 1");
    const struct {
        int given;
        const char *column, *value;
    } filters[] = {{with_group, " AND group_name = ", group},
                   {with_policy, " AND policy_name = ", policy},
                   {with_effective, " AND effective_policy = ", effective},
                   {with_status, " AND status = ", shown ? shown : ""},
                   {page->has_cursor, " AND cursor_key > ", page->cursor_text}};
    for (size_t i = 0; i < ARRAY_LENGTH(filters); i++) {
        if (filters[i].given) {
            query_add(query, filters[i].column);
            query_add_text(query, filters[i].value);
        }
    }
    query_add(query, " ORDER BY cursor_key LIMIT ");
    query_add_number(query, page->limit);
    return 0;
}

static const char *const COMPUTER_FILTERS[] = {"group",  "policy",   "effective_policy",
                                               "status", "hostname", "tag",
                                               NULL};
static const struct list COMPUTERS = {.name = "computers",
                                      .columns = COMPUTER_COLUMNS,
                                      .column_count = ARRAY_LENGTH(COMPUTER_COLUMNS),
                                      .cursor_is_text = true,
                                      .filters = COMPUTER_FILTERS,
                                      .build = build_computers};

void api_computers(struct http_request *request, void *user)
{
    api_list(request, user, &COMPUTERS);
}

int api_computer_write(struct sql *sql, const struct api_service *service, int64_t number,
                       struct buffer *output)
{
    AUTO_QUERY struct query query;
    query_init(&query);
    begin_select(&query, api_online_after(service));
    query_add(&query, " AND computers.number = ");
    query_add_number(&query, number);
    query_add(&query, ") AS listed");
    return list_write_one(&COMPUTERS, &query, sql, output);
}

struct computer_read {
    struct http_request *request;
    struct api_service *service;
    struct buffer body;
};

static int read_computer(struct sql *sql, void *user)
{
    struct computer_read *read = user;
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    begin_select(&query, api_online_after(read->service));
    limit_groups(&query, api_viewer(read->request));
    query_add(&query, " AND computers.id = ");
    query_add_text(&query, http_request_segment(read->request, 0));
    query_add(&query, ") AS listed");
    int r = query_prepare(&query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    struct json_writer json;
    json_writer_init(&json, &read->body);
    list_write_row(&json, &COMPUTERS, row);
    return 0;
}

static void respond_computer(struct http_request *request, struct api_service *service)
{
    struct computer_read read = {request, service, BUFFER_WITH_MAXIMUM(262144)};
    int r = console_store_read(service->store, read_computer, &read);
    if (r < 0)
        api_respond_error(request, r);
    else
        http_respond_buffer(request, 200, "application/json", &read.body);
    buffer_done(&read.body);
}

void api_computer(struct http_request *request, void *user)
{
    respond_computer(request, user);
}

/* The number of the computer in the path, if the viewer may see it. -ENOENT. */
static int find_computer(struct sql *sql, const struct http_request *request, int64_t *ret_number,
                         char ret_hostname[static 254])
{
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    query_add(&query, "SELECT number, hostname FROM computers WHERE id = ");
    query_add_text(&query, http_request_segment(request, 0));
    limit_groups(&query, api_viewer(request));
    int r = query_prepare(&query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    *ret_number = sql_number(row, 0);
    (void)text_copy(ret_hostname, 254, sql_text(row, 1));
    return 0;
}

struct computer_change {
    struct http_request *request;
    const char *display_name, *group, *policy; /* NULL: as it is; "": none */
    const char *tags;
    bool remove;
};

static int change_computer(struct sql *sql, void *user)
{
    const struct computer_change *change = user;
    int64_t number = 0;
    char hostname[254], id[UUID_TEXT_BYTES];
    int r = find_computer(sql, change->request, &number, hostname);
    if (r == 0 && change->display_name)
        r = sql_run(sql, "UPDATE computers SET display_name = $1 WHERE number = $2", NULL, "tn",
                    change->display_name, number);
    if (r == 0 && change->tags)
        r = sql_run(sql, "UPDATE computers SET tags = $1 WHERE number = $2", NULL, "tn",
                    change->tags, number);
    if (r == 0 && change->group) {
        r = api_find_group(sql, change->group, id);
        if (r == 0 && !viewer_may_place(api_viewer(change->request), id))
            r = -ENOENT;
        if (r == 0)
            r = sql_run(sql, "UPDATE computers SET group_id = $1 WHERE number = $2", NULL, "tn",
                        id[0] ? id : NULL, number);
        if (r == 0)
            r = event_moves_begin(sql, number);
    }
    if (r == 0 && change->policy) {
        r = api_find_policy(sql, change->policy, id);
        if (r == 0)
            r = sql_run(sql, "UPDATE computers SET policy_id = $1 WHERE number = $2", NULL, "tn",
                        id[0] ? id : NULL, number);
    }
    if (r == 0)
        r = policy_store_assign(sql, number);
    if (r == 0 && (change->group || change->policy))
        r = agent_news_note(sql);
    return r == 0 ? api_audit(sql, change->request, "computer_changed", hostname, "") : r;
}

static bool is_tag(const char *text)
{
    return api_is_name(text) && strlen(text) <= 64;
}

void api_computer_change(struct http_request *request, void *user)
{
    static const char *const names[] = {"display_name", "group", "policy", "tags", NULL};
    struct api_service *service = user;
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!api_form_open(request, names, &form))
        return;
    struct computer_change change = {.request = request};
    if (json_object_get(form.body, "display_name"))
        change.display_name = wire_read_text(&form.reader, "display_name", 1, 256, NULL);
    if (json_object_get(form.body, "group"))
        change.group = wire_read_text(&form.reader, "group", 0, 128, "");
    if (json_object_get(form.body, "policy"))
        change.policy = wire_read_text(&form.reader, "policy", 0, 128, "");
    AUTO_FREE char *tags = api_read_list(&form.reader, "tags", is_tag, "texts of 1 to 64 bytes");
    change.tags = tags;
    if (!api_refused(request, &form.reader)) {
        int r = console_store_write(service->store, change_computer, &change);
        if (r < 0)
            api_respond_error(request, r);
        else
            respond_computer(request, service);
    }
}

static int deactivate(struct sql *sql, void *user)
{
    struct http_request *request = user;
    int64_t number = 0;
    char hostname[254];
    int r = find_computer(sql, request, &number, hostname);
    if (r == 0)
        r = sql_run(sql, "UPDATE computers SET state = 'deactivated' WHERE number = $1", NULL, "n",
                    number);
    if (r == 0)
        r = event_store_add_own(sql, number, "deactivated", 1, api_viewer(request)->actor, "{}");
    if (r == 0)
        r = agent_news_note(sql);
    return r == 0 ? api_audit(sql, request, "computer_deactivated", hostname, "") : r;
}

void api_computer_deactivate(struct http_request *request, void *user)
{
    struct api_service *service = user;
    int r = console_store_write(service->store, deactivate, request);
    if (r < 0)
        api_respond_error(request, r);
    else
        respond_computer(request, service);
}

/* Its events stay until retention takes them; they then belong to no computer, and no group. */
static int delete_computer(struct sql *sql, void *user)
{
    struct http_request *request = user;
    int64_t number = 0;
    char hostname[254];
    int r = find_computer(sql, request, &number, hostname);
    static const char *const statements[] = {"DELETE FROM commands WHERE computer = $1",
                                             "DELETE FROM deliveries WHERE computer = $1",
                                             "DELETE FROM computers WHERE number = $1"};
    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(statements); i++)
        r = sql_run(sql, statements[i], NULL, "n", number);
    if (r == 0)
        r = event_moves_begin(sql, number);
    if (r == 0)
        r = agent_news_note(sql);
    return r == 0 ? api_audit(sql, request, "computer_deleted", hostname, "") : r;
}

void api_computer_delete(struct http_request *request, void *user)
{
    struct api_service *service = user;
    int r = console_store_write(service->store, delete_computer, request);
    api_respond_done(request, r);
}
