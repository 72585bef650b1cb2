/* Owns the edit distance (optimal string alignment, case ignored) behind "did you mean". */
#include "common/settings/suggestion.h"

#include <ctype.h>

#include "common/attributes.h"

#define WORD_BYTES 64

static int lower(char byte)
{
    return tolower((unsigned char)byte);
}

static unsigned edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    unsigned rows[3][WORD_BYTES + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= b_length; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= a_length; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= b_length; j++) {
            unsigned change = lower(a[i - 1]) == lower(b[j - 1]) ? 0 : 1;
            now[j] = MIN(MIN(last[j] + 1, now[j - 1] + 1), last[j - 1] + change);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                now[j] = MIN(now[j], before[j - 2] + 1);
        }
        unsigned *spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[b_length];
}

const char *suggestion_nearest(const char *word, size_t count,
                               const char *(*candidate)(const void *user, size_t index),
                               const void *user)
{
    size_t length = strnlen(word, WORD_BYTES + 1);
    if (length == 0 || length > WORD_BYTES)
        return NULL;
    unsigned best_distance = (unsigned)MIN(MAX(length / 3, (size_t)1), (size_t)3) + 1;
    const char *best = NULL;
    for (size_t i = 0; i < count; i++) {
        const char *known = candidate(user, i);
        size_t known_length = strnlen(known, WORD_BYTES + 1);
        if (known_length > WORD_BYTES)
            continue;
        unsigned distance = edit_distance(word, length, known, known_length);
        if (distance < best_distance) {
            best_distance = distance;
            best = known;
        }
    }
    return best;
}
