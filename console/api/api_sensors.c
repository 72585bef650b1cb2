/* Owns sensors that are not hosts as people see them. */
#include "common/text/text.h"
#include "console/api/api_internal.h"
#include "console/policies/policy_store.h"
#include "console/sensors/sensor_store.h"

#include <errno.h>

static const struct list_column SENSOR_COLUMNS[] = {
    {"id", LIST_TEXT},
    {"kind", LIST_TEXT},
    {"name", LIST_TEXT},
    {"status", LIST_TEXT},
    {"version", LIST_TEXT},
    {"account", LIST_TEXT},
    {"region", LIST_TEXT},
    {"arn", LIST_TEXT},
    {"runtime", LIST_TEXT},
    {"host", LIST_TEXT},
    {"address", LIST_TEXT},
    {"group", LIST_TEXT},
    {"policy", LIST_TEXT},
    {"effective_policy", LIST_TEXT},
    {"policy_in_force", LIST_BOOL},
    {"policy_problem", LIST_TEXT},
    {"key", LIST_TEXT},
    {"first_seen", LIST_TIME},
    {"last_seen", LIST_TIME},
    {"facts", LIST_JSON},
};

/* Functions are silent while nobody calls them: that is no fault, so it has a word of its own. */
static void begin_select(struct query *query, int64_t online_after_ms)
{
    query_add(
        query,
        "SELECT cursor_key, id, kind, name, status, version, account, region, arn, runtime,"
        " host, address, group_name, policy_name, effective_policy, policy_in_force, applied_problem, key_name,"
        " first_seen_ms, last_seen_ms, facts FROM (SELECT sensors.name || ' ' || sensors.id"
        " AS cursor_key, sensors.*, groups.name AS group_name,"
        " policies.name AS policy_name, sensor_keys.name AS key_name,"
        " " EFFECTIVE_POLICY_NAME(
            "sensors") " AS effective_policy,"
                       " CASE WHEN sensors.policy_digest = sensors.applied_digest THEN 1 ELSE 0 END"
                       " AS policy_in_force, CASE WHEN sensors.last_seen_ms >= ");
    query_add_number(query, online_after_ms);
    query_add(query, " THEN 'reporting' ELSE 'silent' END AS status FROM sensors"
                     " LEFT JOIN groups ON groups.id = sensors.group_id"
                     " LEFT JOIN policies ON policies.id = sensors.policy_id"
                     " LEFT JOIN sensor_keys ON sensor_keys.id = sensors.key_id"
                     " WHERE sensors.org_id = ");
    query_add_number(query, API_ORG);
}

static void add_name(struct query *query, const char *name)
{
    char end[260];
    (void)text_format(end, sizeof(end), "%s\xf4\x8f\xbf\xbf", name);
    query_add(query, " AND sensors.name >= ");
    query_add_text(query, name);
    query_add(query, " AND sensors.name < ");
    query_add_text(query, end);
}

static int build_sensors(const struct list_page *page, struct query *query)
{
    char kind[32], group[129], status[32], name[254];
    const struct {
        const char *filter, *column;
        char *value;
        size_t size;
    } filters[] = {{"kind", " AND kind = ", kind, sizeof(kind)},
                   {"group", " AND group_name = ", group, sizeof(group)},
                   {"status", " AND status = ", status, sizeof(status)}};
    begin_select(query, page->online_after_ms);
    viewer_limit_groups(page->viewer, "sensors.group_id", &query->text);
    int r = list_filter(page, "name", name, sizeof(name));
    if (r == 1)
        add_name(query, name);
    query_add(query, ") AS listed WHERE 1 = 1");
    for (size_t i = 0; r >= 0 && i < ARRAY_LENGTH(filters); i++) {
        r = list_filter(page, filters[i].filter, filters[i].value, filters[i].size);
        if (r == 1) {
            query_add(query, filters[i].column);
            query_add_text(query, filters[i].value);
        }
    }
    if (r < 0)
        return r;
    list_end_by_text(page, query, "cursor_key");
    return 0;
}

static const char *const SENSOR_FILTERS[] = {"kind", "group", "status", "name", NULL};
static const struct list SENSORS = {.name = "sensors",
                                    .columns = SENSOR_COLUMNS,
                                    .column_count = ARRAY_LENGTH(SENSOR_COLUMNS),
                                    .cursor_is_text = true,
                                    .filters = SENSOR_FILTERS,
                                    .build = build_sensors};

