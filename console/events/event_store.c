/* Owns the events, deliveries and event_counts tables. Must not know HTTP. */
#include "console/events/event_store.h"

#include "common/crypto/random.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "console/store/console_store.h"

#include <errno.h>

#define ORG     1LL
#define HOUR_MS 3600000LL

/* The counts are kept by module: only these have their own, so that a hostile sensor cannot make
 * the table grow. */
static const char *counted_module(const char *module)
{
    static const char *const known[] = {"malware", "watch",     "scanner",     "quarantine",
                                        "policy",  "integrity", "agent",       "console",
                                        "storage", "store",     "application", "scan"};
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
        if (text_equal(module, known[i]))
            return known[i];
    return "other";
}

static int count_event(struct sql *sql, const char *module, unsigned severity, int64_t now)
{
    return sql_run(sql,
                   "INSERT INTO event_counts (org_id, hour, module, severity, count)"
                   " VALUES ($1, $2, $3, $4, 1) ON CONFLICT (org_id, hour, module, severity)"
                   " DO UPDATE SET count = event_counts.count + 1",
                   NULL, "nntn", ORG, now / HOUR_MS, counted_module(module), (int64_t)severity);
}

static int insert(struct sql *sql, int64_t computer, const char *epoch,
                  const struct wire_event *event, const char *detail)
{
    int r = sql_run(sql,
                    "INSERT INTO events (number, org_id, computer, id, epoch, agent_number,"
                    " time_ms, module, kind, severity, subject, detail)"
                    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                    NULL, "nnnttnnttntt", console_store_new_number(), ORG, computer, event->id,
                    epoch, (int64_t)event->number, (int64_t)event->time_ms, event->module,
                    event->kind, (int64_t)event->severity, event->subject, detail);
    return r < 0 ? r : count_event(sql, event->module, event->severity, console_store_now_ms());
}

static int insert_sent(struct sql *sql, const struct event_batch *batch,
                       const struct wire_event *event)
{
    AUTO_FREE char *detail = json_dumps(event->detail_json, JSON_COMPACT);
    if (!detail)
        return -ENOMEM;
    if (strlen(detail) > LIMIT_EVENT_DETAIL_BYTES) /* acknowledged all the same: it fits never */
        return insert(sql, batch->computer, batch->epoch, event, "{\"cut\":true}");
    return insert(sql, batch->computer, batch->epoch, event, detail);
}

static int read_delivery(struct sql *sql, int64_t computer, const char *epoch,
                         uint64_t *ret_acknowledged, uint64_t *ret_dropped)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    *ret_acknowledged = *ret_dropped = 0;
    int r =
        sql_run(sql,
                "SELECT acknowledged, dropped FROM deliveries WHERE computer = $1 AND epoch = $2",
                &row, "nt", computer, epoch);
    if (r == 1) {
        *ret_acknowledged = (uint64_t)sql_number(row, 0);
        *ret_dropped = (uint64_t)sql_number(row, 1);
    }
    return r < 0 ? r : 0;
}

int event_store_add_own(struct sql *sql, int64_t computer, const char *kind, unsigned severity,
                        const char *subject, const char *detail)
{
    char id[UUID_TEXT_BYTES];
    int r = uuid_new(id);
    if (r < 0)
        return r;
    struct wire_event event = {.time_ms = (uint64_t)console_store_now_ms(),
                               .severity = severity,
                               .id = id,
                               .module = "console",
                               .kind = kind,
                               .subject = subject};
    return insert(sql, computer, "", &event, detail);
}

/* Locks the delivery until the transaction ends: the same agent may be talking to another node. */
static int lock_delivery(struct sql *sql, const struct event_batch *batch)
{
    return sql_run(sql,
                   "INSERT INTO deliveries (computer, epoch, acknowledged, dropped)"
                   " VALUES ($1, $2, 0, 0) ON CONFLICT (computer, epoch) DO UPDATE"
                   " SET acknowledged = deliveries.acknowledged",
                   NULL, "nt", batch->computer, batch->epoch);
}

int event_store_add(struct sql *sql, const struct event_batch *batch, uint64_t *ret_acknowledged)
{
    uint64_t acknowledged = 0, dropped = 0;
    int r = lock_delivery(sql, batch);
    if (r == 0)
        r = read_delivery(sql, batch->computer, batch->epoch, &acknowledged, &dropped);
    for (size_t i = 0; r == 0 && i < batch->count; i++) {
        if (batch->events[i].number <= acknowledged)
            continue; /* sent again: the answer got lost */
        r = insert_sent(sql, batch, &batch->events[i]);
        acknowledged = batch->events[i].number;
    }
    if (r == 0 && batch->dropped > dropped) {
        char detail[96];
        (void)text_format(detail, sizeof(detail), "{\"events\":%llu}",
                          (unsigned long long)(batch->dropped - dropped));
        r = event_store_add_own(sql, batch->computer, "events_lost", 3,
                                "the agent's outbox limit removed events", detail);
    }
    if (r == 0)
        r = sql_run(sql,
                    "UPDATE deliveries SET acknowledged = $1, dropped = $2"
                    " WHERE computer = $3 AND epoch = $4",
                    NULL, "nnnt", (int64_t)acknowledged, (int64_t)MAX(batch->dropped, dropped),
                    batch->computer, batch->epoch);
    if (r == 0)
        *ret_acknowledged = acknowledged;
    return r;
}
