/* What every match of a regular expression has in it: classes of bytes of which at least one must
 * occur, and a least length. A value without them need not be given to the regular expression at
 * all, and most values are. What is not understood needs nothing: a wrong "needs" would hide
 * attacks, a missing one only costs time. Thread-safe: no state. */
#ifndef APPLICATION_COMPILER_REGEX_NEEDS_H
#define APPLICATION_COMPILER_REGEX_NEEDS_H

#include "application/detection/rule_table.h"

#define REGEX_NEEDS_MOST 6

struct regex_needs {
    struct table_class classes[REGEX_NEEDS_MOST]; /* the most telling first */
    size_t count;
    size_t least_length;
};

/* The expression as PCRE2 reads it with DOTALL and MULTILINE, in bytes. */
void regex_needs_read(struct span expression, struct regex_needs *ret_needs);

#endif
