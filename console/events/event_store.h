/* Events of all sensors: stored in the transaction that acknowledges them, counted by the hour. */
#ifndef CONSOLE_EVENTS_EVENT_STORE_H
#define CONSOLE_EVENTS_EVENT_STORE_H

#include "common/attributes.h"
#include "common/wire/wire.h"
#include "console/store/sql.h"

/* Stores those of events[count] (ascending numbers) that are new for (computer, epoch), and raises
 * the acknowledged number. dropped: the agent's own count of events it had to give up; a rise
 * becomes an event. ret_acknowledged: what may be acknowledged after COMMIT. */
struct event_batch {
    int64_t computer;
    const char *epoch;
    const struct wire_event *events;
    size_t count;
    uint64_t dropped;
    uint64_t claimed;  /* what the sender takes for acknowledged; 0: it does not say */
    int64_t used_ms;   /* 0, or now: the epoch is a short run, forgotten some time after */
    const char *group; /* of the computer or sensor, "" for none; NULL: it is looked up */
};
int event_store_add(struct sql *sql, const struct event_batch *batch,
                    uint64_t *ret_acknowledged) MUST_USE;
/* The same for many, each for another delivery, whose locked row says what was acknowledged before;
 * none with a risen dropped. acknowledged of each is raised. */
struct event_delivery {
    struct event_batch batch;
    uint64_t acknowledged;
};
int event_store_add_many(struct sql *sql, struct event_delivery *deliveries, size_t count) MUST_USE;
/* An event the console itself makes about a computer. detail: JSON object. */
int event_store_add_own(struct sql *sql, int64_t computer, const char *kind, unsigned severity,
                        const char *subject, const char *detail) MUST_USE;

#endif
