/* Owns the rules by which foreign JSON is read. Must not know any message. */
#include "common/wire/wire_read.h"

#include "common/text/text.h"

#include <errno.h>

int wire_parse(const char *body, size_t length, json_t **ret_root, struct wire_problem *ret_problem)
{
    json_error_t error;
    json_t *root = json_loadb(body, length, JSON_REJECT_DUPLICATES, &error);
    if (!root) {
        (void)text_format(ret_problem->text, sizeof(ret_problem->text), "not JSON: %s at byte %d",
                          error.text, error.position);
        return -EBADMSG;
    }
    if (!json_is_object(root)) {
        json_decref(root);
        (void)text_copy(ret_problem->text, sizeof(ret_problem->text), "send a JSON object");
        return -EBADMSG;
    }
    *ret_root = root;
    return 0;
}

int wire_open(const char *body, size_t length, json_t **ret_root, struct wire_reader *ret_reader,
              struct wire_problem *ret_problem)
{
    int r = wire_parse(body, length, ret_root, ret_problem);

    if (r == 0)
        *ret_reader = wire_reader_of(*ret_root, ret_problem);
    return r;
}

int wire_close(const struct wire_reader *reader, json_t *root)
{
    if (reader->error)
        json_decref(root);
    return reader->error;
}

struct wire_reader wire_reader_of(const json_t *object, struct wire_problem *problem)
{
    return (struct wire_reader){.object = object, .problem = problem};
}

struct wire_reader wire_reader_of_node(const struct json_node *object, struct wire_problem *problem)
{
    return (struct wire_reader){.node = object, .problem = problem};
}

void wire_fail(struct wire_reader *reader, const char *format, ...)
{
    if (reader->error)
        return;
    reader->error = -EBADMSG;
    va_list arguments;
    va_start(arguments, format);
    (void)text_format_list(reader->problem->text, sizeof(reader->problem->text), format, arguments);
    va_end(arguments);
}

/* A value of either tree. */
struct value {
    enum json_node_kind kind;
    const char *text;
    size_t length;
    int64_t integer;
    json_t *json;
    const struct json_node *node;
};

static struct value value_of_json(json_t *json)
{
    static const enum json_node_kind kinds[] = {
        [JSON_OBJECT] = JSON_NODE_OBJECT, [JSON_ARRAY] = JSON_NODE_ARRAY,
        [JSON_STRING] = JSON_NODE_STRING, [JSON_INTEGER] = JSON_NODE_INTEGER,
        [JSON_REAL] = JSON_NODE_REAL,     [JSON_TRUE] = JSON_NODE_TRUE,
        [JSON_FALSE] = JSON_NODE_FALSE,   [JSON_NULL] = JSON_NODE_NULL};
    return (struct value){.kind = kinds[json_typeof(json)],
                          .text = json_string_value(json),
                          .length = json_string_length(json),
                          .integer = json_integer_value(json),
                          .json = json};
}

static struct value value_of_node(const struct json_node *node)
{
    return (struct value){.kind = node->kind,
                          .text = node->text,
                          .length = node->length,
                          .integer = node->integer,
                          .node = node};
}

/* False when it is missing (a failure unless optional) or null. */
static bool find(struct wire_reader *reader, const char *key, bool optional, struct value *value)
{
    if (reader->error)
        return false;
    const struct json_node *node = reader->node ? json_node_find(reader->node, key) : NULL;
    json_t *json = reader->node ? NULL : json_object_get(reader->object, key);
    if (node)
        *value = value_of_node(node);
    else if (json)
        *value = value_of_json(json);
    if ((node || json) && value->kind != JSON_NODE_NULL)
        return true;
    if (!optional)
        wire_fail(reader, "%s is missing", key);
    return false;
}

const char *wire_read_text(struct wire_reader *reader, const char *key, size_t minimum,
                           size_t maximum, const char *fallback)
{
    struct value value;
    if (!find(reader, key, fallback != NULL, &value))
        return fallback ? fallback : "";
    if (value.kind != JSON_NODE_STRING) {
        wire_fail(reader, "%s must be a text", key);
        return "";
    }
    if (value.length < minimum || value.length > maximum) {
        wire_fail(reader, "%s must have %zu to %zu bytes", key, minimum, maximum);
        return "";
    }
    return value.text;
}

uint64_t wire_read_number(struct wire_reader *reader, const char *key, bool optional)
{
    struct value value;
    if (!find(reader, key, optional, &value))
        return 0;
    if (value.kind != JSON_NODE_INTEGER || value.integer < 0) {
        wire_fail(reader, "%s must be a whole number, 0 or more", key);
        return 0;
    }
    return (uint64_t)value.integer;
}

bool wire_read_bool(struct wire_reader *reader, const char *key, bool fallback)
{
    struct value value;
    if (!find(reader, key, true, &value))
        return fallback;
    if (value.kind != JSON_NODE_TRUE && value.kind != JSON_NODE_FALSE)
        wire_fail(reader, "%s must be true or false", key);
    return value.kind == JSON_NODE_TRUE;
}

struct wire_reader wire_enter(struct wire_reader *reader, const char *key, bool optional)
{
    struct wire_reader inner = {.problem = reader->problem};
    struct value value;
    if (find(reader, key, optional, &value) && value.kind != JSON_NODE_OBJECT)
        wire_fail(reader, "%s must be an object", key);
    else if (!reader->error && find(reader, key, true, &value)) {
        inner.object = value.json;
        inner.node = value.node;
    }
    inner.error = reader->error;
    return inner;
}

void wire_leave(struct wire_reader *reader, const struct wire_reader *inner)
{
    reader->error = inner->error;
}

const struct json_node *wire_read_node(struct wire_reader *reader, const char *key,
                                       enum json_node_kind kind, bool optional)
{
    struct value value;
    if (!find(reader, key, optional, &value))
        return NULL;
    if (value.kind != kind) {
        wire_fail(reader, "%s must be %s", key, kind == JSON_NODE_OBJECT ? "an object" : "a list");
        return NULL;
    }
    return value.node;
}

json_t *wire_read_object(struct wire_reader *reader, const char *key, bool optional)
{
    struct value found;
    json_t *value = find(reader, key, optional, &found) ? found.json : NULL;
    if (value && !json_is_object(value)) {
        wire_fail(reader, "%s must be an object", key);
        return NULL;
    }
    return value;
}

json_t *wire_read_array(struct wire_reader *reader, const char *key, size_t maximum, bool optional)
{
    struct value found;
    json_t *value = find(reader, key, optional, &found) ? found.json : NULL;
    if (value && (!json_is_array(value) || json_array_size(value) > maximum)) {
        wire_fail(reader, "%s must be a list of at most %zu entries", key, maximum);
        return NULL;
    }
    return value;
}

void wire_only(struct wire_reader *reader, const char *const *names)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)reader->object, key, value)
    {
        bool known = false;
        for (size_t i = 0; names[i] && !known; i++)
            known = text_equal(names[i], key);
        if (!known) {
            char shown[64];
            (void)text_escape(shown, sizeof(shown), key, strlen(key));
            wire_fail(reader, "%s is not known here", shown);
            return;
        }
    }
}
