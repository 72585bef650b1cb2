/* Whether a value is text that somebody wrote for people: words beside words. Such text now and
 * then has in it what some rules take for a command ("... in\ntime for") without meaning one. */
#ifndef APPLICATION_DETECTION_PROSE_H
#define APPLICATION_DETECTION_PROSE_H

#include "application/events/span.h"

bool prose_like(struct span text);
/* The same of what stands around offset, at most PROSE_AROUND bytes on each side: what is far away
 * says nothing about a match. */
#define PROSE_AROUND 128
bool prose_around(struct span text, size_t offset);
/* Prose around offset, markup from its first tag to its last, or one web address and nothing else,
 * whose '&' stands between "name=value". */
bool ordinary_like(struct span text, size_t offset);
/* Letters, blanks and marks of sentences alone, a few words of them: a search, a title. */
bool plain_words_like(struct span text);
/* Whole UTF-8 with more than ASCII in it. */
bool utf8_like(struct span text);

#endif
