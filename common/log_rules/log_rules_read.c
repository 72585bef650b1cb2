/* Owns: what a decoder and a rule may say, and whether it makes sense. Must not own: references
 * between them (log_rules.c). */
#include "common/log_rules/log_rules_private.h"

#include "common/limits.h"
#include "common/settings/suggestion.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

enum { SHOWN_BYTES = 120 };

struct reader {
    const struct settings *settings;
    const config_setting_t *group;
    struct settings_error *error;
};

static const char *const severity_names[] = {
    [LOG_SEVERITY_IGNORE] = "ignore", [LOG_SEVERITY_INFO] = "info",
    [LOG_SEVERITY_LOW] = "low",       [LOG_SEVERITY_MEDIUM] = "medium",
    [LOG_SEVERITY_HIGH] = "high",     [LOG_SEVERITY_CRITICAL] = "critical",
};

static const char *const group_names[LOG_GROUP_COUNT] = {
    [LOG_GROUP_ACCOUNT_CHANGED] = "account_changed",
    [LOG_GROUP_AUTHENTICATION_FAILURE] = "authentication_failure",
    [LOG_GROUP_BRUTE_FORCE] = "brute_force",
    [LOG_GROUP_CONFIGURATION_ERROR] = "configuration_error",
    [LOG_GROUP_KERNEL_FAULT] = "kernel_fault",
    [LOG_GROUP_KERNEL_MODULE] = "kernel_module",
    [LOG_GROUP_LOG_CLEARED] = "log_cleared",
    [LOG_GROUP_LOGIN] = "login",
    [LOG_GROUP_LOGIN_AFTER_FAILURES] = "login_after_failures",
    [LOG_GROUP_OTHER] = "other",
    [LOG_GROUP_PACKAGE_CHANGED] = "package_changed",
    [LOG_GROUP_PRIVILEGE_REFUSED] = "privilege_refused",
    [LOG_GROUP_PRIVILEGE_USE] = "privilege_use",
    [LOG_GROUP_SERVICE_FAILED] = "service_failed",
};

const char *log_severity_name(enum log_severity severity)
{
    return (size_t)severity < ARRAY_LENGTH(severity_names) ? severity_names[severity] : "unknown";
}

const char *log_group_name(enum log_group group)
{
    return (size_t)group < ARRAY_LENGTH(group_names) ? group_names[group] : "unknown";
}

const char *log_group_kind(enum log_group group)
{
    static const char *const kinds[LOG_GROUP_COUNT] = {
        [LOG_GROUP_ACCOUNT_CHANGED] = "log_account_changed",
        [LOG_GROUP_AUTHENTICATION_FAILURE] = "log_authentication_failure",
        [LOG_GROUP_BRUTE_FORCE] = "log_brute_force",
        [LOG_GROUP_CONFIGURATION_ERROR] = "log_configuration_error",
        [LOG_GROUP_KERNEL_FAULT] = "log_kernel_fault",
        [LOG_GROUP_KERNEL_MODULE] = "log_kernel_module",
        [LOG_GROUP_LOG_CLEARED] = "log_log_cleared",
        [LOG_GROUP_LOGIN] = "log_login",
        [LOG_GROUP_LOGIN_AFTER_FAILURES] = "log_login_after_failures",
        [LOG_GROUP_OTHER] = "log_other",
        [LOG_GROUP_PACKAGE_CHANGED] = "log_package_changed",
        [LOG_GROUP_PRIVILEGE_REFUSED] = "log_privilege_refused",
        [LOG_GROUP_PRIVILEGE_USE] = "log_privilege_use",
        [LOG_GROUP_SERVICE_FAILED] = "log_service_failed",
    };

    return (size_t)group < ARRAY_LENGTH(kinds) ? kinds[group] : kinds[LOG_GROUP_OTHER];
}

/* ---- keys ---- */

static const char *key_at(const void *user, size_t index)
{
    return ((const char *const *)user)[index];
}

