/* Everything of one database into another, empty one: from SQLite to PostgreSQL or back. Rows go by
 * the page in the order of their primary keys, so memory stays small. One of the two is SQLite,
 * which tells the tables. */
#ifndef CONSOLE_STORE_DATABASE_COPY_H
#define CONSOLE_STORE_DATABASE_COPY_H

#include "common/attributes.h"
#include "console/store/sql.h"

struct database_copy {
    struct sql *from, *to;
    struct sql *catalogue; /* from or to: the SQLite one */
    /* After each table; may be NULL. */
    void (*copied)(void *user, const char *table, int64_t rows);
    void *user;
};

/* In one transaction on each side; to is committed only when the number of rows of every table is
 * the same on both. Both have the present schema. -EEXIST when to holds rows already, -EAGAIN
 * repeat, -EBADMSG the counts differ; ret_problem: 512 bytes, names the table. */
int database_copy(const struct database_copy *copy, char ret_problem[static 512]) MUST_USE;

/* Rows of a table, named by the catalogue. */
int database_count(struct sql *sql, const char *table, int64_t *ret_count) MUST_USE;

#endif
