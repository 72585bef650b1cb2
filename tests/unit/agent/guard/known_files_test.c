/* A file is known at one state only. */
#include "agent/guard/known_files.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct known_files files;

static void every_part_of_the_state_counts(void **state)
{
    const struct file_identity known = {
        .device = 1, .inode = 2, .size = 3, .mtime_ns = 4, .ctime_ns = 5};

    (void)state;
    known_files_forget_all(&files);
    assert_false(known_files_contain(&files, &known));
    known_files_remember(&files, &known);
    assert_true(known_files_contain(&files, &known));
    for (int part = 0; part < 5; part++) {
        struct file_identity other = known;
        uint64_t *parts[] = {&other.device, &other.inode, &other.size, &other.mtime_ns,
                             &other.ctime_ns};
        ++*parts[part];
        assert_false(known_files_contain(&files, &other));
    }
    known_files_forget_all(&files);
    assert_false(known_files_contain(&files, &known));
}

static void a_table_that_is_full_forgets(void **state)
{
    size_t kept = 0;

    (void)state;
    for (uint64_t inode = 1; inode <= 3 * KNOWN_FILES; inode++)
        known_files_remember(&files, &(struct file_identity){.device = 1, .inode = inode});
    for (uint64_t inode = 1; inode <= 3 * KNOWN_FILES; inode++)
        kept += known_files_contain(&files, &(struct file_identity){.device = 1, .inode = inode});
    assert_true(kept <= KNOWN_FILES && kept > KNOWN_FILES / 2);
    assert_true(known_files_contain(&files, &(struct file_identity){.device = 1,
                                                                    .inode = 3 * KNOWN_FILES}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_of_the_state_counts),
        cmocka_unit_test(a_table_that_is_full_forgets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
