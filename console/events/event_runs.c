/* Owns forgetting rows of the deliveries table. Must not touch what they acknowledge. */
#include "console/events/event_runs.h"

#include "common/limits.h"
#include "console/store/console_store.h"

#include <stdatomic.h>

static atomic_uint new_runs; /* of sensors, of this process: when to look */

int event_runs_forget(struct sql *sql, int64_t before_ms, int64_t *ret_removed)
{
    AUTO_STATEMENT struct sql_statement *row = NULL, *statement = NULL;
    int r = sql_run(sql,
                    "SELECT used_ms FROM deliveries WHERE used_ms > 0 ORDER BY used_ms DESC"
                    " LIMIT 1 OFFSET $1",
                    &row, "n", (int64_t)LIMIT_SENSOR_RUNS);
    if (r == 1)
        before_ms = MAX(before_ms, sql_number(row, 0) + 1);
    if (r >= 0)
        r = sql_run(sql,
                    "DELETE FROM deliveries WHERE (computer, epoch) IN (SELECT computer, epoch"
                    " FROM deliveries WHERE used_ms > 0 AND used_ms < $1 ORDER BY used_ms"
                    " LIMIT $2)",
                    &statement, "nn", before_ms, (int64_t)EVENT_RUNS_A_PIECE);
    if (r == 0)
        *ret_removed = sql_changes(statement);
    return r;
}

/* Counting them costs a walk through their index, so it is not done for each. */
static int bound_sensors(struct sql *sql)
{
    int64_t removed;
    if (atomic_fetch_add(&new_runs, 1) % EVENT_RUNS_A_LOOK != EVENT_RUNS_A_LOOK - 1)
        return 0;
    return event_runs_forget(sql, console_store_now_ms() - EVENT_RUN_MS, &removed);
}

/* The names of an agent's stores rise with time, and one that was built anew never comes back. */
static int bound_agent(struct sql *sql, const struct event_batch *batch)
{
    return sql_run(sql,
                   "DELETE FROM deliveries WHERE computer = $1 AND epoch <> $2 AND epoch <="
                   " (SELECT epoch FROM deliveries WHERE computer = $1 AND epoch <> $2"
                   " ORDER BY epoch DESC LIMIT 1 OFFSET $3)",
                   NULL, "ntn", batch->computer, batch->epoch, (int64_t)LIMIT_AGENT_STORES - 1);
}

int event_runs_bound(struct sql *sql, const struct event_batch *batch)
{
    return batch->used_ms > 0 ? bound_sensors(sql) : bound_agent(sql, batch);
}
