/* common/files: out of memory is an error, and leaves no half-made file behind. */
#include "common/buffers/buffer.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "tests/unit/support/failing_allocator.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char folder[] = "/tmp/yagura-file-memory-XXXXXX";
static char path[256];

static int make_folder(void **state UNUSED)
{
    assert_non_null(mkdtemp(folder));
    (void)text_format(path, sizeof path, "%s/file", folder);
    return file_replace(path, "old", 3, 0600);
}

static int remove_folder(void **state UNUSED)
{
    AUTO_CLOSE int fd = -1;

    assert_int_equal(file_open_directory("/tmp", true, &fd), 0);
    return file_remove_tree(fd, folder + strlen("/tmp/"));
}

static int attempt_all(void *user UNUSED)
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(100);
    char deep[300];

    int r = file_replace(path, "new", 3, 0600);
    if (r == 0)
        r = file_read_all(path, &content);
    (void)text_format(deep, sizeof deep, "%s/a/b/c", folder);
    if (r == 0)
        r = file_make_directories(deep, 0700);
    return r;
}

static void test_out_of_memory_leaves_whole_files(void **state UNUSED)
{
    AUTO_BUFFER struct buffer content = BUFFER_WITH_MAXIMUM(100);

    assert_true(failing_allocator_each(attempt_all, NULL) >= 1);
    assert_int_equal(file_read_all(path, &content), 0);
    assert_string_equal(buffer_text(&content), "new");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_out_of_memory_leaves_whole_files),
    };

    return cmocka_run_group_tests_name("file_memory", tests, make_folder, remove_folder);
}