static int check_keys(const struct reader *reader, const char *const *keys, size_t count)
{
    int length = config_setting_length(reader->group);

    for (int i = 0; i < length; i++) {
        const config_setting_t *setting = config_setting_get_elem(reader->group, (unsigned)i);
        const char *name = config_setting_name(setting);
        bool known = false;
        for (size_t k = 0; k < count; k++)
            known = known || text_equal(keys[k], name);
        if (known)
            continue;
        const char *nearest = suggestion_nearest(name, count, key_at, keys);
        return settings_fail(reader->error, reader->settings, setting, "is not a known key; %s%s%s",
                             nearest != NULL ? "did you mean " : "remove it",
                             nearest != NULL ? nearest : "", nearest != NULL ? "?" : "");
    }
    return 0;
}

static const config_setting_t *member(const struct reader *reader, const char *key)
{
    return config_setting_get_member(reader->group, key);
}

static int fail(const struct reader *reader, const config_setting_t *setting, const char *what)
{
    return settings_fail(reader->error, reader->settings, setting, "%s", what);
}

/* NULL when it is not there. */
static int read_text(const struct reader *reader, const char *key, size_t most, char **ret_text)
{
    const config_setting_t *setting = member(reader, key);

    if (setting == NULL)
        return 0;
    const char *text = config_setting_get_string(setting);
    if (text == NULL || text[0] == '\0')
        return fail(reader, setting, "must be a text in quotes, and not empty");
    if (strlen(text) > most)
        return settings_fail(reader->error, reader->settings, setting,
                             "is longer than %zu bytes; shorten it", most);
    if (!text_is_utf8(text))
        return fail(reader, setting, "is not UTF-8; correct it");
    *ret_text = strdup(text);
    return *ret_text != NULL ? 0 : -ENOMEM;
}

static bool is_name(const char *text)
{
    if (!isalnum((unsigned char)text[0]) || strlen(text) > LIMIT_LOG_NAME_BYTES)
        return false;
    for (; *text != '\0'; text++)
        if (!isalnum((unsigned char)*text) && strchr("_.-/()@+]", *text) == NULL)
            return false;
    return true;
}

static int add_name(const struct reader *reader, const config_setting_t *setting,
                    struct texts *texts)
{
    const char *text = config_setting_get_string(setting);

    if (text == NULL || !is_name(text))
        return fail(reader, setting,
                    "must be a name in quotes: letters, digits and _.-/()@+], not too long");
    texts->entries[texts->count] = strdup(text);
    if (texts->entries[texts->count] == NULL)
        return -ENOMEM;
    texts->count++;
    return 0;
}

/* "one" or ["one", "two"]. */
static int read_names(const struct reader *reader, const char *key, struct texts *texts)
{
    const config_setting_t *setting = member(reader, key);

    if (setting == NULL)
        return 0;
    bool many = config_setting_is_list(setting) || config_setting_is_array(setting);
    size_t count = many ? (size_t)config_setting_length(setting) : 1;
    if (count == 0 || count > LIMIT_LOG_NAMES)
        return settings_fail(reader->error, reader->settings, setting, "must have 1 to %d entries",
                             LIMIT_LOG_NAMES);
    texts->entries = calloc(count, sizeof *texts->entries);
    if (texts->entries == NULL)
        return -ENOMEM;
    int r = many ? 0 : add_name(reader, setting, texts);
    for (size_t i = 0; many && i < count && r == 0; i++)
        r = add_name(reader, config_setting_get_elem(setting, (unsigned)i), texts);
    return r;
}

static int compile(const struct reader *reader, const config_setting_t *setting,
                   pcre2_code **ret_regex)
{
    const char *text = config_setting_get_string(setting);
    char problem[LOG_REGEX_PROBLEM_BYTES];
    size_t offset;

    if (text == NULL || text[0] == '\0')
        return fail(reader, setting, "must be an expression in quotes, and not empty");
    if (strlen(text) > LIMIT_LOG_REGEX_BYTES)
        return settings_fail(reader->error, reader->settings, setting,
                             "is longer than %d bytes; make several of it", LIMIT_LOG_REGEX_BYTES);
    if (log_regex_compile == NULL || log_regex_compile(text, ret_regex, problem, &offset) == 0)
        return 0;
    return settings_fail(reader->error, reader->settings, setting,
                         "is no expression of PCRE2: %s, at byte %zu", problem, offset);
}

static int read_regex(const struct reader *reader, const char *key, pcre2_code **ret_regex)
{
    const config_setting_t *setting = member(reader, key);

    return setting != NULL ? compile(reader, setting, ret_regex) : 0;
}

