/* The third argument of a rule: what it is called, and what happens when it matches. */
#include "application/compiler/seclang_internal.h"

#include "application/detection/transformations.h"
#include "common/text/text.h"

#include <errno.h>

/* The next "name" or "name:value" or "name:'va,lue'" of a list; false at its end. */
static bool next_action(struct span *rest, struct span *ret_name, struct span *ret_value)
{
    *rest = span_trim(*rest);
    while (rest->length > 0 && rest->data[0] == ',')
        *rest = span_trim(span_from(*rest, 1));
    if (rest->length == 0)
        return false;
    size_t end = 0;
    bool quoted = false;
    while (end < rest->length && (quoted || rest->data[end] != ',')) {
        if (rest->data[end] == '\\' && end + 1 < rest->length)
            end++;
        else if (rest->data[end] == '\'')
            quoted = !quoted;
        end++;
    }
    struct span action = span_first(*rest, end);
    size_t colon = span_find(action, ':');
    *ret_name = span_trim(span_first(action, colon));
    *ret_value = span_trim(span_from(action, colon + 1));
    if (ret_value->length >= 2 && ret_value->data[0] == '\'' &&
        ret_value->data[ret_value->length - 1] == '\'')
        *ret_value = span_from(span_first(*ret_value, ret_value->length - 1), 1);
    *rest = span_from(*rest, end);
    return true;
}

static int parse_number(struct span text, uint64_t *ret_number)
{
    char digits[24];
    if (text.length == 0 || text.length >= sizeof(digits) ||
        memchr(text.data, '\0', text.length) != NULL)
        return -EINVAL;
    memcpy(digits, text.data, text.length);
    digits[text.length] = '\0';
    return text_parse_u64(digits, ret_number);
}

/* What an addition to an anomaly score is worth: "+%{tx.critical_anomaly_score}". */
static uint8_t score_of(struct span value)
{
    static const struct {
        const char *word;
        uint8_t score;
    } severities[] = {{"critical", 5}, {"error", 4}, {"warning", 3}, {"notice", 2}};
    uint64_t number = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(severities); i++) {
        if (span_contains(value, span_of(severities[i].word)))
            return severities[i].score;
    }
    return parse_number(value, &number) == 0 ? (uint8_t)MIN(number, (uint64_t)100) : 0;
}

/* "tx.name=value", "tx.name=+1", "!tx.name"; other collections outlive a request and are not kept.
 */
static void read_setvar(struct seclang *seclang, struct span text, struct table_rule *rule,
                        struct rule_actions *actions)
{
    struct table_action action = {.kind = ACTION_SET, .slot = RULE_TABLE_NONE};
    bool unset = span_begins(text, "!");
    text = span_from(text, unset ? 1 : 0);
    size_t equals = span_find(text, '=');
    struct span name = span_first(text, equals);
    struct span value = equals == text.length ? SPAN("1") : span_from(text, equals + 1);
    if (!span_begins_alike(name, "tx."))
        return;
    name = span_from(name, 3);
    if (unset) {
        action.kind = ACTION_UNSET;
    } else if (span_begins(value, "+") || span_begins(value, "-")) {
        action.kind = value.data[0] == '+' ? ACTION_ADD : ACTION_SUBTRACT;
        value = span_from(value, 1);
    }
    if (!span_contains(name, SPAN("%{")))
        action.slot = table_builder_slot(&seclang->builder, name);
    action.name = table_builder_text(&seclang->builder, name);
    action.value = table_builder_text(&seclang->builder, value);
    if (action.kind == ACTION_ADD && span_contains(name, SPAN("anomaly_score_pl"))) {
        rule->score = score_of(value);
        actions->given_score = true;
    }
    (void)table_builder_add(&seclang->builder, TABLE_ACTIONS, &action);
    rule->action_count++;
}

/* "ruleRemoveTargetById=942100;ARGS:x", "ruleEngine=Off", ... */
static void read_ctl(struct seclang *seclang, struct span text, struct table_rule *rule)
{
    struct table_action action = {.slot = RULE_TABLE_NONE};
    size_t equals = span_find(text, '=');
    struct span name = span_first(text, equals);
    struct span value = span_from(text, equals + 1);
    size_t semicolon = span_find(value, ';');
    struct span subject = span_first(value, semicolon);
    uint64_t first = 0, last = 0;
    size_t dash = span_find(subject, '-');
    if (parse_number(span_first(subject, dash), &first) == 0 &&
        parse_number(dash == subject.length ? subject : span_from(subject, dash + 1), &last) == 0) {
        action.first = (uint32_t)MIN(first, (uint64_t)UINT32_MAX);
        action.last = (uint32_t)MIN(last, (uint64_t)UINT32_MAX);
    }
    if (span_alike(name, SPAN("ruleRemoveById")))
        action.kind = ACTION_REMOVE_RULES;
    else if (span_alike(name, SPAN("ruleRemoveByTag")))
        action.kind = ACTION_REMOVE_TAGGED;
    else if (span_alike(name, SPAN("ruleRemoveTargetById")))
        action.kind = ACTION_REMOVE_TARGET;
    else if (span_alike(name, SPAN("ruleRemoveTargetByTag")))
        action.kind = ACTION_REMOVE_TARGET_TAG;
    else if (span_alike(name, SPAN("ruleEngine")) && span_alike(value, SPAN("Off")))
        action.kind = ACTION_ENGINE_OFF;
    else
        return; /* logging and body processors, which need no steering here */
    action.name = table_builder_text(&seclang->builder, subject);
    action.value = table_builder_text(&seclang->builder, span_from(value, semicolon + 1));
    (void)table_builder_add(&seclang->builder, TABLE_ACTIONS, &action);
    rule->action_count++;
}

