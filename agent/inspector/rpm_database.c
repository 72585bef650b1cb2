/* Owns: rpm's SQLite file while a question is answered. Must not own: the header's format, digests.
 * The file is not ours: nothing in its schema is trusted, and nothing is written, not even a lock
 * file. */
#include "agent/inspector/rpm_database.h"

#include "agent/inspector/merged_usr.h"
#include "agent/inspector/rpm_header.h"
#include "common/limits.h"
#include "common/text/text.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

/* How long rpm may keep us out; the asker waits 10 s. */
#define BUSY_MS 2000

static void close_database(sqlite3 **database)
{
    (void)sqlite3_close_v2(*database);
}
#define AUTO_DATABASE CLEANUP(close_database)

static void finalize(sqlite3_stmt **statement)
{
    (void)sqlite3_finalize(*statement);
}
#define AUTO_STATEMENT CLEANUP(finalize)

/* ---- opening ---- */

/* rpm's log (WAL) has something in it that may not be in the database yet. */
static bool has_log(const char *directory)
{
    AUTO_FREE char *path = text_format_new("%s/rpmdb.sqlite-wal", directory);
    struct stat log;

    return !path || (stat(path, &log) == 0 ? log.st_size > 0 : errno != ENOENT);
}

static int distrust(sqlite3 *database)
{
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
    (void)sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    (void)sqlite3_limit(database, SQLITE_LIMIT_LENGTH, LIMIT_RPM_HEADER_BYTES);
    return sqlite3_busy_timeout(database, BUSY_MS);
}

