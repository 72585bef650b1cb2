/* Durable events a second of the event store, and of a bare SQLite loop that writes the very same
 * rows: the same table and indexes (read from the store's own schema), the same groups (rows with
 * one commit time), WAL and synchronous=FULL. What is between the two is the store's queue, thread
 * and bookkeeping. Owns both database files in the given directory. Prints one JSON object. */
#include "agent/store/store.h"
#include "common/limits.h"
#include "tests/bench/tools/tool.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    COLUMNS_MAX = 32,
    SQL_ROOM = 1024,
    HOLD_BACK_NS = 200000,
};

static const char detail_format[] =
    "{\"signature\":\"Eicar-Test-Signature\",\"action\":\"pass\",\"size\":108,"
    "\"path\":\"/srv/data/upload/d%u/file-%u.bin\",\"engine\":\"1.4.6\"}";

struct table {
    char name[128];
    char insert[SQL_ROOM];
    int columns;
    int group_column; /* committed_ns */
};

static void on_committed(void *user, int result, uint64_t number)
{
    (void)number;
    if (result < 0)
        tool_fail(-result, "commit");
    (void)sem_post(user);
}

static void append(struct store *store, unsigned index)
{
    const struct timespec hold_back = {0, HOLD_BACK_NS};
    char subject[128];
    char detail[512];
    const struct event_draft draft = {.module = "malware",
                                      .kind = "malware_found",
                                      .severity = EVENT_HIGH,
                                      .subject = subject,
                                      .detail = detail};

    (void)snprintf(subject, sizeof(subject), "/srv/data/upload/d%u/file-%u.bin", index % 100,
                   index);
    (void)snprintf(detail, sizeof(detail), detail_format, index % 100, index);
    for (;;) {
        const int result = store_append(store, &draft, NULL, NULL, NULL);
        if (result == 0)
            return;
        if (result != -ENOBUFS)
            tool_fail(-result, "store_append");
        (void)nanosleep(&hold_back, NULL);
    }
}

static double time_store(const char *path, unsigned events)
{
    const struct store_options options = {.path = path,
                                          .max_age_ns = UINT64_MAX / 4,
                                          .max_bytes = (uint64_t)1 << 40};
    struct store *store = NULL;
    char notice[512];
    sem_t done;

    const int opened = store_open(&options, &store, notice);
    if (opened < 0)
        tool_fail(-opened, "store_open %s", path);
    (void)sem_init(&done, 0, 0);
    const uint64_t start = tool_monotonic_ns();
    for (unsigned i = 0; i < events; i++)
        append(store, i);
    const int flushed = store_flush(store, on_committed, &done);
    if (flushed < 0)
        tool_fail(-flushed, "store_flush");
    while (sem_wait(&done) < 0 && errno == EINTR)
        ;
    const uint64_t end = tool_monotonic_ns();
    (void)store_close(store);
    (void)sem_destroy(&done);
    return (double)(end - start) / 1e9;
}

static void check(int code, sqlite3 *database, const char *what)
{
    if (code != SQLITE_OK && code != SQLITE_DONE && code != SQLITE_ROW)
        tool_fail(0, "%s: %s", what, sqlite3_errmsg(database));
}

static sqlite3 *open_database(const char *path)
{
    sqlite3 *database = NULL;

    check(sqlite3_open(path, &database), database, path);
    return database;
}

static void execute(sqlite3 *database, const char *sql)
{
    check(sqlite3_exec(database, sql, NULL, NULL, NULL), database, sql);
}

static sqlite3_stmt *prepare(sqlite3 *database, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    check(sqlite3_prepare_v2(database, sql, -1, &statement, NULL), database, sql);
    return statement;
}

/* The store's table of events and its indexes, made in the bare database too. */
static void copy_schema(sqlite3 *from, sqlite3 *to, struct table *table)
{
    sqlite3_stmt *statement =
        prepare(from, "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND "
                      "sql LIKE '%committed_ns%'");

    if (sqlite3_step(statement) != SQLITE_ROW)
        tool_fail(0, "the store has no table with a column committed_ns");
    (void)snprintf(table->name, sizeof(table->name), "%s",
                   (const char *)sqlite3_column_text(statement, 0));
    execute(to, (const char *)sqlite3_column_text(statement, 1));
    (void)sqlite3_finalize(statement);
    statement =
        prepare(from, "SELECT sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
                      "AND tbl_name = ?");
    check(sqlite3_bind_text(statement, 1, table->name, -1, SQLITE_STATIC), from, "bind");
    while (sqlite3_step(statement) == SQLITE_ROW)
        execute(to, (const char *)sqlite3_column_text(statement, 0));
    (void)sqlite3_finalize(statement);
}

