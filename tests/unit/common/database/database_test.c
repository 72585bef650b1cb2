/* common/database: made, migrated with a backup, refused when newer, moved aside when corrupt. */
#include "common/database/database.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static const struct database_migration steps[] = {
    {"CREATE TABLE thing(a INTEGER PRIMARY KEY, b TEXT)"},
    {"ALTER TABLE thing ADD COLUMN c TEXT"},
    {"CREATE TABLE other(a"}, /* broken on purpose */
};

struct place {
    char directory[64], path[96], moved[4096];
    enum database_origin origin;
    struct database *database;
};

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    assert_true(text_copy(place->directory, sizeof(place->directory), "/tmp/database_XXXXXX") >= 0);
    assert_non_null(mkdtemp(place->directory));
    assert_true(text_format(place->path, sizeof(place->path), "%s/db", place->directory) > 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    database_close(place->database);
    assert_int_equal(file_remove_tree(AT_FDCWD, place->directory), 0);
    free(place);
    return 0;
}

static int open_steps(struct place *place, size_t count)
{
    struct database_options options = {.path = place->path,
                                       .migrations = steps,
                                       .migration_count = count};

    return database_open(&options, &place->database, &place->origin, place->moved);
}

static void close_it(struct place *place)
{
    place->database = database_close(place->database);
}

static int64_t count_of(struct place *place, const char *sql)
{
    sqlite3_stmt *statement;
    int64_t count = -1;

    assert_int_equal(database_prepare(place->database, sql, &statement), 0);
    if (sqlite3_step(statement) == SQLITE_ROW)
        count = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return count;
}

static void a_new_file_is_private_and_durable(void **state)
{
    struct place *place = *state;
    struct stat status;

    assert_int_equal(open_steps(place, 1), 0);
    assert_int_equal(place->origin, DATABASE_CREATED);
    assert_string_equal(place->moved, "");
    assert_int_equal(stat(place->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(count_of(place, "PRAGMA synchronous"), 2);
    assert_int_equal(count_of(place, "PRAGMA user_version"), 1);
    assert_int_equal(count_of(place, "SELECT count(*) FROM thing"), 0);
    close_it(place);
    assert_int_equal(open_steps(place, 1), 0);
    assert_int_equal(place->origin, DATABASE_OPENED);
}

static void a_migration_keeps_rows_and_leaves_a_backup(void **state)
{
    struct place *place = *state;
    char copy[128];

    assert_int_equal(open_steps(place, 1), 0);
    assert_int_equal(database_execute(place->database, "INSERT INTO thing VALUES(1,'x')"), 0);
    close_it(place);
    assert_int_equal(open_steps(place, 2), 0);
    assert_int_equal(count_of(place, "PRAGMA user_version"), 2);
    assert_int_equal(count_of(place, "SELECT count(*) FROM thing WHERE c IS NULL"), 1);
    close_it(place);
    assert_true(text_format(copy, sizeof(copy), "%s.v1", place->path) > 0);
    assert_int_equal(rename(copy, place->path), 0);
    assert_int_equal(open_steps(place, 1), 0);
    assert_int_equal(count_of(place, "SELECT count(*) FROM thing"), 1);
}

static void a_failed_migration_changes_nothing(void **state)
{
    struct place *place = *state;

    assert_int_equal(open_steps(place, 2), 0);
    assert_int_equal(database_execute(place->database, "INSERT INTO thing VALUES(1,'x','y')"), 0);
    close_it(place);
    assert_true(open_steps(place, 3) < 0);
    assert_int_equal(open_steps(place, 2), 0);
    assert_int_equal(count_of(place, "SELECT count(*) FROM thing"), 1);
}

static void a_newer_schema_is_refused(void **state)
{
    struct place *place = *state;

    assert_int_equal(open_steps(place, 2), 0);
    close_it(place);
    assert_int_equal(open_steps(place, 1), -EPROTO);
}

static void a_corrupt_file_is_moved_aside(void **state)
{
    struct place *place = *state;
    struct stat status;
    int fd;

    assert_int_equal(open_steps(place, 1), 0);
    for (int i = 0; i < 200; i++)
        assert_int_equal(database_execute(place->database,
                                          "INSERT INTO thing(b) VALUES(hex(randomblob(400)))"),
                         0);
    close_it(place);
    fd = open(place->path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    for (int page = 1; page < 20; page++)
        assert_int_equal(pwrite(fd, "garbage garbage garbage", 23, page * 4096L), 23);
    close(fd);
    assert_int_equal(open_steps(place, 1), 0);
    assert_int_equal(place->origin, DATABASE_REBUILT);
    assert_int_equal(stat(place->moved, &status), 0);
    assert_int_equal(count_of(place, "SELECT count(*) FROM thing"), 0);
}

static void a_file_that_is_no_database_is_moved_aside(void **state)
{
    struct place *place = *state;
    char text[8192];

    memset(text, 'x', sizeof(text));
    assert_int_equal(file_replace(place->path, text, sizeof(text), 0600), 0);
    assert_int_equal(open_steps(place, 1), 0);
    assert_int_equal(place->origin, DATABASE_REBUILT);
}

static void errors_have_their_errno(void **state)
{
    struct place *place = *state;
    struct database_options missing = {.path = "/nonexistent/x", .read_only = true};

    assert_int_equal(database_open(&missing, &place->database, &place->origin, place->moved),
                     -EACCES);
    assert_int_equal(database_errno(SQLITE_FULL), -ENOSPC);
    assert_int_equal(database_errno(SQLITE_IOERR_FSYNC), -EIO);
    assert_int_equal(database_errno(SQLITE_IOERR_NOMEM), -ENOMEM);
    assert_int_equal(database_errno(SQLITE_READONLY_DBMOVED), -EROFS);
    assert_int_equal(database_errno(SQLITE_CONSTRAINT_UNIQUE), -EEXIST);
    assert_int_equal(database_errno(SQLITE_DONE), 0);
}

static void a_reader_sees_what_was_committed_only(void **state)
{
    struct place *place = *state;
    struct place reader = *place;
    struct database_options options = {.path = place->path, .read_only = true};

    assert_int_equal(open_steps(place, 1), 0);
    assert_int_equal(database_begin(place->database), 0);
    assert_int_equal(database_execute(place->database, "INSERT INTO thing VALUES(1,'x')"), 0);
    assert_int_equal(database_open(&options, &reader.database, &reader.origin, reader.moved), 0);
    assert_int_equal(count_of(&reader, "SELECT count(*) FROM thing"), 0);
    assert_int_equal(database_commit(place->database), 0);
    assert_int_equal(count_of(&reader, "SELECT count(*) FROM thing"), 1);
    assert_int_equal(database_execute(reader.database, "DELETE FROM thing"), -EROFS);
    database_close(reader.database);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_file_is_private_and_durable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_migration_keeps_rows_and_leaves_a_backup, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_failed_migration_changes_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_newer_schema_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_corrupt_file_is_moved_aside, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_no_database_is_moved_aside, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(errors_have_their_errno, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_sees_what_was_committed_only, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
