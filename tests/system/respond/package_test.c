/* The real yagura-inspector, confined, asked by the real responder: an unchanged package file is
 * held, an overwritten one is not, and the program's death does not hold up detections. */
#include "agent/respond/package_owner.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "tests/unit/agent/respond/respond_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define CONTENT     "of a package"
#define CONTENT_MD5 "7cff89024255ff543a4eccdad863aa10"

static enum package_answer ask(struct package_owner *owner, const char *path, const char *content)
{
    char package[PACKAGE_NAME_BYTES];
    AUTO_CLOSE int fd = open(content, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    return package_owner_ask(owner, path, fd, package);
}

static void this_machine_s_packages_are_known(void **state)
{
    struct package_owner *owner;

    (void)state;
    if (access("/var/lib/dpkg/info/coreutils.md5sums", R_OK) < 0) {
        print_message("SKIPPED: no dpkg database on this machine\n");
        skip();
    }
    assert_int_equal(package_owner_new(INSPECTOR_PROGRAM, &owner), 0);
    assert_int_equal(ask(owner, "/usr/bin/ls", "/usr/bin/ls"), PACKAGE_UNCHANGED);
    assert_int_equal(ask(owner, "/bin/ls", "/usr/bin/ls"), PACKAGE_UNCHANGED);
    assert_int_equal(ask(owner, "/usr/bin/ls", "/usr/bin/cat"), PACKAGE_CHANGED);
    assert_int_equal(ask(owner, "/tmp/ls", "/usr/bin/ls"), PACKAGE_NONE);
    assert_int_equal(package_owner_databases(owner), PACKAGES_READABLE);
    package_owner_free(owner);
}

static void a_program_that_is_missing_or_dies_is_unknown(void **state)
{
    struct package_owner *owner;

    (void)state;
    assert_int_equal(package_owner_new("/nonexistent/inspector", &owner), 0);
    assert_int_equal(ask(owner, "/usr/bin/ls", "/usr/bin/ls"), PACKAGE_UNKNOWN);
    package_owner_free(owner);
    assert_int_equal(package_owner_new("/bin/false", &owner), 0);
    assert_int_equal(ask(owner, "/usr/bin/ls", "/usr/bin/ls"), PACKAGE_UNKNOWN);
    assert_int_equal(ask(owner, "/usr/bin/ls", "/usr/bin/ls"), PACKAGE_UNKNOWN);
    package_owner_free(owner);
    assert_int_equal(package_owner_new(NULL, &owner), 0);
    assert_int_equal(ask(owner, "/usr/bin/ls", "/usr/bin/ls"), PACKAGE_NONE);
    package_owner_free(owner);
}

static void write_text(const char *path, const char *text, mode_t mode)
{
    assert_int_equal(file_replace(path, text, strlen(text), mode), 0);
}

/* Berkeley DB of older rpms, ndb of SUSE: present, and not read. Beside dpkg they are left-overs.
 */
static void a_database_that_is_not_read_is_unknown(void **state)
{
    static const char *const names[] = {"Packages", "Packages.db"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        struct respond_fixture fixture;
        struct package_owner *owner;
        AUTO_FREE char *program = NULL, *script = NULL, *database = NULL, *status = NULL;

        fixture_open(&fixture, "/tmp");
        assert_int_equal(chmod(fixture.directory, 0755), 0); /* the inspector is not root */
        fixture_make(&fixture, names[i], "not SQLite's");
        database = fixture_path(&fixture, names[i]);
        status = fixture_path(&fixture, "status");
        program = text_format_new("%s/inspector", fixture.directory);
        script = text_format_new("#!/bin/sh\nexec " INSPECTOR_PROGRAM " %s %s\n", fixture.files,
                                 fixture.files);
        write_text(program, script, 0755);
        assert_int_equal(package_owner_new(program, &owner), 0);
        assert_int_equal(package_owner_databases(owner), PACKAGES_NOT_ASKED);
        assert_int_equal(ask(owner, "/usr/bin/x", database), PACKAGE_UNKNOWN);
        assert_int_equal(package_owner_databases(owner), PACKAGES_UNREADABLE);
        write_text(status, "Package: x\n", 0644);
        assert_int_equal(ask(owner, "/usr/bin/x", database), PACKAGE_NONE);
        assert_int_equal(package_owner_databases(owner), PACKAGES_READABLE);
        package_owner_free(owner);
        fixture_close(&fixture);
    }
}

/* A dpkg database that says FILES/one and FILES/two are of a package, and a program that starts the
 * inspector on it. */
static char *make_packages(const struct respond_fixture *fixture)
{
    AUTO_FREE char *dpkg = text_format_new("%s/dpkg", fixture->directory);
    AUTO_FREE char *info = text_format_new("%s/info", dpkg);
    AUTO_FREE char *list = text_format_new("%s/test.list", info);
    AUTO_FREE char *sums = text_format_new("%s/test.md5sums", info);
    AUTO_FREE char *list_text = text_format_new("%s/one\n%s/two\n", fixture->files, fixture->files);
    AUTO_FREE char *sums_text = text_format_new(CONTENT_MD5 "  %s/one\n" CONTENT_MD5 "  %s/two\n",
                                                fixture->files + 1, fixture->files + 1);
    AUTO_FREE char *script = text_format_new("#!/bin/sh\nexec " INSPECTOR_PROGRAM " %s\n", dpkg);
    char *program = text_format_new("%s/inspector", fixture->directory);

    assert_int_equal(chmod(fixture->directory, 0755), 0); /* the inspector is not root */
    assert_int_equal(mkdir(dpkg, 0755), 0);
    assert_int_equal(mkdir(info, 0755), 0);
    write_text(list, list_text, 0644);
    write_text(sums, sums_text, 0644);
    write_text(program, script, 0755);
    return program;
}

static void an_unchanged_package_file_is_held(void **state)
{
    struct respond_fixture fixture;
    AUTO_FREE char *program = NULL;
    AUTO_FREE char *detail = NULL;

    (void)state;
    fixture_open(&fixture, "/tmp");
    program = make_packages(&fixture);
    fixture.options.inspector_program = program;
    fixture.options.hold_package_files = true;
    fixture_make(&fixture, "one", CONTENT);
    fixture_make(&fixture, "two", "overwritten by malware");
    fixture_make(&fixture, "three", CONTENT);
    fixture_start(&fixture);
    assert_int_equal(fixture_detect(&fixture, "one", "Test.Malware"), 0);
    assert_int_equal(fixture_detect(&fixture, "two", "Test.Malware"), 0);
    assert_int_equal(fixture_detect(&fixture, "three", "Test.Malware"), 0);
    fixture_settle(&fixture);
    assert_true(fixture_exists(&fixture, "one"));
    assert_false(fixture_exists(&fixture, "two"));
    assert_false(fixture_exists(&fixture, "three"));
    assert_int_equal(fixture_events(&fixture, "malware_held"), 1);
    detail = fixture_detail(&fixture, "malware_held");
    assert_non_null(strstr(detail, "\"reason\":\"package\""));
    fixture_close(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_machine_s_packages_are_known),
        cmocka_unit_test(a_program_that_is_missing_or_dies_is_unknown),
        cmocka_unit_test(a_database_that_is_not_read_is_unknown),
        cmocka_unit_test(an_unchanged_package_file_is_held),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
