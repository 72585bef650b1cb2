/* Owns the walk over a parsed settings tree by a table of rules, and the values it yields.
 * Must not own where values come from in the end (defaults, parents): policy.c and
 * agent_config.c combine them. */
#include "common/settings/schema.h"

#include <errno.h>

#include "common/buffers/buffer.h"
#include "common/limits.h"
#include "common/settings/schema_private.h"
#include "common/settings/suggestion.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#define KEY_BYTES   256
#define SHOWN_BYTES 120
#define ADD_SUFFIX  "_add"

struct reading {
    const struct settings *settings;
    const struct settings_rule *rules;
    size_t count;
    bool additions;
    struct settings_value *values;
    struct settings_error *error;
};

const char *settings_type_name(enum settings_type type)
{
    switch (type) {
    case SETTINGS_BOOL:
        return "true or false";
    case SETTINGS_NUMBER:
        return "a whole number";
    case SETTINGS_SIZE:
        return "a size such as \"64M\"";
    case SETTINGS_DURATION:
        return "a duration such as \"30s\"";
    case SETTINGS_CHOICE:
        return "one of its choices in quotes";
    case SETTINGS_TEXT:
        return "a text in quotes";
    case SETTINGS_LIST:
        return "a list such as (\"one\", \"two\")";
    }
    return "a value";
}

/* A text an administrator wrote, escaped and cut, for a message. */
static const char *shown(char buffer[static SHOWN_BYTES], const char *text)
{
    (void)text_escape(buffer, SHOWN_BYTES, text, strlen(text));
    return buffer;
}

static int wrong_type(const struct reading *reading, const struct settings_rule *rule,
                      const config_setting_t *setting)
{
    return settings_fail(reading->error, reading->settings, setting, "must be %s",
                         settings_type_name(rule->type));
}

static int read_scalar(const struct reading *reading, const struct settings_rule *rule,
                       const config_setting_t *setting, struct settings_value *value)
{
    char text[SHOWN_BYTES];
    int type = config_setting_type(setting);
    int r = 0;
    if (type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64) {
        long long number = type == CONFIG_TYPE_INT ? config_setting_get_int(setting)
                                                   : config_setting_get_int64(setting);
        (void)text_format(text, sizeof(text), "%lld", number);
        value->number = (uint64_t)number;
        if (number < 0)
            r = -ERANGE;
        else if (rule->type == SETTINGS_DURATION)
            r = __builtin_mul_overflow(value->number, NS_PER_SECOND, &value->number) ? -ERANGE : 0;
    } else if (type == CONFIG_TYPE_STRING && rule->type != SETTINGS_NUMBER) {
        const char *written = config_setting_get_string(setting);
        (void)shown(text, written);
        r = schema_parse_scalar(rule->type, written, &value->number);
        if (r == -EINVAL)
            return settings_fail(reading->error, reading->settings, setting, "\"%s\" is not %s",
                                 text, settings_type_name(rule->type));
    } else {
        return wrong_type(reading, rule, setting);
    }
    if (r == 0)
        r = schema_check_range(rule, value->number);
    if (r < 0)
        return settings_fail(reading->error, reading->settings, setting,
                             "%s is out of range; it must be %s", text, rule->bounds);
    return 0;
}

static int read_text(const struct reading *reading, const struct settings_rule *rule,
                     const config_setting_t *setting, struct settings_value *value)
{
    char text[SHOWN_BYTES];
    if (config_setting_type(setting) != CONFIG_TYPE_STRING)
        return wrong_type(reading, rule, setting);
    const char *written = config_setting_get_string(setting);
    if (rule->type == SETTINGS_CHOICE && !schema_is_choice(rule->bounds, written))
        return settings_fail(reading->error, reading->settings, setting,
                             "\"%s\" is not known; it must be one of %s", shown(text, written),
                             rule->bounds);
    const char *problem =
        rule->type == SETTINGS_TEXT ? schema_problem_of_text(rule->bounds, written) : NULL;
    if (problem != NULL)
        return settings_fail(reading->error, reading->settings, setting, "\"%s\" %s",
                             shown(text, written), problem);
    value->text =
        rule->type == SETTINGS_TEXT ? schema_normal_text(rule->bounds, written) : strdup(written);
    return value->text == NULL ? -ENOMEM : 0;
}

