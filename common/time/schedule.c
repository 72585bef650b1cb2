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

/* When the window is open and something may begin, not before due. */
static uint64_t begin_after(const struct schedule *schedule, uint64_t last_ns, uint64_t due)
{
    if (schedule->begin == schedule->end)
        return due + delay_of(schedule, last_ns, UINT64_MAX);
    uint64_t since = since_opening_ns(schedule, due);
    if (since < window_ns(schedule))
        return due + delay_of(schedule, last_ns, window_ns(schedule) - since);
    return due + DAY_MINUTES * MINUTE_NS - since + delay_of(schedule, last_ns, window_ns(schedule));
}

uint64_t schedule_next(const struct schedule *schedule, uint64_t last_ns, uint64_t now_ns)
{
    if (schedule->interval_ns == 0)
        return UINT64_MAX;
    if (last_ns == 0)
        return begin_after(schedule, last_ns, now_ns);
    /* Of a clock that was ahead: counted from now. */
    uint64_t from = last_ns < now_ns ? last_ns : now_ns;
    uint64_t next = begin_after(schedule, last_ns, from + schedule->interval_ns);
    if (next >= now_ns)
        return next;
    return schedule_is_open(schedule, now_ns) ? now_ns : begin_after(schedule, last_ns, now_ns);
}

static bool is_same(const struct schedule *a, const struct schedule *b)
{
    return a->interval_ns == b->interval_ns && a->jitter_ns == b->jitter_ns && a->seed == b->seed &&
           a->begin == b->begin && a->end == b->end;
}

uint64_t schedule_plan_next(struct schedule_plan *plan, const struct schedule *schedule,
                            uint64_t last_ns, uint64_t now_ns)
{
    bool holds = plan->next_ns != 0 && plan->last_ns == last_ns &&
                 is_same(&plan->schedule, schedule) && now_ns >= plan->asked_ns;

    /* Its time may have passed while the host slept. */
    if (holds && plan->next_ns <= now_ns && !schedule_is_open(schedule, now_ns))
        holds = false;
    if (!holds)
        *plan = (struct schedule_plan){.schedule = *schedule,
                                       .last_ns = last_ns,
                                       .next_ns = schedule_next(schedule, last_ns, now_ns)};
    plan->asked_ns = now_ns;
    return plan->next_ns;
}
