#include "scanner/client/database_files.h"

#include "common/files/file.h"
#include "common/text/text.h"
#include "scanner/client/proc_text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/yagura-databases-XXXXXX";

static void write_file(const char *name, const char *content)
{
    char path[96];
    (void)text_format(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(file_replace(path, content, strlen(content), 0600), 0);
}

static void test_names(void **state)
{
    (void)state;
    static const char *const yes[] = {"main.cvd", "daily.cld", "a.NDB",     "rules.yar",
                                      "x.yara",   "allow.sfp", "skip.ign2", "p.pwdb"};
    static const char *const no[] = {"README", ".ndb", "main.cvd.sign", "a.ndb.tmp",
                                     "a.",     "ndb",  "freshclam.dat", "a.txt"};
    for (size_t i = 0; i < ARRAY_LENGTH(yes); i++)
        assert_true(database_name_is_signature(yes[i]));
    for (size_t i = 0; i < ARRAY_LENGTH(no); i++)
        assert_false(database_name_is_signature(no[i]));
}

static uint64_t fingerprint(const char *const *paths, size_t count, size_t files_expected)
{
    struct database_files files;
    assert_int_equal(database_files_list(paths, count, &files, NULL), 0);
    assert_int_equal(files.count, files_expected);
    uint64_t result = database_files_fingerprint(&files);
    database_files_done(&files);
    return result;
}

static void test_fingerprint_follows_files(void **state)
{
    (void)state;
    char single[96];
    (void)text_format(single, sizeof(single), "%s/single.ndb", folder);
    const char *paths[] = {folder, single, "/nonexistent/folder"};
    uint64_t none = fingerprint(paths, 3, 0);
    write_file("b.ndb", "1");
    write_file("a.ndb", "1");
    write_file("note.txt", "1");
    uint64_t two = fingerprint(paths, 3, 2);
    assert_true(two != none);
    assert_true(fingerprint(paths, 3, 2) == two);
    write_file("b.ndb", "1"); /* replaced by a new inode */
    uint64_t replaced = fingerprint(paths, 3, 2);
    assert_true(replaced != two);
    write_file("single.ndb", "1");
    assert_true(fingerprint(paths, 3, 4) != replaced); /* in the folder and by its own name */
    char path[96];
    (void)text_format(path, sizeof(path), "%s/a.ndb", folder);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(single), 0);
    assert_true(fingerprint(paths, 3, 1) != replaced);
}

static void test_files_come_in_order(void **state)
{
    (void)state;
    write_file("z.ndb", "1");
    write_file("a.ndb", "1");
    const char *paths[] = {folder};
    struct database_files files;
    assert_int_equal(database_files_list(paths, 1, &files, NULL), 0);
    for (size_t i = 1; i < files.count; i++)
        assert_true(strcmp(files.files[i - 1].path, files.files[i].path) < 0);
    database_files_done(&files);
}

static void test_links_are_followed_and_folders_left_out(void **state)
{
    (void)state;
    char link[96];
    char directory[96];
    (void)text_format(link, sizeof(link), "%s/link.ndb", folder);
    (void)text_format(directory, sizeof(directory), "%s/dir.ndb", folder);
    assert_int_equal(symlink("/etc/passwd", link), 0);
    assert_int_equal(mkdir(directory, 0700), 0);
    const char *paths[] = {folder};
    struct database_files files;
    assert_int_equal(database_files_list(paths, 1, &files, NULL), 0);
    bool seen_link = false;
    for (size_t i = 0; i < files.count; i++) {
        assert_string_not_equal(files.files[i].path, directory);
        seen_link = seen_link || text_equal(files.files[i].path, link);
    }
    assert_true(seen_link);
    database_files_done(&files);
}

static void test_proc_numbers(void **state)
{
    (void)state;
    assert_int_equal(proc_text_number("  1234 kB"), 1234);
    assert_int_equal(proc_text_number("max"), 0);
    assert_int_equal(proc_text_number("99999999999999999999999999"), 0);
    assert_int_equal(proc_text_field("10 20 30 0", 2), 30);
    assert_int_equal(proc_text_field("10 20", 5), 0);
    assert_int_equal(proc_text_parent("10 (a) S 20 10"), 20);
    assert_int_equal(proc_text_parent("10 (a) R 1 (b) S 20 10"), 20);
    assert_int_equal(proc_text_parent("10 (a) S"), 0);
    assert_int_equal(proc_text_parent("10"), 0);
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
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_fingerprint_follows_files),
        cmocka_unit_test(test_files_come_in_order),
        cmocka_unit_test(test_links_are_followed_and_folders_left_out),
        cmocka_unit_test(test_proc_numbers),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