static int read_group_entry(const struct reading *reading, const config_setting_t *entry,
                            char **ret_text)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_SETTINGS_BYTES);
    if (!config_setting_is_group(entry))
        return settings_fail(reading->error, reading->settings, entry,
                             "must be a group such as { name = \"value\"; }");
    int r = schema_write_setting(entry, &text);
    if (r == -EINVAL)
        return settings_fail(reading->error, reading->settings, entry,
                             "holds a fraction; write whole numbers");
    *ret_text = r == 0 ? buffer_take(&text) : NULL;
    return r < 0 ? r : *ret_text == NULL ? -ENOMEM : 0;
}

static int read_list_entry(const struct reading *reading, const struct settings_rule *rule,
                           const config_setting_t *entry, char **ret_text)
{
    char text[SHOWN_BYTES];
    if (text_equal(rule->bounds, "group"))
        return read_group_entry(reading, entry, ret_text);
    if (config_setting_type(entry) != CONFIG_TYPE_STRING)
        return settings_fail(reading->error, reading->settings, entry, "must be a text in quotes");
    const char *written = config_setting_get_string(entry);
    const char *problem = schema_problem_of_text(rule->bounds, written);
    if (problem != NULL)
        return settings_fail(reading->error, reading->settings, entry, "\"%s\" %s",
                             shown(text, written), problem);
    *ret_text = schema_normal_text(rule->bounds, written);
    return *ret_text == NULL ? -ENOMEM : 0;
}

