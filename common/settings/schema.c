/* Owns the walk over a parsed settings tree by a table of rules, and the values it yields.
 * Must not own where values come from in the end (defaults, parents): policy.c and
 * agent_config.c combine them. */
#include "common/settings/schema.h"

#include <ctype.h>
#include <errno.h>

#include "common/buffers/buffer.h"
#include "common/limits.h"
#include "common/settings/suggestion.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#define KEY_BYTES    256
#define BOUND_BYTES  64
#define SHOWN_BYTES  120
#define ADD_SUFFIX   "_add"
#define SHA256_CHARS 64

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

/* --- bounds ------------------------------------------------------------------------------------
 */

static int parse_scalar(enum settings_type type, const char *text, uint64_t *ret_number)
{
    if (type == SETTINGS_SIZE)
        return text_parse_size(text, ret_number);
    if (type == SETTINGS_DURATION)
        return text_parse_duration(text, ret_number);
    return text_parse_u64(text, ret_number);
}

/* 0 inside, -ERANGE outside, -EINVAL when the rule's own bounds are wrong. */
static int check_range(const struct settings_rule *rule, uint64_t number)
{
    const char *dots = strstr(rule->bounds, "..");
    if (dots == NULL)
        return rule->bounds[0] == '\0' ? 0 : -EINVAL;
    char least[BOUND_BYTES];
    int r = text_format(least, sizeof(least), "%.*s", (int)(dots - rule->bounds), rule->bounds);
    if (r < 0)
        return -EINVAL;
    uint64_t low = 0, high = 0;
    if (parse_scalar(rule->type, least, &low) < 0 ||
        parse_scalar(rule->type, dots + strlen(".."), &high) < 0)
        return -EINVAL;
    return number >= low && number <= high ? 0 : -ERANGE;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t length = strlen(text);
    for (const char *at = choices; *at != '\0';) {
        size_t size = strcspn(at, "|");
        if (size == length && memcmp(at, text, size) == 0)
            return true;
        at += size + (at[size] == '|');
    }
    return false;
}

/* --- texts: what is wrong with one, or NULL ----------------------------------------------------
 */

static const char *problem_of_path(const char *text)
{
    if (text[0] != '/')
        return "must be an absolute path, beginning with /";
    if (strlen(text) >= LIMIT_PATH_BYTES)
        return "is longer than a path may be";
    if (strstr(text, "${") != NULL)
        return "holds ${...}, which is not expanded; write the path";
    for (const char *at = text; *at != '\0'; at += strcspn(at + 1, "/") + 1) {
        size_t size = strcspn(at + 1, "/");
        if (size == 0 && at[1] != '\0')
            return "holds // ; write one slash";
        if ((size == 1 && at[1] == '.') || (size == 2 && at[1] == '.' && at[2] == '.'))
            return "holds a . or .. part; write the path without it";
    }
    return NULL;
}

static const char *problem_of_pattern(const char *text)
{
    if (strstr(text, "**") != NULL)
        return "holds ** ; * stands for anything within one level, and a directory covers all below";
    return NULL;
}

/* A name without a slash stands for every directory of that name. */
static const char *problem_of_directory(const char *text)
{
    if (text[0] != '\0' && strchr(text, '/') == NULL)
        return strspn(text, "*.") == strlen(text)
                   ? "would leave everything unprotected; name the directories that need it"
                   : problem_of_pattern(text);
    const char *problem = problem_of_path(text);
    if (problem != NULL)
        return problem;
    if (text_equal(text, "/") || text_equal(text, "/*") || text_equal(text, "/*/"))
        return "would leave everything unprotected; name the directories that need it";
    return problem_of_pattern(text);
}

static const char *problem_of_file(const char *text)
{
    if (text[0] == '\0')
        return "is empty";
    if (strchr(text, '/') == NULL)
        return strspn(text, "*") == strlen(text)
                   ? "would leave every file unprotected; write part of the name"
                   : problem_of_pattern(text);
    const char *problem = problem_of_path(text);
    if (problem != NULL)
        return problem;
    if (text_ends_with(text, "/"))
        return "is a directory; put it into the list of excluded directories";
    return problem_of_pattern(text);
}

static const char *problem_of_extension(const char *text)
{
    if (text[0] == '\0')
        return "is empty";
    if (text[0] == '.')
        return "begins with a dot; write the extension without it";
    if (strpbrk(text, "/*") != NULL)
        return "must be a plain extension such as \"log\", without / and *";
    return NULL;
}

static const char *problem_of_sha256(const char *text)
{
    return strlen(text) == SHA256_CHARS && strspn(text, "0123456789abcdefABCDEF") == SHA256_CHARS
               ? NULL
               : "is not a SHA-256 of 64 hexadecimal digits";
}

