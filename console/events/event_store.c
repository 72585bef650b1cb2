/* Owns the events, deliveries and event_counts tables. Must not know HTTP. */
#include "console/events/event_store.h"

#include "common/crypto/random.h"
#include "common/limits.h"
#include "common/text/text.h"
#include "console/events/computer_index.h"
#include "console/events/event_facets.h"
#include "console/events/event_runs.h"
#include "console/store/console_store.h"

#include <errno.h>

#define HOUR_MS 3600000LL

/* The counts are kept by module: only these have their own, so that a hostile sensor cannot make
 * the table grow. */
static const char *counted_module(const char *module)
{
    static const char *const known[] = {"malware",    "watch",       "scanner",
                                        "quarantine", "policy",      "integrity",
                                        "agent",      "console",     "storage",
                                        "store",      "application", "scan",
                                        "health",     "prevention",  "application_control",
                                        "tamper",     "log"};
    for (size_t i = 0; i < ARRAY_LENGTH(known); i++)
        if (text_equal(module, known[i]))
            return known[i];
    return "other";
}

/* --- rows that are written together */

#define COLUMNS        12
#define ROWS_MAXIMUM   512 /* one statement's */
#define COUNTS_MAXIMUM 96  /* modules by severities */

struct count {
    const char *module;
    int64_t severity, events;
};

struct rows {
    struct sql_value values[ROWS_MAXIMUM * COLUMNS];
    size_t used;
    struct count counts[COUNTS_MAXIMUM];
    size_t count_used;
};

static int compare_counts(const void *a, const void *b)
{
    const struct count *left = a, *right = b;
    int order = strcmp(left->module, right->module);
    return order ? order : (left->severity > right->severity) - (left->severity < right->severity);
}

/* Sorted, so that two nodes take the rows' locks in one order. */
static int write_counts(struct sql *sql, struct rows *rows)
{
    static const struct sql_many statement = {
        .each = "INSERT INTO event_counts (org_id, hour, module, severity, count)"
                " VALUES (1, $1, $2, $3, $4) ON CONFLICT (org_id, hour, module, severity)"
                " DO UPDATE SET count = event_counts.count + excluded.count",
        .all = "INSERT INTO event_counts (org_id, hour, module, severity, count)"
               " SELECT 1, v.hour, v.module, v.severity, v.count FROM unnest($1::bigint[],"
               " $2::text[], $3::bigint[], $4::bigint[]) AS v(hour, module, severity, count)"
               " ON CONFLICT (org_id, hour, module, severity)"
               " DO UPDATE SET count = event_counts.count + excluded.count",
        .columns = "ntnn"};
    struct sql_value values[COUNTS_MAXIMUM * 4];
    int64_t hour = console_store_now_ms() / HOUR_MS;
    qsort(rows->counts, rows->count_used, sizeof(*rows->counts), compare_counts);
    for (size_t i = 0; i < rows->count_used; i++) {
        values[i * 4] = SQL_NUMBER(hour);
        values[i * 4 + 1] = SQL_TEXT(rows->counts[i].module);
        values[i * 4 + 2] = SQL_NUMBER(rows->counts[i].severity);
        values[i * 4 + 3] = SQL_NUMBER(rows->counts[i].events);
    }
    int r = sql_run_many(sql, &statement, values, rows->count_used);
    rows->count_used = 0;
    return r;
}

