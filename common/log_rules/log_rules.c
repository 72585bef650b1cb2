/* Owns: the lists of decoders and rules, and what they say about each other. Must not own: the
 * reading of one (log_rules_read.c), lines (log_engine.c). */
#include "common/buffers/buffer.h"
#include "common/limits.h"
#include "common/log_rules/log_rules_private.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

int log_rules_new(struct log_rules **ret_rules)
{
    struct log_rules *rules = calloc(1, sizeof *rules);

    if (rules == NULL)
        return -ENOMEM;
    *ret_rules = rules;
    return 0;
}

struct log_rules *log_rules_free(struct log_rules *rules)
{
    if (rules == NULL)
        return NULL;
    for (size_t i = 0; i < rules->decoder_count; i++)
        log_rules_decoder_done(&rules->decoders[i]);
    for (size_t i = 0; i < rules->rule_count; i++)
        log_rules_rule_done(&rules->rules[i]);
    free(rules->decoders);
    free(rules->rules);
    free(rules);
    return NULL;
}

/* ---- adding ---- */

static int count_entries(const struct log_rules_source *source, const config_setting_t *list,
                         size_t there, size_t most, struct settings_error *error, size_t *ret_count)
{
    *ret_count = 0;
    if (list == NULL)
        return 0;
    if (!config_setting_is_list(list))
        return settings_fail(error, source->settings, list,
                             "must be a list in round brackets: ( { ... }, { ... } )");
    *ret_count = (size_t)config_setting_length(list);
    if (there + *ret_count > most)
        return settings_fail(error, source->settings, list, "are more than %zu altogether", most);
    return 0;
}

static int add_decoder(struct log_rules *rules, const struct log_rules_source *source,
                       const config_setting_t *group, struct settings_error *error)
{
    struct decoder *decoder = &rules->decoders[rules->decoder_count++];
    int r = log_rules_read_decoder(source, group, decoder, error);

    for (size_t i = 0; r == 0 && i + 1 < rules->decoder_count; i++)
        if (text_equal(rules->decoders[i].name, decoder->name))
            r = settings_fail(error, source->settings, group,
                              "there is another decoder \"%s\"; give it another name",
                              decoder->name);
    return r;
}

static int add_rule(struct log_rules *rules, const struct log_rules_source *source,
                    const config_setting_t *group, struct settings_error *error)
{
    struct rule *rule = &rules->rules[rules->rule_count++];
    int r = log_rules_read_rule(source, group, rule, error);

    for (size_t i = 0; r == 0 && i + 1 < rules->rule_count; i++)
        if (rules->rules[i].facts.id == rule->facts.id)
            r = settings_fail(error, source->settings, group,
                              "there is another rule %u; give it another id", rule->facts.id);
    return r;
}

/* New entries are zeroed: what fails halfway is freed with the rest. */
static int make_room(void **array, size_t size, size_t there, size_t more)
{
    if (more == 0)
        return 0;
    char *bigger = reallocarray(*array, there + more, size);
    if (bigger == NULL)
        return -ENOMEM;
    memset(bigger + there * size, 0, more * size);
    *array = bigger;
    return 0;
}

int log_rules_add(struct log_rules *rules, const struct log_rules_source *source,
                  struct settings_error *ret_error)
{
    size_t decoders = 0, added = 0;
    int r = count_entries(source, source->decoders, rules->decoder_count, LIMIT_LOG_DECODERS,
                          ret_error, &decoders);

    if (r == 0)
        r = count_entries(source, source->rules, rules->rule_count, LIMIT_LOG_RULES, ret_error,
                          &added);
    if (r < 0)
        return r;
    r = make_room((void **)&rules->decoders, sizeof *rules->decoders, rules->decoder_count,
                  decoders);
    if (r == 0)
        r = make_room((void **)&rules->rules, sizeof *rules->rules, rules->rule_count, added);
    for (size_t i = 0; r == 0 && i < decoders; i++)
        r = add_decoder(rules, source, config_setting_get_elem(source->decoders, (unsigned)i),
                        ret_error);
    for (size_t i = 0; r == 0 && i < added; i++)
        r = add_rule(rules, source, config_setting_get_elem(source->rules, (unsigned)i), ret_error);
    return r;
}