static const char *problem_of_name(const char *text)
{
    if (text[0] == '\0' || text[0] == '.' || text[0] == '-')
        return "must begin with a letter, digit or _";
    for (const char *at = text; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && strchr("._-", *at) == NULL)
            return "may hold letters, digits, '.', '_' and '-' only";
    }
    return NULL;
}

static const char *problem_of_text(const char *bounds, const char *text)
{
    static const struct {
        const char *bounds;
        const char *(*problem)(const char *text);
    } checks[] = {
        {"absolute", problem_of_path}, {"directory", problem_of_directory},
        {"file", problem_of_file},     {"extension", problem_of_extension},
        {"sha256", problem_of_sha256}, {"name", problem_of_name},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(checks); i++) {
        if (text_equal(bounds, checks[i].bounds))
            return checks[i].problem(text);
    }
    if (text_equal(bounds, "text") && text[0] == '\0')
        return "is empty";
    return NULL;
}

/* The one spelling that is kept: directories by their bounds with or without the last slash, digits
 * of hashes in lower case. */
static char *normal_text(const char *bounds, const char *text)
{
    bool directory = text_equal(bounds, "directory") && text[0] == '/';
    char *copy = text_format_new("%s%s", text, directory ? "/" : "");
    if (copy == NULL)
        return NULL;
    size_t length = strlen(copy);
    if (directory && length > 1 && copy[length - 2] == '/')
        copy[length - 1] = '\0';
    else if (text_equal(bounds, "absolute") && length > 1 && copy[length - 1] == '/')
        copy[length - 1] = '\0';
    if (text_equal(bounds, "sha256")) {
        for (char *at = copy; *at != '\0'; at++)
            *at = (char)tolower((unsigned char)*at);
    }
    return copy;
}

/* --- values ------------------------------------------------------------------------------------
 */

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
        list[i] = entry != NULL ? normal_text(rule->bounds, entry) : NULL;
        if (list[i] == NULL || problem_of_text(rule->bounds, list[i]) != NULL) {
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
    if (rule->type == SETTINGS_CHOICE && !is_choice(rule->bounds, rule->fallback))
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
        int r = parse_scalar(rule->type, rule->fallback, &value->number);
        return r < 0 ? -EINVAL : check_range(rule, value->number) < 0 ? -EINVAL : 0;
    }
    case SETTINGS_CHOICE:
    case SETTINGS_TEXT:
        return fallback_text(rule, value);
    case SETTINGS_LIST:
        return fallback_list(rule, value);
    }
    return -EINVAL;
}

/* --- reading -----------------------------------------------------------------------------------
 */

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
        r = parse_scalar(rule->type, written, &value->number);
        if (r == -EINVAL)
            return settings_fail(reading->error, reading->settings, setting, "\"%s\" is not %s",
                                 text, settings_type_name(rule->type));
    } else {
        return wrong_type(reading, rule, setting);
    }
    if (r == 0)
        r = check_range(rule, value->number);
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
    if (rule->type == SETTINGS_CHOICE && !is_choice(rule->bounds, written))
        return settings_fail(reading->error, reading->settings, setting,
                             "\"%s\" is not known; it must be one of %s", shown(text, written),
                             rule->bounds);
    const char *problem =
        rule->type == SETTINGS_TEXT ? problem_of_text(rule->bounds, written) : NULL;
    if (problem != NULL)
        return settings_fail(reading->error, reading->settings, setting, "\"%s\" %s",
                             shown(text, written), problem);
    value->text =
        rule->type == SETTINGS_TEXT ? normal_text(rule->bounds, written) : strdup(written);
    return value->text == NULL ? -ENOMEM : 0;
}

static int read_list_entry(const struct reading *reading, const struct settings_rule *rule,
                           const config_setting_t *entry, char **ret_text)
{
    char text[SHOWN_BYTES];
    if (config_setting_type(entry) != CONFIG_TYPE_STRING)
        return settings_fail(reading->error, reading->settings, entry, "must be a text in quotes");
    const char *written = config_setting_get_string(entry);
    const char *problem = problem_of_text(rule->bounds, written);
    if (problem != NULL)
        return settings_fail(reading->error, reading->settings, entry, "\"%s\" %s",
                             shown(text, written), problem);
    *ret_text = normal_text(rule->bounds, written);
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
static void show_text(struct buffer *text, const char *value)
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
        show_text(&text, value->text);
        break;
    case SETTINGS_LIST:
        (void)buffer_append_text(&text, "(");
        for (size_t i = 0; i < value->length; i++) {
            (void)buffer_append_text(&text, i > 0 ? ", " : "");
            show_text(&text, value->list[i]);
        }
        (void)buffer_append_text(&text, ")");
        break;
    }
    return buffer_take(&text);
}
