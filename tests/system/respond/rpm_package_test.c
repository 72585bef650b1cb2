/* A package made by rpmbuild and installed by rpm with its SQLite database, all in a private
 * folder: the real, confined yagura-inspector knows its files, and the real responder holds what is
 * unchanged and acts on what is not. */
#include "agent/respond/package_owner.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "tests/unit/agent/respond/respond_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define SKIPPED_CODE 77
#define CONTENT      "of a package\n"

/* %1$s: where its files stand. */
#define SPECIFICATION                         \
    "Name: yagura-test\n"                     \
    "Version: 1\n"                            \
    "Release: 1\n"                            \
    "Summary: Files to be asked about\n"      \
    "License: MIT\n"                          \
    "BuildArch: noarch\n"                     \
    "%%description\n"                         \
    "For a test.\n"                           \
    "%%install\n"                             \
    "mkdir -p '%%{buildroot}%1$s'\n"          \
    "cd '%%{buildroot}%1$s'\n"                \
    "echo 'of a package' | tee one >two\n"    \
    "echo 'setting = 1' | tee conf >edited\n" \
    "%%files\n"                               \
    "%1$s/one\n"                              \
    "%1$s/two\n"                              \
    "%%config(noreplace) %1$s/conf\n"         \
    "%%config(noreplace) %1$s/edited\n"

struct place {
    struct respond_fixture fixture;
    char *rpm, *program; /* its database; a script that starts the inspector on it */
};

/* Its output is shown only when it fails. */
static void run(const struct place *place, const char *const arguments[])
{
    AUTO_FREE char *log = text_format_new("%s/log", place->fixture.directory);
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        if (fd >= 0 && dup2(fd, 1) == 1 && dup2(fd, 2) == 2)
            (void)execvp(arguments[0], (char *const *)arguments);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (status != 0) {
        AUTO_BUFFER struct buffer output = BUFFER_WITH_MAXIMUM(1U << 20);

        if (file_read_all(log, &output) == 0)
            print_message("%s: %.*s\n", arguments[0], (int)output.length, output.data);
    }
    assert_int_equal(status, 0);
}

static bool have(const char *program)
{
    return access(program, X_OK) == 0;
}

static void write_text(const char *path, const char *text, mode_t mode)
{
    assert_int_equal(file_replace(path, text, strlen(text), mode), 0);
}

static void build(const struct place *place)
{
    AUTO_FREE char *specification_path = text_format_new("%s/test.spec", place->fixture.directory);
    AUTO_FREE char *text = text_format_new(SPECIFICATION, place->fixture.files);
    AUTO_FREE char *temporary = text_format_new("_tmppath %s", place->fixture.directory);
    AUTO_FREE char *top = text_format_new("_topdir %s/top", place->fixture.directory);

    write_text(specification_path, text, 0600);
    run(place, (const char *[]){"rpmbuild", "-bb", "--define", top, "--define", temporary,
                                specification_path, NULL});
}

static void install(const struct place *place)
{
    AUTO_FREE char *package =
        text_format_new("%s/top/RPMS/noarch/yagura-test-1-1.noarch.rpm", place->fixture.directory);

    run(place, (const char *[]){"rpm", "--define", "_db_backend sqlite", "--dbpath", place->rpm,
                                "--nodeps", "--install", package, NULL});
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    AUTO_FREE char *script = NULL;

    assert_non_null(place);
    fixture_open(&place->fixture, "/tmp");
    assert_int_equal(chmod(place->fixture.directory, 0755), 0); /* the inspector is not root */
    place->rpm = text_format_new("%s/rpm", place->fixture.directory);
    place->program = text_format_new("%s/inspector", place->fixture.directory);
    script = text_format_new("#!/bin/sh\nexec " INSPECTOR_PROGRAM " /nonexistent %s\n", place->rpm);
    write_text(place->program, script, 0755);
    build(place);
    install(place);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    fixture_close(&place->fixture);
    free(place->rpm);
    free(place->program);
    free(place);
    return 0;
}

static enum package_answer ask(const struct place *place, const char *name)
{
    AUTO_FREE char *path = fixture_path(&place->fixture, name);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    char package[PACKAGE_NAME_BYTES];
    struct package_owner *owner;
    enum package_answer answer;

    assert_true(fd >= 0);
    assert_int_equal(package_owner_new(place->program, &owner), 0);
    answer = package_owner_ask(owner, path, fd, package);
    if (answer == PACKAGE_UNCHANGED || answer == PACKAGE_CHANGED)
        assert_string_equal(package, "yagura-test");
    package_owner_free(owner);
    return answer;
}

static void every_kind_of_file_is_known(void **state)
{
    struct place *place = *state;

    fixture_make(&place->fixture, "two", "overwritten");
    fixture_make(&place->fixture, "edited", "setting = 2\n");
    fixture_make(&place->fixture, "three", CONTENT);
    assert_int_equal(ask(place, "one"), PACKAGE_UNCHANGED);
    assert_int_equal(ask(place, "two"), PACKAGE_CHANGED);
    assert_int_equal(ask(place, "conf"), PACKAGE_UNCHANGED);
    assert_int_equal(ask(place, "edited"), PACKAGE_CHANGED);
    assert_int_equal(ask(place, "three"), PACKAGE_NONE);
}

