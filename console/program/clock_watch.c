/* Owns the comparison of two clocks. */
#include "console/program/clock_watch.h"

#include "common/time/clock.h"

void clock_watch_begin(struct clock_watch *watch)
{
    watch->monotonic_ns = watch->settled_ns = clock_monotonic_ns();
    watch->realtime_ns = clock_realtime_ns();
}

int64_t clock_watch_look(struct clock_watch *watch)
{
    uint64_t monotonic = clock_monotonic_ns(), realtime = clock_realtime_ns();
    int64_t passed_ms = (int64_t)((monotonic - watch->monotonic_ns) / NS_PER_MS);
    int64_t shown_ms = (int64_t)(realtime / NS_PER_MS) - (int64_t)(watch->realtime_ns / NS_PER_MS);
    int64_t jump_ms = shown_ms - passed_ms;
    watch->monotonic_ns = monotonic;
    watch->realtime_ns = realtime;
    if (jump_ms < CLOCK_JUMP_MS && jump_ms > -CLOCK_JUMP_MS)
        return 0;
    watch->settled_ns = monotonic;
    return jump_ms;
}

int64_t clock_watch_settled_ms(const struct clock_watch *watch)
{
    return (int64_t)((clock_monotonic_ns() - watch->settled_ns) / NS_PER_MS);
}
