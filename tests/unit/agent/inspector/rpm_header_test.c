/* agent/inspector: rpm's header: files, directories by either name, digests, and every way in which
 * a header can lie about itself. */
#include "agent/inspector/rpm_header.h"

#include "common/text/text.h"
#include "tests/unit/agent/inspector/rpm_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int find(struct rpm_fixture *fixture, const char *path, struct rpm_header_file *ret_file)
{
    rpm_fixture_finish(fixture);
    return rpm_header_find(fixture->header, fixture->header_length, path, ret_file);
}

static void files_are_found_with_their_digests(void **state)
{
    struct rpm_fixture fixture;
    struct rpm_header_file file;

    (void)state;
    rpm_fixture_tool(&fixture);
    assert_int_equal(find(&fixture, "/usr/bin/tool", &file), 0);
    assert_string_equal(file.package, "tool");
    assert_string_equal(file.digest, TOOL_SHA256);
    assert_int_equal(file.kind, RPM_DIGEST_SHA256);
    assert_int_equal(find(&fixture, "/etc/tool.conf", &file), 0);
    assert_string_equal(file.digest, CONF_SHA256);
    /* the same names, but not together */
    assert_int_equal(find(&fixture, "/etc/tool", &file), -ENOENT);
    assert_int_equal(find(&fixture, "/usr/bin/tool.conf", &file), -ENOENT);
    assert_int_equal(find(&fixture, "/usr/bin/", &file), -ENOENT);
    assert_int_equal(find(&fixture, "/tool", &file), -ENOENT);
    assert_int_equal(find(&fixture, "tool", &file), -ENOENT);
    assert_int_equal(find(&fixture, "/x/usr/bin/tool", &file), -ENOENT);
}

static void merged_usr_is_one_place(void **state)
{
    struct rpm_fixture fixture;
    struct rpm_header_file file;

    (void)state;
    rpm_fixture_tool(&fixture);
    assert_int_equal(find(&fixture, "/usr/bin/old", &file), 0);
    assert_string_equal(file.digest, OLD_SHA256);
    /* no place on a merged system */
    assert_int_equal(find(&fixture, "/bin/old", &file), -ENOENT);
}

static void links_and_ghosts_have_no_content(void **state)
{
    struct rpm_fixture fixture;
    struct rpm_header_file file;

    (void)state;
    rpm_fixture_tool(&fixture);
    assert_int_equal(find(&fixture, "/usr/bin/link", &file), 0);
    assert_int_equal(file.kind, RPM_DIGEST_NONE);
    assert_int_equal(find(&fixture, "/var/log/tool.log", &file), 0);
    assert_int_equal(file.kind, RPM_DIGEST_NONE);
    assert_string_equal(file.digest, "");
}

/* What stands at the end counts. */
static void set_algorithm(struct rpm_fixture *fixture, uint32_t algorithm, const char *digest)
{
    const char *const digests[] = {digest, digest, digest, digest, digest, NULL};

    rpm_fixture_tool(fixture);
    rpm_fixture_texts(fixture, RPM_FILEDIGESTS, 8, digests);
    rpm_fixture_numbers(fixture, RPM_FILEDIGESTALGO, &algorithm, 1);
}

static void only_known_digests_count(void **state)
{
    static const char md5[] = "0123456789abcdef0123456789abcdef";
    struct rpm_fixture fixture;
    struct rpm_header_file file;

    (void)state;
    set_algorithm(&fixture, 1, md5);
    assert_int_equal(find(&fixture, "/usr/bin/tool", &file), 0);
    assert_int_equal(file.kind, RPM_DIGEST_MD5);
    assert_string_equal(file.digest, md5);
    set_algorithm(&fixture, 8, md5); /* too short */
    assert_int_equal(find(&fixture, "/usr/bin/tool", &file), 0);
    assert_int_equal(file.kind, RPM_DIGEST_NONE);
    set_algorithm(&fixture, 1, "0123456789abcdef0123456789abcdeG");
    assert_int_equal(find(&fixture, "/usr/bin/tool", &file), 0);
    assert_int_equal(file.kind, RPM_DIGEST_NONE);
    set_algorithm(&fixture, 2, md5); /* SHA-1 */
    assert_int_equal(find(&fixture, "/usr/bin/tool", &file), 0);
    assert_int_equal(file.kind, RPM_DIGEST_NONE);
    assert_string_equal(file.digest, "");
}

static void without_an_algorithm_it_is_md5(void **state)
{
    static const char *const name[] = {"old", NULL}, *const base[] = {"x", NULL};
    static const char *const directory[] = {"/", NULL};
    static const char *const md5[] = {"0123456789abcdef0123456789abcdef", NULL};
    static const uint32_t zero = 0;
    struct rpm_fixture fixture = {0};
    struct rpm_header_file file;

    (void)state;
    rpm_fixture_texts(&fixture, RPM_NAME, 6, name);
    rpm_fixture_texts(&fixture, RPM_FILEDIGESTS, 8, md5);
    rpm_fixture_numbers(&fixture, RPM_FILEFLAGS, &zero, 1);
    rpm_fixture_numbers(&fixture, RPM_DIRINDEXES, &zero, 1);
    rpm_fixture_texts(&fixture, RPM_BASENAMES, 8, base);
    rpm_fixture_texts(&fixture, RPM_DIRNAMES, 8, directory);
    assert_int_equal(find(&fixture, "/x", &file), 0);
    assert_int_equal(file.kind, RPM_DIGEST_MD5);
}

