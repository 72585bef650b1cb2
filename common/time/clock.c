/* The clock. Owns the fake time of tests; the fake is process-wide. */
#include "common/time/clock.h"

#include "common/text/text.h"

#include <stdatomic.h>

static _Atomic uint64_t fake_monotonic_ns;
static _Atomic uint64_t fake_realtime_ns;

static uint64_t read_clock(clockid_t id)
{
    struct timespec now;

    (void)clock_gettime(id, &now);
    return timespec_to_ns(now);
}

uint64_t clock_monotonic_ns(void)
{
    uint64_t fake = atomic_load_explicit(&fake_monotonic_ns, memory_order_relaxed);

    return fake != 0 ? fake : read_clock(CLOCK_BOOTTIME);
}

uint64_t clock_realtime_ns(void)
{
    uint64_t fake = atomic_load_explicit(&fake_realtime_ns, memory_order_relaxed);

    return fake != 0 ? fake : read_clock(CLOCK_REALTIME);
}

struct timespec clock_wait_until(uint64_t delay_ns)
{
    return timespec_from_ns(read_clock(CLOCK_MONOTONIC) + delay_ns);
}

struct timespec clock_deadline(uint64_t delay_ns)
{
    uint64_t deadline;

    if (__builtin_add_overflow(read_clock(CLOCK_MONOTONIC), delay_ns, &deadline))
        deadline = UINT64_MAX;
    return timespec_from_ns(deadline);
}

void clock_set_fake(uint64_t monotonic_ns, uint64_t realtime_ns)
{
    atomic_store(&fake_monotonic_ns, monotonic_ns);
    atomic_store(&fake_realtime_ns, realtime_ns);
}

uint64_t timespec_to_ns(struct timespec time)
{
    return (uint64_t)time.tv_sec * NS_PER_SECOND + (uint64_t)time.tv_nsec;
}

struct timespec timespec_from_ns(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_SECOND),
                             .tv_nsec = (long)(ns % NS_PER_SECOND)};
}

void clock_format(char text[static CLOCK_TEXT_BYTES], uint64_t realtime_ns)
{
    time_t seconds = (time_t)(realtime_ns / NS_PER_SECOND);
    unsigned milliseconds = (unsigned)(realtime_ns % NS_PER_SECOND / NS_PER_MS);
    struct tm utc = {0};

    (void)gmtime_r(&seconds, &utc);
    (void)text_format(text, CLOCK_TEXT_BYTES, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ",
                      utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                      utc.tm_sec, milliseconds);
}
