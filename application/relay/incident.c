/* Incidents as JSON. Everything an outsider chose comes escaped from the ruling. */
#include "application/relay/incident.h"

#include "common/json/json_writer.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <string.h>

/* Severities of the suite: 0 info, 1 low, 2 medium, 3 high, 4 critical. */
#define SEVERITY_BLOCKED     3
#define SEVERITY_REPORTED    2
#define SEVERITY_UNINSPECTED 1

static const char *action_name(uint32_t action)
{
    static const char *const names[] = {"pass", "report", "block"};

    return action < ARRAY_LENGTH(names) ? names[action] : "pass";
}

static void write_some(struct json_writer *writer, const char *key, const char *text)
{
    if (text != NULL && text[0] != '\0')
        json_write_field_string(writer, key, text);
}

static void begin(struct json_writer *writer, struct buffer *json, const char *kind,
                  int64_t severity, const char *subject)
{
    json_writer_init(writer, json);
    json_write_object_begin(writer);
    json_write_field_string(writer, "module", "application");
    json_write_field_string(writer, "kind", kind);
    json_write_field_number(writer, "severity", severity);
    json_write_field_unsigned(writer, "time_ms", clock_realtime_ns() / NS_PER_MS);
    json_write_field_string(writer, "subject", subject);
    json_write_key(writer, "detail");
    json_write_object_begin(writer);
}

static void write_function(struct json_writer *writer, const struct incident_function *function,
                           const struct incident_invocation *invocation)
{
    write_some(writer, "function", function->name);
    write_some(writer, "version", function->version);
    write_some(writer, "arn", invocation->function_arn);
    write_some(writer, "aws_request_id", invocation->request_id);
    write_some(writer, "trace_id", invocation->trace_id);
}

static void write_request(struct json_writer *writer, const struct ruling_request *request)
{
    json_write_key(writer, "request");
    json_write_object_begin(writer);
    write_some(writer, "method", request->method);
    write_some(writer, "path", request->path);
    write_some(writer, "route", request->route);
    write_some(writer, "host", request->host);
    write_some(writer, "source_address", request->source);
    write_some(writer, "request_id", request->request_id);
    json_write_object_end(writer);
}

static void write_finding(struct json_writer *writer, const struct ruling_finding *finding)
{
    json_write_object_begin(writer);
    write_some(writer, "protection", finding->protection);
    json_write_field_unsigned(writer, "rule", finding->rule);
    write_some(writer, "message", finding->message);
    write_some(writer, "matched", finding->part);
    write_some(writer, "excerpt", finding->excerpt);
    json_write_field_unsigned(writer, "score", finding->score);
    json_write_field_string(writer, "action", action_name(finding->action));
    json_write_object_end(writer);
}

void incident_write(struct buffer *json, const struct incident_function *function,
                    const struct incident_invocation *invocation, const struct ruling *ruling)
{
    bool blocked = ruling->action == RULING_BLOCK;
    struct json_writer writer;

    begin(&writer, json, blocked ? "request_blocked" : "request_reported",
          blocked ? SEVERITY_BLOCKED : SEVERITY_REPORTED,
          ruling->finding_count > 0 ? ruling->findings[0].protection : "Request");
    json_write_field_string(&writer, "action", action_name(ruling->action));
    json_write_field_unsigned(&writer, "score", ruling->score);
    write_function(&writer, function, invocation);
    write_request(&writer, &ruling->request);
    json_write_key(&writer, "findings");
    json_write_array_begin(&writer);
    for (size_t i = 0; i < ruling->finding_count; i++)
        write_finding(&writer, &ruling->findings[i]);
    json_write_array_end(&writer);
    json_write_field_bool(&writer, "incomplete", ruling->exhausted != 0);
    json_write_object_end(&writer);
    json_write_object_end(&writer);
}

void incident_write_uninspected(struct buffer *json, const struct incident_function *function,
                                const struct incident_invocation *invocation, const char *why,
                                bool blocked)
{
    struct json_writer writer;

    begin(&writer, json, blocked ? "request_blocked" : "request_uninspected",
          blocked ? SEVERITY_BLOCKED : SEVERITY_UNINSPECTED, "Inspection");
    json_write_field_string(&writer, "action", action_name(blocked ? RULING_BLOCK : RULING_PASS));
    json_write_field_string(&writer, "reason", why);
    write_function(&writer, function, invocation);
    json_write_object_end(&writer);
    json_write_object_end(&writer);
}

/* Bytes that a request or the function chose; as long as an excerpt may be. */
static void write_shown(struct json_writer *writer, const char *key, const char *text)
{
    char shown[sizeof((struct ruling_finding *)NULL)->excerpt];

    (void)text_escape(shown, sizeof shown, text, strlen(text));
    write_some(writer, key, shown);
}

void incident_write_runtime(struct buffer *json, const struct incident_function *function,
                            const struct incident_invocation *invocation,
                            const struct runtime_finding *finding)
{
    static const char *const protections[] = {"Illegal File Access", "Remote Command Execution"};
    static const char *const keys[] = {"file", "command"};
    bool blocked = finding->blocked != 0;
    struct json_writer writer;

    begin(&writer, json, blocked ? "runtime_blocked" : "runtime_reported",
          blocked ? SEVERITY_BLOCKED : SEVERITY_REPORTED, protections[finding->subject]);
    json_write_field_string(&writer, "action", action_name(blocked ? RULING_BLOCK : RULING_REPORT));
    write_function(&writer, function, invocation);
    write_shown(&writer, keys[finding->subject], finding->what);
    write_some(&writer, "reason",
               finding->value[0] != '\0' ? "it comes out of the request" : "a rule denies it");
    write_shown(&writer, "value", finding->value);
    json_write_object_end(&writer);
    json_write_object_end(&writer);
}
