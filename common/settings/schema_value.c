/* Owns: values: copied, extended, made from a rule's default, shown. Must not own: reading them
 * from a text (schema.c). */
#include <errno.h>

#include "common/buffers/buffer.h"
#include "common/limits.h"
#include "common/settings/schema_private.h"
#include "common/text/text.h"
#include "common/time/clock.h"

static void free_list(char **list)
{
    if (list == NULL)
        return;
    for (char **entry = list; *entry != NULL; entry++)
        free(*entry);
    free(list);
}

void settings_value_done(struct settings_value *value)
{
    free(value->text);
    free_list(value->list);
    *value = (struct settings_value){0};
}

void settings_values_done(struct settings_value *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        settings_value_done(&values[i]);
}

static int list_copy(char *const *source, size_t length, char ***ret_list)
{
    char **list = calloc(length + 1, sizeof(*list));
    if (list == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < length; i++) {
        list[i] = strdup(source[i]);
        if (list[i] == NULL) {
            free_list(list);
            return -ENOMEM;
        }
    }
    *ret_list = list;
    return 0;
}

int settings_value_copy(const struct settings_value *source, struct settings_value *target)
{
    struct settings_value copy = *source;
    copy.text = NULL;
    copy.list = NULL;
    if (source->text != NULL) {
        copy.text = strdup(source->text);
        if (copy.text == NULL)
            return -ENOMEM;
    }
    if (source->list != NULL) {
        int r = list_copy(source->list, source->length, &copy.list);
        if (r < 0) {
            free(copy.text);
            return r;
        }
    }
    *target = copy;
    return 0;
}

static bool list_holds(char *const *list, size_t length, const char *text)
{
    for (size_t i = 0; i < length; i++) {
        if (text_equal(list[i], text))
            return true;
    }
    return false;
}

int settings_value_extend(struct settings_value *value, const struct settings_value *base)
{
    if (base->length + value->length > LIMIT_SETTINGS_LIST)
        return -E2BIG;
    char **list = calloc(base->length + value->length + 1, sizeof(*list));
    if (list == NULL)
        return -ENOMEM;
    size_t length = 0;
    for (size_t i = 0; i < base->length + value->length; i++) {
        const char *text = i < base->length ? base->list[i] : value->list[i - base->length];
        if (list_holds(list, length, text))
            continue;
        list[length] = strdup(text);
        if (list[length] == NULL) {
            free_list(list);
            return -ENOMEM;
        }
        length++;
    }
    free_list(value->list);
    value->list = list;
    value->length = length;
    return 0;
}

static int fallback_list(const struct settings_rule *rule, struct settings_value *value)
{
    size_t count = rule->fallback[0] == '\0' ? 0 : 1;
    for (const char *at = rule->fallback; *at != '\0'; at++)
        count += *at == '|';
    char **list = calloc(count + 1, sizeof(*list));
    if (list == NULL)
        return -ENOMEM;
    const char *at = rule->fallback;
    for (size_t i = 0; i < count; i++) {
        size_t size = strcspn(at, "|");
        AUTO_FREE char *entry = strndup(at, size);
        list[i] = entry != NULL ? schema_normal_text(rule->bounds, entry) : NULL;
        if (list[i] == NULL || schema_problem_of_text(rule->bounds, list[i]) != NULL) {
            int r = list[i] == NULL ? -ENOMEM : -EINVAL;
            free_list(list);
            return r;
        }
        at += size + (at[size] == '|');
    }
    value->list = list;
    value->length = count;
    return 0;
}

static int fallback_text(const struct settings_rule *rule, struct settings_value *value)
{
    if (rule->type == SETTINGS_CHOICE && !schema_is_choice(rule->bounds, rule->fallback))
        return -EINVAL;
    value->text = strdup(rule->fallback);
    return value->text == NULL ? -ENOMEM : 0;
}

