/* Owns: the way of a line through decoders and rules. Must not own: their texts, what becomes of a
 * match. */
#include "common/log_rules/log_engine.h"

#include "common/limits.h"
#include "common/log_rules/log_counters.h"
#include "common/log_rules/log_rules_private.h"
#include "common/text/text.h"

#include <errno.h>
#include <string.h>

struct log_engine {
    const struct log_rules *rules;
    struct log_counters *counters;
    pcre2_match_context *context;
    pcre2_match_data *data, *check; /* of the decoder, which names the fields; of conditions */
    uint64_t exhausted;
    /* Of the line at hand. */
    const struct decoder *decoder;
    size_t decoder_index;
    struct log_field fields[ARRAY_LENGTH(((struct decoder *)NULL)->fields)];
    size_t field_count;
};

int log_engine_new(const struct log_rules *rules, struct log_engine **ret_engine)
{
    struct log_engine *engine = calloc(1, sizeof *engine);

    if (engine == NULL)
        return -ENOMEM;
    engine->rules = rules;
    engine->context = pcre2_match_context_create(NULL);
    engine->data = pcre2_match_data_create(LIMIT_LOG_CAPTURES, NULL);
    engine->check = pcre2_match_data_create(1, NULL);
    int r = log_counters_new(&engine->counters);
    if (r < 0 || engine->context == NULL || engine->data == NULL || engine->check == NULL) {
        (void)log_engine_free(engine);
        return r < 0 ? r : -ENOMEM;
    }
    (void)pcre2_set_match_limit(engine->context, LIMIT_LOG_REGEX_STEPS);
    (void)pcre2_set_depth_limit(engine->context, LIMIT_LOG_REGEX_DEPTH);
    (void)pcre2_set_heap_limit(engine->context, LIMIT_LOG_REGEX_HEAP_KIB);
    *ret_engine = engine;
    return 0;
}

struct log_engine *log_engine_free(struct log_engine *engine)
{
    if (engine == NULL)
        return NULL;
    (void)log_counters_free(engine->counters);
    pcre2_match_data_free(engine->data);
    pcre2_match_data_free(engine->check);
    pcre2_match_context_free(engine->context);
    free(engine);
    return NULL;
}

static int match(struct log_engine *engine, const pcre2_code *regex, const char *text,
                 size_t length, pcre2_match_data *data)
{
    int r = log_regex_match(regex, text, length, data, engine->context);

    if (r < 0 && r != PCRE2_ERROR_NOMATCH)
        engine->exhausted++;
    return r;
}

static bool fits(struct log_engine *engine, const pcre2_code *regex, const char *text,
                 size_t length)
{
    return match(engine, regex, text, length, engine->check) >= 0;
}

/* ---- decoders ---- */

static bool is_of_program(const struct decoder *decoder, const struct log_line *line)
{
    for (size_t i = 0; i < decoder->programs.count; i++)
        if (strlen(decoder->programs.entries[i]) == line->program_length &&
            memcmp(decoder->programs.entries[i], line->program, line->program_length) == 0)
            return true;
    return decoder->programs.count == 0;
}

static void take_fields(struct log_engine *engine, const struct log_line *line, int groups)
{
    const PCRE2_SIZE *offsets = pcre2_get_ovector_pointer(engine->data);
    const struct decoder *decoder = engine->decoder;

    if (groups == 0)
        groups = LIMIT_LOG_CAPTURES;
    for (size_t i = 0; i < decoder->field_count; i++) {
        size_t group = decoder->fields[i].group;
        if (group >= (size_t)groups || offsets[2 * group] == PCRE2_UNSET ||
            offsets[2 * group + 1] <= offsets[2 * group])
            continue;
        engine->fields[engine->field_count++] = (struct log_field){
            .name = decoder->fields[i].name,
            .value = line->message + offsets[2 * group],
            .length = offsets[2 * group + 1] - offsets[2 * group],
        };
    }
}

static bool decode(struct log_engine *engine, const struct log_line *line, size_t index)
{
    const struct decoder *decoder = &engine->rules->decoders[index];
    int groups = 1;

    if (!is_of_program(decoder, line))
        return false;
    if (decoder->contains != NULL && memmem(line->message, line->message_length, decoder->contains,
                                            decoder->contains_length) == NULL)
        return false;
    if (decoder->regex != NULL) {
        groups = match(engine, decoder->regex, line->message, line->message_length, engine->data);
        if (groups < 0)
            return false;
    }
    engine->decoder = decoder;
    engine->decoder_index = index;
    if (decoder->regex != NULL)
        take_fields(engine, line, groups);
    return true;
}

/* ---- rules ---- */

static const struct log_field *find_field(const struct log_engine *engine, const char *name)
{
    for (size_t i = 0; i < engine->field_count; i++)
        if (text_equal(engine->fields[i].name, name))
            return &engine->fields[i];
    return NULL;
}

