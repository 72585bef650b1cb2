/* Owns the event_moves table: which computers' events are on their way, and how far. */
#include "console/events/event_moves.h"

#include "common/text/text.h"
#include "console/events/computer_index.h"
#include "console/events/event_facets.h"

#define EVENTS_A_PIECE 500
#define PIECES_A_CALL  10
/* What was being stored when the group changed has the old facet: one more look, this long after.
 */
#define SETTLED_MS 60000LL
#define SEVERITIES 5

int event_moves_begin(struct sql *sql, int64_t computer)
{
    return sql_run(sql,
                   "INSERT INTO event_moves (computer, since_ms, lowest, severity, before)"
                   " VALUES ($1, $2, 0, 0, $3) ON CONFLICT (computer) DO UPDATE"
                   " SET since_ms = excluded.since_ms, lowest = 0, severity = 0,"
                   " before = excluded.before",
                   NULL, "nnn", computer, console_store_now_ms(), INT64_MAX);
}

struct move {
    int64_t computer, since_ms, severity;
    int64_t lowest, before; /* numbers: from, and what is left below */
    char group[64];
    int64_t events; /* of the last piece */
    bool found;
};

/* The first that has something to do now. */
static int read_move(struct sql *sql, struct move *move)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT computer, since_ms, severity, lowest, before FROM event_moves"
                    " WHERE lowest = 0 OR since_ms < $1 ORDER BY computer LIMIT 1",
                    &row, "n", console_store_now_ms() - SETTLED_MS);
    move->found = r == 1;
    if (r != 1)
        return r;
    move->computer = sql_number(row, 0);
    move->since_ms = sql_number(row, 1);
    move->severity = sql_number(row, 2);
    move->lowest = sql_number(row, 3);
    move->before = sql_number(row, 4);
    return event_facet_group(sql, move->computer, move->group);
}

static int move_events(struct sql *sql, struct move *move)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    const char *text =
        sql_is_server(sql)
            ? "SELECT number, module, kind FROM events WHERE computer = $1 AND severity = $2"
              " AND number < $3 AND number >= $4 ORDER BY number DESC LIMIT $5"
            : "SELECT i.number, e.module, e.kind FROM index_events AS i CROSS JOIN events AS e"
              " WHERE i.computer = $1 AND i.severity = $2 AND i.number < $3 AND i.number >= $4"
              " AND e.number = i.number ORDER BY i.number DESC LIMIT $5";
    int r = sql_run(sql, text, &row, "nnnnn", move->computer, move->severity, move->before,
                    move->lowest, (int64_t)EVENTS_A_PIECE);
    for (move->events = 0; r == 1; move->events++) {
        struct event_facet facet = {move->group, sql_text(row, 1), sql_text(row, 2),
                                    (unsigned)move->severity};
        int64_t number = 0;
        move->before = sql_number(row, 0);
        r = event_facet_number(sql, &facet, &number);
        if (r == 0)
            r = sql_run(sql, "UPDATE events SET facet = $1 WHERE number = $2 AND facet <> $3", NULL,
                        "nnn", number, move->before, number);
        if (r == 0)
            r = sql_step(row);
    }
    return r;
}

/* The next severity; after the last, once more for what came late, then the end. */
static int note_progress(struct sql *sql, struct move *move)
{
    if (move->events < EVENTS_A_PIECE) {
        move->severity++;
        move->before = INT64_MAX;
    }
    if (move->severity == SEVERITIES && move->lowest > 0)
        return sql_run(sql, "DELETE FROM event_moves WHERE computer = $1", NULL, "n",
                       move->computer);
    if (move->severity == SEVERITIES) {
        move->severity = 0;
        move->lowest = console_store_number_at(move->since_ms - SETTLED_MS);
    }
    return sql_run(sql,
                   "UPDATE event_moves SET severity = $1, lowest = $2, before = $3"
                   " WHERE computer = $4",
                   NULL, "nnnn", move->severity, move->lowest, move->before, move->computer);
}

static int move_piece(struct sql *sql, void *user)
{
    struct move *move = user;
    int r = read_move(sql, move);
    if (r == 0 && move->found)
        r = computer_index_fill(sql);
    if (r == 1)
        return 0; /* the index first */
    if (r == 0 && move->found)
        r = event_facets_hold(sql);
    if (r == 0 && move->found)
        r = move_events(sql, move);
    return r == 0 && move->found ? note_progress(sql, move) : r;
}

static int look(struct sql *sql, void *user)
{
    return read_move(sql, user);
}

/* --- events without a facet */

#define UNFILED_AT_ONCE 1000

struct unfiled {
    int64_t computers[UNFILED_AT_ONCE];
    size_t count;
};

/* A move that is under way comes to them by itself. */
static int find_unfiled(struct sql *sql, void *user)
{
    struct unfiled *unfiled = user;
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT DISTINCT computer FROM (SELECT computer FROM events WHERE facet = 0"
                    " ORDER BY number LIMIT $1) AS unfiled"
                    " WHERE computer NOT IN (SELECT computer FROM event_moves)",
                    &row, "n", (int64_t)UNFILED_AT_ONCE);
    unfiled->count = 0;
    for (; r == 1 && unfiled->count < UNFILED_AT_ONCE; r = sql_step(row))
        unfiled->computers[unfiled->count++] = sql_number(row, 0);
    return r < 0 ? r : 0;
}

static int begin_unfiled(struct sql *sql, void *user)
{
    const struct unfiled *unfiled = user;
    int r = 0;
    for (size_t i = 0; r == 0 && i < unfiled->count; i++)
        r = event_moves_begin(sql, unfiled->computers[i]);
    return r;
}

static int file_unfiled(struct console_store *store)
{
    struct unfiled unfiled;
    int r = console_store_read(store, find_unfiled, &unfiled);
    return r < 0 || unfiled.count == 0 ? r : console_store_write(store, begin_unfiled, &unfiled);
}

int event_moves_go_on(struct console_store *store)
{
    struct move move = {.found = false};
    int r = file_unfiled(store);
    if (r == 0)
        r = console_store_read(store, look, &move);
    for (unsigned i = 0; r == 0 && move.found && i < PIECES_A_CALL; i++)
        r = console_store_write(store, move_piece, &move);
    return r < 0 ? r : move.found;
}
