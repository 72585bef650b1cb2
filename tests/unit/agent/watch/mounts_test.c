#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "agent/watch/mounts.h"

static const char table[] =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"
    "23 22 0:20 / /proc rw shared:2 - proc proc rw\n"
    "24 22 0:40 / /mnt/with\\040space rw - tmpfs none rw\n"
    "25 22 0:41 / /mnt/net rw shared:9 master:3 propagate_from:2 - nfs4 server:/x rw\n"
    "26 25 0:42 / /mnt/net rw - ext4 /dev/sdb rw\n"
    "27 22 0:43 / /mnt/f rw - fuse.sshfs x rw\n"
    "broken line\n"
    "x 22 0:43 / /mnt/g rw - ext4 x rw\n";

static struct mounts *parse(const char *text)
{
    char *copy = strdup(text);
    struct mounts *mounts = NULL;

    assert_non_null(copy);
    assert_int_equal(mounts_parse(copy, &mounts), 0);
    free(copy);
    return mounts;
}

static void reads_the_kernels_table(void **state)
{
    struct mounts *mounts = parse(table);

    (void)state;
    assert_int_equal(mounts->count, 6);
    assert_int_equal(mounts_at(mounts, "/", 1)->class, MOUNT_LOCAL);
    assert_int_equal(mounts_at(mounts, "/", 1)->device, makedev(8, 1));
    assert_int_equal(mounts_at(mounts, "/proc", 5)->class, MOUNT_PSEUDO);
    assert_non_null(mounts_at(mounts, "/mnt/with space", 15));
    assert_int_equal(mounts_at(mounts, "/mnt/f", 6)->class, MOUNT_REMOTE);
    assert_null(mounts_at(mounts, "/mnt/g", 6));
    /* The later one lies on top. */
    assert_int_equal(mounts_at(mounts, "/mnt/net", 8)->class, MOUNT_LOCAL);
    assert_int_equal(mounts_covering(mounts, "/proc/1/x", 9)->class, MOUNT_PSEUDO);
    assert_int_equal(mounts_covering(mounts, "/process", 8)->class, MOUNT_LOCAL);
    assert_int_equal(mounts_covering(mounts, "/", 1)->class, MOUNT_LOCAL);
    mounts_free(mounts);
}

static void knows_what_not_to_touch(void **state)
{
    (void)state;
    assert_int_equal(mount_classify("ext4"), MOUNT_LOCAL);
    assert_int_equal(mount_classify("overlay"), MOUNT_LOCAL);
    assert_int_equal(mount_classify("tmpfs"), MOUNT_LOCAL);
    assert_int_equal(mount_classify("nfs"), MOUNT_REMOTE);
    assert_int_equal(mount_classify("cifs"), MOUNT_REMOTE);
    assert_int_equal(mount_classify("fuse"), MOUNT_REMOTE);
    assert_int_equal(mount_classify("fuse.s3fs"), MOUNT_REMOTE);
    assert_int_equal(mount_classify("fusectl"), MOUNT_PSEUDO);
    assert_int_equal(mount_classify("cgroup2"), MOUNT_PSEUDO);
    assert_int_equal(mount_classify("autofs"), MOUNT_PSEUDO);
}

struct changes {
    char text[512];
};

static void note(void *user, const char *path, size_t length)
{
    struct changes *changes = user;
    size_t used = strlen(changes->text);

    (void)snprintf(changes->text + used, sizeof(changes->text) - used, "%.*s,", (int)length, path);
}

static void tells_each_changed_path_once(void **state)
{
    struct changes changes = {{0}};
    struct mounts *before = parse("1 0 8:1 / / rw - ext4 a rw\n"
                                  "2 1 8:2 / /gone rw - ext4 b rw\n"
                                  "3 1 8:3 / /same rw - nfs c rw\n"
                                  "4 1 8:4 / /again rw - ext4 d rw\n"
                                  "5 1 8:5 / /stack rw - ext4 e rw\n"
                                  "6 5 8:6 / /stack rw - ext4 f rw\n");
    struct mounts *after = parse("1 0 8:1 / / rw - ext4 a rw\n"
                                 "3 1 8:3 / /same ro - nfs c rw\n"
                                 "9 1 8:4 / /again rw - ext4 d rw\n"
                                 "5 1 8:5 / /stack rw - ext4 e rw\n"
                                 "8 1 8:8 / /new rw - ext4 g rw\n");

    (void)state;
    mounts_at(before, "/same", 5)->told = true;
    mounts_compare(before, after, note, &changes);
    assert_string_equal(changes.text, "/again,/gone,/new,/stack,");
    assert_true(mounts_at(after, "/same", 5)->told);
    mounts_free(before);
    mounts_free(after);
}

static void reads_our_own_table(void **state)
{
    int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    struct mounts *mounts = NULL;

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mounts_read(fd, &mounts), 0);
        assert_non_null(mounts_covering(mounts, "/", 1));
        mounts_free(mounts);
    }
    (void)close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_kernels_table),
        cmocka_unit_test(knows_what_not_to_touch),
        cmocka_unit_test(tells_each_changed_path_once),
        cmocka_unit_test(reads_our_own_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
