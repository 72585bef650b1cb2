/* Back-off. Owns no clock: it only says how long. */
#include "agent/messenger/delay.h"

#include "common/crypto/random.h"

#define WAIT_BASE_NS (30ULL * 1000000000)

/* Uniform in 0..most; without randomness the middle, which is no worse than no jitter. */
static uint64_t random_up_to(uint64_t most)
{
    uint64_t value;

    if (most == UINT64_MAX || random_bytes(&value, sizeof value) < 0)
        return most / 2;
    return value % (most + 1);
}

uint64_t delay_next(struct delay *delay)
{
    delay->failures = 0;
    return delay->interval_ns - delay->interval_ns / 10 + random_up_to(delay->interval_ns / 5);
}

/* What the server asked for, plus up to a fifth. */
static uint64_t obey(uint64_t retry_after_ns)
{
    retry_after_ns = MIN(retry_after_ns, DELAY_LONGEST_NS);
    return retry_after_ns + random_up_to(retry_after_ns / 5);
}

uint64_t delay_of_wait(unsigned failures, uint64_t retry_after_ns)
{
    enum { MOST_DOUBLINGS = 5 };

    if (retry_after_ns > 0)
        return obey(retry_after_ns);
    return random_up_to(
        MIN(WAIT_BASE_NS << MIN(failures > 0 ? failures - 1 : 0, (unsigned)MOST_DOUBLINGS),
            DELAY_LONGEST_NS));
}

uint64_t delay_after_failure(struct delay *delay, uint64_t retry_after_ns, bool lost)
{
    enum { MOST_DOUBLINGS = 20 };
    unsigned doublings = MIN(delay->failures, (unsigned)MOST_DOUBLINGS);
    uint64_t most = DELAY_LONGEST_NS / 2;
    uint64_t base = MIN(MIN(delay->interval_ns / 4, most) << doublings, most);
    uint64_t spread = MIN(delay->interval_ns / 2, DELAY_LOST_MOST_NS);

    delay->failures++;
    if (retry_after_ns > 0)
        return obey(retry_after_ns);
    return base + random_up_to(base) + (lost ? random_up_to(spread) : 0);
}

uint64_t delay_first(const struct delay *delay)
{
    return random_up_to(MIN(delay->interval_ns, DELAY_FIRST_MOST_NS));
}
