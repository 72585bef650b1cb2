/* What the files of the engine share: one run over one request. */
#ifndef APPLICATION_DETECTION_RULE_RUN_H
#define APPLICATION_DETECTION_RULE_RUN_H

#include "application/detection/regex_cache.h"
#include "application/detection/rule_engine.h"

struct value_form {
    struct span text;
    uint64_t bytes[4]; /* that occur in it */
};

/* What a whole list has in it, in one form: a rule that no value can match looks at none. */
struct list_summary {
    bool made;
    uint64_t bytes[4];
    size_t longest;
    uint32_t *special; /* the values with other bytes than words have; NULL: no memory for it */
    size_t special_count;
};

/* A variable whose name was made from the request. */
struct named_variable {
    struct span name;
    struct span text;
    bool set;
    struct named_variable *next;
};

struct slot_value {
    struct span text;
    bool set;
};

struct removed_target {
    const struct table_action *action;
    struct removed_target *next;
};

struct matched_value {
    struct span name; /* "ARGS:id" */
    struct span text;
    struct matched_value *next;
};

enum rule_hint {
    HINT_SPECIAL = 1 << 0,  /* what is plain words and numbers cannot match */
    HINT_EXCLUDES = 1 << 1, /* some of its targets are exclusions */
};

struct rule_engine {
    const struct rule_table *table;
    struct regex_cache *regexes; /* rules, then targets */
    bool exact;
    unsigned paranoia;
    uint8_t *dispositions; /* of rules: enum disposition */
    uint8_t *hints;        /* of rules: enum rule_hint */
    uint32_t capture_slots[REGEX_CAPTURES];
    size_t prepared;
    bool denied;
};

struct rule_run {
    struct rule_engine *engine;
    const struct rule_table *table;
    struct judgement *judgement;
    struct arena *arena;
    struct request *request;
    struct slot_value *slots;
    struct named_variable *named;
    struct list_summary *summaries; /* list * pipelines + pipeline */
    struct removed_target *removed;
    bool engine_off;
    /* Of the chain being evaluated: */
    const struct table_rule *first;
    struct matched_value *matched; /* the last rule's, newest first */
    struct matched_value matched_last;
    struct judgement_match finding; /* of the chain's first match */
    bool found;
};

/* Values in forms (rule_forms.c). NULL: out of memory. */
const struct value_form *value_form_of(struct rule_run *run, struct request_value *value,
                                       uint32_t pipeline);
extern const uint64_t plain_bytes[4];
const struct list_summary *list_summary_of(struct rule_run *run, enum request_list list,
                                           uint32_t pipeline);

/* Transaction variables and macros (rule_variables.c). */
bool variable_get(struct rule_run *run, struct span name, struct span *ret_text);
void variable_set(struct rule_run *run, uint32_t slot, struct span name, struct span text,
                  bool set);
struct span macro_expand(struct rule_run *run, struct span text);
int64_t number_of(struct span text);
struct span number_text(struct arena *arena, int64_t number);
void rule_apply_actions(struct rule_run *run, const struct table_rule *rule);

/* Whether a form is what the rule looks for, before negation (rule_operators.c). captures is
 * filled when the operator captures. */
bool rule_operator_match(struct rule_run *run, const struct table_rule *rule,
                         const struct value_form *form, struct span *captures);

/* Whether any of the rule's targets matches; applies its actions for each (rule_targets.c). */
bool rule_match_targets(struct rule_run *run, const struct table_rule *rule);

#endif
