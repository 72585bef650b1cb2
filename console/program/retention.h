/* What is forgotten, and when. Piece by piece, so that the writer is never held for long. */
#ifndef CONSOLE_PROGRAM_RETENTION_H
#define CONSOLE_PROGRAM_RETENTION_H

#include "common/attributes.h"
#include "console/store/console_store.h"

#include <stdbool.h>
#include <stdint.h>

struct retention {
    int64_t events_ms;    /* events and their counts older than this go; 0: never */
    int64_t computers_ms; /* computers not seen for so long go; 0: never */
};

struct retention_result {
    int64_t events, computers;
    bool more; /* events are left that are due: call again soon */
    /* Nothing that is old went: by this clock some events are, but none of the last day has a date
     * of its sender's that agrees. A clock that is ahead would take all for old. */
    bool clock_doubted;
};

/* Removes what is due: some 50,000 events, and at most 1,000 computers (an outage must not empty
 * the console). Sessions that are over go too. Waits; not from a thread that must not block. */
int retention_apply(struct console_store *store, const struct retention *retention,
                    struct retention_result *ret_result) MUST_USE;

/* After a clock that was ahead: nobody has been seen in the future. */
int retention_settle_clock(struct console_store *store) MUST_USE;

#endif
