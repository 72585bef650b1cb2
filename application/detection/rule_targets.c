/* The values a rule looks at: lists of the request, transaction variables, what matched before. */
#include "application/detection/rule_run.h"

#include "application/detection/transformations.h"

static const struct table_target *targets_of(const struct rule_run *run,
                                             const struct table_rule *rule)
{
    return run->table->targets + rule->first_target;
}

/* Whether a name is what the target selects. */
static bool selects(struct rule_run *run, const struct table_target *target, struct span name)
{
    struct span selector = table_span(run->table, target->selector);
    if ((target->flags & TARGET_PATTERN) != 0)
        return regex_cache_match(run->engine->regexes,
                                 run->table->counts[TABLE_RULES] +
                                     (size_t)(target - run->table->targets),
                                 selector, name, NULL);
    return (target->flags & TARGET_SELECTED) == 0 || span_alike(name, selector);
}

/* "!ARGS:x" beside "ARGS". */
static bool is_excluded(struct rule_run *run, const struct table_rule *rule, uint16_t variable,
                        struct span name)
{
    const struct table_target *targets = targets_of(run, rule);
    for (uint32_t i = 0; i < rule->target_count; i++) {
        if ((targets[i].flags & TARGET_EXCLUDED) != 0 && targets[i].variable == variable &&
            selects(run, &targets[i], name))
            return true;
    }
    return false;
}

/* The collection's name: "ARGS" of "ARGS:x". */
static struct span collection_of(const struct rule_run *run, const struct table_target *target)
{
    struct span name = table_span(run->table, target->name);
    return span_first(name, span_find(name, ':'));
}

static bool has_tag(const struct rule_run *run, struct span tag)
{
    struct span rest = table_span(run->table, run->first->tags);
    struct span piece;
    while (rest.length > 0 && span_next(&rest, '\n', &piece)) {
        if (span_equal(piece, tag))
            return true;
    }
    return false;
}

static bool concerns(const struct rule_run *run, const struct table_action *action)
{
    if (action->kind == ACTION_REMOVE_TARGET_TAG)
        return has_tag(run, table_span(run->table, action->name));
    return action->kind == ACTION_REMOVE_TARGET && run->first->id >= action->first &&
           run->first->id <= action->last;
}

/* Whether an earlier rule took "ARGS" or "ARGS:x" out of this one's sight. */
static bool is_removed(const struct rule_run *run, struct span collection, struct span name)
{
    for (const struct removed_target *removed = run->removed; removed != NULL;
         removed = removed->next) {
        if (!concerns(run, removed->action))
            continue;
        struct span target = table_span(run->table, removed->action->value);
        size_t colon = span_find(target, ':');
        if (span_alike(span_first(target, colon), collection) &&
            (colon == target.length || span_alike(span_from(target, colon + 1), name)))
            return true;
    }
    return false;
}

static bool may_match(const struct rule_run *run, const struct table_rule *rule,
                      const uint64_t bytes[4], size_t length)
{
    const struct table_class *classes = run->table->classes + rule->first_class;
    if (length < rule->least_length)
        return false;
    for (uint32_t i = 0; i < rule->class_count; i++) {
        if (!bytes_meet(classes[i].bytes, bytes))
            return false;
    }
    return true;
}

static void set_captures(struct rule_run *run, const struct span *captures)
{
    for (size_t i = 0; i < REGEX_CAPTURES; i++) {
        uint32_t slot = run->engine->capture_slots[i];
        if (slot != RULE_TABLE_NONE && (captures[i].data != NULL || i == 0))
            run->slots[slot] = (struct slot_value){captures[i], true};
    }
}

static void remember_match(struct rule_run *run, struct span collection, struct span name,
                           const struct value_form *form, struct span match)
{
    struct span pieces[] = {collection, SPAN(":"), name};
    struct matched_value *matched = arena_take(run->arena, sizeof(*matched));
    struct span full = arena_join(run->arena, pieces, name.length == 0 ? 1 : 3);
    run->matched_last = (struct matched_value){full, form->text, NULL};
    if (matched != NULL) {
        *matched = (struct matched_value){full, form->text, run->matched};
        run->matched = matched;
    }
    if (run->found)
        return;
    bool inside =
        match.data >= form->text.data && match.data <= form->text.data + form->text.length;
    run->found = true;
    run->finding.list = collection;
    run->finding.name = name;
    run->finding.text = form->text;
    run->finding.offset = inside && match.data != NULL ? (size_t)(match.data - form->text.data) : 0;
}

