/* Lost events: since when, how often lately, and when to walk again. The kernel's overflow record
 * is put once until it is read, so everything that was dropped was dropped before the moment it is
 * read: a walk that starts later finds it all. Not thread-safe; time is given by the caller. */
#ifndef AGENT_WATCH_GAP_H
#define AGENT_WATCH_GAP_H

#include <stdbool.h>
#include <stdint.h>

struct gap {
    bool open;
    bool walking;         /* the walk that shall close it runs */
    bool again;           /* more was lost since that walk began */
    uint64_t since_ns;    /* realtime: nothing before it was lost; 0: unknown, take everything */
    uint64_t due_ns;      /* monotonic: when to walk; UINT64_MAX: no walk is due */
    unsigned int recent;  /* gaps in a row */
    uint64_t last_ns;     /* monotonic time of the last loss */
    uint64_t drained_ns;  /* realtime at which the queue was last seen empty */
    int64_t clock_offset; /* realtime - monotonic at that moment */
};

void gap_init(struct gap *gap);
/* The queue was empty at this moment. */
void gap_note_drained(struct gap *gap, uint64_t realtime_ns, uint64_t monotonic_ns);
/* Events were lost. true when this opens the gap: tell it. */
bool gap_note_loss(struct gap *gap, uint64_t realtime_ns, uint64_t monotonic_ns);
/* Is it time to walk? Then the walk counts as begun. */
bool gap_begin_walk(struct gap *gap, uint64_t monotonic_ns);
/* That walk is done. true when the gap is closed: tell it. */
bool gap_end_walk(struct gap *gap, uint64_t monotonic_ns);

#endif
