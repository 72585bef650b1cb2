/* Sealing and opening while memory or the disk fails: an error, and never a file that opens. */
#include "agent/respond/sealed_file.h"
#include "common/text/text.h"
#include "tests/unit/support/failing_allocator.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t key[AEAD_KEY_BYTES] = {1};

struct files {
    int source, sealed;
    struct quarantine_facts facts;
};

static int seal(void *user)
{
    struct files *files = user;

    if (ftruncate(files->sealed, 0) < 0 || lseek(files->sealed, 0, SEEK_SET) < 0)
        return -errno;
    return sealed_file_fill(key, &files->facts, files->source, 4096, files->sealed);
}

static int unseal(void *user)
{
    struct files *files = user;
    AUTO_FACTS struct quarantine_facts facts = {0};

    if (lseek(files->sealed, 0, SEEK_SET) < 0)
        return -errno;
    int r = sealed_file_read_facts(key, files->sealed, &facts);
    return r < 0 ? r : sealed_file_read_content(key, files->sealed, &facts, -1);
}

static int set_up(void **state)
{
    static struct files files;

    files = (struct files){.source = memfd_create("source", MFD_CLOEXEC),
                           .sealed = memfd_create("sealed", MFD_CLOEXEC),
                           .facts = {.path = strdup("/srv/a"), .time_ns = 9}};
    assert_int_equal(write(files.source, "content", 7), 7);
    assert_int_equal(uuid_new(files.facts.id), 0);
    *state = &files;
    return 0;
}

static int tear_down(void **state)
{
    struct files *files = *state;

    quarantine_facts_done(&files->facts);
    (void)close(files->source);
    (void)close(files->sealed);
    return 0;
}

static void each_allocation_can_fail(void **state)
{
    size_t allocations = failing_allocator_each(seal, *state);

    assert_true(allocations > 0);
    for (size_t number = 1; number <= allocations; number++) {
        failing_allocator_arm(number, false);
        assert_int_equal(seal(*state), -ENOMEM);
        (void)failing_allocator_disarm();
        assert_int_equal(unseal(*state), -EBADMSG);
    }
    assert_int_equal(seal(*state), 0);
    assert_true(failing_allocator_each(unseal, *state) > 0);
}

static void what_is_cut_does_not_open(void **state)
{
    struct files *files = *state;

    assert_int_equal(seal(files), 0);
    off_t size = lseek(files->sealed, 0, SEEK_END);
    for (off_t length = size - 1; length >= 0; length--) {
        assert_int_equal(ftruncate(files->sealed, length), 0);
        assert_int_equal(unseal(files), -EBADMSG);
    }
}

static void a_disk_that_fails_is_told(void **state)
{
    struct files *files = *state;
    AUTO_FACTS struct quarantine_facts facts = {0};
    AUTO_CLOSE int read_only = open("/dev/null", O_RDONLY | O_CLOEXEC),
                   full = open("/dev/full", O_RDWR | O_CLOEXEC);
    int fd = -1;

    assert_int_equal(sealed_file_fill(key, &files->facts, files->source, 4096, read_only), -EBADF);
    assert_int_equal(sealed_file_fill(key, &files->facts, files->source, 4096, full), -ENOSPC);
    assert_int_equal(sealed_file_fill(key, &files->facts, -1, 4096, files->sealed), -EBADF);
    assert_int_equal(sealed_file_write(key, &files->facts, files->source, 4096, -1, "x", &fd),
                     -EBADF);
    assert_int_equal(sealed_file_read_facts(key, -1, &facts), -EBADF);
    assert_int_equal(sealed_file_read_facts(key, read_only, &facts), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_allocation_can_fail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_cut_does_not_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_disk_that_fails_is_told, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
