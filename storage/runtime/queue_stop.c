#include "storage/runtime/queue_stop.h"

#include "common/aws/aws_client.h"
#include "common/time/clock.h"

#include <stddef.h>

bool queue_stop_is_wanted(const struct queue_stop *stop)
{
    return __atomic_load_n(stop->wanted, __ATOMIC_RELAXED);
}

bool queue_stop_is_over(void *user)
{
    struct queue_stop *stop = user;

    if (!queue_stop_is_wanted(stop))
        return false;
    if (stop->receiver != NULL && !aws_client_has_sent(stop->receiver))
        return true;
    uint64_t now = clock_monotonic_ns();
    if (stop->until_ns == 0)
        stop->until_ns = now + (stop->silent ? 0 : stop->wait_ns) + QUEUE_ANSWER_NS;
    return now >= stop->until_ns;
}