/* Confined and without root, with rpm's log in use: what stands only there counts. */
static void a_database_in_use_is_read(void **state)
{
    struct place *place = *state;
    AUTO_FREE char *path = text_format_new("%s/rpmdb.sqlite", place->rpm);
    sqlite3 *writer;

    assert_int_equal(sqlite3_open(path, &writer), SQLITE_OK);
    assert_int_equal(sqlite3_exec(writer,
                                  "PRAGMA wal_autocheckpoint = 0;"
                                  "BEGIN; UPDATE Basenames SET key = 'elsewhere' WHERE key = 'one';"
                                  "COMMIT",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(ask(place, "one"), PACKAGE_NONE);
    assert_int_equal(ask(place, "two"), PACKAGE_UNCHANGED);
    assert_int_equal(sqlite3_close(writer), SQLITE_OK);
}

/* It cannot be read for a while: that is neither "of no package" nor the inspector's end. */
static void a_locked_database_is_a_failure(void **state)
{
    struct place *place = *state;
    AUTO_FREE char *database = text_format_new("%s/rpmdb.sqlite", place->rpm);
    AUTO_FREE char *path = fixture_path(&place->fixture, "one");
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    char package[PACKAGE_NAME_BYTES];
    struct package_owner *owner;
    struct flock lock = {.l_type = F_WRLCK, .l_start = 0x40000000, .l_len = 512};
    sqlite3 *writer;
    int locked;

    assert_int_equal(package_owner_new(place->program, &owner), 0);
    assert_int_equal(sqlite3_open(database, &writer), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(writer, "PRAGMA wal_autocheckpoint = 0; UPDATE Basenames SET idx = idx + 1",
                     NULL, NULL, NULL),
        SQLITE_OK);
    locked = open(database, O_RDWR | O_CLOEXEC);
    assert_int_equal(fcntl(locked, F_SETLK, &lock), 0);
    assert_int_equal(package_owner_ask(owner, path, fd, package), PACKAGE_UNKNOWN);
    assert_int_equal(close(locked), 0);
    assert_int_equal(package_owner_ask(owner, path, fd, package), PACKAGE_UNCHANGED);
    assert_int_equal(sqlite3_close(writer), SQLITE_OK);
    package_owner_free(owner);
}

/* rpm puts a new directory in the place of the old, to which the sandbox is tied. */
static void a_rebuilt_database_is_read(void **state)
{
    struct place *place = *state;
    AUTO_FREE char *path = fixture_path(&place->fixture, "one");
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    char package[PACKAGE_NAME_BYTES];
    struct package_owner *owner;

    assert_int_equal(package_owner_new(place->program, &owner), 0);
    assert_int_equal(package_owner_ask(owner, path, fd, package), PACKAGE_UNCHANGED);
    run(place, (const char *[]){"rpm", "--define", "_db_backend sqlite", "--dbpath", place->rpm,
                                "--rebuilddb", NULL});
    assert_int_equal(package_owner_ask(owner, path, fd, package), PACKAGE_UNCHANGED);
    assert_int_equal(package_owner_ask(owner, path, fd, package), PACKAGE_UNCHANGED);
    package_owner_free(owner);
}

/* As rpm leaves them when it is killed. */
static void the_log_of_a_dead_writer_is_read(void **state)
{
    struct place *place = *state;
    AUTO_FREE char *path = text_format_new("%s/rpmdb.sqlite", place->rpm);
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        sqlite3 *writer;

        (void)(sqlite3_open(path, &writer) == SQLITE_OK &&
               sqlite3_exec(writer,
                            "PRAGMA wal_autocheckpoint = 0;"
                            "UPDATE Basenames SET key = 'elsewhere' WHERE key = 'one'",
                            NULL, NULL, NULL) == SQLITE_OK);
        _exit(0); /* without closing */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(ask(place, "one"), PACKAGE_NONE);
    assert_int_equal(ask(place, "two"), PACKAGE_UNCHANGED);
}

static void the_brake_knows_rpm(void **state)
{
    struct place *place = *state;
    struct respond_fixture *fixture = &place->fixture;
    AUTO_FREE char *detail = NULL;

    fixture->options.inspector_program = place->program;
    fixture->options.hold_package_files = true;
    fixture_make(fixture, "two", "overwritten by malware");
    fixture_make(fixture, "three", CONTENT);
    fixture_start(fixture);
    assert_int_equal(fixture_detect(fixture, "one", "Test.Malware"), 0);
    assert_int_equal(fixture_detect(fixture, "two", "Test.Malware"), 0);
    assert_int_equal(fixture_detect(fixture, "three", "Test.Malware"), 0);
    assert_int_equal(fixture_detect(fixture, "conf", "Test.Malware"), 0);
    fixture_settle(fixture);
    assert_true(fixture_exists(fixture, "one"));
    assert_false(fixture_exists(fixture, "two"));
    assert_false(fixture_exists(fixture, "three"));
    assert_true(fixture_exists(fixture, "conf"));
    assert_int_equal(fixture_events(fixture, "malware_held"), 1);
    detail = fixture_detail(fixture, "malware_held");
    assert_non_null(strstr(detail, "\"reason\":\"package\""));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(every_kind_of_file_is_known),      TEST(a_database_in_use_is_read),
        TEST(a_locked_database_is_a_failure),   TEST(a_rebuilt_database_is_read),
        TEST(the_log_of_a_dead_writer_is_read), TEST(the_brake_knows_rpm),
    };

    if (!have("/usr/bin/rpmbuild") || !have("/usr/bin/rpm")) {
        print_message("SKIPPED: no rpm and rpmbuild (Debian: apt-get install rpm)\n");
        return SKIPPED_CODE;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