static sqlite3_stmt *read_rows(sqlite3 *from, struct table *table)
{
    char sql[SQL_ROOM];

    (void)snprintf(sql, sizeof(sql), "SELECT * FROM %s ORDER BY rowid", table->name);
    sqlite3_stmt *rows = prepare(from, sql);
    table->columns = sqlite3_column_count(rows);
    table->group_column = -1;
    int used =
        snprintf(table->insert, sizeof(table->insert), "INSERT INTO %s VALUES (", table->name);
    for (int i = 0; i < table->columns; i++) {
        if (strcmp(sqlite3_column_name(rows, i), "committed_ns") == 0)
            table->group_column = i;
        used += snprintf(table->insert + used, sizeof(table->insert) - (size_t)used, "%s?",
                         i > 0 ? ", " : "");
    }
    (void)snprintf(table->insert + used, sizeof(table->insert) - (size_t)used, ")");
    if (table->columns > COLUMNS_MAX || table->group_column < 0)
        tool_fail(0, "the store's table is not as expected");
    return rows;
}

/* All rows in memory first: reading them is not what is measured. */
static sqlite3_value **copy_rows(sqlite3_stmt *rows, const struct table *table, unsigned events,
                                 unsigned *ret_count)
{
    sqlite3_value **values = calloc((size_t)events * COLUMNS_MAX, sizeof(sqlite3_value *));
    unsigned count = 0;

    if (values == NULL)
        tool_fail(ENOMEM, "rows");
    while (count < events && sqlite3_step(rows) == SQLITE_ROW) {
        for (int i = 0; i < table->columns; i++)
            values[(size_t)count * COLUMNS_MAX + (size_t)i] =
                sqlite3_value_dup(sqlite3_column_value(rows, i));
        count++;
    }
    (void)sqlite3_finalize(rows);
    *ret_count = count;
    return values;
}

/* sqlite3_bind_value would copy every text. */
static void bind_without_copy(sqlite3 *database, sqlite3_stmt *insert, int column,
                              sqlite3_value *value)
{
    int code;

    switch (sqlite3_value_type(value)) {
    case SQLITE_INTEGER:
        code = sqlite3_bind_int64(insert, column, sqlite3_value_int64(value));
        break;
    case SQLITE_TEXT:
        code = sqlite3_bind_text(insert, column, (const char *)sqlite3_value_text(value),
                                 sqlite3_value_bytes(value), SQLITE_STATIC);
        break;
    default:
        code = sqlite3_bind_value(insert, column, value);
    }
    check(code, database, "bind");
}

static unsigned insert_groups(sqlite3 *database, const struct table *table, sqlite3_value **values,
                              unsigned count)
{
    sqlite3_stmt *insert = prepare(database, table->insert);
    sqlite3_int64 group = 0;
    unsigned groups = 0;

    for (unsigned row = 0; row < count; row++) {
        sqlite3_value **columns = values + (size_t)row * COLUMNS_MAX;
        const sqlite3_int64 next = sqlite3_value_int64(columns[table->group_column]);
        if (row == 0 || next != group) {
            if (row > 0)
                execute(database, "COMMIT");
            execute(database, "BEGIN IMMEDIATE");
            group = next;
            groups++;
        }
        for (int i = 0; i < table->columns; i++)
            bind_without_copy(database, insert, i + 1, columns[i]);
        check(sqlite3_step(insert), database, "insert");
        (void)sqlite3_reset(insert);
    }
    execute(database, "COMMIT");
    (void)sqlite3_finalize(insert);
    return groups;
}

static double time_bare(const char *store_path, const char *path, unsigned events,
                        double *ret_group)
{
    sqlite3 *from = open_database(store_path);
    sqlite3 *to = open_database(path);
    struct table table = {0};
    unsigned count = 0;

    execute(to, "PRAGMA journal_mode = WAL");
    execute(to, "PRAGMA synchronous = FULL");
    copy_schema(from, to, &table);
    sqlite3_stmt *rows = read_rows(from, &table);
    sqlite3_value **values = copy_rows(rows, &table, events, &count);
    if (count != events)
        tool_fail(0, "%u of %u events are in the store", count, events);
    const uint64_t start = tool_monotonic_ns();
    const unsigned groups = insert_groups(to, &table, values, count);
    const uint64_t end = tool_monotonic_ns();
    for (size_t i = 0; i < (size_t)events * COLUMNS_MAX; i++)
        sqlite3_value_free(values[i]);
    free(values);
    (void)sqlite3_close(from);
    (void)sqlite3_close(to);
    *ret_group = (double)count / groups;
    return (double)(end - start) / 1e9;
}

int main(int argument_count, char **arguments)
{
    char store_path[TOOL_PATH_MAX];
    char bare_path[TOOL_PATH_MAX];
    double group = 0;

    if (argument_count != 3)
        tool_usage("DIRECTORY EVENTS");
    const unsigned events = (unsigned)tool_number("EVENTS", arguments[2], 1, 10000000);
    tool_join(store_path, arguments[1], "store.db");
    tool_join(bare_path, arguments[1], "bare.db");
    const double store_s = time_store(store_path, events);
    const double bare_s = time_bare(store_path, bare_path, events, &group);
    printf("{\"events\": %u, \"group\": %.1f, \"store_per_s\": %.1f, \"bare_per_s\": %.1f}\n",
           events, group, events / store_s, events / bare_s);
    return EXIT_SUCCESS;
}
