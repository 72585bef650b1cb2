#include "scanner/generation.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/yagura-generation-XXXXXX";
static const struct scanner_limits limits = {
    .max_file_size = 1, .max_scan_size = 2, .max_files = 3, .max_recursion = 4, .max_time_ns = 5};

static void write_file(const char *name, const char *content)
{
    char path[96];
    (void)text_format(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(file_replace(path, content, strlen(content), 0600), 0);
}

static uint64_t generation_of(const char *version, const struct scanner_limits *of)
{
    const char *paths[] = {folder};
    struct database_files files;
    uint64_t generation;
    assert_int_equal(database_files_list(paths, 1, &files, NULL), 0);
    assert_int_equal(generation_compute(&files, version, of, &generation), 0);
    database_files_done(&files);
    return generation;
}

static void test_content_names_version_and_limits_count(void **state)
{
    (void)state;
    write_file("a.ndb", "one");
    write_file("b.hdb", "two");
    uint64_t first = generation_of("1.4.6", &limits);
    assert_true(first != 0);
    write_file("a.ndb", "one"); /* new inode and times, same content */
    write_file("notes.txt", "not a signature file");
    assert_true(generation_of("1.4.6", &limits) == first);

    write_file("a.ndb", "ONE");
    uint64_t changed = generation_of("1.4.6", &limits);
    assert_true(changed != first);
    assert_true(generation_of("1.4.7", &limits) != changed);

    struct scanner_limits others[10];
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        others[i] = limits;
    others[0].max_file_size++;
    others[1].max_scan_size++;
    others[2].max_files++;
    others[3].max_recursion++;
    others[4].max_time_ns++;
    others[5].heuristics = true;
    others[6].report_encrypted = true;
    others[7].detect_macros = true;
    others[8].detect_broken = true;
    others[9].unwanted_applications = true;
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++)
        assert_true(generation_of("1.4.6", &others[i]) != changed);

    char from[96];
    char to[96];
    (void)text_format(from, sizeof(from), "%s/b.hdb", folder);
    (void)text_format(to, sizeof(to), "%s/b.hsb", folder);
    assert_int_equal(rename(from, to), 0); /* the name decides how it is read */
    assert_true(generation_of("1.4.6", &limits) != changed);
}

static void test_a_vanished_file_is_an_error(void **state)
{
    (void)state;
    struct database_file file = {.path = (char *)"/nonexistent/a.ndb"};
    struct database_files files = {.files = &file, .count = 1};
    uint64_t generation;
    assert_int_equal(generation_compute(&files, "1", &limits, &generation), -ENOENT);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_folder(void **state)
{
    (void)state;
    return file_remove_tree(AT_FDCWD, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_content_names_version_and_limits_count),
        cmocka_unit_test(test_a_vanished_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
