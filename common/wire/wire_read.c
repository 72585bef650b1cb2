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

/* The value, or NULL when it is missing (a failure unless optional) or null. */
static json_t *find(struct wire_reader *reader, const char *key, bool optional)
{
    if (reader->error)
        return NULL;
    json_t *value = json_object_get(reader->object, key);
    if (!value || json_is_null(value)) {
        if (!optional)
            wire_fail(reader, "%s is missing", key);
        return NULL;
    }
    return value;
}

const char *wire_read_text(struct wire_reader *reader, const char *key, size_t minimum,
                           size_t maximum, const char *fallback)
{
    const json_t *value = find(reader, key, fallback != NULL);
    if (!value)
        return fallback ? fallback : "";
    if (!json_is_string(value)) {
        wire_fail(reader, "%s must be a text", key);
        return "";
    }
    size_t length = json_string_length(value);
    if (length < minimum || length > maximum) {
        wire_fail(reader, "%s must have %zu to %zu bytes", key, minimum, maximum);
        return "";
    }
    return json_string_value(value);
}

uint64_t wire_read_number(struct wire_reader *reader, const char *key, bool optional)
{
    const json_t *value = find(reader, key, optional);
    if (!value)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        wire_fail(reader, "%s must be a whole number, 0 or more", key);
        return 0;
    }
    return (uint64_t)json_integer_value(value);
}

bool wire_read_bool(struct wire_reader *reader, const char *key, bool fallback)
{
    const json_t *value = find(reader, key, true);
    if (!value)
        return fallback;
    if (!json_is_boolean(value))
        wire_fail(reader, "%s must be true or false", key);
    return json_is_true(value);
}

json_t *wire_read_object(struct wire_reader *reader, const char *key, bool optional)
{
    json_t *value = find(reader, key, optional);
    if (value && !json_is_object(value)) {
        wire_fail(reader, "%s must be an object", key);
        return NULL;
    }
    return value;
}

json_t *wire_read_array(struct wire_reader *reader, const char *key, size_t maximum, bool optional)
{
    json_t *value = find(reader, key, optional);
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
