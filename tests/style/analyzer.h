/* Included by tests/style/tidy.sh only. The static analyzer does not know that errno is positive,
 * and (before clang 16) not that -x is negative when x is positive: every `return -errno;` looks as
 * if it could return 0. For it, errno is always EIO. */
#ifndef TESTS_STYLE_ANALYZER_H
#define TESTS_STYLE_ANALYZER_H

#include <errno.h>

#undef errno
#define errno (*(int[]){EIO})

#endif