void api_sensors(struct http_request *request, void *user)
{
    api_list(request, user, &SENSORS);
}

int api_sensor_write(struct sql *sql, const struct api_service *service, int64_t number,
                     struct buffer *output)
{
    AUTO_QUERY struct query query;
    query_init(&query);
    begin_select(&query, api_online_after(service));
    query_add(&query, " AND sensors.number = ");
    query_add_number(&query, number);
    query_add(&query, ") AS listed");
    return list_write_one(&SENSORS, &query, sql, output);
}

struct sensor_read {
    struct http_request *request;
    const struct api_service *service;
    struct buffer body;
};

static int read_sensor(struct sql *sql, void *user)
{
    struct sensor_read *read = user;
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    begin_select(&query, api_online_after(read->service));
    viewer_limit_groups(api_viewer(read->request), "sensors.group_id", &query.text);
    query_add(&query, " AND sensors.id = ");
    query_add_text(&query, http_request_segment(read->request, 0));
    query_add(&query, ") AS listed");
    int r = query_prepare(&query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r != 1)
        return r < 0 ? r : -ENOENT;
    struct json_writer json;
    json_writer_init(&json, &read->body);
    list_write_row(&json, &SENSORS, row);
    return 0;
}

void api_sensor(struct http_request *request, void *user)
{
    struct api_service *service = user;
    struct sensor_read read = {.request = request,
                               .service = service,
                               .body = BUFFER_WITH_MAXIMUM(262144)};
    int r = console_store_read(service->store, read_sensor, &read);
    if (r < 0)
        api_respond_error(request, r);
    else
        http_respond_buffer(request, 200, "application/json", &read.body);
    buffer_done(&read.body);
}

/* The number behind the path's id, of a sensor the viewer sees. -ENOENT. */
static int find_number(struct sql *sql, const struct http_request *request, int64_t *ret_number)
{
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    query_add(&query, "SELECT number FROM sensors WHERE id = ");
    query_add_text(&query, http_request_segment(request, 0));
    viewer_limit_groups(api_viewer(request), "group_id", &query.text);
    int r = query_prepare(&query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r == 1)
        *ret_number = sql_number(row, 0);
    return r < 0 ? r : r == 1 ? 0 : -ENOENT;
}

struct sensor_work {
    struct http_request *request;
    const char *policy;
};

static int change_sensor(struct sql *sql, void *user)
{
    struct sensor_work *work = user;
    char policy_id[UUID_TEXT_BYTES] = "";
    int64_t number;
    int r = find_number(sql, work->request, &number);
    if (r == 0)
        r = api_find_policy(sql, work->policy, policy_id);
    if (r == 0)
        r = sql_run(sql, "UPDATE sensors SET policy_id = $1 WHERE number = $2", NULL, "tn",
                    policy_id[0] ? policy_id : NULL, number);
    if (r == 0)
        r = policy_store_assign_sensor(sql, number);
    return r < 0 ? r
                 : api_audit(sql, work->request, "sensor_changed",
                             http_request_segment(work->request, 0), "");
}

void api_sensor_change(struct http_request *request, void *user)
{
    static const char *const names[] = {"policy", NULL};
    struct api_service *service = user;
    AUTO_FORM struct api_form form = {.body = NULL};
    if (!api_form_open(request, names, &form))
        return;
    struct sensor_work work = {.request = request};
    work.policy = wire_read_text(&form.reader, "policy", 0, 128, NULL);
    if (!api_refused(request, &form.reader))
        api_respond_done(request, console_store_write(service->store, change_sensor, &work));
}

static int delete_sensor(struct sql *sql, void *user)
{
    struct http_request *request = user;
    int64_t number;
    int r = find_number(sql, request, &number);
    return r < 0 ? r
                 : sensor_remove(sql, number, api_viewer(request)->actor,
                                 http_request_address(request), "sensor_deleted");
}

void api_sensor_delete(struct http_request *request, void *user)
{
    struct api_service *service = user;
    api_respond_done(request, console_store_write(service->store, delete_sensor, request));
}
