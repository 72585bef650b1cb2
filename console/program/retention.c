/* Owns forgetting. Each piece is one transaction of the writer. */
#include "console/program/retention.h"

#include "common/text/text.h"
#include "console/events/event_facets.h"
#include "console/events/event_moves.h"
#include "console/events/event_runs.h"
#include "console/people/audit.h"
#include "console/people/user_store.h"
#include "console/sensors/sensor_store.h"

#define EVENTS_A_PIECE    2000
#define PIECES_A_CALL     25
#define COMPUTERS_A_PIECE 50
#define COMPUTERS_AN_HOUR 1000
#define HOUR_MS           3600000LL
#define DAY_MS            (24 * HOUR_MS)
/* Events looked at for the time. Who sends more a day with another clock hides the others, and
 * keeps events from being removed. */
#define WITNESSES 1000000
#define ORG       1LL

struct piece {
    int64_t before; /* ms */
    int64_t removed;
};

static int remove_events(struct sql *sql, void *user)
{
    struct piece *piece = user;
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    int r =
        sql_run(sql,
                "DELETE FROM events WHERE number IN (SELECT number FROM events"
                " WHERE number < $1 ORDER BY number LIMIT $2)",
                &statement, "nn", console_store_number_at(piece->before), (int64_t)EVENTS_A_PIECE);
    if (r == 0)
        piece->removed = sql_changes(statement);
    return r;
}

static int remove_counts(struct sql *sql, void *user)
{
    const struct piece *piece = user;
    int r = sql_run(sql, "DELETE FROM event_counts WHERE org_id = $1 AND hour < $2", NULL, "nn",
                    ORG, piece->before / HOUR_MS);
    if (r == 0)
        r = sql_run(sql,
                    "DELETE FROM alerts WHERE org_id = $1 AND state = 'resolved' AND number < $2",
                    NULL, "nn", ORG, console_store_number_at(piece->before));
    return r < 0 ? r : session_remove_expired(sql);
}

static int remove_runs(struct sql *sql, void *user)
{
    struct piece *piece = user;
    return event_runs_forget(sql, piece->before, &piece->removed);
}

static int remove_sensors(struct sql *sql, void *user)
{
    struct piece *piece = user;
    int64_t numbers[COMPUTERS_A_PIECE], count = 0;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    piece->removed = 0;
    int r = sql_run(sql,
                    "SELECT number FROM sensors WHERE org_id = $1 AND last_seen_ms < $2"
                    " ORDER BY number LIMIT $3",
                    &row, "nnn", ORG, piece->before, (int64_t)COMPUTERS_A_PIECE);
    for (; r == 1; r = sql_step(row))
        numbers[count++] = sql_number(row, 0);
    for (int64_t i = 0; r == 0 && i < count; i++)
        r = sensor_remove(sql, numbers[i], "console", "", "sensor_not_seen_removed");
    piece->removed = count;
    return r;
}

static int remove_computer(struct sql *sql, int64_t number, const char *hostname)
{
    static const char *const statements[] = {"DELETE FROM commands WHERE computer = $1",
                                             "DELETE FROM deliveries WHERE computer = $1",
                                             "DELETE FROM computers WHERE number = $1"};
    struct audit_entry entry = {"console", "", "computer_not_seen_removed", hostname, ""};
    int r = audit_append(sql, &entry);
    for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(statements); i++)
        r = sql_run(sql, statements[i], NULL, "n", number);
    return r < 0 ? r : event_moves_begin(sql, number);
}

static int remove_computers(struct sql *sql, void *user)
{
    struct piece *piece = user;
    struct {
        int64_t number;
        char hostname[254];
    } found[COMPUTERS_A_PIECE];
    AUTO_STATEMENT struct sql_statement *row = NULL;
    piece->removed = 0;
    int r = sql_run(sql,
                    "SELECT number, hostname FROM computers WHERE org_id = $1 AND last_seen_ms < $2"
                    " ORDER BY number LIMIT $3",
                    &row, "nnn", ORG, piece->before, (int64_t)COMPUTERS_A_PIECE);
    int64_t count = 0;
    for (; r == 1; r = sql_step(row)) {
        found[count].number = sql_number(row, 0);
        (void)text_copy(found[count].hostname, sizeof(found[count].hostname), sql_text(row, 1));
        count++;
    }
    for (int64_t i = 0; r == 0 && i < count; i++)
        r = remove_computer(sql, found[i].number, found[i].hostname);
    piece->removed = count;
    return r;
}

