/* Owns what all databases share: kept statements, savepoints, the one-call form. Hands the rest to
 * the driver. */
#include "console/store/sql.h"

#include "common/buffers/buffer.h"
#include "console/store/sql_driver.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

void *sql_remembered(struct sql *sql, enum sql_memory which)
{
    return sql->memories[which].thing;
}

void sql_remember(struct sql *sql, enum sql_memory which, void *memory,
                  void (*release)(void *memory))
{
    sql->memories[which].thing = memory;
    sql->memories[which].release = release;
}

static void forget(struct sql *sql)
{
    for (size_t i = 0; i < SQL_MEMORIES; i++) {
        if (sql->memories[i].thing)
            sql->memories[i].release(sql->memories[i].thing);
        sql->memories[i].thing = NULL;
    }
}

int sql_version(struct sql *sql, int64_t *ret_version)
{
    AUTO_STATEMENT struct sql_statement *row = NULL;
    if (!sql->driver->version)
        return -ENOTSUP;
    int r = sql_run(sql, sql->driver->version, &row, "");
    if (r == 1)
        *ret_version = sql_number(row, 0);
    return r < 0 ? r : 0;
}

void sql_disturb(struct sql *sql, const void *who)
{
    sql->disturbances += !who || who != sql->last_who;
    sql->last_who = who;
}

uint64_t sql_disturbances(const struct sql *sql)
{
    return sql->disturbances;
}

bool sql_is_server(const struct sql *sql)
{
    return sql->driver->send_many != NULL;
}

struct sql *sql_close(struct sql *sql)
{
    if (!sql)
        return NULL;
    forget(sql);
    for (size_t i = 0; i < SQL_STATEMENTS_KEPT; i++)
        if (sql->kept[i])
            sql->driver->free_statement(sql->kept[i]);
    sql->driver->close(sql);
    return NULL;
}

const char *sql_error(struct sql *sql)
{
    return sql->driver->error(sql);
}

int sql_begin(struct sql *sql)
{
    return sql->driver->begin(sql);
}

int sql_commit(struct sql *sql)
{
    return sql->driver->commit(sql);
}

void sql_rollback(struct sql *sql)
{
    forget(sql);
    sql->driver->rollback(sql);
}

int sql_mark(struct sql *sql)
{
    return sql_run(sql, "SAVEPOINT work", NULL, "");
}

int sql_unmark(struct sql *sql)
{
    return sql_run(sql, "RELEASE SAVEPOINT work", NULL, "");
}

int sql_undo(struct sql *sql)
{
    forget(sql);
    int r = sql_run(sql, "ROLLBACK TO SAVEPOINT work", NULL, "");
    return r < 0 ? r : sql_unmark(sql);
}

int sql_prepare_once(struct sql *sql, const char *text, struct sql_statement **ret_statement)
{
    int r = sql->driver->prepare(sql, text, ret_statement);
    if (r == 0)
        (*ret_statement)->sql = sql;
    return r;
}

/* The place of one that was made of this literal and is free, or where it belongs. */
static size_t place_of(const struct sql *sql, const char *literal)
{
    size_t at = ((uintptr_t)literal >> 4) % SQL_STATEMENTS_KEPT;
    while (sql->kept[at] && (sql->kept[at]->text != literal || sql->kept[at]->used))
        at = (at + 1) % SQL_STATEMENTS_KEPT;
    return at;
}

static int keep(struct sql *sql, const char *literal, const char *text,
                struct sql_statement **ret_statement)
{
    size_t at = place_of(sql, literal);
    int r = sql_prepare_once(sql, text, ret_statement);
    if (r < 0 || sql->kept_count + 1 == SQL_STATEMENTS_KEPT) /* a free slot ends every search */
        return r;
    (*ret_statement)->text = literal;
    (*ret_statement)->used = true;
    sql->kept[at] = *ret_statement;
    sql->kept_count++;
    return 0;
}

static bool find_kept(struct sql *sql, const char *literal, struct sql_statement **ret_statement)
{
    struct sql_statement *found = sql->kept[place_of(sql, literal)];
    if (!found)
        return false;
    found->used = true;
    *ret_statement = found;
    return true;
}

int sql_prepare(struct sql *sql, const char *text, struct sql_statement **ret_statement)
{
    return find_kept(sql, text, ret_statement) ? 0 : keep(sql, text, text, ret_statement);
}

void sql_finish(struct sql_statement *statement)
{
    if (!statement)
        return;
    if (!statement->text) {
        statement->sql->driver->free_statement(statement);
        return;
    }
    statement->sql->driver->reset(statement);
    statement->used = false;
}

void sql_bind_text(struct sql_statement *statement, int i, const char *text)
{
    statement->sql->driver->bind_text(statement, i, text);
}

void sql_bind_number(struct sql_statement *statement, int i, int64_t number)
{
    statement->sql->driver->bind_number(statement, i, number);
}

int sql_step(struct sql_statement *statement)
{
    return statement->sql->driver->step(statement);
}

