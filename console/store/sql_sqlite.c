/* Owns the SQLite form of sql.h. Must not know any table but by its text. */
#include "common/database/database.h"
#include "common/text/text.h"
#include "console/store/schema.h"
#include "console/store/sql_driver.h"

#include <errno.h>

/* Pages that many transactions change are copied from the log to the file once, not by each: the
 * log may grow to 32 MB. The leaves of the indexes that writers change stay in memory. */
#define WRITER_SETTINGS "PRAGMA wal_autocheckpoint = 8000; PRAGMA cache_size = -32768"

struct sqlite {
    struct sql base;
    struct database *database;
};

struct sqlite_statement {
    struct sql_statement base;
    sqlite3_stmt *handle;
    int bind_error;
};

static struct database *database_of(struct sql *sql)
{
    return ((struct sqlite *)sql)->database;
}

static struct sqlite_statement *own(struct sql_statement *statement)
{
    return (struct sqlite_statement *)statement;
}

static void close_sqlite(struct sql *sql)
{
    (void)database_close(database_of(sql));
    free(sql);
}

static const char *error_text(struct sql *sql)
{
    return database_error(database_of(sql));
}

static int begin(struct sql *sql)
{
    return database_begin(database_of(sql));
}

static int commit(struct sql *sql)
{
    return database_commit(database_of(sql));
}

static void rollback(struct sql *sql)
{
    database_rollback(database_of(sql));
}

static int prepare(struct sql *sql, const char *text, struct sql_statement **ret_statement)
{
    struct sqlite_statement *statement = calloc(1, sizeof(*statement));
    if (!statement)
        return -ENOMEM;
    int r = database_prepare(database_of(sql), text, &statement->handle);
    if (r < 0) {
        free(statement);
        return r;
    }
    *ret_statement = &statement->base;
    return 0;
}

static void free_statement(struct sql_statement *statement)
{
    (void)sqlite3_finalize(own(statement)->handle);
    free(statement);
}

static void reset(struct sql_statement *statement)
{
    (void)sqlite3_reset(own(statement)->handle);
    (void)sqlite3_clear_bindings(own(statement)->handle);
    own(statement)->bind_error = 0;
}

static void note(struct sql_statement *statement, int code)
{
    if (code != SQLITE_OK && !own(statement)->bind_error)
        own(statement)->bind_error = database_errno(code);
}

static void bind_text(struct sql_statement *statement, int i, const char *text)
{
    sqlite3_stmt *handle = own(statement)->handle;
    note(statement, text ? sqlite3_bind_text(handle, i, text, -1, SQLITE_STATIC)
                         : sqlite3_bind_null(handle, i));
}

static void bind_number(struct sql_statement *statement, int i, int64_t number)
{
    note(statement, sqlite3_bind_int64(own(statement)->handle, i, number));
}

static int step(struct sql_statement *statement)
{
    if (own(statement)->bind_error)
        return own(statement)->bind_error;
    int code = sqlite3_step(own(statement)->handle);
    if (code == SQLITE_ROW)
        return 1;
    if (code == SQLITE_DONE)
        return 0;
    int r = database_errno(code);
    return r == -EBUSY ? -EAGAIN : r;
}

static const char *column_text(struct sql_statement *statement, int i)
{
    return (const char *)sqlite3_column_text(own(statement)->handle, i);
}

static int64_t column_number(struct sql_statement *statement, int i)
{
    return sqlite3_column_int64(own(statement)->handle, i);
}

static int64_t changes(struct sql_statement *statement)
{
    return sqlite3_changes(database_handle(database_of(statement->sql)));
}

static const struct sql_driver SQLITE_DRIVER = {.close = close_sqlite,
                                                .error = error_text,
                                                .begin = begin,
                                                .commit = commit,
                                                .rollback = rollback,
                                                .prepare = prepare,
                                                .free_statement = free_statement,
                                                .reset = reset,
                                                .bind_text = bind_text,
                                                .bind_number = bind_number,
                                                .step = step,
                                                .text = column_text,
                                                .number = column_number,
                                                .changes = changes,
                                                .version = "PRAGMA data_version"};

int sql_open_sqlite(const char *path, bool read_only, struct sql **ret_sql,
                    char ret_notice[static 512])
{
    struct sqlite *sqlite = calloc(1, sizeof(*sqlite));
    if (!sqlite)
        return -ENOMEM;
    struct database_options options = {.path = path,
                                       .migrations = SCHEMA_SQLITE,
                                       .migration_count = SCHEMA_VERSION,
                                       .read_only = read_only};
    enum database_origin origin;
    char moved_to[4096];
    int r = database_open(&options, &sqlite->database, &origin, moved_to);
    if (r < 0) {
        free(sqlite);
        return r;
    }
    ret_notice[0] = '\0';
    if (origin == DATABASE_REBUILT)
        (void)text_format(ret_notice, 512, "the database was corrupt and is now %s", moved_to);
    sqlite->base.driver = &SQLITE_DRIVER;
    r = read_only ? 0 : database_execute(sqlite->database, WRITER_SETTINGS);
    if (r < 0) {
        close_sqlite(&sqlite->base);
        return r;
    }
    *ret_sql = &sqlite->base;
    return 0;
}