/* One form of one value. */
static bool match_form(struct rule_run *run, const struct table_rule *rule, struct span collection,
                       struct span name, const struct value_form *form)
{
    struct span captures[REGEX_CAPTURES] = {{NULL, 0}};
    bool negated = (rule->flags & RULE_NEGATED) != 0;
    if (form == NULL || !may_match(run, rule, form->bytes, form->text.length) ||
        rule_operator_match(run, rule, form, captures) == negated)
        return false;
    if (judgement_excluded(run->judgement, name, run->first->id))
        return false;
    if ((rule->flags & RULE_CAPTURES) != 0 && !negated)
        set_captures(run, captures);
    remember_match(run, collection, name, form, captures[0]);
    rule_apply_actions(run, rule);
    return true;
}

static bool match_value(struct rule_run *run, const struct table_rule *rule, struct span collection,
                        struct request_value *value)
{
    bool matched = false;
    if (!judgement_in_time(run->judgement))
        return false;
    if ((rule->flags & RULE_MULTI_MATCH) == 0)
        return match_form(run, rule, collection, value->name,
                          value_form_of(run, value, rule->pipeline));
    const struct value_form *before = NULL;
    for (uint32_t pipeline = rule->pipeline;; pipeline = run->table->pipelines[pipeline].parent) {
        const struct value_form *form = value_form_of(run, value, pipeline);
        if (form != before && match_form(run, rule, collection, value->name, form))
            matched = true;
        before = form;
        if (pipeline == 0)
            return matched;
    }
}

/* A value that is in no list. */
static bool match_loose(struct rule_run *run, const struct table_rule *rule, struct span collection,
                        struct span name, struct span text)
{
    struct request_value value = {name, text, NULL};
    if (rule->pipeline != 0 || (rule->flags & RULE_MULTI_MATCH) != 0)
        return match_value(run, rule, collection, &value);
    struct value_form form = {.text = text};
    for (size_t i = 0; i < text.length; i++)
        form.bytes[(unsigned char)text.data[i] >> 6] |= 1ULL << ((unsigned char)text.data[i] & 63);
    return match_form(run, rule, collection, name, &form);
}

static bool has_exclusions(const struct rule_run *run, const struct table_rule *rule,
                           uint16_t variable)
{
    const struct table_target *targets = targets_of(run, rule);
    if ((run->engine->hints[rule - run->table->rules] & HINT_EXCLUDES) == 0)
        return false;
    for (uint32_t i = 0; i < rule->target_count; i++) {
        if ((targets[i].flags & TARGET_EXCLUDED) != 0 && targets[i].variable == variable)
            return true;
    }
    return false;
}

/* A value of a list that the rule's needs do not rule out. */
static bool match_listed(struct rule_run *run, const struct table_rule *rule,
                         const struct table_target *target, struct span collection,
                         struct request_value *value, bool excludes)
{
    if (target->flags != 0 && !selects(run, target, value->name))
        return false;
    if (excludes && is_excluded(run, rule, target->variable, value->name))
        return false;
    if (run->removed != NULL && is_removed(run, collection, value->name))
        return false;
    return match_value(run, rule, collection, value);
}

static bool match_list(struct rule_run *run, const struct table_rule *rule,
                       const struct table_target *target, enum request_list list)
{
    struct request_values *values = &run->request->lists[list];
    struct span collection = collection_of(run, target);
    bool sieved = rule->class_count > 0 && (rule->flags & RULE_MULTI_MATCH) == 0;
    const uint32_t *chosen = NULL;
    size_t count = values->count;
    bool excludes = has_exclusions(run, rule, target->variable);
    bool matched = false;
    if (count == 0)
        return false;
    if (sieved) {
        const struct list_summary *summary = list_summary_of(run, list, rule->pipeline);
        if (!may_match(run, rule, summary->bytes, summary->longest))
            return false;
        if ((run->engine->hints[rule - run->table->rules] & HINT_SPECIAL) != 0 &&
            summary->special != NULL) {
            chosen = summary->special;
            count = summary->special_count;
        }
    }
    for (size_t i = 0; i < count && !run->judgement->out_of_time; i++) {
        struct request_value *value = &values->values[chosen == NULL ? i : chosen[i]];
        const struct value_form *form = sieved ? value_form_of(run, value, rule->pipeline) : NULL;
        if (form == NULL || may_match(run, rule, form->bytes, form->text.length))
            matched = match_listed(run, rule, target, collection, value, excludes) || matched;
    }
    return matched;
}

static bool match_variables(struct rule_run *run, const struct table_rule *rule,
                            const struct table_target *target)
{
    bool matched = false;
    if (target->slot != RULE_TABLE_NONE)
        return run->slots[target->slot].set &&
               match_loose(run, rule, SPAN("TX"), table_span(run->table, target->selector),
                           run->slots[target->slot].text);
    for (uint32_t i = 0; i < run->table->counts[TABLE_SLOTS]; i++) {
        struct span name = table_span(run->table, run->table->slots[i]);
        if (run->slots[i].set && selects(run, target, name) &&
            !is_excluded(run, rule, target->variable, name))
            matched = match_loose(run, rule, SPAN("TX"), name, run->slots[i].text) || matched;
    }
    for (const struct named_variable *named = run->named; named != NULL; named = named->next) {
        if (named->set && selects(run, target, named->name) &&
            !is_excluded(run, rule, target->variable, named->name))
            matched = match_loose(run, rule, SPAN("TX"), named->name, named->text) || matched;
    }
    return matched;
}

