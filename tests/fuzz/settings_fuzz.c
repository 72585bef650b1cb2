/* Policies and configurations: any text is refused with a reason or read whole; what is read can be
 * shown, and reads the same again. */
#include "common/buffers/buffer.h"
#include "common/settings/schema.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct settings_rule rules[] = {
    {"on", SETTINGS_BOOL, "true", "", "a switch"},
    {"group.number", SETTINGS_NUMBER, "4", "0..64", "a number"},
    {"group.size", SETTINGS_SIZE, "1M", "1K..1G", "a size"},
    {"group.duration", SETTINGS_DURATION, "2s", "100ms..60s", "a duration"},
    {"group.choice", SETTINGS_CHOICE, "a", "a|b", "a choice"},
    {"group.name", SETTINGS_TEXT, "none", "name", "a name"},
    {"group.path", SETTINGS_TEXT, "/", "absolute", "a path"},
    {"paths", SETTINGS_LIST, "/", "directory", "paths"},
    {"files", SETTINGS_LIST, "", "file", "files"},
    {"hashes", SETTINGS_LIST, "", "sha256", "hashes"},
    {"words", SETTINGS_LIST, "", "text", "words"},
};

/* libconfig's own scanner forgets an unfinished string when it meets a syntax error. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libconfig.so";
}

static void require(bool held)
{
    if (!held)
        abort();
}

/* "group.size" and 64K become  group = { size = "64K"; };  once more. */
static void append_setting(struct buffer *text, const struct settings_rule *rule, const char *value)
{
    const char *dot = strchr(rule->key, '.');
    bool has_unit = rule->type == SETTINGS_SIZE || rule->type == SETTINGS_DURATION;
    const char *quote = has_unit ? "\"" : "";

    if (dot != NULL)
        (void)buffer_append_format(text, "%.*s = { %s = %s%s%s; };\n", (int)(dot - rule->key),
                                   rule->key, dot + 1, quote, value, quote);
    else
        (void)buffer_append_format(text, "%s = %s;\n", rule->key, value);
}

static void check_shown(const struct settings_rule *rule, const struct settings_value *value)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(8 << 20);
    struct settings_value again[1] = {{.set = false}};
    struct settings *settings = NULL;
    struct settings_error error = {.text = ""};

    AUTO_FREE char *shown = settings_value_show(rule, value);
    require(shown != NULL);
    if (strchr(shown, '\\') != NULL) /* escaped for people, not for libconfig */
        return;
    append_setting(&text, rule, shown);
    require(settings_parse("again", buffer_text(&text), &settings, &error) == 0);
    require(settings_read(settings, rule, 1, false, again, &error) == 0);
    require(again->number == value->number && again->length == value->length);
    settings_values_done(again, 1);
    settings_free(settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct settings_value values[ARRAY_LENGTH(rules)] = {{.set = false}};
    struct settings *settings = NULL;
    struct settings_error error = {.text = ""};
    AUTO_FREE char *text = malloc(size + 1);

    require(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = '\0';
    if (settings_parse("input", text, &settings, &error) < 0) {
        require(error.text[0] != '\0');
        return 0;
    }
    int r = settings_read(settings, rules, ARRAY_LENGTH(rules), true, values, &error);
    require(r == 0 || error.text[0] != '\0');
    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(rules); i++)
        if (values[i].set)
            check_shown(&rules[i], &values[i]);
    if (r == 0)
        settings_values_done(values, ARRAY_LENGTH(rules));
    settings_free(settings);
    return 0;
}
