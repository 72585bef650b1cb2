/* Owns what the console says about itself: health, metrics, facts for agents, overview. */
#include "common/sentences/sentences.h"
#include "common/text/text.h"
#include "console/agents/waiting_agents.h"
#include "console/alerts/alert_engine.h"
#include "console/alerts/alert_store.h"
#include "console/api/api_internal.h"
#include "console/stream/stream_hub.h"

#include <errno.h>

#define HOUR_MS 3600000LL

extern const char openapi_begin[], openapi_end[];

void api_openapi(struct http_request *request, void *user UNUSED)
{
    http_respond(request, 200, "application/json", openapi_begin,
                 (size_t)(openapi_end - openapi_begin));
}

/* English sentences of console and agents, each with its translation. */
void api_sentences(struct http_request *request, void *user UNUSED)
{
    size_t length;

    const char *sentences = sentences_japanese(&length);
    if (text_equal(http_request_segment(request, 0), "ja"))
        http_respond(request, 200, "application/json", sentences, length);
    else
        api_respond_error(request, -ENOENT);
}

void api_health(struct http_request *request, void *user)
{
    struct api_service *service = user;
    struct console_store_status status;
    console_store_status(service->store, &status);
    if (status.problem < 0)
        http_respond_problem(request, 503, "store_failed", "the last commit failed: %s; %s",
                             strerrordesc_np(-status.problem), console_store_cure(status.problem));
    else
        api_respond_text(request, 200, "status", "good");
}

static void metric(struct buffer *body, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    (void)buffer_append_format(body,
                               "# HELP yagura_console_%s %s\n# TYPE yagura_console_%s %s\n"
                               "yagura_console_%s %llu\n",
                               name, help, name, type, name, (unsigned long long)value);
}

static int read_alert_counts(struct sql *sql, void *user)
{
    return alert_count(sql, NULL, user);
}

/* Without them when the store is not well. */
static void write_alert_gauges(struct api_service *service, struct buffer *body)
{
    struct alert_counts counts;
    if (console_store_read(service->store, read_alert_counts, &counts) < 0)
        return;
    metric(body, "alerts_open", "gauge", "Alerts nobody has acknowledged.", (uint64_t)counts.open);
    metric(body, "alerts_acknowledged", "gauge", "Alerts acknowledged and not resolved.",
           (uint64_t)counts.acknowledged);
}

void api_metrics(struct http_request *request, void *user)
{
    struct api_service *service = user;
    struct agent_service *agents = service->agents;
    struct console_store_status status;
    if (!api_sees_all(request, "read metrics, which are of all groups"))
        return;
    console_store_status(service->store, &status);
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    metric(&body, "heartbeats_total", "counter", "Heartbeats taken.",
           atomic_load(&agents->heartbeats));
    metric(&body, "heartbeats_without_write_total", "counter",
           "Heartbeats answered without a transaction.", atomic_load(&agents->fast_heartbeats));
    metric(&body, "events_total", "counter", "Events delivered, repeated ones too.",
           atomic_load(&agents->events));
    metric(&body, "activations_total", "counter", "Computers activated.",
           atomic_load(&agents->activations));
    metric(&body, "activations_refused_total", "counter", "Activations refused.",
           atomic_load(&agents->refused));
    struct waiting_agents_status waiting;
    waiting_agents_status(agents->waiting, &waiting);
    metric(&body, "agents_waiting", "gauge", "Agents that wait for news.", waiting.waiting);
    metric(&body, "agents_woken_total", "counter", "Agents told that there is something new.",
           waiting.woken);
    metric(&body, "agents_not_waiting_total", "counter", "Requests to wait refused: too many.",
           waiting.refused);
    metric(&body, "transactions_total", "counter", "Transactions of the writer.",
           status.transactions);
    metric(&body, "transactions_failed_total", "counter", "Transactions that failed.",
           status.failures);
    metric(&body, "writes_total", "counter", "Pieces of work in those transactions.", status.works);
    struct stream_hub_status stream;
    stream_hub_status(api_stream_hub(service->stream), &stream);
    metric(&body, "stream_clients", "gauge", "Listeners of live changes.", stream.clients);
    metric(&body, "stream_messages_total", "counter", "Changes put into their queues.",
           stream.messages);
    metric(&body, "stream_resyncs_total", "counter",
           "How often one was told to read its lists again.", stream.resyncs);
    metric(&body, "stream_refused_total", "counter", "Listeners refused: too many.",
           stream.refused);
    struct alert_engine_status alerts;
    alert_engine_status(service->alerts, &alerts);
    metric(&body, "alert_events_total", "counter", "Events compared with the alert rules.",
           alerts.events);
    metric(&body, "alerts_raised_total", "counter", "Alerts opened.", alerts.raised);
    metric(&body, "alert_failures_total", "counter", "Looks for alerts that failed.",
           alerts.failures);
    write_alert_gauges(service, &body);
    if (console_store_read(service->store, api_destination_metrics, &body) < 0)
        (void)buffer_append_text(&body, "# the destinations cannot be read now\n");
    metric(&body, "server_certificate_expires_seconds", "gauge",
           "When the server certificate expires, in seconds since 1970.",
           (uint64_t)service->identity->server_expires_s);
    http_respond_buffer(request, 200, "text/plain; version=0.0.4", &body);
}

