/* Owns the arithmetic of schedules. Must not read a clock: callers say what time it is. */
#include "common/time/schedule.h"

#include "common/time/clock.h"

#include <errno.h>
#include <time.h>

enum { DAY_MINUTES = 24 * 60 };

static const uint64_t MINUTE_NS = 60 * NS_PER_SECOND;

static int parse_time(const char **text, unsigned *ret_minutes)
{
    unsigned numbers[2] = {0, 0};

    for (int i = 0; i < 2; i++) {
        if (i == 1 && *(*text)++ != ':')
            return -EINVAL;
        for (int digit = 0; digit < 2; digit++, (*text)++) {
            if (**text < '0' || **text > '9')
                return -EINVAL;
            numbers[i] = numbers[i] * 10 + (unsigned)(**text - '0');
        }
    }
    if (numbers[0] > 23 || numbers[1] > 59)
        return -EINVAL;
    *ret_minutes = numbers[0] * 60 + numbers[1];
    return 0;
}

int schedule_parse_window(const char *text, unsigned *ret_begin, unsigned *ret_end)
{
    unsigned begin = 0, end = 0;

    if (*text != '\0') {
        if (parse_time(&text, &begin) < 0 || *text++ != '-' || parse_time(&text, &end) < 0 ||
            *text != '\0' || begin == end)
            return -EINVAL;
    }
    *ret_begin = begin;
    *ret_end = end;
    return 0;
}

/* splitmix64: what the seed and the time of the last run have in common. */
static uint64_t spread(uint64_t value)
{
    value += 0x9e3779b97f4a7c15U;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
    value = (value ^ value >> 27) * 0x94d049bb133111ebU;
    return value ^ value >> 31;
}

static uint64_t delay_of(const struct schedule *schedule, uint64_t last_ns, uint64_t most_ns)
{
    uint64_t most = schedule->jitter_ns < most_ns ? schedule->jitter_ns : most_ns;

    return most == 0 ? 0 : spread(schedule->seed ^ spread(last_ns)) % most;
}

/* Nanoseconds since local midnight. */
static uint64_t time_of_day_ns(uint64_t now_ns)
{
    time_t seconds = (time_t)(now_ns / NS_PER_SECOND);
    struct tm local;

    if (localtime_r(&seconds, &local) == NULL)
        return now_ns % (DAY_MINUTES * MINUTE_NS);
    return ((uint64_t)local.tm_hour * 3600 + (uint64_t)local.tm_min * 60 + (uint64_t)local.tm_sec) *
               NS_PER_SECOND +
           now_ns % NS_PER_SECOND;
}

static uint64_t window_ns(const struct schedule *schedule)
{
    return (schedule->end + DAY_MINUTES - schedule->begin) % DAY_MINUTES * MINUTE_NS;
}

/* How far now is behind the window's last opening. */
static uint64_t since_opening_ns(const struct schedule *schedule, uint64_t now_ns)
{
    const uint64_t day = DAY_MINUTES * MINUTE_NS;

    return (time_of_day_ns(now_ns) + day - schedule->begin * MINUTE_NS) % day;
}

bool schedule_is_open(const struct schedule *schedule, uint64_t now_ns)
{
    return schedule->begin == schedule->end ||
           since_opening_ns(schedule, now_ns) < window_ns(schedule);
}

uint64_t schedule_next(const struct schedule *schedule, uint64_t last_ns, uint64_t now_ns)
{
    if (schedule->interval_ns == 0)
        return UINT64_MAX;
    bool first = last_ns == 0;
    uint64_t due = first ? now_ns : last_ns + schedule->interval_ns;
    bool missed = due < now_ns;
    if (missed)
        due = now_ns;
    if (schedule_is_open(schedule, due))
        return missed
                   ? due
                   : due + (schedule->begin == schedule->end
                                ? delay_of(schedule, last_ns, UINT64_MAX)
                                : delay_of(schedule, last_ns,
                                           window_ns(schedule) - since_opening_ns(schedule, due)));
    uint64_t opens = due + DAY_MINUTES * MINUTE_NS - since_opening_ns(schedule, due);
    return opens + delay_of(schedule, last_ns, window_ns(schedule));
}
