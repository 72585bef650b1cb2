/* libconfig texts, read strictly: size and depth bounded, @include and NUL bytes refused. What keys
 * mean is schema.h's: unknown ones are errors with their line, types checked, "64M" and "30s"
 * understood. Thread-safe: no state but the struct settings. */
#ifndef COMMON_SETTINGS_SETTINGS_H
#define COMMON_SETTINGS_SETTINGS_H

#include "common/attributes.h"

#include <libconfig.h>
#include <stdbool.h>
#include <stdint.h>

/* Where a text is wrong: "file:line: key: what is wrong, what to do". */
struct settings_error {
    char text[1024];
};

struct buffer;
struct settings;

/* name is shown in errors. -EINVAL with ret_error, -ENOMEM. */
int settings_parse(const char *name, const char *text, struct settings **ret_settings,
                   struct settings_error *ret_error) MUST_USE;
/* -ENOENT and other -errno with ret_error. Follows links. */
int settings_load(const char *path, struct settings **ret_settings,
                  struct settings_error *ret_error) MUST_USE;
struct settings *settings_free(struct settings *settings);

/* -EPERM with ret_error when the file or its folder could be changed by somebody who is neither
 * root nor the user we run as (a sticky folder is fine). Follows links. -errno. */
int settings_check_owner(const char *path, struct settings_error *ret_error) MUST_USE;

config_setting_t *settings_root(const struct settings *settings);
const char *settings_name(const struct settings *settings);
/* Appends the dotted path of setting: "watch.paths[3]". */
void settings_key(const config_setting_t *setting, struct buffer *key);
/* Fills ret_error for setting (NULL: the whole text) and returns -EINVAL. */
int settings_fail(struct settings_error *ret_error, const struct settings *settings,
                  const config_setting_t *setting, const char *format, ...) PRINTF_LIKE(4, 5);

#endif