void api_about(struct http_request *request, void *user)
{
    const struct api_service *service = user;
    AUTO_BUFFER struct buffer body = BUFFER_WITH_MAXIMUM(65536);
    struct signing_key_facts signing;
    signing_key_facts(service->identity->signing, &signing);
    struct json_writer json;
    json_writer_init(&json, &body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "version", YAGURA_VERSION);
    json_write_field_string(&json, "tenant_id", service->tenant_id);
    json_write_field_string(&json, "ca_pin", service->identity->pin);
    json_write_field_string(&json, "authority", service->identity->authority_pem);
    json_write_field_string(&json, "signing_key_id", signing.id);
    json_write_field_string(&json, "signing_key", signing.text);
    json_write_field_unsigned(&json, "agents_port", service->agents_port);
    json_write_field_unsigned(&json, "heartbeat_seconds", service->heartbeat_seconds);
    json_write_field_unsigned(&json, "certificate_seconds", service->agents->certificate_seconds);
    json_write_object_end(&json);
    http_respond_buffer(request, 200, "application/json", &body);
}

/* --- overview: counts of computers by status, and of events of a day from the hourly roll-up */

struct overview {
    struct http_request *request;
    int64_t online_after_ms;
    struct buffer body;
};

static int count_computers(struct sql *sql, const struct overview *overview,
                           struct json_writer *json)
{
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    query_add(&query,
              "SELECT count(*), COALESCE(sum(CASE WHEN state = 'active' AND last_seen_ms >= ");
    query_add_number(&query, overview->online_after_ms);
    query_add(&query, " THEN 1 ELSE 0 END), 0), COALESCE(sum(CASE WHEN state = 'deactivated'"
                      " THEN 1 ELSE 0 END), 0), COALESCE(sum(CASE WHEN state = 'active' AND"
                      " policy_digest <> applied_digest THEN 1 ELSE 0 END), 0)"
                      " FROM computers WHERE org_id = ");
    query_add_number(&query, API_ORG);
    viewer_limit_groups(api_viewer(overview->request), "group_id", &query.text);
    int r = query_prepare(&query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r != 1)
        return r < 0 ? r : -EIO;
    json_write_key(json, "computers");
    json_write_object_begin(json);
    json_write_field_number(json, "all", sql_number(row, 0));
    json_write_field_number(json, "online", sql_number(row, 1));
    json_write_field_number(json, "deactivated", sql_number(row, 2));
    json_write_field_number(json, "offline",
                            sql_number(row, 0) - sql_number(row, 1) - sql_number(row, 2));
    json_write_field_number(json, "policy_pending", sql_number(row, 3));
    json_write_object_end(json);
    return 0;
}

