/* Transaction variables, macros, and what a rule does when it matches. */
#include "application/detection/rule_run.h"

static struct span lower_copy(struct arena *arena, struct span text)
{
    char *lower = arena_take(arena, text.length);
    for (size_t i = 0; lower != NULL && i < text.length; i++)
        lower[i] = byte_lower(text.data[i]);
    return lower == NULL ? SPAN_NONE : (struct span){lower, text.length};
}

static uint32_t find_slot(const struct rule_table *table, struct span lower)
{
    for (uint32_t i = 0; i < table->counts[TABLE_SLOTS]; i++) {
        if (span_equal(table_span(table, table->slots[i]), lower))
            return i;
    }
    return RULE_TABLE_NONE;
}

static struct named_variable *find_named(struct rule_run *run, struct span lower)
{
    struct named_variable *named = run->named;
    while (named != NULL && !span_equal(named->name, lower))
        named = named->next;
    return named;
}

bool variable_get(struct rule_run *run, struct span name, struct span *ret_text)
{
    struct span lower = lower_copy(run->arena, name);
    uint32_t slot = find_slot(run->table, lower);
    if (slot != RULE_TABLE_NONE) {
        *ret_text = run->slots[slot].text;
        return run->slots[slot].set;
    }
    const struct named_variable *named = find_named(run, lower);
    *ret_text = named == NULL ? SPAN_NONE : named->text;
    return named != NULL && named->set;
}

void variable_set(struct rule_run *run, uint32_t slot, struct span name, struct span text, bool set)
{
    struct span lower = SPAN_NONE;
    if (slot == RULE_TABLE_NONE) {
        lower = lower_copy(run->arena, name);
        slot = find_slot(run->table, lower);
    }
    if (slot != RULE_TABLE_NONE) {
        run->slots[slot] = (struct slot_value){text, set};
        return;
    }
    struct named_variable *named = find_named(run, lower);
    if (named == NULL) {
        named = arena_take_zeroed(run->arena, 1, sizeof(*named));
        if (named == NULL)
            return;
        named->name = lower;
        named->next = run->named;
        run->named = named;
    }
    named->text = text;
    named->set = set;
}

int64_t number_of(struct span text)
{
    bool negative = text.length > 0 && text.data[0] == '-';
    int64_t number = 0;
    for (size_t i = negative ? 1 : 0; i < text.length && byte_is_digit(text.data[i]); i++)
        number = MIN(number * 10 + (text.data[i] - '0'), (int64_t)1 << 40);
    return negative ? -number : number;
}

struct span number_text(struct arena *arena, int64_t number)
{
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t rest = number < 0 ? (uint64_t)-number : (uint64_t)number;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (number < 0)
        digits[--at] = '-';
    return arena_copy(arena, (struct span){digits + at, sizeof(digits) - at});
}

static struct span first_of(const struct rule_run *run, enum request_list list)
{
    const struct request_values *values = &run->request->lists[list];
    return values->count == 0 ? SPAN_NONE : values->values[0].text;
}

static struct span header_value(const struct rule_run *run, struct span name)
{
    const struct event_view *view = run->judgement->view;
    for (size_t i = 0; i < view->header_count; i++) {
        if (span_alike(view->headers[i].name, name))
            return view->headers[i].value;
    }
    return SPAN_NONE;
}

/* The value of what stands between "%{" and "}". */
static struct span macro_value(struct rule_run *run, struct span name)
{
    static const struct {
        const char *name;
        enum request_list list;
    } lists[] = {
        {"request_method", REQUEST_METHOD},     {"request_uri", REQUEST_URI},
        {"request_filename", REQUEST_FILENAME}, {"request_line", REQUEST_LINE},
        {"remote_addr", REQUEST_ADDRESS},       {"request_protocol", REQUEST_PROTOCOL},
        {"request_basename", REQUEST_BASENAME},
    };
    struct span text = SPAN_NONE;
    if (span_begins_alike(name, "tx.")) {
        (void)variable_get(run, span_from(name, 3), &text);
        return text;
    }
    if (span_begins_alike(name, "request_headers."))
        return header_value(run, span_from(name, strlen("request_headers.")));
    if (span_alike(name, SPAN("matched_var")))
        return run->matched_last.text;
    if (span_alike(name, SPAN("matched_var_name")))
        return run->matched_last.name;
    if (span_alike(name, SPAN("rule.id")))
        return run->first == NULL ? text : number_text(run->arena, run->first->id);
    for (size_t i = 0; i < ARRAY_LENGTH(lists); i++) {
        if (span_alike(name, span_of(lists[i].name)))
            return first_of(run, lists[i].list);
    }
    return text;
}

struct span macro_expand(struct rule_run *run, struct span text)
{
    struct span pieces[32];
    size_t count = 0;
    while (text.length > 0 && count + 2 <= ARRAY_LENGTH(pieces)) {
        const char *open = memmem(text.data, text.length, "%{", 2);
        size_t before = open == NULL ? text.length : (size_t)(open - text.data);
        pieces[count++] = span_first(text, before);
        text = span_from(text, before);
        if (text.length == 0)
            break;
        size_t close = span_find(text, '}');
        pieces[count++] = macro_value(run, span_from(span_first(text, close), 2));
        text = span_from(text, close + 1);
    }
    return count == 1 ? pieces[0] : arena_join(run->arena, pieces, count);
}

static bool has_macro(struct span text)
{
    return span_contains(text, SPAN("%{"));
}

static void apply_set(struct rule_run *run, const struct table_action *action)
{
    struct span name = table_span(run->table, action->name);
    struct span value = table_span(run->table, action->value);
    if (action->slot == RULE_TABLE_NONE)
        name = macro_expand(run, name);
    if (has_macro(value))
        value = macro_expand(run, value);
    if (action->kind == ACTION_ADD || action->kind == ACTION_SUBTRACT) {
        struct span before = SPAN_NONE;
        int64_t change = number_of(value);
        if (action->slot != RULE_TABLE_NONE)
            before = run->slots[action->slot].set ? run->slots[action->slot].text : SPAN_NONE;
        else
            (void)variable_get(run, name, &before);
        value = number_text(run->arena,
                            number_of(before) + (action->kind == ACTION_ADD ? change : -change));
    }
    variable_set(run, action->slot, name, value, action->kind != ACTION_UNSET);
}

static void remember_removal(struct rule_run *run, const struct table_action *action)
{
    struct removed_target *removed = arena_take(run->arena, sizeof(*removed));
    if (removed == NULL)
        return;
    *removed = (struct removed_target){action, run->removed};
    run->removed = removed;
}

void rule_apply_actions(struct rule_run *run, const struct table_rule *rule)
{
    for (uint32_t i = 0; i < rule->action_count; i++) {
        const struct table_action *action = &run->table->actions[rule->first_action + i];
        if (action->kind <= ACTION_UNSET)
            apply_set(run, action);
        else if (action->kind == ACTION_ENGINE_OFF)
            run->engine_off = true;
        else
            remember_removal(run, action);
    }
}