static int read_phase(struct span value, unsigned *ret_phase)
{
    static const char *const names[] = {"", "", "request", "", "response", "logging"};
    uint64_t number = 0;
    for (unsigned i = 0; i < ARRAY_LENGTH(names); i++) {
        if (names[i][0] != '\0' && span_alike(value, span_of(names[i]))) {
            *ret_phase = i;
            return 0;
        }
    }
    if (parse_number(value, &number) < 0 || number < 1 || number > 5)
        return -EINVAL;
    *ret_phase = (unsigned)number;
    return 0;
}

static void read_transformation(struct seclang *seclang, struct span name, struct table_rule *rule)
{
    enum transformation transformation = transformation_of(name);
    if (transformation == TRANSFORM_COUNT)
        seclang->counts.unknown++;
    else if (transformation == TRANSFORM_NONE)
        rule->pipeline = 0;
    else
        rule->pipeline = table_builder_pipeline(&seclang->builder, rule->pipeline, transformation);
}

static int read_action(struct seclang *seclang, struct span name, struct span value,
                       struct table_rule *rule, struct rule_actions *actions)
{
    uint64_t number = 0;
    if (span_alike(name, SPAN("id"))) {
        if (parse_number(value, &number) < 0 || number > UINT32_MAX)
            return -EINVAL;
        rule->id = (uint32_t)number;
    } else if (span_alike(name, SPAN("phase"))) {
        return read_phase(value, &actions->phase);
    } else if (span_alike(name, SPAN("t"))) {
        read_transformation(seclang, value, rule);
    } else if (span_alike(name, SPAN("setvar"))) {
        read_setvar(seclang, value, rule, actions);
    } else if (span_alike(name, SPAN("ctl"))) {
        read_ctl(seclang, value, rule);
    } else if (span_alike(name, SPAN("msg"))) {
        rule->message = table_builder_text(&seclang->builder, value);
    } else if (span_alike(name, SPAN("chain"))) {
        actions->chain = true;
    } else if (span_alike(name, SPAN("skipAfter"))) {
        actions->skip_after = value;
    } else if (span_alike(name, SPAN("capture"))) {
        rule->flags |= RULE_CAPTURES;
    } else if (span_alike(name, SPAN("multiMatch"))) {
        rule->flags |= RULE_MULTI_MATCH;
    } else if (span_alike(name, SPAN("nolog"))) {
        rule->flags |= RULE_SILENT;
    } else if (span_alike(name, SPAN("deny")) || span_alike(name, SPAN("drop"))) {
        actions->denies = true;
    }
    return 0;
}

/* "tag:a,tag:b" as "a\nb\n". */
static int read_tags(struct seclang *seclang, struct span text, struct table_rule *rule)
{
    AUTO_BUFFER struct buffer tags = BUFFER_WITH_MAXIMUM(65536);
    struct span rest = text;
    struct span name, value;
    while (next_action(&rest, &name, &value)) {
        if (span_alike(name, SPAN("tag"))) {
            (void)buffer_append(&tags, value.data, value.length);
            (void)buffer_append(&tags, "\n", 1);
        }
    }
    if (buffer_failed(&tags) < 0)
        return buffer_failed(&tags);
    rule->tags = table_builder_text(&seclang->builder, (struct span){tags.data, tags.length});
    return 0;
}

int seclang_read_actions(struct seclang *seclang, struct span text, struct table_rule *rule,
                         struct rule_actions *actions, struct seclang_error *error)
{
    struct span rest = text;
    struct span name, value;
    rule->first_action = table_builder_count(&seclang->builder, TABLE_ACTIONS);
    while (next_action(&rest, &name, &value)) {
        if (read_action(seclang, name, value, rule, actions) < 0)
            return seclang_fail(seclang, error, "an action with a wrong value", name);
    }
    if (actions->denies)
        rule->flags |= RULE_DENIES;
    return read_tags(seclang, text, rule);
}
