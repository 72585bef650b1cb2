#include "application/detection/rule_engine.h"

#include "application/detection/dispositions.h"
#include "application/detection/rule_run.h"
#include "application/detection/transformations.h"

#include <errno.h>

static uint8_t hints_of(const struct rule_table *table, const struct table_rule *rule)
{
    uint8_t hints = 0;
    for (uint32_t i = 0; i < rule->class_count; i++) {
        if (!bytes_meet(table->classes[rule->first_class + i].bytes, plain_bytes))
            hints |= HINT_SPECIAL;
    }
    for (uint32_t i = 0; i < rule->target_count; i++) {
        if ((table->targets[rule->first_target + i].flags & TARGET_EXCLUDED) != 0)
            hints |= HINT_EXCLUDES;
    }
    return hints;
}

static void find_capture_slots(struct rule_engine *engine)
{
    const struct rule_table *table = engine->table;
    for (size_t i = 0; i < REGEX_CAPTURES; i++) {
        char digit = (char)('0' + i);
        engine->capture_slots[i] = RULE_TABLE_NONE;
        for (uint32_t j = 0; j < table->counts[TABLE_SLOTS]; j++) {
            if (span_equal(table_span(table, table->slots[j]), (struct span){&digit, 1}))
                engine->capture_slots[i] = j;
        }
    }
}

/* "paranoia-level/2" among the tags. */
unsigned rule_paranoia(const struct rule_table *table, const struct table_rule *rule)
{
    static const char tag[] = "paranoia-level/";
    struct span tags = table_span(table, rule->tags);
    const char *at = memmem(tags.data, tags.length, tag, sizeof(tag) - 1);
    return at == NULL ? 1 : (unsigned)(at[sizeof(tag) - 1] - '0');
}

int rule_engine_new(const struct rule_table *table, bool exact, unsigned paranoia,
                    struct rule_engine **ret_engine)
{
    uint32_t rules = table->counts[TABLE_RULES];
    struct rule_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL)
        return -ENOMEM;
    engine->table = table;
    engine->exact = exact;
    engine->paranoia = exact ? paranoia : DISPOSITION_PARANOIA;
    engine->regexes = regex_cache_new((size_t)rules + table->counts[TABLE_TARGETS]);
    engine->dispositions = calloc((size_t)rules + 1, 1);
    engine->hints = calloc((size_t)rules + 1, 1);
    if (engine->regexes == NULL || engine->dispositions == NULL || engine->hints == NULL) {
        rule_engine_free(engine);
        return -ENOMEM;
    }
    for (uint32_t i = 0; i < rules; i++)
        engine->hints[i] = hints_of(table, &table->rules[i]);
    for (uint32_t i = 0; !exact && i < rules; i++) {
        /* Rules that do not score steer others. */
        if ((table->rules[i].flags & RULE_SCORES) != 0)
            engine->dispositions[i] =
                (uint8_t)disposition_of(table->rules[i].id, rule_paranoia(table, &table->rules[i]));
    }
    find_capture_slots(engine);
    *ret_engine = engine;
    return 0;
}

struct rule_engine *rule_engine_free(struct rule_engine *engine)
{
    if (engine == NULL)
        return NULL;
    regex_cache_free(engine->regexes);
    free(engine->dispositions);
    free(engine->hints);
    free(engine);
    return NULL;
}

bool rule_engine_denied(const struct rule_engine *engine)
{
    return engine->denied;
}

bool rule_engine_prepare(struct rule_engine *engine, size_t most)
{
    const struct rule_table *table = engine->table;
    for (; most > 0 && engine->prepared < table->counts[TABLE_RULES]; engine->prepared++) {
        const struct table_rule *rule = &table->rules[engine->prepared];
        if (rule->operation != OPERATOR_REGEX || (rule->flags & RULE_MACRO) != 0)
            continue;
        regex_cache_prepare(engine->regexes, engine->prepared, table_span(table, rule->argument));
        most--;
    }
    return engine->prepared == table->counts[TABLE_RULES];
}

