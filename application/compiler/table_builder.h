/* A rule table as it grows: records are appended to sections and refer to each other by index; at
 * the end it becomes the bytes of a file. Errors stick: ask once, at the end. Not thread-safe. */
#ifndef APPLICATION_COMPILER_TABLE_BUILDER_H
#define APPLICATION_COMPILER_TABLE_BUILDER_H

#include "application/detection/rule_table.h"
#include "common/buffers/buffer.h"

struct table_builder {
    struct buffer sections[TABLE_SECTION_COUNT];
};

void table_builder_init(struct table_builder *builder);
void table_builder_done(struct table_builder *builder);
/* Appends a record and returns its index. */
uint32_t table_builder_add(struct table_builder *builder, enum rule_table_section section,
                           const void *record);
uint32_t table_builder_count(const struct table_builder *builder, enum rule_table_section section);
/* A record that was added; NULL when adding failed. Valid until the section's next add. */
void *table_builder_at(struct table_builder *builder, enum rule_table_section section,
                       uint32_t index);
struct table_text table_builder_text(struct table_builder *builder, struct span text);
/* The pipeline that goes on from parent with one more transformation. */
uint32_t table_builder_pipeline(struct table_builder *builder, uint32_t parent,
                                uint32_t transformation);
/* The slot of a transaction variable, lower-cased. */
uint32_t table_builder_slot(struct table_builder *builder, struct span name);
/* The whole file. -ENOMEM, -EMSGSIZE. */
int table_builder_finish(struct table_builder *builder, struct buffer *file) MUST_USE;

#endif
