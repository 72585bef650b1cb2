/* Our scripts explain themselves to whom reads them in the tree; a browser need not carry that.
 * Only comments that have their lines to themselves are known here, so that no script has to be
 * parsed: from a line that begins with slash-slash-blank, or with slash-star, to its end.
 * console/web keeps to it: no line inside a string or template begins so. */
#ifndef CONSOLE_PAGES_SCRIPT_COMMENTS_H
#define CONSOLE_PAGES_SCRIPT_COMMENTS_H

#include "common/attributes.h"
#include "common/buffers/buffer.h"

/* Appends script without those lines to ret_lean. Code behind a comment's end stays, on its line.
 * A comment without an end goes as far as the script. -ENOMEM, -EMSGSIZE. */
int script_comments_remove(const char *script, size_t length, struct buffer *ret_lean) MUST_USE;

#endif
