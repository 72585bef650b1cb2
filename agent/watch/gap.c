/* Owns: the state of the gap and the back-off of its walks: 0, 0, 0, then 100 ms doubling to 60 s;
 * a minute of peace starts it anew. Must not own: the walk itself. */
#include "agent/watch/gap.h"

#include "common/attributes.h"
#include "common/time/clock.h"

#define FREE_WALKS     3U
#define FIRST_DELAY_NS (100 * NS_PER_MS)
#define LAST_DELAY_NS  (60 * NS_PER_SECOND)
#define PEACE_NS       (60 * NS_PER_SECOND)
/* File times come from a coarse clock, and some file systems keep only even seconds. */
#define TIME_SLACK_NS (2 * NS_PER_SECOND)
/* More than this between two looks at the offset of the clocks: somebody set the clock, and file
 * times cannot be compared. */
#define CLOCK_JUMP_NS ((int64_t)(NS_PER_SECOND / 2))

void gap_init(struct gap *gap)
{
    *gap = (struct gap){.due_ns = UINT64_MAX};
}

void gap_note_drained(struct gap *gap, uint64_t realtime_ns, uint64_t monotonic_ns)
{
    gap->drained_ns = realtime_ns;
    gap->clock_offset = (int64_t)(realtime_ns - monotonic_ns);
}

static uint64_t since(const struct gap *gap, uint64_t realtime_ns, uint64_t monotonic_ns)
{
    int64_t jump = (int64_t)(realtime_ns - monotonic_ns) - gap->clock_offset;

    if (jump > CLOCK_JUMP_NS || jump < -CLOCK_JUMP_NS || gap->drained_ns < TIME_SLACK_NS)
        return 0;
    return gap->drained_ns - TIME_SLACK_NS;
}

static uint64_t delay(unsigned int recent)
{
    uint64_t delay_ns = FIRST_DELAY_NS;

    if (recent < FREE_WALKS)
        return 0;
    for (unsigned int i = FREE_WALKS; i < recent && delay_ns < LAST_DELAY_NS; i++)
        delay_ns *= 2;
    return MIN(delay_ns, LAST_DELAY_NS);
}

bool gap_note_loss(struct gap *gap, uint64_t realtime_ns, uint64_t monotonic_ns)
{
    uint64_t since_ns = since(gap, realtime_ns, monotonic_ns);
    bool opens = !gap->open;

    gap->since_ns = opens ? since_ns : MIN(gap->since_ns, since_ns);
    gap->open = true;
    if (gap->last_ns + PEACE_NS < monotonic_ns)
        gap->recent = 0;
    gap->last_ns = monotonic_ns;
    if (gap->walking)
        gap->again = true;
    else if (gap->due_ns == UINT64_MAX)
        gap->due_ns = monotonic_ns + delay(gap->recent++);
    return opens;
}

bool gap_begin_walk(struct gap *gap, uint64_t monotonic_ns)
{
    if (gap->walking || gap->due_ns > monotonic_ns)
        return false;
    gap->due_ns = UINT64_MAX;
    gap->walking = true;
    gap->again = false;
    return true;
}

bool gap_end_walk(struct gap *gap, uint64_t monotonic_ns)
{
    gap->walking = false;
    if (gap->again) {
        gap->due_ns = monotonic_ns + delay(gap->recent++);
        return false;
    }
    gap->open = false;
    return true;
}
