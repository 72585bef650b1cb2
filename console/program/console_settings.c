/* Owns the table of settings and their defaults. Must not act on them. */
#include "console/program/console_settings.h"

#include "common/text/text.h"
#include "console/store/sql.h"

#include <errno.h>

static const struct settings_rule RULES[] = {
#define CONSOLE_SETTING_RULE(symbol, key, type, fallback, bounds, meaning) \
    [CONSOLE_##symbol] = {key, SETTINGS_##type, fallback, bounds, meaning},
    CONSOLE_SETTINGS(CONSOLE_SETTING_RULE)
#undef CONSOLE_SETTING_RULE
};

int console_settings_load(const char *path, struct console_settings *ret_settings,
                          struct settings_error *ret_error)
{
    struct console_settings loaded = {0};
    struct settings *settings = NULL;
    int r = path ? settings_load(path, &settings, ret_error) : 0;
    if (r == 0 && settings)
        r = settings_read(settings, RULES, CONSOLE_SETTING_COUNT, false, loaded.values, ret_error);
    (void)settings_free(settings);
    for (size_t i = 0; r == 0 && i < CONSOLE_SETTING_COUNT; i++)
        if (!loaded.values[i].set)
            r = settings_fallback(&RULES[i], &loaded.values[i]);
    const char *database = console_settings_text(&loaded, CONSOLE_DATABASE);
    if (r == 0 && database[0] && !sql_is_postgres_url(database)) {
        (void)text_format(
            ret_error->text, sizeof(ret_error->text),
            "%s: database: must be a URL postgresql://..., or empty for SQLite in the "
            "data folder",
            path);
        r = -EINVAL;
    }
    if (r < 0) {
        console_settings_done(&loaded);
        return r;
    }
    *ret_settings = loaded;
    return 0;
}

void console_settings_done(struct console_settings *settings)
{
    settings_values_done(settings->values, CONSOLE_SETTING_COUNT);
}

const char *console_settings_text(const struct console_settings *settings, enum console_setting key)
{
    return settings->values[key].text ? settings->values[key].text : "";
}

uint64_t console_settings_number(const struct console_settings *settings, enum console_setting key)
{
    return settings->values[key].number;
}

char *const *console_settings_list(const struct console_settings *settings,
                                   enum console_setting key)
{
    static char *const none[] = {NULL};
    return settings->values[key].list ? settings->values[key].list : none;
}

const struct settings_rule *console_settings_rule(enum console_setting key)
{
    return &RULES[key];
}
