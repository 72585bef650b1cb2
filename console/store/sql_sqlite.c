/* Owns the SQLite form of sql.h. Must not know any table but by its text. */
#include "console/store/sql.h"

#include "common/database/database.h"
#include "common/text/text.h"
#include "console/store/schema.h"

#include <errno.h>
#include <stdarg.h>

#define STATEMENTS_KEPT 256

struct sql_statement {
    struct sql *sql;
    const char *text; /* the literal it was made from; NULL when it is freed by finish */
    sqlite3_stmt *handle;
    int bind_error;
    bool used;
};

struct sql {
    struct database *database;
    struct sql_statement *kept[STATEMENTS_KEPT]; /* open addressing by the literal's address */
    size_t kept_count;
};

int sql_open_sqlite(const char *path, bool read_only, struct sql **ret_sql,
                    char ret_notice[static 512])
{
    struct sql *sql = calloc(1, sizeof(*sql));
    if (!sql)
        return -ENOMEM;
    struct database_options options = {.path = path,
                                       .migrations = SCHEMA_SQLITE,
                                       .migration_count = SCHEMA_VERSION,
                                       .read_only = read_only};
    enum database_origin origin;
    char moved_to[4096];
    int r = database_open(&options, &sql->database, &origin, moved_to);
    if (r < 0) {
        free(sql);
        return r;
    }
    ret_notice[0] = '\0';
    if (origin == DATABASE_REBUILT)
        (void)text_format(ret_notice, 512, "the database was corrupt and is now %s", moved_to);
    *ret_sql = sql;
    return 0;
}

struct sql *sql_close(struct sql *sql)
{
    if (!sql)
        return NULL;
    for (size_t i = 0; i < STATEMENTS_KEPT; i++) {
        if (sql->kept[i]) {
            (void)sqlite3_finalize(sql->kept[i]->handle);
            free(sql->kept[i]);
        }
    }
    (void)database_close(sql->database);
    free(sql);
    return NULL;
}

const char *sql_error(struct sql *sql)
{
    return database_error(sql->database);
}

int sql_begin(struct sql *sql)
{
    return database_begin(sql->database);
}

int sql_commit(struct sql *sql)
{
    return database_commit(sql->database);
}

void sql_rollback(struct sql *sql)
{
    database_rollback(sql->database);
}

static int execute(struct sql *sql, const char *text)
{
    return sql_run(sql, text, NULL, "");
}

int sql_mark(struct sql *sql)
{
    return execute(sql, "SAVEPOINT work");
}

int sql_unmark(struct sql *sql)
{
    return execute(sql, "RELEASE SAVEPOINT work");
}

int sql_undo(struct sql *sql)
{
    int r = execute(sql, "ROLLBACK TO SAVEPOINT work");
    return r < 0 ? r : sql_unmark(sql);
}

int sql_prepare_once(struct sql *sql, const char *text, struct sql_statement **ret_statement)
{
    struct sql_statement *statement = calloc(1, sizeof(*statement));
    if (!statement)
        return -ENOMEM;
    statement->sql = sql;
    int r = database_prepare(sql->database, text, &statement->handle);
    if (r < 0) {
        free(statement);
        return r;
    }
    *ret_statement = statement;
    return 0;
}

int sql_prepare(struct sql *sql, const char *text, struct sql_statement **ret_statement)
{
    size_t at = ((uintptr_t)text >> 4) % STATEMENTS_KEPT;
    while (sql->kept[at] && (sql->kept[at]->text != text || sql->kept[at]->used))
        at = (at + 1) % STATEMENTS_KEPT;
    if (!sql->kept[at]) {
        struct sql_statement *made;
        int r = sql_prepare_once(sql, text, &made);
        if (r < 0)
            return r;
        if (sql->kept_count + 1 == STATEMENTS_KEPT) { /* keep a free slot, so that searches end */
            *ret_statement = made;
            return 0;
        }
        made->text = text;
        sql->kept[at] = made;
        sql->kept_count++;
    }
    sql->kept[at]->used = true;
    *ret_statement = sql->kept[at];
    return 0;
}

void sql_finish(struct sql_statement *statement)
{
    if (!statement)
        return;
    if (!statement->text) {
        (void)sqlite3_finalize(statement->handle);
        free(statement);
        return;
    }
    (void)sqlite3_reset(statement->handle);
    (void)sqlite3_clear_bindings(statement->handle);
    statement->bind_error = 0;
    statement->used = false;
}

static void noted(struct sql_statement *statement, int code)
{
    if (code != SQLITE_OK && !statement->bind_error)
        statement->bind_error = database_errno(code);
}

void sql_bind_text(struct sql_statement *statement, int i, const char *text)
{
    noted(statement, text ? sqlite3_bind_text(statement->handle, i, text, -1, SQLITE_STATIC)
                          : sqlite3_bind_null(statement->handle, i));
}

void sql_bind_number(struct sql_statement *statement, int i, int64_t number)
{
    noted(statement, sqlite3_bind_int64(statement->handle, i, number));
}

int sql_step(struct sql_statement *statement)
{
    if (statement->bind_error)
        return statement->bind_error;
    int code = sqlite3_step(statement->handle);
    if (code == SQLITE_ROW)
        return 1;
    if (code == SQLITE_DONE)
        return 0;
    int r = database_errno(code);
    return r == -EBUSY ? -EAGAIN : r;
}

const char *sql_text(struct sql_statement *statement, int i)
{
    const unsigned char *text = sqlite3_column_text(statement->handle, i);
    return text ? (const char *)text : "";
}

int64_t sql_number(struct sql_statement *statement, int i)
{
    return sqlite3_column_int64(statement->handle, i);
}

bool sql_is_null(struct sql_statement *statement, int i)
{
    return sqlite3_column_type(statement->handle, i) == SQLITE_NULL;
}

int64_t sql_changes(struct sql_statement *statement)
{
    return sqlite3_changes(database_handle(statement->sql->database));
}

int sql_run(struct sql *sql, const char *text, struct sql_statement **ret_statement,
            const char *format, ...)
{
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    int r = sql_prepare(sql, text, &statement);
    if (r < 0)
        return r;
    va_list arguments;
    va_start(arguments, format);
    for (int i = 0; format[i]; i++) {
        if (format[i] == 't')
            sql_bind_text(statement, i + 1, va_arg(arguments, const char *));
        else
            sql_bind_number(statement, i + 1, va_arg(arguments, int64_t));
    }
    va_end(arguments);
    r = sql_step(statement);
    if (r >= 0 && ret_statement)
        *ret_statement = TAKE_POINTER(statement);
    return r;
}