static int read_number(const struct reader *reader, const char *key, uint32_t least, uint32_t most,
                       uint32_t *ret_number)
{
    const config_setting_t *setting = member(reader, key);

    if (setting == NULL)
        return 0;
    int value = config_setting_get_int(setting);
    if (config_setting_type(setting) != CONFIG_TYPE_INT || value < 0 || (uint32_t)value < least ||
        (uint32_t)value > most)
        return settings_fail(reader->error, reader->settings, setting,
                             "must be a number from %u to %u", least, most);
    *ret_number = (uint32_t)value;
    return 0;
}

/* "2m", or seconds. */
static int read_duration(const struct reader *reader, const char *key, uint64_t *ret_ns)
{
    const config_setting_t *setting = member(reader, key);
    uint64_t ns = 0;

    if (setting == NULL)
        return 0;
    int r = -EINVAL;
    if (config_setting_type(setting) == CONFIG_TYPE_INT && config_setting_get_int(setting) > 0) {
        ns = (uint64_t)config_setting_get_int(setting) * NS_PER_SECOND;
        r = 0;
    } else if (config_setting_type(setting) == CONFIG_TYPE_STRING) {
        r = text_parse_duration(config_setting_get_string(setting), &ns);
    }
    if (r < 0 || ns < NS_PER_SECOND || ns > 86400 * NS_PER_SECOND)
        return fail(reader, setting, "must be a duration from \"1s\" to \"24h\"");
    *ret_ns = ns;
    return 0;
}

static int read_bool(const struct reader *reader, const char *key, bool *ret_value)
{
    const config_setting_t *setting = member(reader, key);

    if (setting == NULL)
        return 0;
    if (config_setting_type(setting) != CONFIG_TYPE_BOOL)
        return fail(reader, setting, "must be true or false");
    *ret_value = config_setting_get_bool(setting) != 0;
    return 0;
}

/* -ENOENT: it is not there. */
static int read_word(const struct reader *reader, const char *key, const char *const *words,
                     size_t count, unsigned *ret_word)
{
    const config_setting_t *setting = member(reader, key);

    if (setting == NULL)
        return -ENOENT;
    const char *text = config_setting_get_string(setting);
    for (size_t i = 0; text != NULL && i < count; i++)
        if (text_equal(words[i], text)) {
            *ret_word = (unsigned)i;
            return 0;
        }
    char shown[SHOWN_BYTES] = "it";
    if (text != NULL)
        (void)text_escape(shown, sizeof shown, text, strlen(text));
    const char *nearest = text != NULL ? suggestion_nearest(text, count, key_at, words) : NULL;
    return settings_fail(reader->error, reader->settings, setting, "\"%s\" is not known%s%s%s",
                         shown, nearest != NULL ? "; did you mean " : "",
                         nearest != NULL ? nearest : "; see the README of the rules",
                         nearest != NULL ? "?" : "");
}

static void free_regex(pcre2_code *regex)
{
    if (regex != NULL)
        log_regex_free(regex);
}

/* ---- decoders ---- */

/* The named groups of the expression are the fields. */
static int take_fields(const struct reader *reader, struct decoder *decoder)
{
    const char *name;
    unsigned group;

    for (size_t i = 0; (name = log_regex_name(decoder->regex, i, &group)) != NULL; i++) {
        if (i == ARRAY_LENGTH(decoder->fields))
            return settings_fail(reader->error, reader->settings, member(reader, "regex"),
                                 "has more than %zu fields", ARRAY_LENGTH(decoder->fields));
        decoder->fields[i].group = group;
        decoder->fields[i].name = strdup(name);
        if (decoder->fields[i].name == NULL)
            return -ENOMEM;
        decoder->field_count++;
    }
    return 0;
}

int log_rules_read_decoder(const struct log_rules_source *source, const config_setting_t *group,
                           struct decoder *decoder, struct settings_error *error)
{
    static const char *const keys[] = {"name", "program", "contains", "regex"};
    const struct reader reader = {source->settings, group, error};

