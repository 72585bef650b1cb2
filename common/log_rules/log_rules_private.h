/* Shared by the files that make up log_rules.h and log_engine.h. Not for others. */
#ifndef COMMON_LOG_RULES_LOG_RULES_PRIVATE_H
#define COMMON_LOG_RULES_LOG_RULES_PRIVATE_H

#include "common/log_rules/log_regex.h"
#include "common/log_rules/log_rules.h"

struct texts {
    char **entries;
    size_t count;
};

struct decoder {
    char *name;
    struct texts programs; /* none: any */
    char *contains;        /* NULL: anything; asked before the expression, which is slower */
    size_t contains_length;
    pcre2_code *regex; /* NULL: every line that holds contains */
    struct {
        char *name;
        unsigned group;
    } fields[16];
    size_t field_count;
};

struct condition {
    char *field;
    pcre2_code *regex;
};

struct rule {
    struct log_rule facts;
    char *description, *description_ja;
    struct texts decoders; /* none: it counts other rules' matches */
    uint64_t *decoder_bits;
    pcre2_code *match, *unless; /* over the message; NULL: any, none */
    struct condition *conditions;
    size_t condition_count;
    /* What is counted. */
    bool counts;
    bool counts_group;
    enum log_group counted_group;
    uint32_t *counted_rules;
    size_t counted_rule_count;
    uint64_t timeframe_ns, ignore_ns;
    struct texts same;
};

struct log_rules {
    struct decoder *decoders;
    size_t decoder_count;
    struct rule *rules;
    size_t rule_count;
    bool sealed;
};

/* ---- log_rules_read.c ---- */
int log_rules_read_decoder(const struct log_rules_source *source, const config_setting_t *group,
                           struct decoder *decoder, struct settings_error *error) MUST_USE;
int log_rules_read_rule(const struct log_rules_source *source, const config_setting_t *group,
                        struct rule *rule, struct settings_error *error) MUST_USE;
void log_rules_decoder_done(struct decoder *decoder);
void log_rules_rule_done(struct rule *rule);

#endif
