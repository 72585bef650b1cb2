/* The set of signatures that the console gave: its lists as files for the scanner, and what it
 * allows. Written so that a crash leaves the old set or the new one known as in force. Not
 * thread-safe: its caller is one thread. */
#ifndef AGENT_SIGNATURES_CONSOLE_LISTS_H
#define AGENT_SIGNATURES_CONSOLE_LISTS_H

#include "common/attributes.h"
#include "common/wire/wire.h"

/* Below the state directory. */
#define SIGNATURES_FOLDER "signatures"

/* Puts the set of this document in force; it was judged before. Lists that are in it no more leave
 * the disk. -EINVAL: a list has no name that libclamav knows; -errno (-ENOSPC). */
int console_lists_put(const char *state_directory, const struct wire_signatures *signatures,
                      const char *document) MUST_USE;
/* What is in force; freed by wire_signatures_done. -ENOENT: nothing. */
int console_lists_read(const char *state_directory,
                       struct wire_signatures *ret_signatures) MUST_USE;
/* The console has nothing to say any more. */
void console_lists_remove(const char *state_directory);

#endif