/* An installation with another prefix leaves the built names in front. */
static void a_relocated_package_is_where_it_was_put(void **state)
{
    static const char *const moved[] = {"/opt/tool/bin/", "/opt/etc/", "/bin/", "/var/log/", NULL};
    struct rpm_fixture fixture;
    struct rpm_header_file file;

    (void)state;
    rpm_fixture_tool(&fixture);
    rpm_fixture_texts(&fixture, RPM_DIRNAMES, 8, moved);
    assert_int_equal(find(&fixture, "/opt/tool/bin/tool", &file), 0);
    assert_int_equal(find(&fixture, "/usr/bin/tool", &file), -ENOENT);
}

static void a_package_without_files_owns_nothing(void **state)
{
    static const char *const name[] = {"meta", NULL};
    struct rpm_fixture fixture = {0};
    struct rpm_header_file file;

    (void)state;
    assert_int_equal(find(&fixture, "/usr/bin/tool", &file), -ENOENT);
    rpm_fixture_texts(&fixture, RPM_NAME, 6, name);
    assert_int_equal(find(&fixture, "/usr/bin/tool", &file), -ENOENT);
}

static void refused(const struct rpm_fixture *sound, uint32_t tag, uint32_t type, uint32_t offset,
                    uint32_t count)
{
    struct rpm_fixture fixture = *sound;
    struct rpm_header_file file;

    rpm_fixture_entry(&fixture, tag, type, offset, count);
    assert_int_equal(find(&fixture, "/usr/bin/tool", &file), -EBADMSG);
}

static void entries_that_lie_are_refused(void **state)
{
    struct rpm_fixture sound;
    uint32_t end;

    (void)state;
    rpm_fixture_tool(&sound);
    end = (uint32_t)sound.length;
    refused(&sound, RPM_BASENAMES, 6, 0, 1);           /* another type */
    refused(&sound, RPM_BASENAMES, 8, end + 1, 5);     /* behind the data */
    refused(&sound, RPM_BASENAMES, 8, 0, UINT32_MAX);  /* more than bytes */
    refused(&sound, RPM_BASENAMES, 8, UINT32_MAX, 5);  /* 32 bits overflow */
    refused(&sound, RPM_BASENAMES, 8, 0, 4);           /* not as many as digests */
    refused(&sound, RPM_BASENAMES, 8, 0, 0);           /* none */
    refused(&sound, RPM_BASENAMES, 8, end - 5, 5);     /* texts that go on behind the data */
    refused(&sound, RPM_FILEFLAGS, 4, 1, 5);           /* not aligned */
    refused(&sound, RPM_FILEFLAGS, 4, end - 4, 5);     /* half behind the data */
    refused(&sound, RPM_FILEFLAGS, 4, 0, 0x40000000U); /* four times it overflows */
    refused(&sound, RPM_DIRINDEXES, 4, 0, 4);          /* fewer than files */
    refused(&sound, RPM_NAME, 6, 0, 2);                /* two names */
    refused(&sound, RPM_FILEDIGESTS, 8, 0, 6);         /* more than files */
}

static void every_cut_header_is_refused(void **state)
{
    struct rpm_fixture fixture;
    struct rpm_header_file file;

    (void)state;
    rpm_fixture_tool(&fixture);
    rpm_fixture_finish(&fixture);
    for (size_t length = 0; length < fixture.header_length; length++) {
        AUTO_FREE uint8_t *cut = malloc(length ?: 1); /* the sanitizer sees one byte too many */

        assert_non_null(cut);
        memcpy(cut, fixture.header, length);
        assert_int_equal(rpm_header_find(cut, length, "/usr/bin/tool", &file), -EBADMSG);
    }
    fixture.header_length++;
    assert_int_equal(rpm_header_find(fixture.header, fixture.header_length, "/usr/bin/tool", &file),
                     -EBADMSG);
}

/* Names that nobody put there: an index beyond the directories. */
static void a_directory_that_is_not_there_matches_nothing(void **state)
{
    static const uint32_t beyond[] = {9, UINT32_MAX, 9, 9, 9};
    struct rpm_fixture fixture;
    struct rpm_header_file file;

    (void)state;
    rpm_fixture_tool(&fixture);
    rpm_fixture_numbers(&fixture, RPM_DIRINDEXES, beyond, 5);
    assert_int_equal(find(&fixture, "/usr/bin/tool", &file), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_found_with_their_digests),
        cmocka_unit_test(merged_usr_is_one_place),
        cmocka_unit_test(links_and_ghosts_have_no_content),
        cmocka_unit_test(only_known_digests_count),
        cmocka_unit_test(without_an_algorithm_it_is_md5),
        cmocka_unit_test(a_relocated_package_is_where_it_was_put),
        cmocka_unit_test(a_package_without_files_owns_nothing),
        cmocka_unit_test(entries_that_lie_are_refused),
        cmocka_unit_test(every_cut_header_is_refused),
        cmocka_unit_test(a_directory_that_is_not_there_matches_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
