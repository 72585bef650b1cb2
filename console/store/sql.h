/* One connection to the console's database, whatever it is: the seam between what the console
 * stores and who stores it. Statements are written once, in the SQL that SQLite and PostgreSQL
 * share, with parameters $1, $2, ... used in that order. A connection belongs to one thread at a
 * time. Errors: -EEXIST a constraint, -ENOSPC, -EBADMSG corrupt, -EAGAIN repeat the transaction,
 * -EIO, -ENOMEM, -EINVAL. */
#ifndef CONSOLE_STORE_SQL_H
#define CONSOLE_STORE_SQL_H

#include "common/attributes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sql;
struct sql_statement;

/* An SQLite file; made and migrated when read_only is false. ret_notice: "" or what had to be done
 * (a corrupt file moved aside), 512 bytes. */
int sql_open_sqlite(const char *path, bool read_only, struct sql **ret_sql,
                    char ret_notice[static 512]) MUST_USE;
/* A database by its URL (libpq's form). ret_notice: why it could not be opened. -ECONNREFUSED,
 * -EPROTO when its schema is newer than this program. */
int sql_open_postgres(const char *url, bool read_only, struct sql **ret_sql,
                      char ret_notice[static 512]) MUST_USE;
bool sql_is_postgres_url(const char *text);
/* A server that other nodes write to as well, not a file of our own. */
bool sql_is_server(const struct sql *sql);
struct sql *sql_close(struct sql *sql);
#define AUTO_SQL CLEANUP(cleanup_sql)
static inline void cleanup_sql(struct sql **sql)
{
    *sql = sql_close(*sql);
}
/* Text of the last error, valid until the next call. */
const char *sql_error(struct sql *sql);

int sql_begin(struct sql *sql) MUST_USE;
int sql_commit(struct sql *sql) MUST_USE;
void sql_rollback(struct sql *sql);
/* Inside a transaction: what follows can be undone without ending it. Not nested. */
int sql_mark(struct sql *sql) MUST_USE;
int sql_unmark(struct sql *sql) MUST_USE;
int sql_undo(struct sql *sql) MUST_USE;

/* What somebody remembers of the rows read and written over this connection. Released when anything
 * is undone, since it may have been remembered. NULL: nothing. */
enum sql_memory { SQL_MEMORY_FACETS, SQL_MEMORY_AGENTS, SQL_MEMORY_INDEX, SQL_MEMORIES };
void *sql_remembered(struct sql *sql, enum sql_memory which);
void sql_remember(struct sql *sql, enum sql_memory which, void *memory,
                  void (*release)(void *memory));
/* Inside a transaction: another number when somebody else has changed the database. -ENOTSUP where
 * one cannot tell. */
int sql_version(struct sql *sql, int64_t *ret_version) MUST_USE;
/* Somebody else's work runs over this connection. who: the same again is no other; NULL: anybody.
 * How often it happened. */
void sql_disturb(struct sql *sql, const void *who);
uint64_t sql_disturbances(const struct sql *sql);

/* Kept by the connection and prepared once; text must be a literal. Not while it is in use. */
int sql_prepare(struct sql *sql, const char *text, struct sql_statement **ret_statement) MUST_USE;
/* For texts made at run time: freed by sql_finish. */
int sql_prepare_once(struct sql *sql, const char *text,
                     struct sql_statement **ret_statement) MUST_USE;
/* i from 1. A text must live until sql_finish; NULL binds null. Errors show at the next step. */
void sql_bind_text(struct sql_statement *statement, int i, const char *text);
void sql_bind_number(struct sql_statement *statement, int i, int64_t number);
/* 1: a row; 0: no more. */
int sql_step(struct sql_statement *statement) MUST_USE;
/* i from 0. "" and 0 for null; a text lives until the next step or finish. */
const char *sql_text(struct sql_statement *statement, int i);
int64_t sql_number(struct sql_statement *statement, int i);
bool sql_is_null(struct sql_statement *statement, int i);
/* Rows the statement changed. */
int64_t sql_changes(struct sql_statement *statement);
/* NULL is legal. */
void sql_finish(struct sql_statement *statement);
static inline void cleanup_statement(struct sql_statement **statement)
{
    sql_finish(*statement);
}
#define AUTO_STATEMENT CLEANUP(cleanup_statement)

/* Prepares, binds by format ('t' text, 'n' int64_t) and steps once: 1, 0 or an error. The statement
 * is the caller's to finish; ret_statement may be NULL when no row is wanted. */
int sql_run(struct sql *sql, const char *text, struct sql_statement **ret_statement,
            const char *format, ...) MUST_USE;

/* One statement for many rows of values. SQLite runs `each` once a row with parameters $1, $2, ...;
 * PostgreSQL runs `all` once, with an array for every parameter ($1::bigint[], $2::text[], ...).
 * Both must be literals. */
struct sql_many {
    const char *each, *all;
    const char *columns; /* a letter a parameter, as in sql_run */
    /* NULL, or what each ends with: an INSERT's values of one row. SQLite is then given several. */
    const char *row;
};
struct sql_value {
    const char *text; /* of a 't' column; never NULL */
    int64_t number;   /* of an 'n' column */
};
#define SQL_TEXT(value)   ((struct sql_value){.text = (value)})
#define SQL_NUMBER(value) ((struct sql_value){.number = (value)})
/* values: row by row. */
int sql_run_many(struct sql *sql, const struct sql_many *many, const struct sql_value *values,
                 size_t rows) MUST_USE;
/* The same for a SELECT whose first column says which row of values an answer is for: `each`
 * selects a 0 there; `all` has one array more, of these numbers, as its last parameter. */
typedef int sql_found(void *user, size_t i, struct sql_statement *answer);
int sql_read_many(struct sql *sql, const struct sql_many *many, const struct sql_value *values,
                  size_t rows, sql_found *found, void *user) MUST_USE;

#endif
