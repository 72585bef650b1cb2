/* When to try again: full jitter, applied after the cap, so that a fleet that lost its console does
 * not come back all at once. */
#ifndef AGENT_MESSENGER_DELAY_H
#define AGENT_MESSENGER_DELAY_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

#define DELAY_LONGEST_NS    (15ULL * 60 * 1000000000)
#define DELAY_LOST_MOST_NS  (120ULL * 1000000000)
#define DELAY_FIRST_MOST_NS (60ULL * 1000000000)

struct delay {
    uint64_t interval_ns; /* between heartbeats when all is well */
    unsigned failures;    /* in a row */
};

/* After a success: the interval, a tenth more or less. */
uint64_t delay_next(struct delay *delay);
/* After a failure: base + random(0..base), base doubling from a quarter of the interval to half of
 * DELAY_LONGEST_NS: a fleet whose console was away for half an interval is back within two.
 * What the server asked for (Retry-After) wins, plus up to a fifth. lost: it was reachable before
 * and is not now: up to half an interval more, DELAY_LOST_MOST_NS at most. */
uint64_t delay_after_failure(struct delay *delay, uint64_t retry_after_ns, bool lost);
/* Before the next request for news: random(0..most), most doubling from 30 s to DELAY_LONGEST_NS;
 * what the server asked for wins, plus up to a fifth. failures: in a row, this one too. */
uint64_t delay_of_wait(unsigned failures, uint64_t retry_after_ns);
/* The first heartbeat after a start: somewhere in the first interval, DELAY_FIRST_MOST_NS at most:
 * a host that was away stays offline until then. */
uint64_t delay_first(const struct delay *delay);

#endif
