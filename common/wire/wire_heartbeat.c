/* Owns the heartbeat and its reply. Must not decide what a heartbeat means. */
#include "common/limits.h"
#include "common/text/text.h"
#include "common/wire/wire_internal.h"

#include <errno.h>

void wire_events_write(struct json_writer *json, const struct wire_event *events, size_t count)
{
    json_write_key(json, "events");
    json_write_array_begin(json);
    for (size_t i = 0; i < count; i++) {
        const struct wire_event *event = &events[i];
        json_write_object_begin(json);
        json_write_field_unsigned(json, "number", event->number);
        json_write_field_string(json, "id", event->id);
        json_write_field_unsigned(json, "time_ms", event->time_ms);
        json_write_field_string(json, "module", event->module);
        json_write_field_string(json, "kind", event->kind);
        json_write_field_string(json, "severity", wire_severity_name(event->severity));
        json_write_field_string(json, "subject", event->subject);
        json_write_key(json, "detail");
        json_write_raw(json, event->detail);
        json_write_object_end(json);
    }
    json_write_array_end(json);
}

static void write_results(struct json_writer *json, const struct wire_heartbeat *heartbeat)
{
    json_write_key(json, "results");
    json_write_array_begin(json);
    for (size_t i = 0; i < heartbeat->result_count; i++) {
        json_write_object_begin(json);
        json_write_field_string(json, "command_id", heartbeat->results[i].command_id);
        json_write_field_bool(json, "good", heartbeat->results[i].good);
        json_write_field_string(json, "output", heartbeat->results[i].output);
        if (heartbeat->results[i].running)
            json_write_field_bool(json, "running", true);
        json_write_object_end(json);
    }
    json_write_array_end(json);
}

int wire_heartbeat_encode(const struct wire_heartbeat *heartbeat, struct buffer *body)
{
    struct json_writer json;
    json_writer_init(&json, body);
    json_write_object_begin(&json);
    wire_sender_write(&json, heartbeat->session, &heartbeat->host);
    json_write_key(&json, "policy");
    json_write_object_begin(&json);
    json_write_field_string(&json, "digest", heartbeat->policy_digest);
    json_write_field_string(&json, "problem", heartbeat->policy_problem);
    json_write_object_end(&json);
    json_write_key(&json, "store");
    json_write_object_begin(&json);
    json_write_field_string(&json, "epoch", heartbeat->epoch);
    json_write_field_unsigned(&json, "dropped", heartbeat->dropped);
    json_write_field_unsigned(&json, "acknowledged", heartbeat->acknowledged);
    json_write_object_end(&json);
    json_write_key(&json, "facts");
    json_write_raw(&json, heartbeat->facts);
    wire_events_write(&json, heartbeat->events, heartbeat->event_count);
    write_results(&json, heartbeat);
    json_write_object_end(&json);
    return buffer_failed(body);
}

static void read_event(struct wire_reader *parent, struct json_tree *tree,
                       const struct json_node *object, uint64_t after, struct wire_event *event)
{
    struct wire_reader reader = wire_reader_of_node(object, parent->problem);
    unsigned severity = 0;
    if (object->kind != JSON_NODE_OBJECT)
        wire_fail(&reader, "events must be objects");
    event->number = wire_read_number(&reader, "number", false);
    event->id = wire_read_text(&reader, "id", 36, 36, NULL);
    event->time_ms = wire_read_number(&reader, "time_ms", false);
    event->module = wire_read_text(&reader, "module", 1, 64, NULL);
    event->kind = wire_read_text(&reader, "kind", 1, 64, NULL);
    event->subject = wire_read_text(&reader, "subject", 0, LIMIT_EVENT_SUBJECT_BYTES, "");
    const char *name = wire_read_text(&reader, "severity", 1, 16, NULL);
    const struct json_node *detail = wire_read_node(&reader, "detail", JSON_NODE_OBJECT, false);
    if (reader.error == 0 && wire_severity_parse(name, &severity) < 0)
        wire_fail(&reader, "severity must be info, low, medium, high or critical");
    if (reader.error == 0 && (!wire_is_word(event->module) || !wire_is_word(event->kind)))
        wire_fail(&reader, "module and kind must be words of a-z, 0-9 and _");
    if (reader.error == 0 && !wire_is_uuid(event->id))
        wire_fail(&reader, "an event's id must be a UUID");
    if (reader.error == 0 && event->number <= after)
        wire_fail(&reader, "event numbers must ascend, from 1");
    event->severity = severity;
    event->detail = detail ? json_tree_text(tree, detail) : "{}";
    wire_leave(parent, &reader);
}

