/* Which lines differ between two texts, for people: "@12" (where in the new text), then "-old" and
 * "+new" lines, escaped, secrets hidden. Bounded: LIMIT_INTEGRITY_DIFFERENCE_LINES lines a text,
 * and above MOST_CELLS comparisons the whole middle is told as replaced. Thread-safe: no state. */
#ifndef AGENT_INSPECTOR_LINE_DIFFERENCE_H
#define AGENT_INSPECTOR_LINE_DIFFERENCE_H

#include "agent/inspector/inspector_messages.h"
#include "common/attributes.h"
#include "common/buffers/buffer.h"

#include <stddef.h>

/* lines: cut at LIMIT_INTEGRITY_DIFFERENCE, and says so. -ENOMEM. */
int line_difference_write(const char *before, size_t before_length, const char *after,
                          size_t after_length, struct buffer *lines,
                          enum inspector_difference *ret_outcome) MUST_USE;

#endif
