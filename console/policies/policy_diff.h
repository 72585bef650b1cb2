/* What changed between two texts, line by line. */
#ifndef CONSOLE_POLICIES_POLICY_DIFF_H
#define CONSOLE_POLICIES_POLICY_DIFF_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

/* Appends a JSON array of {"change": "same" | "removed" | "added", "line": text}, in the order of a
 * unified diff: the fewest changed lines, unless the differing part is larger than
 * POLICY_DIFF_CELLS pairs of lines; then all of it is removed and added. -ENOMEM; -E2BIG. */
#define POLICY_DIFF_CELLS 4000000
int policy_diff_write(const char *from, const char *to, struct buffer *json) MUST_USE;

#endif
