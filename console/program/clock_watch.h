/* Whether the wall clock goes on as time does. A clock that was set makes every computer look long
 * gone, or seen tomorrow; nobody may be removed for that. */
#ifndef CONSOLE_PROGRAM_CLOCK_WATCH_H
#define CONSOLE_PROGRAM_CLOCK_WATCH_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_JUMP_MS 60000LL /* less is what a time service corrects */

struct clock_watch {
    uint64_t monotonic_ns, realtime_ns; /* of the last look */
    uint64_t settled_ns;                /* monotonic: since then the wall clock has gone evenly */
};

void clock_watch_begin(struct clock_watch *watch);
/* By how much the wall clock was set since the last look, in ms; 0: it was not. */
int64_t clock_watch_look(struct clock_watch *watch);
/* For so long it has gone evenly, in ms. */
int64_t clock_watch_settled_ms(const struct clock_watch *watch);

#endif