static int read_list(const struct reading *reading, const struct settings_rule *rule,
                     const config_setting_t *setting, struct settings_value *value)
{
    if (!config_setting_is_list(setting) && !config_setting_is_array(setting))
        return wrong_type(reading, rule, setting);
    size_t length = (size_t)config_setting_length(setting);
    if (length > LIMIT_SETTINGS_LIST)
        return settings_fail(reading->error, reading->settings, setting,
                             "has %zu entries; at most %d are allowed", length,
                             LIMIT_SETTINGS_LIST);
    value->list = calloc(length + 1, sizeof(*value->list));
    if (value->list == NULL)
        return -ENOMEM;
    for (; value->length < length; value->length++) {
        const config_setting_t *entry = config_setting_get_elem(setting, (unsigned)value->length);
        int r = read_list_entry(reading, rule, entry, &value->list[value->length]);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_value(const struct reading *reading, const struct settings_rule *rule,
                      const config_setting_t *setting, struct settings_value *value)
{
    switch (rule->type) {
    case SETTINGS_BOOL:
        if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
            return wrong_type(reading, rule, setting);
        value->number = config_setting_get_bool(setting) != 0;
        return 0;
    case SETTINGS_NUMBER:
    case SETTINGS_SIZE:
    case SETTINGS_DURATION:
        return read_scalar(reading, rule, setting, value);
    case SETTINGS_CHOICE:
    case SETTINGS_TEXT:
        return read_text(reading, rule, setting, value);
    case SETTINGS_LIST:
        return read_list(reading, rule, setting, value);
    }
    return -EINVAL;
}

static const char *rule_key(const void *user, size_t index)
{
    return ((const struct settings_rule *)user)[index].key;
}

/* "paths" where "watch.paths" is meant: nobody's edit distance finds that. */
static const char *key_ending_with(const struct reading *reading, const char *key)
{
    for (size_t i = 0; i < reading->count; i++) {
        const char *dot = strrchr(reading->rules[i].key, '.');
        if (dot != NULL && text_equal(dot + 1, key))
            return reading->rules[i].key;
    }
    return NULL;
}

static int unknown_key(const struct reading *reading, const config_setting_t *setting,
                       const char *key)
{
    const char *nearest = suggestion_nearest(key, reading->count, rule_key, reading->rules);
    if (nearest == NULL)
        nearest = key_ending_with(reading, key);
    if (nearest == NULL)
        return settings_fail(reading->error, reading->settings, setting,
                             "is not a known key; remove it");
    return settings_fail(reading->error, reading->settings, setting,
                         "is not a known key; did you mean %s?", nearest);
}

static bool is_group_key(const struct reading *reading, const char *key)
{
    size_t length = strlen(key);
    for (size_t i = 0; i < reading->count; i++) {
        if (strncmp(reading->rules[i].key, key, length) == 0 &&
            reading->rules[i].key[length] == '.')
            return true;
    }
    return false;
}

/* The index of the rule for key, or -1. ret_added: it is a list written as KEY_add. */
static ssize_t find_rule(const struct reading *reading, const char *key, bool *ret_added)
{
    size_t length = strlen(key), suffix = strlen(ADD_SUFFIX);
    *ret_added = false;
    for (size_t i = 0; i < reading->count; i++) {
        if (text_equal(reading->rules[i].key, key))
            return (ssize_t)i;
    }
    if (!reading->additions || length <= suffix || !text_ends_with(key, ADD_SUFFIX))
        return -1;
    for (size_t i = 0; i < reading->count; i++) {
        const struct settings_rule *rule = &reading->rules[i];
        if (rule->type == SETTINGS_LIST && strlen(rule->key) == length - suffix &&
            memcmp(rule->key, key, length - suffix) == 0) {
            *ret_added = true;
            return (ssize_t)i;
        }
    }
    return -1;
}

static int read_leaf(const struct reading *reading, const config_setting_t *setting,
                     const char *key)
{
    bool added = false;
    ssize_t index = find_rule(reading, key, &added);
    if (index < 0)
        return unknown_key(reading, setting, key);
    struct settings_value *value = &reading->values[index];
    if (value->set)
        return settings_fail(reading->error, reading->settings, setting,
                             "stands beside %s of line %u; keep one of them",
                             reading->rules[index].key, value->line);
    int r = read_value(reading, &reading->rules[index], setting, value);
    if (r < 0)
        return r;
    value->set = true;
    value->added = added;
    value->line = config_setting_source_line(setting);
    return 0;
}

/* Groups nest no deeper than the rules' keys, so this recursion is bounded. */
static int read_group(const struct reading *reading, const config_setting_t *group,
                      const char *prefix)
{
    int length = config_setting_length(group);
    for (int i = 0; i < length; i++) {
        const config_setting_t *setting = config_setting_get_elem(group, (unsigned)i);
        char key[KEY_BYTES];
        int r = text_format(key, sizeof(key), "%s%s%s", prefix, prefix[0] != '\0' ? "." : "",
                            config_setting_name(setting));
        if (r < 0)
            return unknown_key(reading, setting, "");
        if (!config_setting_is_group(setting))
            r = read_leaf(reading, setting, key);
        else if (is_group_key(reading, key))
            r = read_group(reading, setting, key);
        else
            r = unknown_key(reading, setting, key);
        if (r < 0)
            return r;
    }
    return 0;
}

int settings_read(const struct settings *settings, const struct settings_rule *rules, size_t count,
                  bool additions, struct settings_value *values, struct settings_error *ret_error)
{
    const struct reading reading = {.settings = settings,
                                    .rules = rules,
                                    .count = count,
                                    .additions = additions,
                                    .values = values,
                                    .error = ret_error};
    ret_error->text[0] = '\0';
    int r = read_group(&reading, settings_root(settings), "");
    if (r == -ENOMEM)
        (void)settings_fail(ret_error, settings, NULL, "out of memory");
    if (r < 0)
        settings_values_done(values, count);
    return r;
}
