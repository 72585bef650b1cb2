/* Time in nanoseconds. Tests replace the clock; nothing else in the tree calls clock_gettime. */
#ifndef COMMON_TIME_CLOCK_H
#define COMMON_TIME_CLOCK_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_US     1000ULL
#define NS_PER_MS     1000000ULL
#define NS_PER_SECOND 1000000000ULL

/* Since boot, including sleep (CLOCK_BOOTTIME): for intervals and deadlines. */
uint64_t clock_monotonic_ns(void);
/* Since 1970 UTC: for events and file times. */
uint64_t clock_realtime_ns(void);

/* For pthread_cond_clockwait(..., CLOCK_MONOTONIC, ...): the moment delay_ns from now. Never faked:
 * the kernel wakes the waiter. */
struct timespec clock_wait_until(uint64_t delay_ns);

/* The moment delay_ns from now on CLOCK_MONOTONIC, for pthread_cond_clockwait and its like. Never
 * fake: a wait ends by itself. */
struct timespec clock_deadline(uint64_t delay_ns);

/* Test seam: from now on both clocks return what they were set to. 0, 0 gives the real ones back.
 */
void clock_set_fake(uint64_t monotonic_ns, uint64_t realtime_ns);

uint64_t timespec_to_ns(struct timespec time);
struct timespec timespec_from_ns(uint64_t ns);

/* RFC 3339 in UTC with milliseconds, "2026-11-22T01:02:03.456Z"; text holds CLOCK_TEXT_BYTES. */
#define CLOCK_TEXT_BYTES 32
void clock_format(char text[static CLOCK_TEXT_BYTES], uint64_t realtime_ns);

#endif