const char *sql_text(struct sql_statement *statement, int i)
{
    const char *text = statement->sql->driver->text(statement, i);
    return text ? text : "";
}

bool sql_is_null(struct sql_statement *statement, int i)
{
    return statement->sql->driver->text(statement, i) == NULL;
}

int64_t sql_number(struct sql_statement *statement, int i)
{
    return statement->sql->driver->number(statement, i);
}

int64_t sql_changes(struct sql_statement *statement)
{
    return statement->sql->driver->changes(statement);
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

/* --- many rows */

/* before: how many parameters stand before the row's. */
static void bind_row(struct sql_statement *statement, const char *columns, size_t before,
                     const struct sql_value *values)
{
    for (size_t i = 0; columns[i]; i++) {
        int parameter = (int)(before + i) + 1;
        if (columns[i] == 't')
            sql_bind_text(statement, parameter, values[i].text);
        else
            sql_bind_number(statement, parameter, values[i].number);
    }
}

static int read_answers(struct sql_statement *statement, bool numbered, size_t row, size_t rows,
                        sql_found *found, void *user)
{
    int r;
    while ((r = sql_step(statement)) == 1) {
        size_t i = numbered ? (size_t)sql_number(statement, 0) : row;
        r = !found ? 0 : i >= rows ? -EINVAL : found(user, i, statement);
        if (r < 0)
            return r;
    }
    return r;
}

#define ROWS_AT_ONCE 8

/* The values of one row more: its parameters, which stand in order, are numbered on. */
static void add_values(struct buffer *text, const char *row, size_t *parameter)
{
    (void)buffer_append_text(text, *parameter ? ", " : "");
    while (*row) {
        size_t plain = strcspn(row, "$");
        (void)buffer_append(text, row, plain);
        row += plain;
        if (*row)
            (void)buffer_append_format(text, "$%zu", ++*parameter);
        row += *row ? 1 + strspn(row + 1, "0123456789") : 0;
    }
}

static int prepare_rows(struct sql *sql, const struct sql_many *many,
                        struct sql_statement **ret_statement)
{
    AUTO_BUFFER struct buffer text = BUFFER_WITH_MAXIMUM(65536);
    size_t parameter = 0;
    if (find_kept(sql, many->row, ret_statement))
        return 0;
    (void)buffer_append(&text, many->each, strlen(many->each) - strlen(many->row));
    for (size_t i = 0; i < ROWS_AT_ONCE; i++)
        add_values(&text, many->row, &parameter);
    int r = buffer_failed(&text);
    return r < 0 ? r : keep(sql, many->row, buffer_text(&text), ret_statement);
}

/* As many as go by whole statements; ret_done: how many. */
static int insert_rows(struct sql *sql, const struct sql_many *many, const struct sql_value *values,
                       size_t rows, size_t *ret_done)
{
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    size_t columns = strlen(many->columns);
    int r = rows >= ROWS_AT_ONCE ? prepare_rows(sql, many, &statement) : 0;
    for (*ret_done = 0; r == 0 && rows - *ret_done >= ROWS_AT_ONCE; *ret_done += ROWS_AT_ONCE) {
        const struct sql_value *first = values + *ret_done * columns;
        for (size_t i = 0; i < ROWS_AT_ONCE; i++)
            bind_row(statement, many->columns, i * columns, first + i * columns);
        r = sql_step(statement);
        sql->driver->reset(statement);
    }
    return r;
}

static int run_each(struct sql *sql, const struct sql_many *many, const struct sql_value *values,
                    size_t rows, sql_found *found, void *user)
{
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    size_t columns = strlen(many->columns), row = 0;
    int r = many->row ? insert_rows(sql, many, values, rows, &row) : 0;
    if (r == 0 && row < rows)
        r = sql_prepare(sql, many->each, &statement);
    for (; r == 0 && row < rows; row++) {
        bind_row(statement, many->columns, 0, values + row * columns);
        r = read_answers(statement, false, row, rows, found, user);
        sql->driver->reset(statement);
    }
    return r;
}

static int run_all(struct sql *sql, const struct sql_many *many, const struct sql_value *values,
                   size_t rows, sql_found *found, void *user)
{
    AUTO_STATEMENT struct sql_statement *statement = NULL;
    if (rows == 0)
        return 0;
    int r = sql_prepare(sql, many->all, &statement);
    if (r == 0)
        r = sql->driver->send_many(statement, many->columns, values, rows, found != NULL);
    return r < 0 ? r : read_answers(statement, found != NULL, 0, rows, found, user);
}

int sql_read_many(struct sql *sql, const struct sql_many *many, const struct sql_value *values,
                  size_t rows, sql_found *found, void *user)
{
    return sql->driver->send_many ? run_all(sql, many, values, rows, found, user)
                                  : run_each(sql, many, values, rows, found, user);
}

int sql_run_many(struct sql *sql, const struct sql_many *many, const struct sql_value *values,
                 size_t rows)
{
    return sql_read_many(sql, many, values, rows, NULL, NULL);
}
