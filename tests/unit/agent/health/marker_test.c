/* Whose file it is that was scanned: ours, or one that somebody put in its place. */
#include "agent/health/marker.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char directory[64];
    struct marker marker;
    int fd; /* what the scanner has open */
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    int fd;

    assert_non_null(fixture);
    (void)snprintf(fixture->directory, sizeof fixture->directory, "/tmp/marker-test-XXXXXX");
    assert_non_null(mkdtemp(fixture->directory));
    assert_int_equal(marker_init(&fixture->marker, fixture->directory), 0);
    assert_int_equal(marker_open(&fixture->marker), 0);
    assert_int_equal(marker_create(&fixture->marker, &fd), 0);
    assert_int_equal(marker_fill(&fixture->marker, fd), 0);
    fixture->fd = open(fixture->marker.path, O_RDONLY | O_CLOEXEC);
    assert_true(fixture->fd >= 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    (void)close(fixture->fd);
    (void)unlink(fixture->marker.path);
    marker_done(&fixture->marker);
    assert_int_equal(rmdir(fixture->directory), 0);
    free(fixture);
    return 0;
}

static bool owns(const struct fixture *fixture, int fd, bool asked)
{
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    const struct file_identity identity = file_identity_of(&status);
    const struct scan_own_verdict verdict = {
        .path = fixture->marker.path, .fd = fd, .identity = &identity, .asked = asked};
    return marker_has_inode(&fixture->marker, &verdict) &&
           (fixture->marker.written || (!asked && marker_is_nameless(&verdict)));
}

static void put_another(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    (void)close(fd);
}

static void our_file_is_ours_and_late_as_well(void **state)
{
    struct fixture *fixture = *state;

    assert_true(marker_lies_there(marker_sight(&fixture->marker)));
    assert_true(owns(fixture, fixture->fd, false));
    assert_true(owns(fixture, fixture->fd, true));
    marker_remove(&fixture->marker);
    assert_false(marker_lies_there(marker_sight(&fixture->marker)));
    assert_true(owns(fixture, fixture->fd, false));
    assert_false(owns(fixture, fixture->fd, true));
}

/* As if the file system had given our inode to the next file, which is then renamed to our path. */
static void a_file_that_got_our_inode_is_not_ours(void **state)
{
    struct fixture *fixture = *state;
    struct stat status;

    marker_remove(&fixture->marker);
    put_another(fixture->marker.path);
    int fd = open(fixture->marker.path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &status), 0);
    fixture->marker.inode = status.st_ino;
    assert_false(owns(fixture, fd, false));
    assert_false(owns(fixture, fd, true));
    assert_false(marker_lies_there(marker_sight(&fixture->marker)));
    /* A name less does not make it ours: somebody else's mode. */
    assert_int_equal(fchmod(fd, 0644), 0);
    assert_int_equal(unlink(fixture->marker.path), 0);
    assert_false(owns(fixture, fd, false));
    (void)close(fd);
}

/* The directory's owner may take our file away while we wait for it. */
static void a_file_put_in_its_place_is_not_ours(void **state)
{
    struct fixture *fixture = *state;
    struct stat status, other;

    assert_int_equal(fstat(fixture->fd, &status), 0);
    (void)close(fixture->fd);
    fixture->fd = -1;
    assert_int_equal(unlink(fixture->marker.path), 0);
    for (int i = 0; i < 8; i++) { /* enough for a file system that hands freed inodes out again */
        put_another(fixture->marker.path);
        int fd = open(fixture->marker.path, O_RDONLY | O_CLOEXEC);
        assert_int_equal(fstat(fd, &other), 0);
        assert_true(other.st_ino != status.st_ino);
        assert_false(owns(fixture, fd, false));
        assert_false(marker_lies_there(marker_sight(&fixture->marker)));
        (void)close(fd);
        assert_int_equal(unlink(fixture->marker.path), 0);
    }
    put_another(fixture->marker.path);
    marker_remove(&fixture->marker);
    assert_int_equal(access(fixture->marker.path, F_OK), 0);
}

static void it_is_removed_without_another_descriptor(void **state)
{
    struct fixture *fixture = *state;
    struct rlimit before, none;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    struct marker_sight sight = marker_sight(&fixture->marker);
    marker_remove(&fixture->marker);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(sight.directory_fd, -1);
    assert_true(sight.blocked);
    assert_int_equal(access(fixture->marker.path, F_OK), -1);
    assert_false(marker_sight(&fixture->marker).blocked);
}

static void a_removed_file_pins_nothing(void **state)
{
    struct fixture *fixture = *state;

    marker_remove(&fixture->marker);
    assert_int_equal(fixture->marker.directory_fd, -1);
    assert_int_equal(fixture->marker.held, -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(our_file_is_ours_and_late_as_well),   TEST(a_file_that_got_our_inode_is_not_ours),
        TEST(a_file_put_in_its_place_is_not_ours), TEST(it_is_removed_without_another_descriptor),
        TEST(a_removed_file_pins_nothing),
    };

    return cmocka_run_group_tests_name("agent/health/marker", tests, NULL, NULL);
}