/* The list's first entry; NULL when there is none. */
static const struct json_node *read_list(struct wire_reader *reader, const char *key,
                                         size_t maximum, size_t *ret_count)
{
    const struct json_node *list = wire_read_node(reader, key, JSON_NODE_ARRAY, true);
    if (list && list->length > maximum) {
        wire_fail(reader, "%s must be a list of at most %zu entries", key, maximum);
        list = NULL;
    }
    *ret_count = list ? list->length : 0;
    return list ? json_node_first(list) : NULL;
}

int wire_events_read(struct wire_reader *reader, struct json_tree *tree,
                     struct wire_event **ret_events, size_t *ret_count)
{
    size_t count;
    const struct json_node *node = read_list(reader, "events", LIMIT_HEARTBEAT_EVENTS, &count);
    *ret_events = NULL;
    *ret_count = 0;
    if (reader->error || count == 0)
        return reader->error;
    struct wire_event *events = calloc(count, sizeof(*events));
    if (!events)
        return -ENOMEM;
    *ret_events = events;
    *ret_count = count;
    uint64_t after = 0;
    for (size_t i = 0; i < count && node && !reader->error; i++) {
        read_event(reader, tree, node, after, &events[i]);
        after = events[i].number;
        node = json_node_next(node);
    }
    return reader->error;
}

static int read_results(struct wire_reader *parent, struct wire_heartbeat *heartbeat)
{
    size_t count;
    const struct json_node *node = read_list(parent, "results", LIMIT_HEARTBEAT_COMMANDS, &count);
    if (parent->error || count == 0)
        return parent->error;
    heartbeat->results = calloc(count, sizeof(*heartbeat->results));
    if (!heartbeat->results)
        return -ENOMEM;
    heartbeat->result_count = count;
    for (size_t i = 0; i < count && node && !parent->error; i++) {
        struct wire_result *result = &heartbeat->results[i];
        struct wire_reader reader = wire_reader_of_node(node, parent->problem);
        result->command_id = wire_read_text(&reader, "command_id", 36, 36, NULL);
        result->good = wire_read_bool(&reader, "good", false);
        result->output = wire_read_text(&reader, "output", 0, LIMIT_COMMAND_OUTPUT_BYTES, "");
        result->running = wire_read_bool(&reader, "running", false);
        wire_leave(parent, &reader);
        node = json_node_next(node);
    }
    return parent->error;
}

static void read_sections(struct wire_reader *reader, struct wire_heartbeat *heartbeat)
{
    struct wire_reader policy = wire_enter(reader, "policy", true);
    heartbeat->policy_digest = wire_read_text(&policy, "digest", 0, 64, "");
    heartbeat->policy_problem = wire_read_text(&policy, "problem", 0, 1024, "");
    wire_leave(reader, &policy);
    struct wire_reader store = wire_enter(reader, "store", false);
    heartbeat->epoch = wire_read_text(&store, "epoch", 36, 36, NULL);
    heartbeat->dropped = wire_read_number(&store, "dropped", true);
    heartbeat->acknowledged = wire_read_number(&store, "acknowledged", true);
    wire_leave(reader, &store);
    if (reader->error == 0 && !wire_is_uuid(heartbeat->epoch))
        wire_fail(reader, "store.epoch must be a UUID");
    const struct json_node *facts = wire_read_node(reader, "facts", JSON_NODE_OBJECT, true);
    heartbeat->facts = facts ? json_tree_text(heartbeat->tree, facts) : NULL;
}

int wire_heartbeat_decode(const char *body, size_t length, struct wire_heartbeat *ret_heartbeat,
                          struct wire_problem *ret_problem)
{
    struct wire_heartbeat heartbeat = {.tree = NULL};
    char problem[128];
    int r = json_tree_parse(body, length, &heartbeat.tree, problem);
    if (r < 0) {
        (void)text_format(ret_problem->text, sizeof(ret_problem->text), "not JSON: %s", problem);
        return r;
    }
    struct wire_reader reader = wire_reader_of_node(json_tree_root(heartbeat.tree), ret_problem);
    wire_sender_read(&reader, &heartbeat.session, &heartbeat.host);
    read_sections(&reader, &heartbeat);
    r = reader.error;
    if (r == 0)
        r = wire_events_read(&reader, heartbeat.tree, &heartbeat.events, &heartbeat.event_count);
    if (r == 0)
        r = read_results(&reader, &heartbeat);
    if (r < 0) {
        wire_heartbeat_done(&heartbeat);
        return r;
    }
    json_tree_forget_nodes(heartbeat.tree);
    *ret_heartbeat = heartbeat;
    return 0;
}

