/* Owns: how an SQLite file is opened, checked, migrated, backed up and, when corrupt, moved aside.
 * Must not own: what stands in it. Hands off: the handle, to one thread at a time. */
#include "common/database/database.h"

#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#define BUSY_TIMEOUT_MS 10000
#define MOVED_BYTES     4096

struct database {
    sqlite3 *handle;
};

int database_errno(int sqlite_code)
{
    if (sqlite_code == SQLITE_OK || sqlite_code == SQLITE_ROW || sqlite_code == SQLITE_DONE)
        return 0;
    if (sqlite_code == SQLITE_IOERR_NOMEM)
        return -ENOMEM;
    switch (sqlite_code & 0xff) { /* extended codes have the plain one in their low byte */
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EBADMSG;
    case SQLITE_IOERR:
        return -EIO;
    case SQLITE_CANTOPEN:
        return -EACCES;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_CONSTRAINT:
        return -EEXIST;
    case SQLITE_INTERRUPT:
        return -ECANCELED;
    default:
        return -EINVAL;
    }
}

sqlite3 *database_handle(struct database *database)
{
    return database->handle;
}

const char *database_error(struct database *database)
{
    return sqlite3_errmsg(database->handle);
}

struct database *database_close(struct database *database)
{
    if (!database)
        return NULL;
    /* Statements that were not finalised keep the handle alive as a "zombie"; none should be. */
    (void)sqlite3_close_v2(database->handle);
    free(database);
    return NULL;
}

static void cleanup_database(struct database **database)
{
    *database = database_close(*database);
}
#define AUTO_DATABASE CLEANUP(cleanup_database)

int database_execute(struct database *database, const char *sql)
{
    return database_errno(sqlite3_exec(database->handle, sql, NULL, NULL, NULL));
}

void database_rollback(struct database *database)
{
    /* SQLite rolls back by itself on some errors; a second ROLLBACK then fails harmlessly. */
    if (!sqlite3_get_autocommit(database->handle))
        (void)sqlite3_exec(database->handle, "ROLLBACK", NULL, NULL, NULL);
}

int database_begin(struct database *database)
{
    database_rollback(database); /* what could not be for want of memory */
    return database_execute(database, "BEGIN IMMEDIATE");
}

int database_commit(struct database *database)
{
    return database_execute(database, "COMMIT");
}

int database_prepare(struct database *database, const char *sql, sqlite3_stmt **ret_statement)
{
    return database_errno(sqlite3_prepare_v3(database->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                             ret_statement, NULL));
}

/* The first column of the first row as text or number. */
static int query_one(struct database *database, const char *sql, char *ret_text, size_t size,
                     int64_t *ret_number)
{
    sqlite3_stmt *statement;
    int r;

    r = database_prepare(database, sql, &statement);
    if (r < 0)
        return r;
    r = sqlite3_step(statement);
    if (r == SQLITE_ROW) {
        const char *text = ret_text ? (const char *)sqlite3_column_text(statement, 0) : NULL;
        if (ret_text)
            (void)text_copy(ret_text, size, text ?: "");
        if (ret_number)
            *ret_number = sqlite3_column_int64(statement, 0);
        r = ret_text && !text ? -ENOMEM : 0; /* none that is asked for is NULL */
    } else {
        r = r == SQLITE_DONE ? -ENODATA : database_errno(r);
    }
    (void)sqlite3_finalize(statement);
    return r;
}

/* The file and its companions are readable by their owner only; SQLite gives -wal and -shm the mode
 * of the database file. */
static int make_file(const char *path, bool *ret_made)
{
    AUTO_CLOSE int fd = -1;
    struct stat status;
    int r;

    *ret_made = false;
    r = file_open_following(path, O_RDWR | O_CREAT, 0600, &fd);
    if (r < 0)
        return r;
    if (fstat(fd, &status) < 0)
        return -errno;
    *ret_made = status.st_size == 0;
    return 0;
}