int settings_fallback(const struct settings_rule *rule, struct settings_value *value)
{
    *value = (struct settings_value){0};
    switch (rule->type) {
    case SETTINGS_BOOL:
        value->number = text_equal(rule->fallback, "true");
        return value->number || text_equal(rule->fallback, "false") ? 0 : -EINVAL;
    case SETTINGS_NUMBER:
    case SETTINGS_SIZE:
    case SETTINGS_DURATION: {
        int r = schema_parse_scalar(rule->type, rule->fallback, &value->number);
        return r < 0 ? -EINVAL : schema_check_range(rule, value->number) < 0 ? -EINVAL : 0;
    }
    case SETTINGS_CHOICE:
    case SETTINGS_TEXT:
        return fallback_text(rule, value);
    case SETTINGS_LIST:
        return fallback_list(rule, value);
    }
    return -EINVAL;
}

/* --- showing -----------------------------------------------------------------------------------
 */

static void show_size(struct buffer *text, uint64_t bytes)
{
    static const char *const units[] = {"", "K", "M", "G", "T"};
    size_t unit = 0;
    for (; unit + 1 < ARRAY_LENGTH(units) && bytes > 0 && bytes % 1024 == 0; unit++)
        bytes /= 1024;
    (void)buffer_append_format(text, "%llu%s", (unsigned long long)bytes, units[unit]);
}

static void show_duration(struct buffer *text, uint64_t ns)
{
    static const struct {
        const char *unit;
        uint64_t ns;
    } units[] = {{"d", 86400 * NS_PER_SECOND},
                 {"h", 3600 * NS_PER_SECOND},
                 {"m", 60 * NS_PER_SECOND},
                 {"s", NS_PER_SECOND}};
    for (size_t i = 0; i < ARRAY_LENGTH(units) && ns > 0; i++) {
        if (ns % units[i].ns == 0) {
            (void)buffer_append_format(text, "%llu%s", (unsigned long long)(ns / units[i].ns),
                                       units[i].unit);
            return;
        }
    }
    if (ns == 0)
        (void)buffer_append_text(text, "0s");
    else
        (void)buffer_append_format(text, "%llums", (unsigned long long)(ns / NS_PER_MS));
}

/* A quote inside would look like the end of the text. */
void schema_show_text(struct buffer *text, const char *value)
{
    AUTO_FREE char *escaped = text_escape_new(value, strlen(value));
    if (escaped == NULL) {
        text->error = -ENOMEM;
        return;
    }
    (void)buffer_append_text(text, "\"");
    for (const char *part = escaped; *part != '\0';) {
        size_t length = strcspn(part, "\"");
        (void)buffer_append(text, part, length);
        part += length;
        if (*part == '"') {
            (void)buffer_append_text(text, "\\x22");
            part++;
        }
    }
    (void)buffer_append_text(text, "\"");
}

char *settings_value_show(const struct settings_rule *rule, const struct settings_value *value)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM((size_t)LIMIT_SETTINGS_BYTES * 5);
    switch (rule->type) {
    case SETTINGS_BOOL:
        (void)buffer_append_text(&text, value->number ? "true" : "false");
        break;
    case SETTINGS_NUMBER:
        (void)buffer_append_format(&text, "%llu", (unsigned long long)value->number);
        break;
    case SETTINGS_SIZE:
        show_size(&text, value->number);
        break;
    case SETTINGS_DURATION:
        show_duration(&text, value->number);
        break;
    case SETTINGS_CHOICE:
    case SETTINGS_TEXT:
        schema_show_text(&text, value->text);
        break;
    case SETTINGS_LIST:
        (void)buffer_append_text(&text, "(");
        for (size_t i = 0; i < value->length; i++) {
            (void)buffer_append_text(&text, i > 0 ? ", " : "");
            if (text_equal(rule->bounds, "group"))
                (void)buffer_append_text(&text, value->list[i]);
            else
                schema_show_text(&text, value->list[i]);
        }
        (void)buffer_append_text(&text, ")");
        break;
    }
    return buffer_take(&text);
}