static int forget_sensors(struct console_store *store, int64_t before, bool sensors_too)
{
    struct piece runs = {.before = console_store_now_ms() - EVENT_RUN_MS,
                         .removed = EVENT_RUNS_A_PIECE};
    struct piece sensors = {.before = before, .removed = COMPUTERS_A_PIECE};
    int r = 0;
    for (unsigned i = 0; r == 0 && runs.removed == EVENT_RUNS_A_PIECE && i < PIECES_A_CALL * 10;
         i++)
        r = console_store_write(store, remove_runs, &runs);
    for (unsigned i = 0; r == 0 && sensors_too && sensors.removed == COMPUTERS_A_PIECE &&
                         i < COMPUTERS_AN_HOUR / COMPUTERS_A_PIECE;
         i++)
        r = console_store_write(store, remove_sensors, &sensors);
    return r;
}

static int forget_facets(struct console_store *store)
{
    int64_t removed = EVENT_FACETS_A_PIECE;
    int r = console_store_read(store, event_facets_look_unused, NULL);
    bool found = r == 1;
    r = MIN(r, 0);
    for (unsigned i = 0; r == 0 && found && i < PIECES_A_CALL; i++) {
        r = console_store_write(store, event_facets_remove_unused, &removed);
        found = removed == EVENT_FACETS_A_PIECE;
    }
    return r;
}

/* Whether one of the newest events up to a number was dated by its sender as it was here: within a
 * day. Not the console's own, which this clock has dated. */
static int find_witness(struct sql *sql, int64_t now, int64_t last)
{
    return sql_run(sql,
                   "SELECT 1 FROM (SELECT time_ms, module FROM events WHERE number >= $1"
                   " AND number <= $2 ORDER BY number DESC LIMIT $3) AS newest"
                   " WHERE time_ms >= $4 AND time_ms <= $5 AND module <> 'console' LIMIT 1",
                   NULL, "nnnnn", console_store_number_at(now - DAY_MS), last, (int64_t)WITNESSES,
                   now - DAY_MS, now + DAY_MS);
}

struct doubt {
    int64_t before;
    bool due, confirmed;
};

static int doubt_clock(struct sql *sql, void *user)
{
    struct doubt *doubt = user;
    int64_t now = console_store_now_ms();
    int r = sql_run(sql, "SELECT 1 FROM events WHERE number < $1 LIMIT 1", NULL, "n",
                    console_store_number_at(doubt->before));
    doubt->due = r == 1;
    if (r >= 0)
        r = find_witness(sql, now, console_store_number_at(now + DAY_MS));
    if (r == 0) /* a clock that was set back lets this process count on from where it was */
        r = find_witness(sql, now, INT64_MAX);
    doubt->confirmed = r == 1;
    return r < 0 ? r : 0;
}

int retention_apply(struct console_store *store, const struct retention *retention,
                    struct retention_result *ret_result)
{
    int64_t now = console_store_now_ms();
    *ret_result = (struct retention_result){0};
    struct piece events = {.before = now - retention->events_ms};
    struct doubt doubt = {.before = events.before};
    int r = retention->events_ms > 0 ? console_store_read(store, doubt_clock, &doubt) : 0;
    ret_result->clock_doubted = doubt.due && !doubt.confirmed;
    if (r == 0 && doubt.confirmed) {
        unsigned pieces = 0;
        do {
            r = console_store_write(store, remove_events, &events);
            ret_result->events += events.removed;
            ret_result->more = events.removed == EVENTS_A_PIECE;
        } while (r == 0 && ret_result->more && ++pieces < PIECES_A_CALL);
    } else {
        events.before = 0;
    }
    if (r == 0)
        r = console_store_write(store, remove_counts, &events);
    if (r == 0)
        r = forget_facets(store);
    struct piece computers = {.before = now - retention->computers_ms,
                              .removed = COMPUTERS_A_PIECE};
    while (r == 0 && retention->computers_ms > 0 && computers.removed == COMPUTERS_A_PIECE &&
           ret_result->computers < COMPUTERS_AN_HOUR) {
        r = console_store_write(store, remove_computers, &computers);
        ret_result->computers += computers.removed;
    }
    return r < 0 ? r : forget_sensors(store, computers.before, retention->computers_ms > 0);
}

#define AHEAD_MS 300000LL /* clocks of nodes on one database may differ a little */

static int settle_clock(struct sql *sql, void *user UNUSED)
{
    int64_t now = console_store_now_ms();
    int r =
        sql_run(sql,
                "UPDATE computers SET last_seen_ms = $1 WHERE org_id = $2 AND last_seen_ms > $3",
                NULL, "nnn", now, ORG, now + AHEAD_MS);
    if (r == 0)
        r = sql_run(sql,
                    "UPDATE sensors SET last_seen_ms = $1 WHERE org_id = $2 AND last_seen_ms > $3",
                    NULL, "nnn", now, ORG, now + AHEAD_MS);
    return r < 0 ? r
                 : sql_run(sql, "UPDATE deliveries SET used_ms = $1 WHERE used_ms > $2", NULL, "nn",
                           now, now + AHEAD_MS);
}

int retention_settle_clock(struct console_store *store)
{
    return console_store_write(store, settle_clock, NULL);
}
