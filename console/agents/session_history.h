/* The runs (sessions) of one computer's agent, to tell copies of a disk from restarts. A run that
 * another has taken over from, and that is heard again, lives beside it: the earlier one is the
 * original, and all that came after it are copies. Lists are texts with blanks between, the oldest
 * first; the last SESSIONS_KEPT of each are known. */
#ifndef CONSOLE_AGENTS_SESSION_HISTORY_H
#define CONSOLE_AGENTS_SESSION_HISTORY_H

#include "common/attributes.h"
#include "common/crypto/random.h"

#include <stdbool.h>

#define SESSIONS_KEPT  8
#define SESSIONS_BYTES (SESSIONS_KEPT * UUID_TEXT_BYTES)

struct session_history {
    char current[UUID_TEXT_BYTES];
    char earlier[SESSIONS_BYTES], blocked[SESSIONS_BYTES];
};

bool session_list_holds(const char *list, const char *session);
/* A run nobody has heard of takes over. */
void session_history_begin(struct session_history *history, const char *session);
/* One of the earlier ones lives: what came after it is blocked. */
void session_history_return(struct session_history *history, const char *session);

#endif
