#include "application/detection/rule_table.h"

#include "application/detection/transformations.h"
#include "application/events/request.h"
#include "application/limits.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const size_t record_bytes[TABLE_SECTION_COUNT] = {
    [TABLE_RULES] = sizeof(struct table_rule),
    [TABLE_TARGETS] = sizeof(struct table_target),
    [TABLE_ACTIONS] = sizeof(struct table_action),
    [TABLE_PIPELINES] = sizeof(struct table_pipeline),
    [TABLE_SLOTS] = sizeof(struct table_text),
    [TABLE_CLASSES] = sizeof(struct table_class),
    [TABLE_SETS] = sizeof(struct table_phrase_set),
    [TABLE_PHRASES] = sizeof(struct table_phrase),
    [TABLE_BUCKETS] = sizeof(uint32_t),
    [TABLE_TEXTS] = 1,
};

size_t rule_table_record_bytes(enum rule_table_section section)
{
    return record_bytes[section];
}

/* Eight bytes at a time: a table is as large as a page cache read, and is read once a start. */
uint64_t rule_table_checksum(const struct table_head *head)
{
    size_t from = offsetof(struct table_head, sections);
    const char *bytes = (const char *)head + from;
    size_t length = head->size - from;
    uint64_t sum = 0xcbf29ce484222325ULL;
    while (length > 0) {
        uint64_t word = 0;
        size_t taken = MIN(length, sizeof(word));
        memcpy(&word, bytes, taken);
        sum = (sum ^ word) * 0x100000001b3ULL;
        sum ^= sum >> 29;
        bytes += taken;
        length -= taken;
    }
    return sum;
}

static bool text_fits(const struct rule_table *table, struct table_text text)
{
    uint64_t end = (uint64_t)text.offset + text.length;
    return end < table->counts[TABLE_TEXTS] && table->texts[end] == '\0';
}

static bool range_fits(const struct rule_table *table, enum rule_table_section section,
                       uint32_t first, uint32_t count)
{
    return (uint64_t)first + count <= table->counts[section];
}

static bool slot_fits(const struct rule_table *table, uint32_t slot)
{
    return slot == RULE_TABLE_NONE || slot < table->counts[TABLE_SLOTS];
}

static bool rule_fits(const struct rule_table *table, uint32_t index)
{
    const struct table_rule *rule = &table->rules[index];
    uint32_t rules = table->counts[TABLE_RULES];
    bool chained = (rule->flags & RULE_CHAINED) != 0;
    return rule->operation < OPERATOR_COUNT && rule->phase >= 1 && rule->phase <= 2 &&
           rule->pipeline < table->counts[TABLE_PIPELINES] &&
           range_fits(table, TABLE_TARGETS, rule->first_target, rule->target_count) &&
           range_fits(table, TABLE_ACTIONS, rule->first_action, rule->action_count) &&
           range_fits(table, TABLE_CLASSES, rule->first_class, rule->class_count) &&
           (rule->operation != OPERATOR_PHRASES || rule->operand < table->counts[TABLE_SETS]) &&
           (rule->operation != OPERATOR_BYTE_RANGE ||
            rule->operand < table->counts[TABLE_CLASSES]) &&
           (rule->skip_to == 0 || (rule->skip_to > index && rule->skip_to <= rules)) &&
           (!chained || (index + 1 < rules && table->rules[index + 1].phase == rule->phase &&
                         (table->rules[index + 1].flags & RULE_CHILD) != 0)) &&
           text_fits(table, rule->argument) && text_fits(table, rule->message) &&
           text_fits(table, rule->tags);
}

static bool rules_fit(const struct rule_table *table)
{
    for (uint32_t i = 0; i < table->counts[TABLE_RULES]; i++) {
        if (!rule_fits(table, i) || (i > 0 && table->rules[i].phase < table->rules[i - 1].phase))
            return false;
    }
    return true;
}

static bool targets_fit(const struct rule_table *table)
{
    for (uint32_t i = 0; i < table->counts[TABLE_TARGETS]; i++) {
        const struct table_target *target = &table->targets[i];
        bool known = target->variable < REQUEST_LIST_COUNT ||
                     (target->variable >= VARIABLE_TRANSACTION && target->variable < VARIABLE_END);
        if (!known || !slot_fits(table, target->slot) || !text_fits(table, target->selector) ||
            !text_fits(table, target->name))
            return false;
    }
    return true;
}

static bool actions_fit(const struct rule_table *table)
{
    for (uint32_t i = 0; i < table->counts[TABLE_ACTIONS]; i++) {
        const struct table_action *action = &table->actions[i];
        if (action->kind >= ACTION_KIND_COUNT || !slot_fits(table, action->slot) ||
            !text_fits(table, action->name) || !text_fits(table, action->value))
            return false;
    }
    return true;
}

