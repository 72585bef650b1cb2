/* Owns the table of settings, their defaults, and the variables that stand above the file. Must
 * not act on them. */
#include "storage/settings/storage_settings.h"

#include "common/buffers/buffer.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#define VARIABLE_BYTES 128

static const struct settings_rule RULES[] = {
#define STORAGE_SETTING_RULE(symbol, key, type, fallback, bounds, meaning) \
    [STORAGE_##symbol] = {key, SETTINGS_##type, fallback, bounds, meaning},
    STORAGE_SETTINGS(STORAGE_SETTING_RULE)
#undef STORAGE_SETTING_RULE
};

void storage_settings_variable(enum storage_setting key, char *name, size_t size)
{
    (void)text_format(name, size, "YAGURA_%s", RULES[key].key);
    for (char *c = name; *c != '\0'; c++)
        *c = *c == '.' ? '_' : (char)toupper((unsigned char)*c);
}

/* ---- the environment, as a text of settings ---- */

static void append_quoted(struct buffer *text, const char *value, size_t length)
{
    (void)buffer_append_text(text, "\"");
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)value[i];
        if (byte < 0x20 || byte == '"' || byte == '\\')
            (void)buffer_append_format(text, "\\x%02x", byte);
        else
            (void)buffer_append(text, &value[i], 1);
    }
    (void)buffer_append_text(text, "\"");
}

static void append_list(struct buffer *text, const char *value)
{
    (void)buffer_append_text(text, "(");
    for (bool first = true; *value != '\0'; first = false) {
        size_t length = strcspn(value, ":");
        if (!first)
            (void)buffer_append_text(text, ", ");
        append_quoted(text, value, length);
        value += length + (value[length] == ':');
    }
    (void)buffer_append_text(text, ")");
}

/* What has the wrong form is written in quotes, so that the rule's own message tells it. */
static void append_value(struct buffer *text, enum settings_type type, const char *value)
{
    bool is_number = value[0] != '\0' && value[strspn(value, "0123456789")] == '\0';
    bool is_bool = text_equal(value, "true") || text_equal(value, "false");

    if (type == SETTINGS_LIST)
        append_list(text, value);
    else if ((type == SETTINGS_BOOL && is_bool) || (type == SETTINGS_NUMBER && is_number))
        (void)buffer_append_text(text, value);
    else
        append_quoted(text, value, strlen(value));
}

static const char *of_environment(void *user UNUSED, const char *name)
{
    return getenv(name);
}

/* Keys of one group follow each other in the table. */
static int write_environment(const char *(*lookup)(void *user, const char *name), void *user,
                             struct buffer *text)
{
    char open[VARIABLE_BYTES] = "", name[VARIABLE_BYTES], group[VARIABLE_BYTES];

    for (size_t i = 0; i < STORAGE_SETTING_COUNT; i++) {
        const char *dot = strchr(RULES[i].key, '.');
        storage_settings_variable((enum storage_setting)i, name, sizeof name);
        const char *value = lookup(user, name);
        if (value == NULL || value[0] == '\0') /* CloudFormation sets what is not wanted to "" */
            continue;
        (void)text_format(group, sizeof group, "%.*s", dot != NULL ? (int)(dot - RULES[i].key) : 0,
                          RULES[i].key);
        if (!text_equal(group, open) && open[0] != '\0')
            (void)buffer_append_text(text, "}\n");
        if (!text_equal(group, open) && group[0] != '\0')
            (void)buffer_append_format(text, "%s = {\n", group);
        (void)text_copy(open, sizeof open, group);
        (void)buffer_append_format(text, "%s = ", dot != NULL ? dot + 1 : RULES[i].key);
        append_value(text, RULES[i].type, value);
        (void)buffer_append_text(text, "\n");
    }
    if (open[0] != '\0')
        (void)buffer_append_text(text, "}\n");
    return buffer_failed(text);
}

static int read_environment(const char *(*lookup)(void *user, const char *name), void *user,
                            struct storage_settings *written, struct settings_error *ret_error)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_SETTINGS_BYTES);
    struct settings *settings = NULL;

    int r = write_environment(lookup, user, &text);
    if (r == 0)
        r = settings_parse("environment", buffer_text(&text), &settings, ret_error);
    if (r == 0)
        r = settings_read(settings, RULES, STORAGE_SETTING_COUNT, false, written->values,
                          ret_error);
    (void)settings_free(settings);
    return r;
}

/* ---- loading ---- */

static int read_file(const char *path, struct storage_settings *written,
                     struct settings_error *ret_error)
{
    struct settings *settings = NULL;

    int r = path != NULL ? settings_load(path, &settings, ret_error) : 0;
    if (r == 0 && settings != NULL)
        r = settings_read(settings, RULES, STORAGE_SETTING_COUNT, false, written->values,
                          ret_error);
    (void)settings_free(settings);
    return r;
}

/* What is written above stays, the rest comes from below, then from the table. */
static int combine(struct storage_settings *above, struct storage_settings *below)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < STORAGE_SETTING_COUNT; i++) {
        if (above->values[i].set)
            continue;
        if (below->values[i].set) {
            above->values[i] = below->values[i];
            below->values[i] = (struct settings_value){.set = false};
        } else {
            r = settings_fallback(&RULES[i], &above->values[i]);
        }
    }
    return r;
}

int storage_settings_load(const char *path, const char *(*lookup)(void *user, const char *name),
                          void *user, struct storage_settings *ret_settings,
                          struct settings_error *ret_error)
{
    struct storage_settings above = {0}, below = {0};

    ret_error->text[0] = '\0';
    int r = read_environment(lookup != NULL ? lookup : of_environment, user, &above, ret_error);
    if (r == 0)
        r = read_file(path, &below, ret_error);
    if (r == 0)
        r = combine(&above, &below);
    storage_settings_done(&below);
    if (r < 0) {
        storage_settings_done(&above);
        return r;
    }
    *ret_settings = above;
    return 0;
}

void storage_settings_done(struct storage_settings *settings)
{
    settings_values_done(settings->values, STORAGE_SETTING_COUNT);
}

const char *storage_settings_text(const struct storage_settings *settings, enum storage_setting key)
{
    return settings->values[key].text != NULL ? settings->values[key].text : "";
}

uint64_t storage_settings_number(const struct storage_settings *settings, enum storage_setting key)
{
    return settings->values[key].number;
}

char *const *storage_settings_list(const struct storage_settings *settings,
                                   enum storage_setting key)
{
    static char *const none[] = {NULL};

    return settings->values[key].list != NULL ? settings->values[key].list : none;
}

const struct settings_rule *storage_settings_rule(enum storage_setting key)
{
    return &RULES[key];
}
