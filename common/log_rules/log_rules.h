/* Decoders and rules of log inspection, as libconfig texts say them (policies/log_rules/README.md
 * is their reference): read, judged and compiled here for the agent, yaguractl and the console
 * alike. Immutable once sealed, and then shared by any threads; each needs a log_engine. */
#ifndef COMMON_LOG_RULES_LOG_RULES_H
#define COMMON_LOG_RULES_LOG_RULES_H

#include "common/attributes.h"
#include "common/settings/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rules of a policy have identifiers from this one; below it are those we ship. */
#define LOG_RULE_FIRST_CUSTOM 100000
#define LOG_RULE_LAST         999999

enum log_severity {
    LOG_SEVERITY_IGNORE, /* such a line is neither told nor counted */
    LOG_SEVERITY_INFO,
    LOG_SEVERITY_LOW,
    LOG_SEVERITY_MEDIUM,
    LOG_SEVERITY_HIGH,
    LOG_SEVERITY_CRITICAL,
};
const char *log_severity_name(enum log_severity severity);

/* What a rule is about; "log_" before its name is the kind of its events. */
enum log_group {
    LOG_GROUP_ACCOUNT_CHANGED,
    LOG_GROUP_AUTHENTICATION_FAILURE,
    LOG_GROUP_BRUTE_FORCE,
    LOG_GROUP_CONFIGURATION_ERROR,
    LOG_GROUP_KERNEL_FAULT,
    LOG_GROUP_KERNEL_MODULE,
    LOG_GROUP_LOG_CLEARED,
    LOG_GROUP_LOGIN,
    LOG_GROUP_LOGIN_AFTER_FAILURES,
    LOG_GROUP_OTHER,
    LOG_GROUP_PACKAGE_CHANGED,
    LOG_GROUP_PRIVILEGE_REFUSED,
    LOG_GROUP_PRIVILEGE_USE,
    LOG_GROUP_SERVICE_FAILED,
    LOG_GROUP_COUNT
};
const char *log_group_name(enum log_group group);
const char *log_group_kind(enum log_group group); /* "log_brute_force" */

struct log_rule {
    uint32_t id;
    enum log_severity severity;
    enum log_group group;
    bool quiet;         /* known and counted, but not told */
    uint32_t frequency; /* how many lines make it match; 0: one */
    const char *description, *description_ja;
};

struct log_rules;

int log_rules_new(struct log_rules **ret_rules) MUST_USE;
struct log_rules *log_rules_free(struct log_rules *rules);

/* Adds the lists decoders and rules (either may be NULL) behind what is there: who comes first is
 * asked first. Identifiers must be within first_id..last_id. -EINVAL with ret_error, which names
 * line and key; then the rules are only good for being freed. -ENOMEM. */
struct log_rules_source {
    const struct settings *settings;
    const config_setting_t *decoders, *rules;
    uint32_t first_id, last_id;
};
int log_rules_add(struct log_rules *rules, const struct log_rules_source *source,
                  struct settings_error *ret_error) MUST_USE;
/* The same of a whole text whose lists are called decoders and rules; anything else in it is an
 * error. custom: the identifiers of policies, else ours. */
int log_rules_add_text(struct log_rules *rules, const char *name, const char *text, bool custom,
                       struct settings_error *ret_error) MUST_USE;
/* Nothing is added any more. -EINVAL with ret_error: a rule names a decoder or a rule that is not
 * there. */
int log_rules_seal(struct log_rules *rules, struct settings_error *ret_error) MUST_USE;

/* Judges a policy's own lists, which may name what we ship: all of the above but seal. */
int log_rules_judge(const struct log_rules_source *source,
                    struct settings_error *ret_error) MUST_USE;

/* A policy's lists (of groups, as settings keep them; ended by NULL) as a text for
 * log_rules_add_text. NULL: out of memory, or longer than a text may be. */
char *log_rules_text_new(const char *const *decoders, const char *const *rules);

size_t log_rules_decoder_count(const struct log_rules *rules);
size_t log_rules_count(const struct log_rules *rules);

#endif
