#include "storage/runtime/queue_stop.h"

#include "common/time/clock.h"

#include <stddef.h>

#define ANSWER_TIME_NS (3 * NS_PER_SECOND) /* beyond the wait */

bool queue_stop_is_wanted(const struct queue_stop *stop)
{
    return __atomic_load_n(stop->wanted, __ATOMIC_RELAXED);
}

bool queue_stop_is_over(void *user)
{
    struct queue_stop *stop = user;

    if (!queue_stop_is_wanted(stop))
        return false;
    uint64_t now = clock_monotonic_ns();
    if (stop->until_ns == 0)
        stop->until_ns = now + stop->wait_ns + ANSWER_TIME_NS;
    return now >= stop->until_ns;
}
