/* When something that is done again and again is due: an interval, a daily window in local time,
 * and a delay that is another one on every host, so that a fleet does not begin at once. */
#ifndef COMMON_TIME_SCHEDULE_H
#define COMMON_TIME_SCHEDULE_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stdint.h>

struct schedule {
    uint64_t interval_ns; /* 0: never */
    uint64_t jitter_ns;   /* most delay */
    uint64_t seed;        /* of the delay: the same gives the same */
    unsigned begin, end;  /* window, in minutes since midnight; equal: any time */
};

/* "22:00-05:30"; "" is any time. -EINVAL. */
int schedule_parse_window(const char *text, unsigned *ret_begin, unsigned *ret_end) MUST_USE;
/* Realtime of the next time; last_ns: of the last one, 0 when there was none. UINT64_MAX: never.
 * What was missed (the host slept) is due at once, or when the window next opens. */
uint64_t schedule_next(const struct schedule *schedule, uint64_t last_ns, uint64_t now_ns);

/* A time that was decided on. All zero: none yet. */
struct schedule_plan {
    struct schedule schedule;
    uint64_t last_ns, next_ns, asked_ns;
};
/* As schedule_next, but asked again it does not move on: a delay counts from when it was first
 * asked. Planned anew when the schedule or last_ns is another one, and when the clock went back. */
uint64_t schedule_plan_next(struct schedule_plan *plan, const struct schedule *schedule,
                            uint64_t last_ns, uint64_t now_ns);

/* Whether the window is open. */
bool schedule_is_open(const struct schedule *schedule, uint64_t now_ns);

#endif