static int count_sensors(struct sql *sql, const struct overview *overview, struct json_writer *json)
{
    AUTO_QUERY struct query query;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    query_init(&query);
    query_add(&query, "SELECT COALESCE(sum(CASE WHEN kind = 'storage' THEN 1 ELSE 0 END), 0),"
                      " COALESCE(sum(CASE WHEN kind = 'application' THEN 1 ELSE 0 END), 0)"
                      " FROM sensors WHERE org_id = ");
    query_add_number(&query, API_ORG);
    viewer_limit_groups(api_viewer(overview->request), "group_id", &query.text);
    int r = query_prepare(&query, sql, &row);
    if (r == 0)
        r = sql_step(row);
    if (r != 1)
        return r < 0 ? r : -EIO;
    json_write_key(json, "sensors");
    json_write_object_begin(json);
    json_write_field_number(json, "storage", sql_number(row, 0));
    json_write_field_number(json, "application", sql_number(row, 1));
    json_write_object_end(json);
    return 0;
}

static int count_events(struct sql *sql, struct json_writer *json)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT module, severity, sum(count) FROM event_counts WHERE org_id = $1"
                    " AND hour > $2 GROUP BY module, severity ORDER BY module, severity",
                    &row, "nn", API_ORG, console_store_now_ms() / HOUR_MS - 24);
    json_write_key(json, "events_24h");
    json_write_array_begin(json);
    for (; r == 1; r = sql_step(row)) {
        const char *severity = wire_severity_name((unsigned)sql_number(row, 1));
        json_write_object_begin(json);
        json_write_field_string(json, "module", sql_text(row, 0));
        json_write_field_string(json, "severity", severity ? severity : "info");
        json_write_field_number(json, "count", sql_number(row, 2));
        json_write_object_end(json);
    }
    json_write_array_end(json);
    return r;
}

/* Events of the 24 hours before those of events_24h: what has changed. */
static int count_events_before(struct sql *sql, struct json_writer *json)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int64_t hour = console_store_now_ms() / HOUR_MS;
    int r = sql_run(sql,
                    "SELECT severity, sum(count) FROM event_counts WHERE org_id = $1 AND hour > $2"
                    " AND hour <= $3 GROUP BY severity ORDER BY severity",
                    &row, "nnn", API_ORG, hour - 48, hour - 24);
    json_write_key(json, "events_24h_before");
    json_write_array_begin(json);
    for (; r == 1; r = sql_step(row)) {
        const char *severity = wire_severity_name((unsigned)sql_number(row, 0));
        json_write_object_begin(json);
        json_write_field_string(json, "severity", severity ? severity : "info");
        json_write_field_number(json, "count", sql_number(row, 1));
        json_write_object_end(json);
    }
    json_write_array_end(json);
    return r;
}

static int count_alerts(struct sql *sql, const struct overview *overview, struct json_writer *json)
{
    struct alert_counts counts;
    int r = alert_count(sql, api_viewer(overview->request), &counts);
    json_write_key(json, "alerts");
    json_write_object_begin(json);
    json_write_field_number(json, "open", counts.open);
    json_write_field_number(json, "acknowledged", counts.acknowledged);
    json_write_object_end(json);
    return r;
}

static int read_overview(struct sql *sql, void *user)
{
    struct overview *overview = user;
    struct json_writer json;
    json_writer_init(&json, &overview->body);
    json_write_object_begin(&json);
    int r = count_computers(sql, overview, &json);
    if (r == 0)
        r = count_sensors(sql, overview, &json);
    /* The roll-up knows no groups: who is limited to some does not see counts of all. */
    if (r == 0 && api_viewer(overview->request)->group_count == 0)
        r = count_events(sql, &json);
    if (r == 0 && api_viewer(overview->request)->group_count == 0)
        r = count_events_before(sql, &json);
    if (r == 0)
        r = count_alerts(sql, overview, &json);
    json_write_object_end(&json);
    return r;
}

void api_overview(struct http_request *request, void *user)
{
    struct api_service *service = user;
    struct overview overview = {.request = request,
                                .online_after_ms = api_online_after(service),
                                .body = BUFFER_WITH_MAXIMUM(65536)};
    int r = console_store_read(service->store, read_overview, &overview);
    if (r < 0)
        api_respond_error(request, r);
    else
        http_respond_buffer(request, 200, "application/json", &overview.body);
    buffer_done(&overview.body);
}