/* Forms are made by recursion: how deep it goes is bounded here. */
static bool pipelines_fit(const struct rule_table *table)
{
    uint8_t depths[APPLICATION_LIMIT_PIPELINES] = {0};
    uint32_t count = table->counts[TABLE_PIPELINES];
    if (count == 0 || count > APPLICATION_LIMIT_PIPELINES)
        return false;
    for (uint32_t i = 1; i < count; i++) {
        const struct table_pipeline *pipeline = &table->pipelines[i];
        if (pipeline->transformation >= TRANSFORM_COUNT || pipeline->parent >= i ||
            depths[pipeline->parent] == APPLICATION_LIMIT_PIPELINE_DEPTH)
            return false;
        depths[i] = (uint8_t)(depths[pipeline->parent] + 1);
    }
    return true;
}

static bool phrases_fit(const struct rule_table *table)
{
    for (uint32_t i = 0; i < table->counts[TABLE_PHRASES]; i++) {
        const struct table_phrase *phrase = &table->phrases[i];
        if (!text_fits(table, phrase->text) || phrase->anchor >= phrase->text.length ||
            (phrase->next != RULE_TABLE_NONE &&
             (phrase->next <= i || phrase->next >= table->counts[TABLE_PHRASES])))
            return false;
    }
    for (uint32_t i = 0; i < table->counts[TABLE_BUCKETS]; i++) {
        if (table->buckets[i] != RULE_TABLE_NONE &&
            table->buckets[i] >= table->counts[TABLE_PHRASES])
            return false;
    }
    for (uint32_t i = 0; i < table->counts[TABLE_SETS]; i++) {
        const struct table_phrase_set *set = &table->sets[i];
        for (size_t j = 0; j < PHRASE_WIDTHS; j++) {
            if (set->bucket_bits[j] > 24 ||
                (set->bucket_bits[j] > 0 && !range_fits(table, TABLE_BUCKETS, set->first_bucket[j],
                                                        1U << set->bucket_bits[j])))
                return false;
        }
    }
    return true;
}

static bool texts_fit(const struct rule_table *table)
{
    for (uint32_t i = 0; i < table->counts[TABLE_SLOTS]; i++) {
        if (!text_fits(table, table->slots[i]))
            return false;
    }
    return true;
}

static int find_sections(const struct table_head *head, struct rule_table *table)
{
    const char *base = (const char *)head;
    const void *sections[TABLE_SECTION_COUNT];
    for (size_t i = 0; i < TABLE_SECTION_COUNT; i++) {
        const struct table_section *section = &head->sections[i];
        uint64_t end = section->offset + (uint64_t)section->count * record_bytes[i];
        if (section->offset < sizeof(*head) || section->offset % 8 != 0 || end > head->size)
            return -EINVAL;
        sections[i] = base + section->offset;
        table->counts[i] = section->count;
    }
    table->rules = sections[TABLE_RULES];
    table->targets = sections[TABLE_TARGETS];
    table->actions = sections[TABLE_ACTIONS];
    table->pipelines = sections[TABLE_PIPELINES];
    table->slots = sections[TABLE_SLOTS];
    table->classes = sections[TABLE_CLASSES];
    table->sets = sections[TABLE_SETS];
    table->phrases = sections[TABLE_PHRASES];
    table->buckets = sections[TABLE_BUCKETS];
    table->texts = sections[TABLE_TEXTS];
    return table->counts[TABLE_RULES] > APPLICATION_LIMIT_RULES ? -EINVAL : 0;
}

int rule_table_check(const void *bytes, size_t size, struct rule_table *ret_table)
{
    const struct table_head *head = bytes;
    struct rule_table table = {.base = bytes, .size = size};
    if (size < sizeof(*head) || head->magic != RULE_TABLE_MAGIC ||
        head->version != RULE_TABLE_VERSION || head->size != size ||
        head->checksum != rule_table_checksum(head))
        return -EINVAL;
    int r = find_sections(head, &table);
    if (r < 0)
        return r;
    if (!texts_fit(&table) || !targets_fit(&table) || !actions_fit(&table) ||
        !pipelines_fit(&table) || !phrases_fit(&table) || !rules_fit(&table))
        return -EINVAL;
    *ret_table = table;
    return 0;
}

int rule_table_open(int fd, struct rule_table *ret_table)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (status.st_size > APPLICATION_LIMIT_TABLE)
        return -EFBIG;
    if (status.st_size < (off_t)sizeof(struct table_head))
        return -EINVAL;
    size_t size = (size_t)status.st_size;
    void *base = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (base == MAP_FAILED)
        return -errno;
    int r = rule_table_check(base, size, ret_table);
    if (r < 0)
        (void)munmap(base, size);
    return r;
}

void rule_table_close(struct rule_table *table)
{
    if (table->base != NULL)
        (void)munmap((void *)(uintptr_t)table->base, table->size);
    *table = (struct rule_table){0};
}
