/* Regular expressions of a rule table, compiled when a value first needs them and to machine code
 * once they are used often: a start costs nothing for those that no request comes near. Bounded
 * matching: what runs into PCRE2's limits counts as no match. Not thread-safe. */
#ifndef APPLICATION_DETECTION_REGEX_CACHE_H
#define APPLICATION_DETECTION_REGEX_CACHE_H

#include "application/events/span.h"
#include "common/attributes.h"

#define REGEX_CAPTURES 10

struct regex_cache;
/* NULL: no memory. */
struct regex_cache *regex_cache_new(size_t count);
struct regex_cache *regex_cache_free(struct regex_cache *cache);
/* Whether expression, which is number index and always the same under it, matches somewhere in
 * text. captures (REGEX_CAPTURES of them, may be NULL) become the groups; those that took no part
 * are empty. */
bool regex_cache_match(struct regex_cache *cache, size_t index, struct span expression,
                       struct span text, struct span *captures);
/* The same for an expression made from a request: compiled, and kept until another comes. */
bool regex_cache_match_once(struct regex_cache *cache, struct span expression, struct span text,
                            struct span *captures);
/* Compiles number index now, to machine code too. */
void regex_cache_prepare(struct regex_cache *cache, size_t index, struct span expression);

#endif