    if (!config_setting_is_group(group))
        return fail(&reader, group, "must be a decoder: { name = ...; }");
    int r = check_keys(&reader, keys, ARRAY_LENGTH(keys));
    if (r == 0)
        r = read_text(&reader, "name", LIMIT_LOG_NAME_BYTES, &decoder->name);
    if (r == 0 && (decoder->name == NULL || !is_name(decoder->name)))
        return fail(&reader, group, "needs a name: letters, digits and _.-");
    if (r == 0)
        r = read_names(&reader, "program", &decoder->programs);
    if (r == 0)
        r = read_text(&reader, "contains", LIMIT_LOG_REGEX_BYTES, &decoder->contains);
    if (r == 0)
        r = read_regex(&reader, "regex", &decoder->regex);
    if (r == 0 && decoder->regex != NULL)
        r = take_fields(&reader, decoder);
    if (r < 0)
        return r;
    decoder->contains_length = decoder->contains != NULL ? strlen(decoder->contains) : 0;
    if (decoder->programs.count == 0 && decoder->contains == NULL)
        return fail(&reader, group,
                    "takes every line there is; say a program, or what it contains");
    return 0;
}

static void texts_done(struct texts *texts)
{
    for (size_t i = 0; i < texts->count; i++)
        free(texts->entries[i]);
    free(texts->entries);
}

void log_rules_decoder_done(struct decoder *decoder)
{
    free(decoder->name);
    free(decoder->contains);
    texts_done(&decoder->programs);
    free_regex(decoder->regex);
    for (size_t i = 0; i < decoder->field_count; i++)
        free(decoder->fields[i].name);
}

/* ---- rules ---- */

static int read_conditions(const struct reader *reader, struct rule *rule)
{
    const config_setting_t *setting = member(reader, "fields");

    if (setting == NULL)
        return 0;
    int count = config_setting_length(setting);
    if (!config_setting_is_group(setting) || count == 0 || count > LIMIT_LOG_NAMES)
        return fail(reader, setting, "must be a group such as { user = \"^root$\"; }");
    rule->conditions = calloc((size_t)count, sizeof *rule->conditions);
    if (rule->conditions == NULL)
        return -ENOMEM;
    for (int i = 0; i < count; i++) {
        const config_setting_t *condition = config_setting_get_elem(setting, (unsigned)i);
        struct condition *here = &rule->conditions[rule->condition_count];
        here->field = strdup(config_setting_name(condition));
        if (here->field == NULL)
            return -ENOMEM;
        rule->condition_count++;
        int r = compile(reader, condition, &here->regex);
        if (r < 0)
            return r;
    }
    return 0;
}

static int read_counted_rules(const struct reader *reader, struct rule *rule)
{
    const config_setting_t *setting = member(reader, "if_matched_rules");

    if (setting == NULL)
        return 0;
    int count = config_setting_length(setting);
    if (!(config_setting_is_list(setting) || config_setting_is_array(setting)) || count == 0 ||
        count > LIMIT_LOG_NAMES)
        return fail(reader, setting, "must be a list of identifiers: [1001, 1002]");
    rule->counted_rules = calloc((size_t)count, sizeof *rule->counted_rules);
    if (rule->counted_rules == NULL)
        return -ENOMEM;
    for (int i = 0; i < count; i++) {
        const config_setting_t *entry = config_setting_get_elem(setting, (unsigned)i);
        int id = config_setting_get_int(entry);
        if (config_setting_type(entry) != CONFIG_TYPE_INT || id < 1 || id > LOG_RULE_LAST)
            return fail(reader, entry, "must be the identifier of a rule");
        rule->counted_rules[rule->counted_rule_count++] = (uint32_t)id;
    }
    return 0;
}

