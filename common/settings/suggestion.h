/* "Did you mean ...?": the known word nearest to what somebody typed. Thread-safe. */
#ifndef COMMON_SETTINGS_SUGGESTION_H
#define COMMON_SETTINGS_SUGGESTION_H

#include <stddef.h>

/* The nearest of candidates by edit distance (swapped neighbours count as one), or NULL when none
 * is near: at most a third of the word's length, at least 1, at most 3 edits. Words over 64 bytes
 * have no suggestion. candidate(user, i) gives the i-th of count. */
const char *suggestion_nearest(const char *word, size_t count,
                               const char *(*candidate)(const void *user, size_t index),
                               const void *user);

#endif
