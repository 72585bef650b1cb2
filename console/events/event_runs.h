/* How many runs of sensors and stores of agents are told apart: each costs a row of deliveries, and
 * whoever reports chooses their names. */
#ifndef CONSOLE_EVENTS_EVENT_RUNS_H
#define CONSOLE_EVENTS_EVENT_RUNS_H

#include "common/attributes.h"
#include "console/events/event_store.h"
#include "console/store/sql.h"

/* A run of a sensor is forgotten when it was silent for so long; none that lives is. */
#define EVENT_RUN_MS 86400000LL
/* After so many new runs of sensors the table is brought below LIMIT_SENSOR_RUNS. */
#define EVENT_RUNS_A_LOOK 1000
/* Most of them in one transaction; more than come between two looks. */
#define EVENT_RUNS_A_PIECE 2000

/* For a batch whose run or store is new, in the transaction that stores it: forgets the oldest of
 * the others where there are too many. */
int event_runs_bound(struct sql *sql, const struct event_batch *batch) MUST_USE;
/* Forgets those of sensors that were last heard before before_ms, and those beyond the limit, at
 * most a piece. */
int event_runs_forget(struct sql *sql, int64_t before_ms, int64_t *ret_removed) MUST_USE;

#endif
