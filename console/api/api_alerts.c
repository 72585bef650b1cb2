/* Owns alerts over the API: list, one, acknowledge, resolve. */
#include "common/text/text.h"
#include "console/alerts/alert_store.h"
#include "console/api/api_internal.h"

#include <errno.h>

#define NOTE_BYTES 1024

static const struct list_column ALERT_COLUMNS[] = {
    {"number", LIST_NUMBER},     {"rule_id", LIST_TEXT},
    {"rule", LIST_TEXT},         {"severity", LIST_SEVERITY},
    {"computer", LIST_TEXT},     {"hostname", LIST_TEXT},
    {"subject", LIST_TEXT},      {"detail", LIST_JSON},
    {"state", LIST_TEXT},        {"count", LIST_NUMBER},
    {"first", LIST_TIME},        {"last", LIST_TIME},
    {"acknowledged", LIST_TIME}, {"acknowledged_by", LIST_TEXT},
    {"resolved", LIST_TIME},     {"resolved_by", LIST_TEXT},
    {"note", LIST_TEXT},
};

void api_alert_select(struct query *query)
{
    query_add(
        query,
        "SELECT alerts.number, alerts.number, alerts.rule_id, alerts.rule, alerts.severity,"
        " computers.id, COALESCE(computers.hostname, sensors.name), alerts.subject, alerts.detail, alerts.state,"
        " alerts.count, alerts.first_ms, alerts.last_ms, alerts.acknowledged_ms,"
        " alerts.acknowledged_by, alerts.resolved_ms, alerts.resolved_by, alerts.note,"
        " COALESCE(computers.group_id, sensors.group_id), computers.id, alerts.changed"
        " FROM alerts LEFT JOIN computers ON computers.number = alerts.computer"
        " LEFT JOIN sensors ON sensors.number = alerts.computer WHERE ");
}

int api_alert_group_column(void)
{
    return (int)ARRAY_LENGTH(ALERT_COLUMNS) + 1;
}

/* state: one of the three, or unresolved. */
static int add_state(const struct list_page *page, struct query *query)
{
    static const struct {
        const char *name, *sql;
    } states[] = {{"open", " AND alerts.state = 'open'"},
                  {"acknowledged", " AND alerts.state = 'acknowledged'"},
                  {"resolved", " AND alerts.state = 'resolved'"},
                  {"unresolved", " AND alerts.state IN ('open', 'acknowledged')"}};
    char state[32];
    int r = list_filter(page, "state", state, sizeof(state));
    if (r <= 0)
        return r;
    for (size_t i = 0; i < ARRAY_LENGTH(states); i++) {
        if (text_equal(states[i].name, state)) {
            query_add(query, states[i].sql);
            return 0;
        }
    }
    http_respond_problem(page->request, 400, "bad_filter",
                         "state must be open, acknowledged, resolved or unresolved");
    return -EINVAL;
}

static int build_alerts(const struct list_page *page, struct query *query)
{
    char rule[UUID_TEXT_BYTES], computer[UUID_TEXT_BYTES];
    int with_rule = list_filter(page, "rule", rule, sizeof(rule));
    int with_computer =
        with_rule < 0 ? with_rule : list_filter(page, "computer", computer, sizeof(computer));
    if (with_computer < 0)
        return with_computer;
    api_alert_select(query);
    query_add(query, "alerts.org_id = ");
    query_add_number(query, API_ORG);
    viewer_limit_computers(page->viewer, "alerts.computer", &query->text);
    int r = add_state(page, query);
    if (with_rule) {
        query_add(query, " AND alerts.rule_id = ");
        query_add_text(query, rule);
    }
    if (with_computer) {
        query_add(query, " AND alerts.computer = (SELECT number FROM computers WHERE id = ");
        query_add_text(query, computer);
        query_add(query, ")");
    }
    list_end_by_number_descending(page, query, "alerts.number");
    return r;
}

static const char *const ALERT_FILTERS[] = {"state", "rule", "computer", NULL};
static const struct list ALERTS = {.name = "alerts",
                                   .columns = ALERT_COLUMNS,
                                   .column_count = ARRAY_LENGTH(ALERT_COLUMNS),
                                   .filters = ALERT_FILTERS,
                                   .build = build_alerts};

void api_alert_write(struct json_writer *json, struct sql_statement *row)
{
    list_write_row(json, &ALERTS, row);
}

void api_alerts(struct http_request *request, void *user)
{
    api_list(request, user, &ALERTS);
}

/* --- one */

struct alert_read {
    const struct http_request *request;
    int64_t number;
    struct buffer body;
};

static int read_alert(struct sql *sql, void *user)
{
    struct alert_read *read = user;
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    api_alert_select(&query);
    query_add(&query, "alerts.number = ");
    query_add_number(&query, read->number);
    viewer_limit_computers(api_viewer(read->request), "alerts.computer", &query.text);
    int r = query_prepare(&query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    struct json_writer json;
    json_writer_init(&json, &read->body);
    api_alert_write(&json, row);
    return 0;
}

static int parse_number(const struct http_request *request, int64_t *ret_number)
{
    uint64_t number = 0;
    if (text_parse_u64(http_request_segment(request, 0), &number) < 0 || number > INT64_MAX)
        return -ENOENT;
    *ret_number = (int64_t)number;
    return 0;
}

static void respond_alert(struct http_request *request, struct api_service *service)
{
    struct alert_read read = {.request = request, .body = BUFFER_WITH_MAXIMUM(65536)};
    int r = parse_number(request, &read.number);
    if (r == 0)
        r = console_store_read(service->store, read_alert, &read);
    if (r < 0)
        api_respond_error(request, r);
    else
        http_respond_buffer(request, 200, "application/json", &read.body);
    buffer_done(&read.body);
}

void api_alert(struct http_request *request, void *user)
{
    respond_alert(request, user);
}

/* --- acknowledge, resolve */

struct settle {
    const struct http_request *request;
    struct alert_change change;
};

static int settle_work(struct sql *sql, void *user)
{
    const struct settle *settle = user;
    int r = alert_change(sql, &settle->change, api_viewer(settle->request));
    return r < 0 ? r
                 : api_audit(sql, settle->request,
                             settle->change.state == ALERT_RESOLVED ? "alert_resolved"
                                                                    : "alert_acknowledged",
                             http_request_segment(settle->request, 0), "");
}

static void settle_alert(struct http_request *request, struct api_service *service,
                         enum alert_state state)
{
    static const char *const names[] = {"note", NULL};
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!api_form_open(request, names, &form))
        return;
    struct settle settle = {request,
                            {.state = state,
                             .by = api_viewer(request)->actor,
                             .note = wire_read_text(&form.reader, "note", 0, NOTE_BYTES, "")}};
    if (!api_refused(request, &form.reader)) {
        int r = parse_number(request, &settle.change.number);
        if (r == 0)
            r = console_store_write(service->store, settle_work, &settle);
        if (r == -EALREADY)
            http_respond_problem(request, 409, "settled_already",
                                 "somebody has done this already; read the alert again");
        else if (r < 0)
            api_respond_error(request, r);
        else
            respond_alert(request, service);
    }
}

void api_alert_acknowledge(struct http_request *request, void *user)
{
    settle_alert(request, user, ALERT_ACKNOWLEDGED);
}

void api_alert_resolve(struct http_request *request, void *user)
{
    settle_alert(request, user, ALERT_RESOLVED);
}