static int configure(struct database *database, bool read_only)
{
    int r;

    (void)sqlite3_extended_result_codes(database->handle, 1);
    (void)sqlite3_busy_timeout(database->handle, BUSY_TIMEOUT_MS);
    (void)sqlite3_db_config(database->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(database->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    r = database_execute(database, "PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON;"
                                   "PRAGMA foreign_keys=ON; PRAGMA synchronous=FULL");
    if (r < 0 || read_only)
        return r;
    return database_execute(database, "PRAGMA journal_mode=WAL");
}

static int open_handle(const struct database_options *options, struct database **ret_database)
{
    AUTO_DATABASE struct database *database = calloc(1, sizeof(*database));
    int flags =
        SQLITE_OPEN_NOMUTEX | (options->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE);
    int r;

    if (!database)
        return -ENOMEM;
    r = sqlite3_open_v2(options->path, &database->handle, flags, NULL);
    r = r == SQLITE_OK ? configure(database, options->read_only) : database_errno(r);
    if (r < 0)
        return r;
    *ret_database = TAKE_POINTER(database);
    return 0;
}

/* What the check could not read is no proof of corruption: it tells the code that the disk or the
 * memory failed with, or only that a page did not come. Source: checkTreePage() and checkList() in
 * SQLite's btree.c. */
static int judge_answer(const char *answer)
{
    static const char told[] = "error code=";
    const char *code = strstr(answer, told);
    char digits[16] = "";
    uint64_t number;

    if (code) {
        code += strlen(told);
        (void)text_format(digits, sizeof(digits), "%.*s", (int)strspn(code, "0123456789"), code);
    }
    if (text_parse_u64(digits, &number) == 0 && number <= INT_MAX)
        return database_errno((int)number) ?: -EBADMSG;
    return strstr(answer, "failed to get page") ? -EIO : -EBADMSG;
}

static int check(struct database *database)
{
    char answer[256];
    int r;

    r = query_one(database, "PRAGMA quick_check(1)", answer, sizeof(answer), NULL);
    if (r < 0)
        return r;
    return text_equal(answer, "ok") ? 0 : judge_answer(answer);
}

/* A consistent copy, the log's content included, as PATH.v<version>. */
static int back_up(struct database *database, const char *path, int64_t version)
{
    AUTO_FREE char *copy = text_format_new("%s.v%lld", path, (long long)version);
    sqlite3_stmt *statement;
    bool made;
    int r;

    if (!copy)
        return -ENOMEM;
    if (unlink(copy) < 0 && errno != ENOENT)
        return -errno;
    r = make_file(copy, &made);
    if (r < 0)
        return r;
    r = database_prepare(database, "VACUUM INTO ?1", &statement);
    if (r < 0)
        return r;
    (void)sqlite3_bind_text(statement, 1, copy, -1, SQLITE_STATIC);
    r = database_errno(sqlite3_step(statement));
    (void)sqlite3_finalize(statement);
    return r;
}

static int migrate_step(struct database *database, const struct database_migration *migration,
                        int64_t version)
{
    char pragma[64];
    int r;

    r = database_begin(database);
    if (r < 0)
        return r;
    r = database_execute(database, migration->sql);
    if (r == 0) {
        (void)text_format(pragma, sizeof(pragma), "PRAGMA user_version=%lld",
                          (long long)version + 1);
        r = database_execute(database, pragma);
    }
    if (r == 0)
        r = database_commit(database);
    if (r < 0)
        database_rollback(database);
    return r;
}

static int migrate(struct database *database, const struct database_options *options)
{
    int64_t version = 0;
    int r;

    r = query_one(database, "PRAGMA user_version", NULL, 0, &version);
    if (r < 0)
        return r;
    if (version < 0 || (uint64_t)version > options->migration_count)
        return -EPROTO;
    if ((uint64_t)version == options->migration_count)
        return 0;
    if (version > 0) {
        r = back_up(database, options->path, version);
        if (r < 0)
            return r;
    }
    for (; (uint64_t)version < options->migration_count; version++) {
        r = migrate_step(database, &options->migrations[version], version);
        if (r < 0)
            return r;
    }
    return 0;
}

static int move_one(const char *path, const char *suffix, const char *target)
{
    AUTO_FREE char *from = text_format_new("%s%s", path, suffix);
    AUTO_FREE char *to = text_format_new("%s%s", target, suffix);

    if (!from || !to)
        return -ENOMEM;
    if (rename(from, to) < 0 && errno != ENOENT)
        return -errno;
    return 0;
}

/* The log first: a database file must never meet another one's log. */
static int move_aside(const char *path, char ret_moved_to[static MOVED_BYTES])
{
    int r;

    r = text_format(ret_moved_to, MOVED_BYTES, "%s.corrupt-%llu", path,
                    (unsigned long long)(clock_realtime_ns() / NS_PER_MS));
    if (r < 0)
        return r;
    r = move_one(path, "-wal", ret_moved_to);
    if (r == 0)
        r = move_one(path, "-shm", ret_moved_to);
    if (r == 0)
        r = move_one(path, "", ret_moved_to);
    if (r < 0)
        ret_moved_to[0] = '\0';
    return r;
}

static int open_writable(const struct database_options *options, struct database **ret_database)
{
    AUTO_DATABASE struct database *database = NULL;
    int r;

    r = open_handle(options, &database);
    if (r < 0)
        return r;
    r = check(database);
    if (r < 0)
        return r;
    r = migrate(database, options);
    if (r < 0)
        return r;
    *ret_database = TAKE_POINTER(database);
    return 0;
}

int database_open(const struct database_options *options, struct database **ret_database,
                  enum database_origin *ret_origin, char ret_moved_to[static MOVED_BYTES])
{
    bool made;
    int r;

    ret_moved_to[0] = '\0';
    *ret_origin = DATABASE_OPENED;
    if (options->read_only)
        return open_handle(options, ret_database);
    r = make_file(options->path, &made);
    if (r < 0)
        return r;
    if (made)
        *ret_origin = DATABASE_CREATED;
    r = open_writable(options, ret_database);
    if (r != -EBADMSG)
        return r;
    if (move_aside(options->path, ret_moved_to) < 0)
        return -EBADMSG;
    *ret_origin = DATABASE_REBUILT;
    r = make_file(options->path, &made);
    if (r < 0)
        return r;
    return open_writable(options, ret_database);
}