static int find_lists(const struct settings *settings, struct log_rules_source *source,
                      struct settings_error *ret_error)
{
    const config_setting_t *root = settings_root(settings);
    int length = config_setting_length(root);

    for (int i = 0; i < length; i++) {
        const config_setting_t *setting = config_setting_get_elem(root, (unsigned)i);
        const char *name = config_setting_name(setting);
        if (text_equal(name, "decoders"))
            source->decoders = setting;
        else if (text_equal(name, "rules"))
            source->rules = setting;
        else
            return settings_fail(ret_error, settings, setting,
                                 "is not a known key; there are decoders and rules");
    }
    return 0;
}

int log_rules_add_text(struct log_rules *rules, const char *name, const char *text, bool custom,
                       struct settings_error *ret_error)
{
    struct settings *settings = NULL;
    int r = settings_parse(name, text, &settings, ret_error);

    if (r < 0)
        return r;
    struct log_rules_source source = {.settings = settings,
                                      .first_id = custom ? LOG_RULE_FIRST_CUSTOM : 1,
                                      .last_id =
                                          custom ? LOG_RULE_LAST : LOG_RULE_FIRST_CUSTOM - 1};
    r = find_lists(settings, &source, ret_error);
    if (r == 0)
        r = log_rules_add(rules, &source, ret_error);
    (void)settings_free(settings);
    return r;
}

/* ---- references ---- */

static bool bind_decoder(const struct log_rules *rules, struct rule *rule, const char *name)
{
    for (size_t i = 0; i < rules->decoder_count; i++)
        if (text_equal(rules->decoders[i].name, name)) {
            rule->decoder_bits[i / 64] |= 1ULL << (i % 64);
            return true;
        }
    return false;
}

static bool has_rule(const struct log_rules *rules, uint32_t id)
{
    for (size_t i = 0; i < rules->rule_count; i++)
        if (rules->rules[i].facts.id == id)
            return true;
    return false;
}

static int bind(const struct log_rules *rules, struct rule *rule, struct settings_error *error)
{
    rule->decoder_bits = calloc(rules->decoder_count / 64 + 1, sizeof *rule->decoder_bits);
    if (rule->decoder_bits == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < rule->decoders.count; i++)
        if (!bind_decoder(rules, rule, rule->decoders.entries[i])) {
            (void)text_format(error->text, sizeof error->text,
                              "rule %u: there is no decoder \"%s\"; correct its name",
                              rule->facts.id, rule->decoders.entries[i]);
            return -EINVAL;
        }
    for (size_t i = 0; i < rule->counted_rule_count; i++)
        if (!has_rule(rules, rule->counted_rules[i])) {
            (void)text_format(error->text, sizeof error->text,
                              "rule %u: if_matched_rules: there is no rule %u", rule->facts.id,
                              rule->counted_rules[i]);
            return -EINVAL;
        }
    return 0;
}

int log_rules_seal(struct log_rules *rules, struct settings_error *ret_error)
{
    int r = 0;

    for (size_t i = 0; i < rules->rule_count && r == 0; i++)
        r = bind(rules, &rules->rules[i], ret_error);
    rules->sealed = r == 0;
    return r;
}

int log_rules_judge(const struct log_rules_source *source, struct settings_error *ret_error)
{
    struct log_rules *rules = NULL;
    int r = log_rules_new(&rules);

    if (r == 0)
        r = log_rules_add(rules, source, ret_error);
    (void)log_rules_free(rules);
    return r;
}

static void write_list(struct buffer *text, const char *name, const char *const *entries)
{
    (void)buffer_append_format(text, "%s = (\n", name);
    for (size_t i = 0; entries[i] != NULL; i++)
        (void)buffer_append_format(text, "%s%s\n", i > 0 ? "," : "", entries[i]);
    (void)buffer_append_text(text, ");\n");
}

char *log_rules_text_new(const char *const *decoders, const char *const *rules)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(LIMIT_SETTINGS_BYTES);

    write_list(&text, "decoders", decoders);
    write_list(&text, "rules", rules);
    return buffer_take(&text);
}

size_t log_rules_decoder_count(const struct log_rules *rules)
{
    return rules->decoder_count;
}

size_t log_rules_count(const struct log_rules *rules)
{
    return rules->rule_count;
}
