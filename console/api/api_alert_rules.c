/* Owns the rules of alerts over the API. What a condition is: console/alerts/alert_rules.h. */
#include "common/text/text.h"
#include "console/alerts/alert_rules.h"
#include "console/api/api_internal.h"

#include <errno.h>

static const struct list_column RULE_COLUMNS[] = {
    {"id", LIST_TEXT},         {"name", LIST_TEXT},      {"severity", LIST_SEVERITY},
    {"enabled", LIST_BOOL},    {"condition", LIST_JSON}, {"created", LIST_TIME},
    {"created_by", LIST_TEXT}, {"open", LIST_NUMBER},
};

static int build_rules(const struct list_page *page, struct query *query)
{
    query_add(query, "SELECT alert_rules.id, alert_rules.id, alert_rules.name,"
                     " alert_rules.severity, alert_rules.enabled, alert_rules.condition,"
                     " alert_rules.created_ms, alert_rules.created_by, (SELECT count(*) FROM alerts"
                     " WHERE alerts.rule_id = alert_rules.id AND alerts.state = 'open'");
    viewer_limit_computers(page->viewer, "alerts.computer", &query->text);
    query_add(query, ") FROM alert_rules WHERE alert_rules.org_id = ");
    query_add_number(query, API_ORG);
    list_end_by_text(page, query, "alert_rules.id");
    return 0;
}

static const struct list RULES = {.name = "rules",
                                  .columns = RULE_COLUMNS,
                                  .column_count = ARRAY_LENGTH(RULE_COLUMNS),
                                  .cursor_is_text = true,
                                  .build = build_rules};

void api_alert_rules(struct http_request *request, void *user)
{
    api_list(request, user, &RULES);
}

struct rule_work {
    struct http_request *request;
    const char *name, *condition; /* NULL: as it is */
    int severity, enabled;        /* -1: as it is */
    char id[UUID_TEXT_BYTES];
};

static bool may_change_rules(struct http_request *request)
{
    return api_sees_all(request, "change rules");
}

static int create_rule(struct sql *sql, void *user)
{
    struct rule_work *work = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT count(*) FROM alert_rules", &row, "");
    if (r == 1)
        r = sql_number(row, 0) >= ALERT_RULES_MAXIMUM ? -EXFULL : uuid_new(work->id);
    if (r == 0)
        r = sql_run(sql,
                    "INSERT INTO alert_rules (id, org_id, name, severity, enabled, condition,"
                    " created_ms, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    NULL, "tntnntnt", work->id, API_ORG, work->name, (int64_t)work->severity,
                    (int64_t)(work->enabled != 0), work->condition, console_store_now_ms(),
                    api_viewer(work->request)->actor);
    return r < 0 ? r : api_audit(sql, work->request, "alert_rule_created", work->name, "");
}

static int find_rule(struct sql *sql, const char *id, char ret_name[static 129])
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT name FROM alert_rules WHERE id = $1", &row, "t", id);
    if (r == 1)
        (void)text_copy(ret_name, 129, sql_text(row, 0));
    return r < 0 ? r : r == 1 ? 0 : -ENOENT;
}

static int change_rule(struct sql *sql, void *user)
{
    const struct rule_work *work = user;
    const char *id = http_request_segment(work->request, 0);
    char name[129];
    int r = find_rule(sql, id, name);
    if (r == 0 && work->name)
        r = sql_run(sql, "UPDATE alert_rules SET name = $1 WHERE id = $2", NULL, "tt", work->name,
                    id);
    if (r == 0 && work->condition)
        r = sql_run(sql, "UPDATE alert_rules SET condition = $1 WHERE id = $2", NULL, "tt",
                    work->condition, id);
    if (r == 0 && work->severity >= 0)
        r = sql_run(sql, "UPDATE alert_rules SET severity = $1 WHERE id = $2", NULL, "nt",
                    (int64_t)work->severity, id);
    if (r == 0 && work->enabled >= 0)
        r = sql_run(sql, "UPDATE alert_rules SET enabled = $1 WHERE id = $2", NULL, "nt",
                    (int64_t)work->enabled, id);
    return r < 0 ? r : api_audit(sql, work->request, "alert_rule_changed", name, "");
}

/* Its alerts stay until somebody resolves them. */
static int delete_rule(struct sql *sql, void *user)
{
    struct http_request *request = user;
    const char *id = http_request_segment(request, 0);
    char name[129];
    int r = find_rule(sql, id, name);
    if (r == 0)
        r = sql_run(sql, "DELETE FROM alert_rules WHERE id = $1", NULL, "t", id);
    return r < 0 ? r : api_audit(sql, request, "alert_rule_deleted", name, "");
}

/* The condition as it will be stored, or NULL with the reader's failure. */
static char *read_condition(struct wire_reader *reader)
{
    struct alert_condition condition;
    const json_t *object = wire_read_object(reader, "condition", false);
    if (reader->error)
        return NULL;
    reader->error = alert_condition_read(object, &condition, reader->problem);
    return reader->error ? NULL : json_dumps(object, JSON_COMPACT);
}

static bool read_rule(struct http_request *request, json_t *body, bool create,
                      struct rule_work *work, char **ret_condition)
{
    struct wire_problem problem;
    struct wire_reader reader = wire_reader_of(body, &problem);
    work->severity = -1;
    if (create || json_object_get(body, "name"))
        work->name = wire_read_text(&reader, "name", 1, 128, NULL);
    if (create || json_object_get(body, "severity")) {
        unsigned severity = 0;
        const char *text = wire_read_text(&reader, "severity", 1, 16, NULL);
        if (!reader.error && wire_severity_parse(text, &severity) < 0)
            wire_fail(&reader, "severity must be info, low, medium, high or critical");
        work->severity = (int)severity;
    }
    work->enabled =
        json_object_get(body, "enabled") ? wire_read_bool(&reader, "enabled", true) : -1;
    *ret_condition = create || json_object_get(body, "condition") ? read_condition(&reader) : NULL;
    work->condition = *ret_condition;
    if (!reader.error && work->name && !api_is_name(work->name))
        wire_fail(&reader, "name must be printable, without blanks around it");
    return !api_refused(request, &reader);
}

static const char *const RULE_NAMES[] = {"name", "severity", "enabled", "condition", NULL};

static void put_rule(struct http_request *request, struct api_service *service, bool create)
{
    json_t *body = may_change_rules(request) ? api_body(request, RULE_NAMES) : NULL;
    if (!body)
        return;
    struct rule_work work = {.request = request};
    AUTO_FREE char *condition = NULL;
    if (read_rule(request, body, create, &work, &condition)) {
        int r = console_store_write(service->store, create ? create_rule : change_rule, &work);
        if (r == -EXFULL)
            http_respond_problem(request, 409, "too_many_rules", "%d rules at most",
                                 ALERT_RULES_MAXIMUM);
        else if (r < 0)
            api_respond_error(request, r);
        else if (create)
            api_respond_text(request, 201, "id", work.id);
        else
            http_respond(request, 204, NULL, NULL, 0);
    }
    json_decref(body);
}

void api_alert_rule_create(struct http_request *request, void *user)
{
    put_rule(request, user, true);
}

void api_alert_rule_change(struct http_request *request, void *user)
{
    put_rule(request, user, false);
}

void api_alert_rule_delete(struct http_request *request, void *user)
{
    struct api_service *service = user;
    if (!may_change_rules(request))
        return;
    int r = console_store_write(service->store, delete_rule, request);
    api_respond_done(request, r);
}
