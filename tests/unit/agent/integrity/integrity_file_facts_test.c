/* When stat alone may say that a file is unchanged. */
#include "agent/integrity/file_facts.h"

#include "common/files/file.h"
#include "common/time/clock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[] = "/tmp/yagura-facts-XXXXXX";
static int folder_fd = -1;

static struct stat put(const char *text)
{
    AUTO_CLOSE int fd = -1;
    struct stat status;

    assert_int_equal(file_open_at(folder_fd, "file", O_WRONLY | O_CREAT | O_TRUNC, 0600, &fd), 0);
    assert_int_equal(file_write(fd, text, strlen(text)), 0);
    assert_int_equal(fstat(fd, &status), 0);
    return status;
}

static void look(struct file_facts *facts)
{
    assert_int_equal(
        file_facts_collect(folder_fd, "file", CARE_CONTENT, 1 << 20, NULL, facts, NULL), 0);
    assert_int_equal(facts->state.content, FACTS_HASHED);
}

/* What a rewrite of the same size looks like when the kernel's clock has not ticked between. */
static void a_rewrite_within_the_tick_of_the_look_is_found(void **state UNUSED)
{
    AUTO_FACTS struct file_facts before = {.target = NULL}, after = {.target = NULL};
    struct stat first = put("first");

    clock_set_fake(1, timespec_to_ns(first.st_ctim) + NS_PER_MS);
    look(&before);
    (void)put("other");
    assert_false(facts_state_holds(&before.state, &first)); /* the same times, inode and size */
    look(&after);
    assert_int_equal(file_facts_compare(&before, &after, CARE_CONTENT), FACTS_DIFFER_CONTENT);
    clock_set_fake(0, 0);
}

static void a_file_that_was_old_enough_need_not_be_read_again(void **state UNUSED)
{
    AUTO_FACTS struct file_facts facts = {.target = NULL};
    struct stat status = put("first");

    clock_set_fake(1, timespec_to_ns(status.st_ctim) + NS_PER_SECOND);
    look(&facts);
    assert_true(facts_state_holds(&facts.state, &status));
    status.st_ctim.tv_nsec ^= 1;
    assert_false(facts_state_holds(&facts.state, &status));
    clock_set_fake(0, 0);
}

static void a_time_from_the_future_proves_nothing(void **state UNUSED)
{
    AUTO_FACTS struct file_facts facts = {.target = NULL};
    struct stat status = put("first");

    clock_set_fake(1, timespec_to_ns(status.st_ctim) - NS_PER_SECOND);
    look(&facts);
    assert_false(facts_state_holds(&facts.state, &status));
    clock_set_fake(0, 0);
}

static int set_up(void **state UNUSED)
{
    return mkdtemp(folder) == NULL ? -1 : file_open_directory(folder, true, &folder_fd);
}

static int tear_down(void **state UNUSED)
{
    (void)close(folder_fd);
    return file_remove_tree(AT_FDCWD, folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rewrite_within_the_tick_of_the_look_is_found),
        cmocka_unit_test(a_file_that_was_old_enough_need_not_be_read_again),
        cmocka_unit_test(a_time_from_the_future_proves_nothing),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