void wire_heartbeat_done(struct wire_heartbeat *heartbeat)
{
    heartbeat->tree = json_tree_free(heartbeat->tree);
    free(heartbeat->events);
    free(heartbeat->results);
    *heartbeat = (struct wire_heartbeat){0};
}

static void add_number(struct buffer *body, const char *before, uint64_t number)
{
    char digits[20], *at = digits + sizeof(digits);
    do
        *--at = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    (void)buffer_append_text(body, before);
    (void)buffer_append(body, at, (size_t)(digits + sizeof(digits) - at));
}

static void add_text(struct buffer *body, const char *before, const char *text)
{
    struct json_writer json;
    (void)buffer_append_text(body, before);
    json_writer_init(&json, body);
    json_write_string(&json, text);
}

/* By hand: the console writes nothing as often as this. */
int wire_heartbeat_reply_encode(const struct wire_heartbeat_reply *reply, struct buffer *body)
{
    add_number(body, "{\"server_ms\":", reply->server_ms);
    add_number(body, ",\"next_seconds\":", reply->next_seconds);
    add_text(body, ",\"acknowledged\":{\"epoch\":", reply->epoch);
    add_number(body, ",\"number\":", reply->acknowledged);
    add_text(body, "},\"policy_digest\":", reply->policy_digest);
    if (reply->signatures_digest && reply->signatures_digest[0])
        add_text(body, ",\"signatures_digest\":", reply->signatures_digest);
    if (reply->group_id)
        add_text(body, ",\"group_id\":", reply->group_id);
    if (reply->wait_seconds > 0)
        add_number(body, ",\"wait_seconds\":", reply->wait_seconds);
    (void)buffer_append_text(body, reply->renew ? ",\"renew\":true,\"commands\":["
                                                : ",\"renew\":false,\"commands\":[");
    for (size_t i = 0; i < reply->command_count; i++) {
        (void)buffer_append_text(body, i ? "," : "");
        (void)buffer_append_text(body, reply->commands[i]);
    }
    (void)buffer_append_text(body, "]}");
    return buffer_failed(body);
}

int wire_heartbeat_reply_decode(const char *body, size_t length,
                                struct wire_heartbeat_reply *ret_reply,
                                struct wire_problem *ret_problem)
{
    struct wire_reader reader;
    json_t *root = NULL;
    int r = wire_open(body, length, &root, &reader, ret_problem);
    if (r < 0)
        return r;
    struct wire_heartbeat_reply reply = {.root = root};
    reply.server_ms = wire_read_number(&reader, "server_ms", false);
    reply.next_seconds = wire_read_number(&reader, "next_seconds", false);
    reply.policy_digest = wire_read_text(&reader, "policy_digest", 0, 64, "");
    reply.signatures_digest = wire_read_text(&reader, "signatures_digest", 0, 64, "");
    if (json_object_get(root, "group_id"))
        reply.group_id = wire_read_text(&reader, "group_id", 0, 36, "");
    if (json_object_get(root, "wait_seconds"))
        reply.wait_seconds = wire_read_number(&reader, "wait_seconds", false);
    reply.renew = wire_read_bool(&reader, "renew", false);
    reply.commands_json = wire_read_array(&reader, "commands", LIMIT_HEARTBEAT_COMMANDS, true);
    reply.command_count = reply.commands_json ? json_array_size(reply.commands_json) : 0;
    const json_t *acknowledged = wire_read_object(&reader, "acknowledged", false);
    struct wire_reader inner = wire_reader_of(acknowledged, ret_problem);
    inner.error = reader.error;
    reply.epoch = wire_read_text(&inner, "epoch", 36, 36, NULL);
    reply.acknowledged = wire_read_number(&inner, "number", false);
    r = wire_close(&inner, root);
    if (r < 0)
        return r;
    *ret_reply = reply;
    return 0;
}

void wire_heartbeat_reply_done(struct wire_heartbeat_reply *reply)
{
    json_decref(reply->root);
    *reply = (struct wire_heartbeat_reply){0};
}
