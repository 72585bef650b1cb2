/* agent/inspector: owners by list, digest, conffile, diversion and merged /usr; hostile databases.
 */
#include "agent/inspector/dpkg_database.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccc"

struct place {
    char directory[64];
    struct dpkg_database *database;
};

static void put(const struct place *place, const char *name, const char *text)
{
    AUTO_FREE char *path = text_format_new("%s/%s", place->directory, name);

    assert_int_equal(file_replace(path, text, strlen(text), 0644), 0);
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    AUTO_FREE char *info = NULL;

    assert_non_null(place);
    assert_true(text_copy(place->directory, sizeof(place->directory), "/tmp/dpkg_XXXXXX") >= 0);
    assert_non_null(mkdtemp(place->directory));
    info = text_format_new("%s/info", place->directory);
    assert_int_equal(mkdir(info, 0755), 0);
    put(place, "info/tool.list", "/.\n/usr\n/usr/bin\n/usr/bin/tool\n/bin/old\n/etc/tool.conf\n");
    put(place, "info/tool.md5sums", A "  usr/bin/tool\n" B "  bin/old\n");
    put(place, "info/lib:amd64.list", "/usr/lib/x.so\n/usr/share/doc/x\n");
    put(place, "info/lib:amd64.md5sums", C "  usr/lib/x.so\n");
    put(place, "info/nodigest.list", "/opt/nodigest\n");
    put(place, "status",
        "Package: tool\nConffiles:\n /etc/tool.conf " A "\n /etc/short x\n"
        "Description: x\n /usr/bin/fake " A "\n");
    put(place, "diversions", "/usr/bin/tool\n/usr/bin/tool.distrib\nlib\n");
    assert_int_equal(dpkg_database_new(place->directory, &place->database), 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;

    dpkg_database_free(place->database);
    assert_int_equal(file_remove_tree(AT_FDCWD, place->directory), 0);
    free(place);
    return 0;
}

static enum inspector_answer ask(struct place *place, const char *path, const char *md5)
{
    struct package_content content = {.fd = -1};
    char package[PACKAGE_TEXT_BYTES];

    assert_true(text_copy(content.md5, sizeof(content.md5), md5) >= 0);
    return dpkg_database_check(place->database, path, &content, package);
}

static void owners_and_digests(void **state)
{
    struct place *place = *state;
    struct package_content content = {.fd = -1, .md5 = C};
    char package[PACKAGE_TEXT_BYTES];

    assert_int_equal(dpkg_database_check(place->database, "/usr/lib/x.so", &content, package),
                     INSPECTOR_UNCHANGED);
    assert_string_equal(package, "lib:amd64");
    assert_int_equal(ask(place, "/usr/lib/x.so", A), INSPECTOR_CHANGED);
    assert_int_equal(ask(place, "/usr/lib/y.so", C), INSPECTOR_NONE);
    assert_int_equal(ask(place, "/opt/nodigest", A), INSPECTOR_NONE);
    assert_int_equal(ask(place, "/usr/share/doc/x", A), INSPECTOR_NONE);
}

/* A file of no package is not even read; one that cannot be read is no changed one. */
static void content_is_read_when_it_matters(void **state)
{
    struct place *place = *state;
    struct package_content content = {.fd = -1};
    char package[PACKAGE_TEXT_BYTES];

    assert_int_equal(dpkg_database_check(place->database, "/opt/none", &content, package),
                     INSPECTOR_NONE);
    assert_int_equal(dpkg_database_check(place->database, "/usr/lib/x.so", &content, package),
                     INSPECTOR_FAILED);
}

static void merged_usr_is_one_place(void **state)
{
    struct place *place = *state;

    assert_int_equal(ask(place, "/lib/x.so", C), INSPECTOR_UNCHANGED);
    assert_int_equal(ask(place, "/bin/old", B), INSPECTOR_UNCHANGED);
    assert_int_equal(ask(place, "/usr/bin/old", B), INSPECTOR_UNCHANGED);
    assert_int_equal(ask(place, "/usr/bin/old", A), INSPECTOR_CHANGED);
}

static void conffiles_count(void **state)
{
    struct place *place = *state;

    assert_int_equal(ask(place, "/etc/tool.conf", A), INSPECTOR_UNCHANGED);
    assert_int_equal(ask(place, "/etc/tool.conf", B), INSPECTOR_CHANGED);
    assert_int_equal(ask(place, "/usr/bin/fake", A), INSPECTOR_NONE);
}

static void a_diverted_file_is_found_where_it_is(void **state)
{
    struct place *place = *state;

    assert_int_equal(ask(place, "/usr/bin/tool.distrib", A), INSPECTOR_UNCHANGED);
    assert_int_equal(ask(place, "/usr/bin/tool.distrib", B), INSPECTOR_CHANGED);
    /* at the original name stands something of "lib", which says nothing about it */
    assert_int_equal(ask(place, "/usr/bin/tool", A), INSPECTOR_NONE);
}

static void news_are_seen(void **state)
{
    struct place *place = *state;

    assert_int_equal(ask(place, "/opt/new", A), INSPECTOR_NONE);
    put(place, "info/new.list", "/opt/new\n");
    put(place, "info/new.md5sums", A "  opt/new\n");
    assert_int_equal(ask(place, "/opt/new", A), INSPECTOR_UNCHANGED);
}

static void broken_databases_do_no_harm(void **state)
{
    struct place *place = *state;

    put(place, "info/broken.list", "no slash\n\n\n/x");
    put(place, "info/broken.md5sums", "short\n" A " y\n" A "\n" A "  x");
    put(place, "diversions", "/a\n/b\n");
    put(place, "status", "Conffiles:\n /etc/a\n /\n  \n");
    assert_int_equal(ask(place, "/x", A), INSPECTOR_UNCHANGED);
    assert_int_equal(ask(place, "/etc/a", A), INSPECTOR_NONE);
}

static void a_missing_database_owns_nothing(void **state)
{
    struct package_content content = {.fd = -1, .md5 = A};
    struct dpkg_database *database;
    char package[PACKAGE_TEXT_BYTES];

    (void)state;
    assert_int_equal(dpkg_database_new("/nonexistent", &database), 0);
    assert_int_equal(dpkg_database_check(database, "/bin/sh", &content, package), INSPECTOR_NONE);
    dpkg_database_free(database);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(owners_and_digests),
        TEST(content_is_read_when_it_matters),
        TEST(merged_usr_is_one_place),
        TEST(conffiles_count),
        TEST(a_diverted_file_is_found_where_it_is),
        TEST(news_are_seen),
        TEST(broken_databases_do_no_harm),
        cmocka_unit_test(a_missing_database_owns_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
