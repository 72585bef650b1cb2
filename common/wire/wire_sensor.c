/* Owns the report of a sensor that is not a host, and its reply. Must not decide what it means. */
#include "common/limits.h"
#include "common/text/text.h"
#include "common/wire/wire_internal.h"

#include <errno.h>

bool wire_is_sensor_kind(const char *text)
{
    return text_equal(text, "storage") || text_equal(text, "application");
}

static void write_sensor(struct json_writer *json, const struct wire_sensor *sensor)
{
    const struct {
        const char *key, *value;
    } fields[] = {{"name", sensor->name},       {"version", sensor->version},
                  {"account", sensor->account}, {"region", sensor->region},
                  {"arn", sensor->arn},         {"runtime", sensor->runtime},
                  {"host", sensor->host}};
    json_write_key(json, "sensor");
    json_write_object_begin(json);
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        if (fields[i].value && fields[i].value[0])
            json_write_field_string(json, fields[i].key, fields[i].value);
    json_write_object_end(json);
}

static void read_sensor(struct wire_reader *parent, struct wire_sensor *sensor)
{
    struct wire_reader reader = wire_enter(parent, "sensor", false);
    sensor->name = wire_read_text(&reader, "name", 1, 256, NULL);
    sensor->version = wire_read_text(&reader, "version", 0, 64, "");
    sensor->account = wire_read_text(&reader, "account", 0, 32, "");
    sensor->region = wire_read_text(&reader, "region", 0, 64, "");
    sensor->arn = wire_read_text(&reader, "arn", 0, 512, "");
    sensor->runtime = wire_read_text(&reader, "runtime", 0, 64, "");
    sensor->host = wire_read_text(&reader, "host", 0, 253, "");
    wire_leave(parent, &reader);
}

int wire_sensor_report_encode(const struct wire_sensor_report *report, struct buffer *body)
{
    struct json_writer json;
    json_writer_init(&json, body);
    json_write_object_begin(&json);
    json_write_field_unsigned(&json, "protocol", WIRE_PROTOCOL);
    json_write_field_string(&json, "kind", report->sensor.kind);
    write_sensor(&json, &report->sensor);
    json_write_field_string(&json, "epoch", report->epoch);
    json_write_field_unsigned(&json, "dropped", report->dropped);
    json_write_field_string(&json, "policy_digest", report->policy_digest);
    if (report->policy_problem && report->policy_problem[0])
        json_write_field_string(&json, "policy_problem", report->policy_problem);
    if (report->facts) {
        json_write_key(&json, "facts");
        json_write_raw(&json, report->facts);
    }
    wire_events_write(&json, report->events, report->event_count);
    json_write_object_end(&json);
    return buffer_failed(body);
}

static void read_report(struct wire_reader *reader, struct wire_sensor_report *report)
{
    if (wire_read_number(reader, "protocol", false) != WIRE_PROTOCOL)
        wire_fail(reader, "protocol must be %d: update the older side", WIRE_PROTOCOL);
    report->sensor.kind = wire_read_text(reader, "kind", 1, 64, NULL);
    read_sensor(reader, &report->sensor);
    report->epoch = wire_read_text(reader, "epoch", 36, 36, NULL);
    report->dropped = wire_read_number(reader, "dropped", true);
    report->policy_digest = wire_read_text(reader, "policy_digest", 0, 64, "");
    report->policy_problem = wire_read_text(reader, "policy_problem", 0, 1024, "");
    const struct json_node *facts = wire_read_node(reader, "facts", JSON_NODE_OBJECT, true);
    report->facts = facts ? json_tree_text(report->tree, facts) : NULL;
    if (!reader->error && !wire_is_sensor_kind(report->sensor.kind))
        wire_fail(reader, "kind must be storage or application");
    if (!reader->error && !wire_is_uuid(report->epoch))
        wire_fail(reader, "epoch must be a UUID");
}

/* A sensor speaks for itself only: not for a host's scanner, and not for the console. */
static void check_modules(struct wire_reader *reader, const struct wire_sensor_report *report)
{
    for (size_t i = 0; i < report->event_count && !reader->error; i++)
        if (!text_equal(report->events[i].module, report->sensor.kind))
            wire_fail(reader, "module of a sensor's event must be its kind, %s",
                      report->sensor.kind);
}

int wire_sensor_report_decode(const char *body, size_t length,
                              struct wire_sensor_report *ret_report,
                              struct wire_problem *ret_problem)
{
    struct wire_sensor_report report = {.tree = NULL};
    char problem[128];
    int r = json_tree_parse(body, length, &report.tree, problem);
    if (r < 0) {
        (void)text_format(ret_problem->text, sizeof(ret_problem->text), "not JSON: %s", problem);
        return r;
    }
    struct wire_reader reader = wire_reader_of_node(json_tree_root(report.tree), ret_problem);
    read_report(&reader, &report);
    r = reader.error;
    if (r == 0)
        r = wire_events_read(&reader, report.tree, &report.events, &report.event_count);
    if (r == 0) {
        check_modules(&reader, &report);
        r = reader.error;
    }
    if (r < 0) {
        wire_sensor_report_done(&report);
        return r;
    }
    *ret_report = report;
    return 0;
}

void wire_sensor_report_done(struct wire_sensor_report *report)
{
    report->tree = json_tree_free(report->tree);
    free(report->events);
    *report = (struct wire_sensor_report){0};
}

int wire_sensor_reply_encode(const struct wire_sensor_reply *reply, struct buffer *body)
{
    struct json_writer json;
    json_writer_init(&json, body);
    json_write_object_begin(&json);
    json_write_field_string(&json, "sensor_id", reply->sensor_id);
    json_write_field_unsigned(&json, "server_ms", reply->server_ms);
    json_write_field_unsigned(&json, "next_seconds", reply->next_seconds);
    json_write_key(&json, "acknowledged");
    json_write_object_begin(&json);
    json_write_field_string(&json, "epoch", reply->epoch);
    json_write_field_unsigned(&json, "number", reply->acknowledged);
    json_write_object_end(&json);
    json_write_field_string(&json, "policy_digest", reply->policy_digest);
    json_write_object_end(&json);
    return buffer_failed(body);
}

int wire_sensor_reply_decode(const char *body, size_t length, struct wire_sensor_reply *ret_reply,
                             struct wire_problem *ret_problem)
{
    struct wire_reader reader;
    json_t *root = NULL;
    int r = wire_open(body, length, &root, &reader, ret_problem);
    if (r < 0)
        return r;
    struct wire_sensor_reply reply = {.root = root};
    reply.sensor_id = wire_read_text(&reader, "sensor_id", 36, 36, NULL);
    reply.server_ms = wire_read_number(&reader, "server_ms", false);
    reply.next_seconds = wire_read_number(&reader, "next_seconds", false);
    reply.policy_digest = wire_read_text(&reader, "policy_digest", 0, 64, "");
    struct wire_reader inner = wire_enter(&reader, "acknowledged", false);
    reply.epoch = wire_read_text(&inner, "epoch", 36, 36, NULL);
    reply.acknowledged = wire_read_number(&inner, "number", false);
    wire_leave(&reader, &inner);
    if (!reader.error && !wire_is_uuid(reply.sensor_id))
        wire_fail(&reader, "sensor_id must be a UUID");
    r = wire_close(&reader, root);
    if (r < 0)
        return r;
    *ret_reply = reply;
    return 0;
}

void wire_sensor_reply_done(struct wire_sensor_reply *reply)
{
    json_decref(reply->root);
    *reply = (struct wire_sensor_reply){0};
}
