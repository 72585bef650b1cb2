/* What agent, scanner and console say in English, in Japanese. The English sentence itself is the
 * key; what is not known, such as another version's sentence, is said as it is. */
#ifndef COMMON_SENTENCES_SENTENCES_H
#define COMMON_SENTENCES_SENTENCES_H

#include "common/attributes.h"

#include <stddef.h>

/* The catalogue, a JSON object {"English": "Japanese"}. Never freed. */
const char *sentences_japanese(size_t *ret_length);
/* To be freed. NULL when it is not known, or too long to be one of ours, or when memory is short. A
 * name before the sentence ("web.conf:3: watch.paths: ") stays, as do the values in it; a value
 * that is a sentence itself is translated, too. */
char *sentence_in_japanese(const char *english) MUST_USE;

#endif
