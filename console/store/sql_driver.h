/* What a database must be able to do to stand behind sql.h. Shared by sql.c and the drivers only.
 */
#ifndef CONSOLE_STORE_SQL_DRIVER_H
#define CONSOLE_STORE_SQL_DRIVER_H

#include "console/store/sql.h"

#define SQL_STATEMENTS_KEPT 256

struct sql_driver {
    void (*close)(struct sql *sql);
    const char *(*error)(struct sql *sql);
    int (*begin)(struct sql *sql);
    int (*commit)(struct sql *sql);
    void (*rollback)(struct sql *sql);
    int (*prepare)(struct sql *sql, const char *text, struct sql_statement **ret_statement);
    void (*free_statement)(struct sql_statement *statement);
    void (*reset)(struct sql_statement *statement); /* ready to be bound and stepped again */
    void (*bind_text)(struct sql_statement *statement, int i, const char *text);
    void (*bind_number)(struct sql_statement *statement, int i, int64_t number);
    int (*step)(struct sql_statement *statement);
    const char *(*text)(struct sql_statement *statement, int i); /* NULL for null */
    int64_t (*number)(struct sql_statement *statement, int i);
    int64_t (*changes)(struct sql_statement *statement);
    const char *version; /* a SELECT for sql_version; NULL: one cannot tell */
    /* `all` of a struct sql_many, stepped by step; NULL: each row goes alone. numbered: with the
     * rows' numbers as one array more. */
    int (*send_many)(struct sql_statement *statement, const char *columns,
                     const struct sql_value *values, size_t rows, bool numbered);
};

/* The first member of a driver's own structs. */
struct sql {
    const struct sql_driver *driver;
    struct sql_statement *kept[SQL_STATEMENTS_KEPT]; /* open addressing by the literal's address */
    size_t kept_count;
    struct {
        void *thing;
        void (*release)(void *thing);
    } memories[SQL_MEMORIES];
    const void *last_who;
    uint64_t disturbances;
};

struct sql_statement {
    struct sql *sql;
    const char *text; /* the literal it was made from; NULL when finish frees it */
    bool used;
};

#endif
