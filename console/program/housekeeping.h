/* What the console does on its own: it writes down who was seen, looks at its clock and its store,
 * and forgets what is old. For the main thread. */
#ifndef CONSOLE_PROGRAM_HOUSEKEEPING_H
#define CONSOLE_PROGRAM_HOUSEKEEPING_H

#include "common/attributes.h"
#include "console/program/clock_watch.h"
#include "console/program/retention.h"

#include <stdbool.h>

struct presence;

struct housekeeping {
    struct console_store *store;
    struct presence *presence;
    struct retention retention;
    struct clock_watch clock;
    uint64_t due_ns, flush_due_ns; /* monotonic: when forgetting is due, and writing down */
    int problem;                   /* of the store, as it was told last */
    bool clock_doubted;            /* as it was told last */
};

void housekeeping_begin(struct housekeeping *housekeeping);
/* Who was seen, now. */
void housekeeping_flush(struct housekeeping *housekeeping);
/* Every second. True: the wall clock was set. */
bool housekeeping_tick(struct housekeeping *housekeeping);
/* Forgetting is due. */
bool housekeeping_is_due(const struct housekeeping *housekeeping);
/* Forgets, and sets when it is due again. True: more is left, call again soon. Computers are only
 * removed when the console has run under an even clock for as long as they may be silent, or for a
 * day: after an outage of the console, everybody must have had the chance to come back. */
bool housekeeping_forget(struct housekeeping *housekeeping);

#endif
