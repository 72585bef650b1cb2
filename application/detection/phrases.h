/* Many phrases looked for at once, without regard to ASCII case. The set's memory is its text and
 * some bytes a phrase. Thread-safe: no state. */
#ifndef APPLICATION_DETECTION_PHRASES_H
#define APPLICATION_DETECTION_PHRASES_H

#include "application/detection/rule_table.h"

/* The bucket of the `width` (1 to 4) bytes at `at`; upper and lower case share one. */
static inline uint32_t phrase_bucket(const char *at, unsigned width, uint32_t bits)
{
    uint32_t word = 0;
    if (width == 4)
        memcpy(&word, at, 4);
    else if (width == 3)
        word = (uint32_t)(unsigned char)at[0] | (uint32_t)(unsigned char)at[1] << 8 |
               (uint32_t)(unsigned char)at[2] << 16;
    else if (width == 2)
        word = (uint32_t)(unsigned char)at[0] | (uint32_t)(unsigned char)at[1] << 8;
    else
        word = (unsigned char)at[0];
    word |= 0x20202020U;
    return word * 0x9e3779b1U >> (32 - bits);
}

/* Whether a phrase of the set is in text, and where. */
bool phrases_find(const struct rule_table *table, const struct table_phrase_set *set,
                  struct span text, struct span *ret_match);

#endif