static int write_rows(struct sql *sql, struct rows *rows)
{
#define ROW "($1, 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
    static const struct sql_many statement = {
        .each = "INSERT INTO events (number, org_id, computer, id, epoch, agent_number, time_ms,"
                " module, kind, severity, subject, detail, facet)"
                " VALUES " ROW,
        .row = ROW,
        .all =
            "INSERT INTO events (number, org_id, computer, id, epoch, agent_number, time_ms,"
            " module, kind, severity, subject, detail, facet)"
            " SELECT v.number, 1, v.computer, v.id, v.epoch, v.agent_number, v.time_ms,"
            " v.module, v.kind, v.severity, v.subject, v.detail, v.facet FROM unnest($1::bigint[],"
            " $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::text[],"
            " $8::text[], $9::bigint[], $10::text[], $11::text[], $12::bigint[]) AS v(number,"
            " computer, id, epoch, agent_number, time_ms, module, kind, severity, subject,"
            " detail, facet)",
        .columns = "nnttnnttnttn"};
    int r = sql_run_many(sql, &statement, rows->values, rows->used);
    if (r == 0 && rows->used > 0)
        r = computer_index_note(sql, rows->values[0].number,
                                rows->values[(rows->used - 1) * COLUMNS].number, rows->used);
    rows->used = 0;
    return r < 0 ? r : write_counts(sql, rows);
}

static int count_event(struct sql *sql, struct rows *rows, const struct wire_event *event)
{
    const char *module = counted_module(event->module);
    for (size_t i = 0; i < rows->count_used; i++) {
        if (rows->counts[i].module == module && rows->counts[i].severity == event->severity) {
            rows->counts[i].events++;
            return 0;
        }
    }
    int r = rows->count_used == COUNTS_MAXIMUM ? write_counts(sql, rows) : 0;
    rows->counts[rows->count_used++] = (struct count){module, event->severity, 1};
    return r;
}

static int add_row(struct sql *sql, struct rows *rows, const struct event_batch *batch,
                   const struct wire_event *event)
{
    struct event_facet facet = {batch->group, event->module, event->kind, event->severity};
    int64_t number = 0;
    int r = rows->used == ROWS_MAXIMUM ? write_rows(sql, rows) : 0;
    if (r == 0)
        r = event_facet_number(sql, &facet, &number);
    if (r < 0)
        return r;
    /* Acknowledged all the same: it fits never. */
    bool fits = strlen(event->detail) <= LIMIT_EVENT_DETAIL_BYTES;
    const struct sql_value row[COLUMNS] = {SQL_NUMBER(console_store_new_number()),
                                           SQL_NUMBER(batch->computer),
                                           SQL_TEXT(event->id),
                                           SQL_TEXT(batch->epoch),
                                           SQL_NUMBER((int64_t)event->number),
                                           SQL_NUMBER((int64_t)event->time_ms),
                                           SQL_TEXT(event->module),
                                           SQL_TEXT(event->kind),
                                           SQL_NUMBER(event->severity),
                                           SQL_TEXT(event->subject),
                                           SQL_TEXT(fits ? event->detail : "{\"cut\":true}"),
                                           SQL_NUMBER(number)};
    memcpy(rows->values + rows->used * COLUMNS, row, sizeof(row));
    rows->used++;
    return count_event(sql, rows, event);
}

/* Those that are new. */
static int add_batch(struct sql *sql, struct rows *rows, const struct event_batch *batch,
                     uint64_t *acknowledged)
{
    int r = 0;
    /* A backup took the database's place: the sender learns of it, and sends what it skipped. */
    if (*acknowledged != 0 && batch->claimed > *acknowledged)
        return 0;
    for (size_t i = 0; r == 0 && i < batch->count; i++) {
        if (batch->events[i].number <= *acknowledged)
            continue; /* sent again: the answer got lost */
        r = add_row(sql, rows, batch, &batch->events[i]);
        *acknowledged = batch->events[i].number;
    }
    return r;
}

static int raise_acknowledged(struct sql *sql, const struct event_delivery *deliveries,
                              size_t count)
{
    static const struct sql_many statement = {
        .each = "UPDATE deliveries SET acknowledged = $1 WHERE computer = $2 AND epoch = $3",
        .all = "UPDATE deliveries SET acknowledged = v.acknowledged FROM unnest($1::bigint[],"
               " $2::bigint[], $3::text[]) AS v(acknowledged, computer, epoch)"
               " WHERE deliveries.computer = v.computer AND deliveries.epoch = v.epoch",
        .columns = "nnt"};
    AUTO_FREE struct sql_value *values = calloc(count * 3 + 1, sizeof(*values));
    if (!values)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        values[i * 3] = SQL_NUMBER((int64_t)deliveries[i].acknowledged);
        values[i * 3 + 1] = SQL_NUMBER(deliveries[i].batch.computer);
        values[i * 3 + 2] = SQL_TEXT(deliveries[i].batch.epoch);
    }
    return sql_run_many(sql, &statement, values, count);
}

