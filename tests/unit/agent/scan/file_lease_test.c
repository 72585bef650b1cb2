/* What is believed of a file, by its file system. */
#include "agent/scan/file_lease.h"

#include "common/files/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>

#include <cmocka.h>

static void times_say_nothing_in_memory(void **state UNUSED)
{
    AUTO_CLOSE int fd = memfd_create("yagura-test", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(file_lease_evidence(fd), FILE_EVIDENCE_LEASE);
}

static void what_cannot_be_asked_says_nothing(void **state UNUSED)
{
    assert_int_equal(file_lease_evidence(-1), FILE_EVIDENCE_NONE);
}

static void elsewhere_both_are_believed(void **state UNUSED)
{
    AUTO_CLOSE int fd = -1;

    assert_int_equal(file_open_following("/proc/self/status", O_RDONLY, 0, &fd), 0);
    assert_int_equal(file_lease_evidence(fd), FILE_EVIDENCE_FULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_say_nothing_in_memory),
        cmocka_unit_test(what_cannot_be_asked_says_nothing),
        cmocka_unit_test(elsewhere_both_are_believed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