static int open_database(const char *directory, bool alone, sqlite3 **ret_database)
{
    AUTO_FREE char *uri =
        text_format_new("file:%s/rpmdb.sqlite?%s", directory, alone ? "immutable=1" : "mode=ro");
    int r;

    if (!uri)
        return SQLITE_NOMEM;
    r = sqlite3_open_v2(uri, ret_database,
                        SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    return r == SQLITE_OK ? distrust(*ret_database) : r;
}

/* ---- asking ---- */

/* Directories are kept with their slash. */
static int bind_place(sqlite3_stmt *statement, const char *canonical)
{
    const char *name = strrchr(canonical, '/') + 1;
    const char *directory = canonical, *other = canonical;
    int r;

    if (text_starts_with(canonical, "/usr/") && merged_usr_prefix(canonical + 4)[0] != '\0')
        other = canonical + 4;
    r = sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
    if (r == SQLITE_OK)
        r = sqlite3_bind_text(statement, 2, directory, (int)(name - directory), SQLITE_STATIC);
    if (r == SQLITE_OK)
        r = sqlite3_bind_text(statement, 3, other, (int)(name - other), SQLITE_STATIC);
    return r;
}

static enum inspector_answer compare(const struct rpm_header_file *file,
                                     struct package_content *content)
{
    const char *digest;

    if (file->kind == RPM_DIGEST_NONE)
        return INSPECTOR_NONE;
    digest = file->kind == RPM_DIGEST_MD5 ? package_content_md5(content)
                                          : package_content_sha256(content);
    if (!digest)
        return INSPECTOR_FAILED;
    return text_equal(digest, file->digest) ? INSPECTOR_UNCHANGED : INSPECTOR_CHANGED;
}

static enum inspector_answer ask_package(sqlite3_stmt *statement, const char *canonical,
                                         struct package_content *content,
                                         char ret_package[static PACKAGE_TEXT_BYTES])
{
    const void *header = sqlite3_column_blob(statement, 0);
    struct rpm_header_file file;
    enum inspector_answer answer;
    int r;

    r = rpm_header_find(header ?: "", (size_t)sqlite3_column_bytes(statement, 0), canonical, &file);
    if (r < 0)
        return r == -ENOENT ? INSPECTOR_NONE : INSPECTOR_FAILED;
    answer = compare(&file, content);
    if (answer == INSPECTOR_UNCHANGED || answer == INSPECTOR_CHANGED)
        (void)text_copy(ret_package, PACKAGE_TEXT_BYTES, file.package);
    return answer;
}

/* Packages may share a file: one whose content it has is enough. A broken header is only of
 * importance when no other package knows the file. */
static enum inspector_answer ask_packages(sqlite3_stmt *statement, const char *canonical,
                                          struct package_content *content,
                                          char ret_package[static PACKAGE_TEXT_BYTES])
{
    enum inspector_answer answer = INSPECTOR_NONE;
    int r;

    while ((r = sqlite3_step(statement)) == SQLITE_ROW) {
        enum inspector_answer one = ask_package(statement, canonical, content, ret_package);

        if (one == INSPECTOR_UNCHANGED)
            return one;
        if (one == INSPECTOR_CHANGED || (one == INSPECTOR_FAILED && answer == INSPECTOR_NONE))
            answer = one;
    }
    return r == SQLITE_DONE ? answer : INSPECTOR_FAILED;
}

static enum inspector_answer ask_database(const char *directory, bool alone, const char *canonical,
                                          struct package_content *content,
                                          char ret_package[static PACKAGE_TEXT_BYTES])
{
    static const char sql[] =
        "SELECT blob FROM Packages WHERE hnum IN (SELECT hnum FROM Basenames WHERE key = ?1)"
        " AND hnum IN (SELECT hnum FROM Dirnames WHERE key IN (?2, ?3))";
    AUTO_DATABASE sqlite3 *database = NULL;
    AUTO_STATEMENT sqlite3_stmt *statement = NULL;

    if (open_database(directory, alone, &database) != SQLITE_OK ||
        sqlite3_prepare_v2(database, sql, -1, &statement, NULL) != SQLITE_OK ||
        bind_place(statement, canonical) != SQLITE_OK)
        return INSPECTOR_FAILED;
    return ask_packages(statement, canonical, content, ret_package);
}

/* With an empty or no log the database is complete by itself, and "immutable" keeps SQLite from
 * wanting the files it cannot make here. Otherwise SQLite reads both, by rpm's shared index if rpm
 * is at work; also when rpm began while we read without locks. */
static enum inspector_answer ask_directory(const char *directory, const char *canonical,
                                           struct package_content *content,
                                           char ret_package[static PACKAGE_TEXT_BYTES])
{
    enum inspector_answer answer;

    if (!has_log(directory)) {
        answer = ask_database(directory, true, canonical, content, ret_package);
        if (!has_log(directory))
            return answer;
    }
    return ask_database(directory, false, canonical, content, ret_package);
}

enum inspector_answer rpm_database_check(const char *directory, const char *path,
                                         struct package_content *content,
                                         char ret_package[static PACKAGE_TEXT_BYTES])
{
    AUTO_FREE char *canonical = NULL;
    AUTO_FREE char *file = text_format_new("%s/rpmdb.sqlite", directory);
    enum inspector_answer answer;
    struct stat status;

    ret_package[0] = '\0';
    if (path[0] != '/')
        return INSPECTOR_NONE;
    canonical = text_format_new("%s%s", merged_usr_prefix(path), path);
    if (!canonical || !file)
        return INSPECTOR_FAILED;
    if (stat(file, &status) < 0)
        return errno == ENOENT || errno == ENOTDIR ? INSPECTOR_NONE : INSPECTOR_FAILED;
    answer = ask_directory(directory, canonical, content, ret_package);
    if (answer != INSPECTOR_UNCHANGED && answer != INSPECTOR_CHANGED)
        ret_package[0] = '\0';
    return answer;
}

static bool has_content(const char *directory, const char *name)
{
    AUTO_FREE char *path = text_format_new("%s/%s", directory, name);
    struct stat status;

    return path && stat(path, &status) == 0 && status.st_size > 0;
}

/* Berkeley DB's file of headers, and ndb's. */
bool rpm_database_is_foreign(const char *directory)
{
    return !has_content(directory, "rpmdb.sqlite") &&
           (has_content(directory, "Packages") || has_content(directory, "Packages.db"));
}