static size_t count_of(struct rule_run *run, const struct table_target *target)
{
    size_t count = 0;
    if (target->variable < REQUEST_LIST_COUNT) {
        const struct request_values *values = &run->request->lists[target->variable];
        for (size_t i = 0; i < values->count; i++)
            count += selects(run, target, values->values[i].name) ? 1 : 0;
    } else if (target->variable == VARIABLE_TRANSACTION && target->slot != RULE_TABLE_NONE) {
        count = run->slots[target->slot].set ? 1 : 0;
    } else if (target->variable == VARIABLE_TRANSACTION) {
        for (uint32_t i = 0; i < run->table->counts[TABLE_SLOTS]; i++)
            count += run->slots[i].set &&
                             selects(run, target, table_span(run->table, run->table->slots[i]))
                         ? 1
                         : 0;
        for (const struct named_variable *named = run->named; named != NULL; named = named->next)
            count += named->set && selects(run, target, named->name) ? 1 : 0;
    }
    return count;
}

static size_t size_of_arguments(const struct request *request)
{
    static const enum request_list lists[] = {REQUEST_ARGUMENTS_GET, REQUEST_ARGUMENTS_GET_NAMES,
                                              REQUEST_ARGUMENTS_POST, REQUEST_ARGUMENTS_POST_NAMES};
    size_t size = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        for (size_t j = 0; j < request->lists[lists[i]].count; j++)
            size += request->lists[lists[i]].values[j].text.length;
    }
    return size;
}

static bool match_all_matched(struct rule_run *run, const struct table_rule *rule,
                              const struct matched_value *before, bool names)
{
    bool matched = false;
    for (; before != NULL; before = before->next)
        matched = match_loose(run, rule, SPAN("MATCHED_VARS"), before->name,
                              names ? before->name : before->text) ||
                  matched;
    return matched;
}

static bool match_target(struct rule_run *run, const struct table_rule *rule,
                         const struct table_target *target, const struct matched_value *before,
                         struct matched_value last)
{
    struct request *request = run->request;
    struct span name = table_span(run->table, target->name);
    if ((target->flags & TARGET_COUNT) != 0)
        return match_loose(run, rule, name, SPAN_NONE,
                           number_text(run->arena, (int64_t)count_of(run, target)));
    if (target->variable < REQUEST_LIST_COUNT)
        return match_list(run, rule, target, (enum request_list)target->variable);
    switch (target->variable) {
    case VARIABLE_TRANSACTION:
        return match_variables(run, rule, target);
    case VARIABLE_MATCHED:
        return match_loose(run, rule, name, last.name, last.text);
    case VARIABLE_MATCHED_NAME:
        return match_loose(run, rule, name, last.name, last.name);
    case VARIABLE_MATCHED_ALL:
    case VARIABLE_MATCHED_ALL_NAMES:
        return match_all_matched(run, rule, before, target->variable == VARIABLE_MATCHED_ALL_NAMES);
    case VARIABLE_ARGUMENTS_SIZE:
        return match_loose(run, rule, name, SPAN_NONE,
                           number_text(run->arena, (int64_t)size_of_arguments(request)));
    case VARIABLE_FILES_SIZE:
        return match_loose(run, rule, name, SPAN_NONE,
                           number_text(run->arena, (int64_t)request->uploads_bytes));
    case VARIABLE_BODY_ERROR:
        return match_loose(run, rule, name, SPAN_NONE,
                           request->body_malformed ? SPAN("1") : SPAN("0"));
    case VARIABLE_BODY_LENGTH:
        return match_loose(run, rule, name, SPAN_NONE,
                           number_text(run->arena, (int64_t)request->body.length));
    case VARIABLE_UNIQUE_ID:
        return match_loose(run, rule, name, SPAN_NONE, run->judgement->view->request_id);
    default:
        return false;
    }
}

bool rule_match_targets(struct rule_run *run, const struct table_rule *rule)
{
    const struct table_target *targets = targets_of(run, rule);
    const struct matched_value *before = run->matched;
    struct matched_value last = run->matched_last;
    bool matched = false;
    run->matched = NULL;
    for (uint32_t i = 0; i < rule->target_count; i++) {
        if ((targets[i].flags & TARGET_EXCLUDED) == 0)
            matched = match_target(run, rule, &targets[i], before, last) || matched;
    }
    return matched;
}
