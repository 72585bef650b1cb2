#include "application/detection/phrases.h"

static bool phrase_at(const struct rule_table *table, const struct table_phrase *phrase,
                      struct span text, size_t position, struct span *ret_match)
{
    struct span wanted = table_span(table, phrase->text);
    if (position < phrase->anchor || text.length - (position - phrase->anchor) < wanted.length)
        return false;
    const char *at = text.data + position - phrase->anchor;
    for (size_t i = 0; i < wanted.length; i++) {
        if (byte_lower(at[i]) != wanted.data[i])
            return false;
    }
    *ret_match = (struct span){at, wanted.length};
    return true;
}

static bool find_of_width(const struct rule_table *table, const struct table_phrase_set *set,
                          struct span text, unsigned width, struct span *ret_match)
{
    const uint32_t *buckets = table->buckets + set->first_bucket[width - 1];
    uint32_t bits = set->bucket_bits[width - 1];
    for (size_t i = 0; i + width <= text.length; i++) {
        uint32_t index = buckets[phrase_bucket(text.data + i, width, bits)];
        for (; index != RULE_TABLE_NONE; index = table->phrases[index].next) {
            if (phrase_at(table, &table->phrases[index], text, i, ret_match))
                return true;
        }
    }
    return false;
}

bool phrases_find(const struct rule_table *table, const struct table_phrase_set *set,
                  struct span text, struct span *ret_match)
{
    for (unsigned width = 1; width <= PHRASE_WIDTHS; width++) {
        if (set->bucket_bits[width - 1] > 0 && find_of_width(table, set, text, width, ret_match))
            return true;
    }
    return false;
}
