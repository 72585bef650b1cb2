/* A path is told only where it leads to the file. */
#include "agent/prevention/open_path.h"

#include "common/files/file.h"
#include "common/text/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void a_path_is_told_while_it_leads_to_the_file(void **state)
{
    char name[] = "/tmp/yagura-open-path-XXXXXX", path[PATH_MAX], told[64];
    AUTO_CLOSE int fd = mkstemp(name);
    AUTO_CLOSE int other = -1;

    (void)state;
    assert_true(fd >= 0);
    assert_true(open_path_find(fd, path));
    assert_string_equal(path, name);
    assert_int_equal(unlink(name), 0);
    assert_false(open_path_find(fd, path));
    assert_string_equal(path, "");
    /* Another file by the name that the kernel tells for the first. */
    assert_true(text_format(told, sizeof told, "%s (deleted)", name) > 0);
    assert_int_equal(file_open_at(AT_FDCWD, told, O_WRONLY | O_CREAT, 0600, &other), 0);
    bool found = open_path_find(fd, path);
    assert_int_equal(unlink(told), 0);
    assert_false(found);
}

static void what_has_no_name_has_no_path(void **state)
{
    char path[PATH_MAX];
    AUTO_CLOSE int fd = memfd_create("/etc/passwd", MFD_CLOEXEC);

    (void)state;
    assert_true(fd >= 0);
    assert_false(open_path_find(fd, path));
    assert_string_equal(path, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_told_while_it_leads_to_the_file),
        cmocka_unit_test(what_has_no_name_has_no_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
