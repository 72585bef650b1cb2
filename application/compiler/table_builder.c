#include "application/compiler/table_builder.h"

#include "application/detection/transformations.h"
#include "application/limits.h"

#include <errno.h>

void table_builder_init(struct table_builder *builder)
{
    const struct table_pipeline untouched = {0};
    for (size_t i = 0; i < TABLE_SECTION_COUNT; i++)
        buffer_init(&builder->sections[i], APPLICATION_LIMIT_TABLE);
    (void)table_builder_add(builder, TABLE_PIPELINES, &untouched);
    (void)table_builder_text(builder, SPAN(""));
}

void table_builder_done(struct table_builder *builder)
{
    for (size_t i = 0; i < TABLE_SECTION_COUNT; i++)
        buffer_done(&builder->sections[i]);
}

uint32_t table_builder_count(const struct table_builder *builder, enum rule_table_section section)
{
    return (uint32_t)(builder->sections[section].length / rule_table_record_bytes(section));
}

uint32_t table_builder_add(struct table_builder *builder, enum rule_table_section section,
                           const void *record)
{
    uint32_t index = table_builder_count(builder, section);
    (void)buffer_append(&builder->sections[section], record, rule_table_record_bytes(section));
    return index;
}

void *table_builder_at(struct table_builder *builder, enum rule_table_section section,
                       uint32_t index)
{
    if (index >= table_builder_count(builder, section))
        return NULL;
    return builder->sections[section].data + index * rule_table_record_bytes(section);
}

struct table_text table_builder_text(struct table_builder *builder, struct span text)
{
    struct buffer *texts = &builder->sections[TABLE_TEXTS];
    struct table_text added = {(uint32_t)texts->length, (uint32_t)text.length};
    if (text.length == 0 && texts->length > 0)
        return (struct table_text){0, 0}; /* the first text is empty */
    (void)buffer_append(texts, text.data, text.length);
    (void)buffer_append(texts, "", 1);
    return added;
}

uint32_t table_builder_pipeline(struct table_builder *builder, uint32_t parent,
                                uint32_t transformation)
{
    struct table_pipeline pipeline = {.parent = parent, .transformation = transformation};
    uint32_t count = table_builder_count(builder, TABLE_PIPELINES);
    for (uint32_t i = 1; i < count; i++) {
        const struct table_pipeline *known = table_builder_at(builder, TABLE_PIPELINES, i);
        if (known->parent == parent && known->transformation == transformation)
            return i;
    }
    pipeline.may_be_any = !transformation_needs(transformation, pipeline.needs);
    return table_builder_add(builder, TABLE_PIPELINES, &pipeline);
}

uint32_t table_builder_slot(struct table_builder *builder, struct span name)
{
    uint32_t count = table_builder_count(builder, TABLE_SLOTS);
    char lower[256];
    struct span folded = span_first((struct span){lower, name.length}, sizeof(lower));
    for (size_t i = 0; i < folded.length; i++)
        lower[i] = byte_lower(name.data[i]);
    for (uint32_t i = 0; i < count; i++) {
        const struct table_text *known = table_builder_at(builder, TABLE_SLOTS, i);
        const char *texts = builder->sections[TABLE_TEXTS].data;
        if (texts != NULL &&
            span_equal((struct span){texts + known->offset, known->length}, folded))
            return i;
    }
    struct table_text added = table_builder_text(builder, folded);
    return table_builder_add(builder, TABLE_SLOTS, &added);
}

int table_builder_finish(struct table_builder *builder, struct buffer *file)
{
    static const char padding[8] = "";
    struct table_head head = {.magic = RULE_TABLE_MAGIC, .version = RULE_TABLE_VERSION};
    (void)buffer_append(file, &head, sizeof(head));
    for (size_t i = 0; i < TABLE_SECTION_COUNT; i++) {
        int r = buffer_failed(&builder->sections[i]);
        if (r < 0)
            return r;
        (void)buffer_append(file, padding, (8 - file->length % 8) % 8);
        head.sections[i] =
            (struct table_section){(uint32_t)file->length,
                                   table_builder_count(builder, (enum rule_table_section)i)};
        if (builder->sections[i].length > 0)
            (void)buffer_append(file, builder->sections[i].data, builder->sections[i].length);
    }
    int r = buffer_failed(file);
    if (r < 0)
        return r;
    head.size = (uint32_t)file->length;
    memcpy(file->data, &head, sizeof(head));
    head.checksum = rule_table_checksum((const struct table_head *)(const void *)file->data);
    memcpy(file->data, &head, sizeof(head));
    return 0;
}
