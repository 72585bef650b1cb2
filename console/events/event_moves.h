/* A computer that changes its group takes its history along: its events get the facets of the new
 * group, piece by piece, newest first; those of one that is removed get the facets of no group.
 * Meanwhile nobody sees what is not theirs (a page asks where the computer is now), but who is
 * limited to the new group may not see all of it yet. Events without a facet, of a node from before
 * there were facets, get theirs in the same way. */
#ifndef CONSOLE_EVENTS_EVENT_MOVES_H
#define CONSOLE_EVENTS_EVENT_MOVES_H

#include "common/attributes.h"
#include "console/store/console_store.h"

/* In the transaction that changes the group, or removes the computer or sensor. */
int event_moves_begin(struct sql *sql, int64_t computer) MUST_USE;
/* Some pieces of what is to be done; 1 when there is more. */
int event_moves_go_on(struct console_store *store) MUST_USE;

#endif