static bool is_removed(const struct rule_run *run, const struct table_rule *rule)
{
    for (const struct removed_target *removed = run->removed; removed != NULL;
         removed = removed->next) {
        const struct table_action *action = removed->action;
        if (action->kind == ACTION_REMOVE_RULES && rule->id >= action->first &&
            rule->id <= action->last)
            return true;
        if (action->kind != ACTION_REMOVE_TAGGED)
            continue;
        struct span rest = table_span(run->table, rule->tags);
        struct span tag;
        while (rest.length > 0 && span_next(&rest, '\n', &tag)) {
            if (span_equal(tag, table_span(run->table, action->name)))
                return true;
        }
    }
    return false;
}

static bool match_one(struct rule_run *run, const struct table_rule *rule)
{
    if (rule->operation != OPERATOR_ALWAYS)
        return rule_match_targets(run, rule);
    rule_apply_actions(run, rule);
    return true;
}

static uint32_t chain_end(const struct rule_table *table, uint32_t index)
{
    while ((table->rules[index].flags & RULE_CHAINED) != 0)
        index++;
    return index + 1;
}

static bool match_chain(struct rule_run *run, uint32_t index)
{
    const struct rule_table *table = run->table;
    run->first = &table->rules[index];
    run->found = false;
    run->matched = NULL;
    for (;; index++) {
        if (!match_one(run, &table->rules[index]))
            return false;
        if ((table->rules[index].flags & RULE_CHAINED) == 0)
            return true;
    }
}

/* A whole chain matched. */
static void conclude(struct rule_run *run, uint32_t index)
{
    struct rule_engine *engine = run->engine;
    const struct table_rule *rule = &run->table->rules[index];
    enum disposition disposition = (enum disposition)engine->dispositions[index];
    if ((rule->flags & RULE_DENIES) != 0 && engine->exact) {
        engine->denied = true;
        run->engine_off = true;
    }
    if (engine->exact ? (rule->flags & RULE_SILENT) != 0 : (rule->flags & RULE_SCORES) == 0)
        return;
    run->finding.protection = (enum inspection_protection)(rule->protection % PROTECTION_COUNT);
    run->finding.rule = rule->id;
    run->finding.score =
        disposition_score(disposition, rule->score, run->finding.text, run->finding.offset);
    if (run->finding.score == 0 && !engine->exact)
        return;
    run->finding.message = table_span(run->table, rule->message);
    (void)judgement_find(run->judgement, &run->finding);
}

static void run_rules(struct rule_run *run)
{
    const struct rule_table *table = run->table;
    uint32_t index = 0;
    while (index < table->counts[TABLE_RULES] && !run->engine_off &&
           judgement_in_time(run->judgement)) {
        const struct table_rule *rule = &table->rules[index];
        uint32_t next = chain_end(table, index);
        bool skipped = run->engine->dispositions[index] == DISPOSITION_LEFT_OUT ||
                       (run->removed != NULL && is_removed(run, rule));
        if (!skipped && match_chain(run, index)) {
            conclude(run, index);
            next = rule->skip_to == 0 ? next : rule->skip_to;
        }
        index = next;
    }
}

/* The rule set's settings, under their names in its versions 3 and 4. */
static void set_paranoia(struct rule_run *run)
{
    static const char *const names[] = {"paranoia_level", "executing_paranoia_level",
                                        "blocking_paranoia_level", "detection_paranoia_level"};
    struct span level = number_text(run->arena, run->engine->paranoia);
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++)
        variable_set(run, RULE_TABLE_NONE, span_of(names[i]), level, true);
}

void rule_engine_run(struct rule_engine *engine, struct judgement *judgement)
{
    const struct rule_table *table = engine->table;
    struct arena *arena = judgement->arena;
    struct span score = SPAN_NONE;
    struct rule_run run = {
        .engine = engine,
        .table = table,
        .judgement = judgement,
        .arena = arena,
        .request = judgement->request,
        .slots = arena_take_zeroed(arena, (size_t)table->counts[TABLE_SLOTS] + 1,
                                   sizeof(struct slot_value)),
        .summaries = arena_take_zeroed(arena, table->counts[TABLE_PIPELINES] * REQUEST_LIST_COUNT,
                                       sizeof(struct list_summary)),
    };
    engine->denied = false;
    if (run.slots == NULL || run.summaries == NULL)
        return;
    set_paranoia(&run);
    run_rules(&run);
    if (!engine->exact)
        return;
    if (!variable_get(&run, SPAN("anomaly_score"), &score))
        (void)variable_get(&run, SPAN("blocking_inbound_anomaly_score"), &score);
    judgement->result->score = (unsigned)number_of(score);
}
