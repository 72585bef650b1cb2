/* agent/inspector: rpm's SQLite database: owners, shared files, what stands only in the log of a
 * writer that is at work or dead, and databases that are none. */
#include "agent/inspector/rpm_database.h"

#include "common/files/file.h"
#include "common/text/text.h"
#include "tests/unit/agent/inspector/rpm_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct place {
    char directory[64];
    sqlite3 *writer;
};

static const char schema[] =
    "PRAGMA journal_mode = WAL;"
    "CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);"
    "CREATE TABLE 'Basenames' (key 'TEXT' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL);"
    "CREATE TABLE 'Dirnames' (key 'TEXT' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL);";

static void run(struct place *place, const char *sql)
{
    assert_int_equal(sqlite3_exec(place->writer, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void open_writer(struct place *place)
{
    AUTO_FREE char *path = text_format_new("%s/rpmdb.sqlite", place->directory);

    assert_int_equal(sqlite3_open(path, &place->writer), SQLITE_OK);
}

static void close_writer(struct place *place)
{
    assert_int_equal(sqlite3_close(place->writer), SQLITE_OK);
    place->writer = NULL;
}

static void add_header(struct place *place, int number, const void *header, size_t length)
{
    sqlite3_stmt *statement;

    assert_int_equal(sqlite3_prepare_v2(place->writer, "INSERT INTO Packages VALUES (?1, ?2)", -1,
                                        &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_bind_int(statement, 1, number), SQLITE_OK);
    assert_int_equal(sqlite3_bind_blob(statement, 2, header, (int)length, SQLITE_STATIC),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    assert_int_equal(sqlite3_finalize(statement), SQLITE_OK);
}

static void add_tool(struct place *place)
{
    struct rpm_fixture fixture;

    rpm_fixture_tool(&fixture);
    rpm_fixture_finish(&fixture);
    add_header(place, 1, fixture.header, fixture.header_length);
    run(place, "INSERT INTO Basenames VALUES ('tool', 1, 0), ('tool.conf', 1, 1), ('old', 1, 2),"
               " ('tool.log', 1, 3), ('link', 1, 4);"
               "INSERT INTO Dirnames VALUES ('/usr/bin/', 1, 0), ('/etc/', 1, 1), ('/bin/', 1, 2),"
               " ('/var/log/', 1, 3);");
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    assert_true(text_copy(place->directory, sizeof(place->directory), "/tmp/rpm_XXXXXX") >= 0);
    assert_non_null(mkdtemp(place->directory));
    open_writer(place);
    run(place, schema);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    (void)sqlite3_close(place->writer);
    assert_int_equal(file_remove_tree(AT_FDCWD, place->directory), 0);
    free(place);
    return 0;
}

static enum inspector_answer ask(const struct place *place, const char *path, const char *sha256)
{
    struct package_content content = {.fd = -1};
    char package[PACKAGE_TEXT_BYTES] = "";
    enum inspector_answer answer;

    assert_true(text_copy(content.sha256, sizeof(content.sha256), sha256) >= 0);
    answer = rpm_database_check(place->directory, path, &content, package);
    assert_int_equal(package[0] != '\0',
                     answer == INSPECTOR_UNCHANGED || answer == INSPECTOR_CHANGED);
    return answer;
}

static void owners_and_digests(void **state)
{
    struct place *place = *state;

    add_tool(place);
    close_writer(place);
    assert_int_equal(ask(place, "/usr/bin/tool", TOOL_SHA256), INSPECTOR_UNCHANGED);
    assert_int_equal(ask(place, "/usr/bin/tool", OLD_SHA256), INSPECTOR_CHANGED);
    assert_int_equal(ask(place, "/etc/tool.conf", CONF_SHA256), INSPECTOR_UNCHANGED);
    assert_int_equal(ask(place, "/etc/tool.conf", TOOL_SHA256), INSPECTOR_CHANGED);
    assert_int_equal(ask(place, "/opt/tool", TOOL_SHA256), INSPECTOR_NONE);
    assert_int_equal(ask(place, "/usr/bin/link", TOOL_SHA256), INSPECTOR_NONE);
    assert_int_equal(ask(place, "/var/log/tool.log", TOOL_SHA256), INSPECTOR_NONE);
    assert_int_equal(ask(place, "/usr/bin/%", TOOL_SHA256), INSPECTOR_NONE);
    assert_int_equal(ask(place, "relative", TOOL_SHA256), INSPECTOR_NONE);
}

static void merged_usr_is_one_place(void **state)
{
    struct place *place = *state;

    add_tool(place);
    close_writer(place);
    assert_int_equal(ask(place, "/bin/tool", TOOL_SHA256), INSPECTOR_UNCHANGED);
    assert_int_equal(ask(place, "/bin/old", OLD_SHA256), INSPECTOR_UNCHANGED);
    assert_int_equal(ask(place, "/usr/bin/old", OLD_SHA256), INSPECTOR_UNCHANGED);
    assert_int_equal(ask(place, "/usr/bin/old", TOOL_SHA256), INSPECTOR_CHANGED);
}

/* rpm at work: the log has what the database has not, and rpm is there. */
static void news_in_the_log_are_seen(void **state)
{
    struct place *place = *state;

    run(place, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA wal_autocheckpoint = 0;");
    assert_int_equal(ask(place, "/usr/bin/tool", TOOL_SHA256), INSPECTOR_NONE);
    add_tool(place);
    assert_int_equal(ask(place, "/usr/bin/tool", TOOL_SHA256), INSPECTOR_UNCHANGED);
    run(place, "BEGIN IMMEDIATE; DELETE FROM Packages"); /* not committed */
    assert_int_equal(ask(place, "/usr/bin/tool", TOOL_SHA256), INSPECTOR_UNCHANGED);
    run(place, "COMMIT");
    assert_int_equal(ask(place, "/usr/bin/tool", TOOL_SHA256), INSPECTOR_NONE);
}

/* A broken header hides no sound one; alone it is a failure, not "of no package". */
static void shared_files_and_broken_headers(void **state)
{
    struct place *place = *state;

    add_header(place, 7, "broken", 6);
    run(place, "INSERT INTO Basenames VALUES ('tool', 7, 0);"
               "INSERT INTO Dirnames VALUES ('/usr/bin/', 7, 0);");
    assert_int_equal(ask(place, "/usr/bin/tool", TOOL_SHA256), INSPECTOR_FAILED);
    add_tool(place);
    assert_int_equal(ask(place, "/usr/bin/tool", TOOL_SHA256), INSPECTOR_UNCHANGED);
    assert_int_equal(ask(place, "/usr/bin/tool", OLD_SHA256), INSPECTOR_CHANGED);
}

static void a_file_that_cannot_be_read_is_a_failure(void **state)
{
    struct place *place = *state;

    add_tool(place);
    assert_int_equal(ask(place, "/usr/bin/tool", ""), INSPECTOR_FAILED);
}

static void what_is_no_database_is_a_failure(void **state)
{
    struct place *place = *state;
    AUTO_FREE char *path = text_format_new("%s/rpmdb.sqlite", place->directory);
    AUTO_FREE char *log = text_format_new("%s/rpmdb.sqlite-wal", place->directory);

    close_writer(place);
    (void)unlink(log);
    assert_int_equal(file_replace(path, "no database", 11, 0644), 0);
    assert_int_equal(ask(place, "/usr/bin/tool", TOOL_SHA256), INSPECTOR_FAILED);
    assert_int_equal(file_replace(path, "", 0, 0644), 0);
    assert_int_equal(ask(place, "/usr/bin/tool", TOOL_SHA256), INSPECTOR_FAILED);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ask(place, "/usr/bin/tool", TOOL_SHA256), INSPECTOR_NONE);
}

/* A view in the place of a table could compute what it likes. */
static void a_view_is_refused(void **state)
{
    struct place *place = *state;

    add_tool(place);
    run(place, "ALTER TABLE Packages RENAME TO Hidden;"
               "CREATE VIEW Packages AS SELECT hnum, blob FROM Hidden;");
    assert_int_equal(ask(place, "/usr/bin/tool", TOOL_SHA256), INSPECTOR_FAILED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(owners_and_digests),
        TEST(merged_usr_is_one_place),
        TEST(news_in_the_log_are_seen),
        TEST(shared_files_and_broken_headers),
        TEST(a_file_that_cannot_be_read_is_a_failure),
        TEST(what_is_no_database_is_a_failure),
        TEST(a_view_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
