/* SQLite as we use it: WAL, synchronous=FULL, one writer thread, prepared statements, schema
 * versions. A handle belongs to one thread at a time. */
#ifndef COMMON_DATABASE_DATABASE_H
#define COMMON_DATABASE_DATABASE_H

#include "common/attributes.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

struct database;

/* One step of the schema: brings user_version from index i to i + 1. */
struct database_migration {
    const char *sql;
};

struct database_options {
    const char *path;
    const struct database_migration *migrations; /* forward only */
    size_t migration_count;
    bool read_only;
};

enum database_origin {
    DATABASE_OPENED,  /* it was there, and sound */
    DATABASE_CREATED, /* it was not there */
    DATABASE_REBUILT, /* it was corrupt: moved aside to ret_moved_to, and made anew */
};

/* Opens, checks (quick_check), migrates in one transaction each; before a migration the old file is
 * copied beside it as PATH.v<N>. -EBADMSG when corrupt and it could not be moved aside, -EPROTO
 * when it is newer than this program, -errno. ret_moved_to: buffer of 4096, "" when nothing moved.
 */
int database_open(const struct database_options *options, struct database **ret_database,
                  enum database_origin *ret_origin, char ret_moved_to[static 4096]) MUST_USE;
struct database *database_close(struct database *database);
sqlite3 *database_handle(struct database *database);
/* Text of the last error, valid until the next call. */
const char *database_error(struct database *database);

/* Maps SQLite's codes: SQLITE_FULL -ENOSPC, BUSY/LOCKED -EBUSY, CORRUPT/NOTADB -EBADMSG, IOERR
 * -EIO, READONLY -EROFS, NOMEM -ENOMEM, CONSTRAINT -EEXIST, otherwise -EINVAL. */
int database_errno(int sqlite_code);

int database_execute(struct database *database, const char *sql) MUST_USE;
int database_begin(struct database *database) MUST_USE;
int database_commit(struct database *database) MUST_USE;
void database_rollback(struct database *database);
int database_prepare(struct database *database, const char *sql,
                     sqlite3_stmt **ret_statement) MUST_USE;

#endif
