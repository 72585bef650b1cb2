/* Shared by the files that make up schema.h. Not for others. */
#ifndef COMMON_SETTINGS_SCHEMA_PRIVATE_H
#define COMMON_SETTINGS_SCHEMA_PRIVATE_H

#include "common/settings/schema.h"

struct buffer;

/* ---- schema_bounds.c ---- */

/* A number, size or duration; -EINVAL, -ERANGE. */
int schema_parse_scalar(enum settings_type type, const char *text, uint64_t *ret_number);
/* -ERANGE. */
int schema_check_range(const struct settings_rule *rule, uint64_t number);
bool schema_is_choice(const char *choices, const char *text);
/* What is wrong with it, or NULL. */
const char *schema_problem_of_text(const char *bounds, const char *text);
/* Owned by the caller; NULL: no memory. */
char *schema_normal_text(const char *bounds, const char *text);

/* ---- schema_group.c ---- */

/* One line in one spelling, which reads as the same value. -EINVAL: it holds a fraction. */
int schema_write_setting(const config_setting_t *setting, struct buffer *text) MUST_USE;

/* ---- schema_value.c ---- */

/* In quotes, escaped. */
void schema_show_text(struct buffer *text, const char *value);

#endif
