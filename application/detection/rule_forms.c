/* The forms of a value: pipelines are a tree, so what two of them begin with is done once, and a
 * transformation that cannot change a value costs one look at which bytes the value has. */
#include "application/detection/rule_run.h"

#include "application/detection/transformations.h"

static const struct value_form *new_form(struct rule_run *run, struct span text)
{
    struct value_form *form = arena_take_zeroed(run->arena, 1, sizeof(*form));
    if (form == NULL)
        return NULL;
    form->text = text;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        form->bytes[byte >> 6] |= 1ULL << (byte & 63);
    }
    return form;
}

static const struct value_form *make_form(struct rule_run *run, struct request_value *value,
                                          uint32_t index)
{
    const struct table_pipeline *pipeline = &run->table->pipelines[index];
    if (index == 0)
        return new_form(run, value->text);
    const struct value_form *parent = value_form_of(run, value, pipeline->parent);
    if (parent == NULL ||
        (pipeline->may_be_any == 0 && !bytes_meet(parent->bytes, pipeline->needs)))
        return parent;
    struct span text =
        transform((enum transformation)pipeline->transformation, run->arena, parent->text);
    if (text.data == parent->text.data && text.length == parent->text.length)
        return parent;
    return new_form(run, text);
}

const struct value_form *value_form_of(struct rule_run *run, struct request_value *value,
                                       uint32_t pipeline)
{
    if (value->forms == NULL) {
        value->forms = arena_take_zeroed(run->arena, run->table->counts[TABLE_PIPELINES],
                                         sizeof(*value->forms));
        if (value->forms == NULL)
            return NULL;
    }
    if (value->forms[pipeline] == NULL)
        value->forms[pipeline] = (struct value_form *)(uintptr_t)make_form(run, value, pipeline);
    return value->forms[pipeline];
}

/* Letters, digits, blank, '.', '_' and '-'. */
const uint64_t plain_bytes[4] = {0x03ff600100000000ULL, 0x07fffffe87fffffeULL, 0, 0};

static bool is_plain(const uint64_t bytes[4])
{
    for (size_t i = 0; i < 4; i++) {
        if ((bytes[i] & ~plain_bytes[i]) != 0)
            return false;
    }
    return true;
}

const struct list_summary *list_summary_of(struct rule_run *run, enum request_list list,
                                           uint32_t pipeline)
{
    struct list_summary *summary =
        &run->summaries[list * run->table->counts[TABLE_PIPELINES] + pipeline];
    if (summary->made)
        return summary;
    struct request_values *values = &run->request->lists[list];
    summary->made = true;
    summary->special = arena_take(run->arena, values->count * sizeof(*summary->special));
    for (size_t i = 0; i < values->count; i++) {
        const struct value_form *form = value_form_of(run, &values->values[i], pipeline);
        if (form == NULL)
            continue;
        for (size_t j = 0; j < 4; j++)
            summary->bytes[j] |= form->bytes[j];
        if (summary->special != NULL && !is_plain(form->bytes))
            summary->special[summary->special_count++] = (uint32_t)i;
        summary->longest = MAX(summary->longest, form->text.length);
    }
    return summary;
}
