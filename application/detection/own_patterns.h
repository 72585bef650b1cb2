/* Our own rules that are regular expressions over values: what the rule set does not know, or knows
 * only for other platforms. Not thread-safe. */
#ifndef APPLICATION_DETECTION_OWN_PATTERNS_H
#define APPLICATION_DETECTION_OWN_PATTERNS_H

#include "application/detection/judgement.h"

struct own_patterns;
struct own_patterns *own_patterns_new(void); /* NULL: no memory */
struct own_patterns *own_patterns_free(struct own_patterns *patterns);
void own_patterns_check(struct own_patterns *patterns, struct judgement *judgement);
/* Compiles the expressions, for idle moments. */
void own_patterns_prepare(struct own_patterns *patterns);

#endif