static bool conditions_hold(struct log_engine *engine, const struct rule *rule)
{
    for (size_t i = 0; i < rule->condition_count; i++) {
        const struct log_field *field = find_field(engine, rule->conditions[i].field);
        if (field == NULL || !fits(engine, rule->conditions[i].regex, field->value, field->length))
            return false;
    }
    return true;
}

/* False: the line lacks a field by which is counted. */
static bool key_of(const struct log_engine *engine, const struct rule *rule, uint64_t *ret_key)
{
    uint64_t key = log_counters_key(engine->counters, rule->facts.id);

    for (size_t i = 0; i < rule->same.count; i++) {
        const struct log_field *field = find_field(engine, rule->same.entries[i]);
        if (field == NULL)
            return false;
        key = log_counters_key_add(key, field->value, field->length);
    }
    *ret_key = key;
    return true;
}

static struct log_threshold threshold_of(const struct rule *rule)
{
    return (struct log_threshold){rule->facts.frequency, rule->timeframe_ns, rule->ignore_ns};
}

static bool enough_before(struct log_engine *engine, const struct rule *rule,
                          const struct log_line *line)
{
    const struct log_threshold threshold = threshold_of(rule);
    uint64_t key;

    return key_of(engine, rule, &key) &&
           log_counters_reached(engine->counters, key, line->time_ns, &threshold);
}

static bool rule_fits(struct log_engine *engine, const struct rule *rule,
                      const struct log_line *line)
{
    if ((rule->decoder_bits[engine->decoder_index / 64] >> (engine->decoder_index % 64) & 1) == 0)
        return false;
    if (rule->match != NULL && !fits(engine, rule->match, line->message, line->message_length))
        return false;
    if (rule->unless != NULL && fits(engine, rule->unless, line->message, line->message_length))
        return false;
    return conditions_hold(engine, rule) && (!rule->counts || enough_before(engine, rule, line));
}

static bool counts_rule(const struct rule *rule, const struct log_rule *matched)
{
    if (!rule->counts)
        return false;
    if (rule->counts_group && rule->counted_group == matched->group &&
        matched->id != rule->facts.id)
        return true;
    for (size_t i = 0; i < rule->counted_rule_count; i++)
        if (rule->counted_rules[i] == matched->id)
            return true;
    return false;
}

struct telling {
    struct log_engine *engine;
    const struct log_line *line;
    int (*sink)(void *user, const struct log_line *line, const struct log_match *match);
    void *user;
};

/* Rules judge whole fields: whoever writes a line could put what matters behind any limit. */
static int tell(const struct telling *telling, const struct rule *rule)
{
    const struct log_engine *engine = telling->engine;
    struct log_field told[ARRAY_LENGTH(engine->fields)];
    const struct log_match matched = {
        .rule = &rule->facts,
        .decoder = engine->decoder->name,
        .fields = told,
        .field_count = engine->field_count,
        .count = MAX(rule->facts.frequency, 1U),
    };

    for (size_t i = 0; i < engine->field_count; i++) {
        told[i] = engine->fields[i];
        told[i].length = MIN(told[i].length, (size_t)LIMIT_LOG_FIELD_BYTES);
    }
    return telling->sink(telling->user, telling->line, &matched);
}

/* A rule with a decoder of its own waits for such a line; one without matches by counting. */
static int count(const struct telling *telling, const struct rule *matched)
{
    struct log_engine *engine = telling->engine;
    int r = 0;

    for (size_t i = 0; i < engine->rules->rule_count && r == 0; i++) {
        const struct rule *rule = &engine->rules->rules[i];
        const struct log_threshold threshold = threshold_of(rule);
        uint64_t key, time_ns = telling->line->time_ns;
        if (!counts_rule(rule, &matched->facts) || !key_of(engine, rule, &key))
            continue;
        log_counters_note(engine->counters, key, time_ns, &threshold);
        if (rule->decoders.count == 0 &&
            log_counters_reached(engine->counters, key, time_ns, &threshold))
            r = tell(telling, rule);
    }
    return r;
}

int log_engine_take(struct log_engine *engine, const struct log_line *line,
                    int (*sink)(void *user, const struct log_line *line,
                                const struct log_match *match),
                    void *user)
{
    const struct telling telling = {engine, line, sink, user};
    const struct log_rules *rules = engine->rules;

    engine->decoder = NULL;
    engine->field_count = 0;
    for (size_t i = 0; i < rules->decoder_count && engine->decoder == NULL; i++)
        (void)decode(engine, line, i);
    if (engine->decoder == NULL)
        return 0;
    for (size_t i = 0; i < rules->rule_count; i++) {
        const struct rule *rule = &rules->rules[i];
        if (!rule_fits(engine, rule, line))
            continue;
        int r = tell(&telling, rule);
        return r < 0 || rule->facts.severity == LOG_SEVERITY_IGNORE ? MIN(r, 0)
                                                                    : count(&telling, rule);
    }
    return 0;
}

const char *log_engine_decoder(const struct log_engine *engine)
{
    return engine->decoder != NULL ? engine->decoder->name : NULL;
}

uint64_t log_engine_exhausted(const struct log_engine *engine)
{
    return engine->exhausted;
}
