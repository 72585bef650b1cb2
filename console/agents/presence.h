/* Who was seen when, and with what facts: kept in memory and written behind in batches, because a
 * row update for every heartbeat is what other consoles choked on. Thread-safe. */
#ifndef CONSOLE_AGENTS_PRESENCE_H
#define CONSOLE_AGENTS_PRESENCE_H

#include "common/attributes.h"

#include <stdint.h>

struct presence;
struct console_store;

int presence_new(struct presence **ret_presence) MUST_USE;
struct presence *presence_free(struct presence *presence);
/* facts: JSON object, or NULL to keep the last. -ENOMEM. */
int presence_note(struct presence *presence, int64_t computer, int64_t seen_ms, const char *facts);
/* Writes what changed since the last flush in one piece of work, waiting for it. What could not be
 * written stays for the next. Not from a thread that must not block. */
int presence_flush(struct presence *presence, struct console_store *store) MUST_USE;

#endif