static int read_counting(const struct reader *reader, struct rule *rule)
{
    unsigned group = 0;
    int r = read_word(reader, "if_matched_group", group_names, LOG_GROUP_COUNT, &group);

    rule->counts_group = r == 0;
    rule->counted_group = (enum log_group)group;
    r = r == -ENOENT ? 0 : r;
    if (r == 0)
        r = read_counted_rules(reader, rule);
    rule->counts = rule->counts_group || rule->counted_rule_count > 0;
    if (r == 0)
        r = read_number(reader, "frequency", 1, LIMIT_LOG_FREQUENCY, &rule->facts.frequency);
    if (r == 0)
        r = read_duration(reader, "timeframe", &rule->timeframe_ns);
    if (r == 0)
        r = read_duration(reader, "ignore", &rule->ignore_ns);
    if (r == 0)
        r = read_names(reader, "same", &rule->same);
    if (r < 0)
        return r;
    bool complete = rule->facts.frequency > 0 && rule->timeframe_ns > 0;
    bool any = rule->facts.frequency > 0 || rule->timeframe_ns > 0 || rule->ignore_ns > 0 ||
               rule->same.count > 0;
    if (rule->counts && !complete)
        return fail(reader, reader->group,
                    "counts matches, so it needs frequency and timeframe, too");
    if (!rule->counts && any)
        return fail(reader, reader->group,
                    "counts nothing, so frequency, timeframe, ignore and same mean nothing; "
                    "say if_matched_group or if_matched_rules");
    return 0;
}

static int read_facts(const struct reader *reader, const struct log_rules_source *source,
                      struct rule *rule)
{
    unsigned word = 0;
    int r = member(reader, "id") == NULL
                ? fail(reader, reader->group, "needs an id")
                : read_number(reader, "id", source->first_id, source->last_id, &rule->facts.id);

    if (r < 0)
        return r;
    r = read_word(reader, "severity", severity_names, ARRAY_LENGTH(severity_names), &word);
    if (r == -ENOENT)
        return fail(reader, reader->group,
                    "needs a severity: ignore, info, low, medium, high or critical");
    rule->facts.severity = (enum log_severity)word;
    word = LOG_GROUP_OTHER;
    if (r == 0)
        r = read_word(reader, "group", group_names, LOG_GROUP_COUNT, &word);
    rule->facts.group = (enum log_group)word;
    r = r == -ENOENT ? 0 : r;
    if (r == 0)
        r = read_bool(reader, "quiet", &rule->facts.quiet);
    if (r == 0)
        r = read_text(reader, "description", LIMIT_LOG_DESCRIPTION_BYTES, &rule->description);
    if (r == 0)
        r = read_text(reader, "description_ja", LIMIT_LOG_DESCRIPTION_BYTES, &rule->description_ja);
    if (r == 0 && rule->description == NULL)
        return fail(reader, reader->group, "needs a description");
    return r;
}

int log_rules_read_rule(const struct log_rules_source *source, const config_setting_t *group,
                        struct rule *rule, struct settings_error *error)
{
    static const char *const keys[] = {
        "id",       "decoder",     "match",          "unless",    "fields",
        "severity", "group",       "quiet",          "same",      "if_matched_group",
        "ignore",   "description", "description_ja", "frequency", "if_matched_rules",
        "timeframe"};
    const struct reader reader = {source->settings, group, error};

    if (!config_setting_is_group(group))
        return fail(&reader, group, "must be a rule: { id = ...; }");
    int r = check_keys(&reader, keys, ARRAY_LENGTH(keys));
    if (r == 0)
        r = read_facts(&reader, source, rule);
    if (r == 0)
        r = read_names(&reader, "decoder", &rule->decoders);
    if (r == 0)
        r = read_regex(&reader, "match", &rule->match);
    if (r == 0)
        r = read_regex(&reader, "unless", &rule->unless);
    if (r == 0)
        r = read_conditions(&reader, rule);
    if (r == 0)
        r = read_counting(&reader, rule);
    if (r < 0)
        return r;
    if (rule->decoders.count == 0 &&
        (!rule->counts || rule->match != NULL || rule->unless != NULL || rule->condition_count > 0))
        return fail(&reader, group, "needs a decoder");
    rule->facts.description = rule->description;
    rule->facts.description_ja =
        rule->description_ja != NULL ? rule->description_ja : rule->description;
    return 0;
}

void log_rules_rule_done(struct rule *rule)
{
    free(rule->description);
    free(rule->description_ja);
    texts_done(&rule->decoders);
    free(rule->decoder_bits);
    free_regex(rule->match);
    free_regex(rule->unless);
    for (size_t i = 0; i < rule->condition_count; i++) {
        free(rule->conditions[i].field);
        free_regex(rule->conditions[i].regex);
    }
    free(rule->conditions);
    free(rule->counted_rules);
    texts_done(&rule->same);
}
