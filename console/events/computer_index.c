/* Owns the tables index_events and index_filled, which only SQLite has. Must not know who asks: a
 * page's SELECT is event_query's. */
#include "console/events/computer_index.h"

#include <errno.h>
#include <stdlib.h>

/* Belongs to a connection, which drops it when anything is undone: then what waits is not known,
 * and is entered. */
struct memory {
    size_t waiting;
};

static int read_filled(struct sql *sql, int64_t *ret_filled)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql, "SELECT number FROM index_filled WHERE id = 1", &row, "");
    if (r != 1)
        return r < 0 ? r : -EBADMSG;
    *ret_filled = sql_number(row, 0);
    return 0;
}

static int enter(struct sql *sql, int64_t first, int64_t last)
{
    return sql_run(sql,
                   "INSERT INTO index_events (computer, severity, number)"
                   " SELECT computer, severity, number FROM events WHERE number >= $1"
                   " AND number <= $2 ORDER BY computer, severity, number ON CONFLICT DO NOTHING",
                   NULL, "nn", first, last);
}

/* The last number of the next piece, and how many events it has. */
static int find_piece(struct sql *sql, int64_t filled, int64_t *ret_last, int64_t *ret_count)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    int r = sql_run(sql,
                    "SELECT max(number), count(*) FROM (SELECT number FROM events WHERE number > $1"
                    " ORDER BY number LIMIT $2) AS piece",
                    &row, "nn", filled, (int64_t)COMPUTER_INDEX_A_PIECE);
    if (r != 1)
        return r < 0 ? r : -EBADMSG;
    *ret_last = sql_number(row, 0);
    *ret_count = sql_number(row, 1);
    return 0;
}

static int remember(struct sql *sql, size_t waiting)
{
    struct memory *memory = sql_remembered(sql, SQL_MEMORY_INDEX);
    if (!memory)
        memory = malloc(sizeof(*memory));
    if (!memory)
        return -ENOMEM;
    memory->waiting = waiting;
    sql_remember(sql, SQL_MEMORY_INDEX, memory, free);
    return 0;
}

static int fill_piece(struct sql *sql, int64_t filled)
{
    int64_t last, count;
    int r = find_piece(sql, filled, &last, &count);
    if (r == 0 && count > 0)
        r = enter(sql, filled + 1, last);
    if (r == 0 && count > 0)
        r = sql_run(sql, "UPDATE index_filled SET number = $1 WHERE id = 1", NULL, "n", last);
    if (r < 0)
        return r;
    bool more = count == COMPUTER_INDEX_A_PIECE;
    r = remember(sql, more ? COMPUTER_INDEX_WAITING : 0);
    return r < 0 ? r : more;
}

int computer_index_fill(struct sql *sql)
{
    int64_t filled;
    if (sql_is_server(sql))
        return 0;
    int r = read_filled(sql, &filled);
    return r < 0 ? r : fill_piece(sql, filled);
}

int computer_index_note(struct sql *sql, int64_t first, int64_t last, size_t count)
{
    const struct memory *memory = sql_remembered(sql, SQL_MEMORY_INDEX);
    int64_t filled;
    if (sql_is_server(sql))
        return 0;
    int r = read_filled(sql, &filled);
    if (r == 0 && first <= filled) /* the clock went back */
        r = enter(sql, first, MIN(last, filled));
    if (r < 0)
        return r;
    if (memory && memory->waiting + count < COMPUTER_INDEX_WAITING)
        return remember(sql, memory->waiting + count);
    r = fill_piece(sql, filled);
    return MIN(r, 0);
}
