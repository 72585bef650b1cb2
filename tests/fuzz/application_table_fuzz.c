/* Rule tables, damaged: refused, or every index and text in them leads somewhere inside. The
 * checksum is made right first, so that the checks behind it are reached. */
#include "application/detection/phrases.h"
#include "application/detection/rule_table.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t touch(const struct rule_table *table, struct table_text text)
{
    struct span span = table_span(table, text);
    size_t sum = 0;
    for (size_t i = 0; i <= span.length; i++) /* with the NUL */
        sum += (unsigned char)span.data[i];
    return sum;
}

/* Follows everything the engine follows. */
static size_t walk(const struct rule_table *table)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < table->counts[TABLE_RULES]; i++) {
        const struct table_rule *rule = &table->rules[i];
        sum += table->pipelines[rule->pipeline].transformation + touch(table, rule->message) +
               touch(table, rule->argument) + touch(table, rule->tags);
        for (uint32_t j = 0; j < rule->target_count; j++)
            sum += touch(table, table->targets[rule->first_target + j].selector);
        for (uint32_t j = 0; j < rule->action_count; j++)
            sum += touch(table, table->actions[rule->first_action + j].value);
        for (uint32_t j = 0; j < rule->class_count; j++)
            sum += table->classes[rule->first_class + j].bytes[0] & 1;
        if ((rule->flags & RULE_CHAINED) != 0)
            sum += table->rules[i + 1].id;
    }
    for (uint32_t i = 0; i < table->counts[TABLE_SETS]; i++) {
        struct span match;
        sum += phrases_find(table, &table->sets[i],
                            SPAN("/etc/passwd and \x01\x80 whatever else there is"), &match);
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rule_table table;
    struct table_head *head = malloc(size + sizeof(*head));
    if (head == NULL)
        abort();
    if (size > 0)
        memcpy(head, data, size);
    if (size >= sizeof(*head)) {
        head->magic = RULE_TABLE_MAGIC;
        head->version = RULE_TABLE_VERSION;
        head->size = (uint32_t)size;
        head->checksum = rule_table_checksum(head);
    }
    if (rule_table_check(head, size, &table) == 0 && walk(&table) == SIZE_MAX)
        abort(); /* never; so that nothing of the walk is left out */
    free(head);
    return 0;
}
