/* A computer that changes its group takes its history along: its events get the facets of the new
 * group, piece by piece, newest first. Meanwhile nobody sees what is not theirs (a page asks where
 * the computer is now), but who is limited to the new group may not see all of it yet. */
#ifndef CONSOLE_EVENTS_EVENT_MOVES_H
#define CONSOLE_EVENTS_EVENT_MOVES_H

#include "common/attributes.h"
#include "console/store/console_store.h"

/* In the transaction that changes the group. */
int event_moves_begin(struct sql *sql, int64_t computer) MUST_USE;
/* Some pieces of what is to be done; 1 when there is more. */
int event_moves_go_on(struct console_store *store) MUST_USE;

#endif
