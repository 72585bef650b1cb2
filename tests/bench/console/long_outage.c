/* When a fleet is back whose console was away for long: the delays of yagura-messenger with a clock
 * of our own, so that a day takes a moment.
 *
 *     long_outage AGENTS OUTAGE INTERVAL
 *
 * In seconds. Every agent had been answered at some time in the last interval; from then on each
 * try fails until the outage is over. Prints, of the first tries after it: seconds until half and
 * until all of them, how many fall into the busiest second, and the fewest failures an agent had.
 */
#include "agent/messenger/delay.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <stdio.h>
#include <stdlib.h>

#define AGENTS_MOST 1000000U

static uint64_t number_of(const char *text, uint64_t most)
{
    uint64_t number;
    if (text_parse_u64(text, &number) < 0 || number == 0 || number > most) {
        (void)fprintf(stderr, "long_outage: a number is wrong: %s\n", text);
        exit(2);
    }
    return number;
}

/* When an agent tries for the first time after the outage, counted from its end. */
static uint64_t first_try(uint64_t outage_ns, uint64_t interval_ns, unsigned *fewest)
{
    struct delay delay = {.interval_ns = interval_ns};
    uint64_t now = delay_first(&delay); /* its next heartbeat, when the console goes away */
    for (bool online = true; now < outage_ns; online = false)
        now += delay_after_failure(&delay, 0, online);
    *fewest = MIN(*fewest, delay.failures);
    return now - outage_ns;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* Of a sorted list. */
static size_t busiest_second(const uint64_t *times, size_t count)
{
    size_t most = 0, begin = 0;
    for (size_t end = 0; end < count; end++) {
        while (times[end] - times[begin] >= NS_PER_SECOND)
            begin++;
        most = MAX(most, end - begin + 1);
    }
    return most;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        (void)fprintf(stderr, "usage: long_outage AGENTS OUTAGE INTERVAL\n");
        return 2;
    }
    size_t agents = number_of(argv[1], AGENTS_MOST);
    uint64_t outage_ns = number_of(argv[2], 31536000) * NS_PER_SECOND;
    uint64_t interval_ns = number_of(argv[3], 86400) * NS_PER_SECOND;
    AUTO_FREE uint64_t *times = calloc(agents, sizeof(*times));
    unsigned fewest = UINT32_MAX;
    if (!times)
        return 1;
    for (size_t i = 0; i < agents; i++)
        times[i] = first_try(outage_ns, interval_ns, &fewest);
    qsort(times, agents, sizeof(*times), compare);
    (void)printf("%.1f %.1f %zu %u\n", (double)times[agents / 2] / (double)NS_PER_SECOND,
                 (double)times[agents - 1] / (double)NS_PER_SECOND, busiest_second(times, agents),
                 fewest);
    return 0;
}