int event_store_add_many(struct sql *sql, struct event_delivery *deliveries, size_t count)
{
    AUTO_FREE struct rows *rows = malloc(sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    rows->used = rows->count_used = 0;
    int r = event_facets_hold(sql);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_batch(sql, rows, &deliveries[i].batch, &deliveries[i].acknowledged);
    if (r == 0)
        r = write_rows(sql, rows);
    return r < 0 ? r : raise_acknowledged(sql, deliveries, count);
}

/* --- one delivery */

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
    char id[UUID_TEXT_BYTES], group[64];
    int r = uuid_new(id);
    if (r == 0)
        r = event_facets_hold(sql);
    if (r == 0)
        r = event_facet_group(sql, computer, group);
    if (r < 0)
        return r;
    AUTO_FREE struct rows *rows = malloc(sizeof(*rows));
    if (!rows)
        return -ENOMEM;
    rows->used = rows->count_used = 0;
    struct wire_event event = {.time_ms = (uint64_t)console_store_now_ms(),
                               .severity = severity,
                               .id = id,
                               .module = "console",
                               .kind = kind,
                               .subject = subject,
                               .detail = detail};
    struct event_batch batch = {.computer = computer, .epoch = "", .group = group};
    r = add_row(sql, rows, &batch, &event);
    return r < 0 ? r : write_rows(sql, rows);
}

/* Locks the delivery until the transaction ends: the same agent may be talking to another node. */
static int lock_delivery(struct sql *sql, const struct event_batch *batch)
{
    return sql_run(sql,
                   "INSERT INTO deliveries (computer, epoch, acknowledged, dropped, used_ms)"
                   " VALUES ($1, $2, 0, 0, $3) ON CONFLICT (computer, epoch) DO UPDATE"
                   " SET used_ms = excluded.used_ms",
                   NULL, "ntn", batch->computer, batch->epoch, batch->used_ms);
}

static int note_dropped(struct sql *sql, const struct event_batch *batch, uint64_t before)
{
    char detail[96];
    (void)text_format(detail, sizeof(detail), "{\"events\":%llu}",
                      (unsigned long long)(batch->dropped - before));
    int r = event_store_add_own(sql, batch->computer, "events_lost", 3,
                                "the store of what is not yet delivered was full", detail);
    return r < 0 ? r
                 : sql_run(sql,
                           "UPDATE deliveries SET dropped = $1 WHERE computer = $2 AND epoch = $3",
                           NULL, "nnt", (int64_t)batch->dropped, batch->computer, batch->epoch);
}

int event_store_add(struct sql *sql, const struct event_batch *batch, uint64_t *ret_acknowledged)
{
    struct event_delivery delivery = {.batch = *batch};
    uint64_t dropped = 0;
    char group[64];
    int r = lock_delivery(sql, batch);
    if (r == 0 && !batch->group) {
        r = event_facet_group(sql, batch->computer, group);
        delivery.batch.group = group;
    }
    if (r == 0)
        r = read_delivery(sql, batch->computer, batch->epoch, &delivery.acknowledged, &dropped);
    if (r == 0 && delivery.acknowledged == 0 && dropped == 0)
        r = event_runs_bound(sql, batch);
    if (r == 0)
        r = event_store_add_many(sql, &delivery, 1);
    if (r == 0 && batch->dropped > dropped)
        r = note_dropped(sql, batch, dropped);
    if (r == 0)
        *ret_acknowledged = delivery.acknowledged;
    return r;
}
