/* Mounts that come and go below a watched path, in a private mount namespace. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/text/text.h"
#include "common/time/clock.h"
#include "tests/system/watch/watch_harness.h"

static bool have_namespace;

static void started(struct harness *harness)
{
    if (!have_namespace) {
        print_message("SKIPPED: no private mount namespace here (needs root)\n");
        skip();
    }
    harness_init(harness);
    make_directory(harness_path(harness, "place"));
    make_directory(harness_path(harness, "other"));
    write_file(harness_path(harness, "place/below"), "x");
    harness_start(harness);
    assert_int_equal(harness_sync(harness), 0);
}

static void mounted(const char *source, const char *target, const char *type, unsigned long flags)
{
    if (mount(source, target, type, flags, NULL) < 0)
        fail_msg("mount %s: %s", target, strerrordesc_np(errno));
}

static void assert_told(struct harness *harness, const char *path)
{
    if (recorder_told(harness->recorder, path) == 0)
        fail_msg("not told: %s", path);
}

static void sees_into_new_mounts_and_below_gone_ones(void **state)
{
    struct harness harness;
    const char *place;

    (void)state;
    started(&harness);
    place = harness_path(&harness, "place");
    for (int round = 0; round < 3; round++) {
        recorder_clear(harness.recorder);
        mounted("test", place, "tmpfs", 0);
        make_directory(harness_path(&harness, "place/d"));
        write_file(harness_path(&harness, "place/d/first"), "x");
        assert_int_equal(harness_sync(&harness), 0);
        assert_told(&harness, harness_path(&harness, "place/d/first"));
        assert_true(recorder_count(harness.recorder, WATCH_MOUNT_CHANGED, place) >= 1);
        write_file(harness_path(&harness, "place/d/second"), "x");
        assert_int_equal(harness_sync(&harness), 0);
        assert_told(&harness, harness_path(&harness, "place/d/second"));

        assert_int_equal(umount(place), 0);
        write_file(harness_path(&harness, "place/under"), "x");
        assert_int_equal(harness_sync(&harness), 0);
        assert_told(&harness, harness_path(&harness, "place/under"));
        recorder_clear(harness.recorder);
        write_file(harness_path(&harness, "place/again"), "x");
        assert_int_equal(harness_sync(&harness), 0);
        assert_told(&harness, harness_path(&harness, "place/again"));
    }
    harness_done(&harness);
}

static void tells_a_bind_mount_under_each_of_its_names(void **state)
{
    struct harness harness;
    char outside[96];
    const char *place, *other;

    (void)state;
    started(&harness);
    place = harness_path(&harness, "place");
    other = harness_path(&harness, "other");

    /* From outside into the tree. */
    (void)text_format(outside, sizeof(outside), "%s/outside", harness.path);
    make_directory(outside);
    mounted(outside, place, NULL, MS_BIND);
    assert_int_equal(harness_sync(&harness), 0);
    (void)text_format(outside, sizeof(outside), "%s/outside/file", harness.path);
    write_file(outside, "x");
    assert_int_equal(harness_sync(&harness), 0);
    assert_told(&harness, harness_path(&harness, "place/file"));
    assert_int_equal(umount(place), 0);
    assert_int_equal(harness_sync(&harness), 0);

    /* One watched directory on another: both names; and the first stays when the second goes. */
    mounted(place, other, NULL, MS_BIND);
    assert_int_equal(harness_sync(&harness), 0);
    write_file(harness_path(&harness, "place/both"), "x");
    assert_int_equal(harness_sync(&harness), 0);
    assert_told(&harness, harness_path(&harness, "place/both"));
    assert_told(&harness, harness_path(&harness, "other/both"));
    assert_int_equal(umount(other), 0);
    assert_int_equal(harness_sync(&harness), 0);
    recorder_clear(harness.recorder);
    write_file(harness_path(&harness, "place/one"), "x");
    write_file(harness_path(&harness, "other/alone"), "x");
    assert_int_equal(harness_sync(&harness), 0);
    assert_told(&harness, harness_path(&harness, "place/one"));
    assert_told(&harness, harness_path(&harness, "other/alone"));
    assert_int_equal(recorder_told(harness.recorder, harness_path(&harness, "other/one")), 0);
    harness_done(&harness);
}

static void never_enters_kernel_file_systems(void **state)
{
    struct harness harness;
    struct watch_status before, after;

    (void)state;
    started(&harness);
    watch_status(harness.watch, &before);
    mounted("proc", harness_path(&harness, "place"), "proc", 0);
    assert_int_equal(harness_sync(&harness), 0);
    watch_status(harness.watch, &after);
    assert_true(after.directories_watched <= before.directories_watched);
    assert_int_equal(umount(harness_path(&harness, "place")), 0);
    assert_int_equal(harness_sync(&harness), 0);
    harness_done(&harness);
}

/* A FUSE mount whose daemon never answers: whoever touches it hangs. */
static void never_touches_fuse(void **state)
{
    struct harness harness;
    char options[96], detail[256];
    int fd;

    (void)state;
    started(&harness);
    fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        print_message("SKIPPED: no /dev/fuse\n");
        harness_done(&harness);
        skip();
    }
    (void)text_format(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
    assert_int_equal(mount("test", harness_path(&harness, "place"), "fuse.test",
                           MS_NOSUID | MS_NODEV, options),
                     0);
    assert_int_equal(harness_sync(&harness), 0);
    assert_int_equal(
        recorder_count(harness.recorder, WATCH_LIMITED, harness_path(&harness, "place")), 1);
    recorder_detail(harness.recorder, WATCH_LIMITED, detail, sizeof(detail));
    assert_non_null(strstr(detail, "fuse.test"));

    /* Not at a new start, either. */
    harness_stop(&harness);
    recorder_clear(harness.recorder);
    harness_start(&harness);
    assert_int_equal(harness_sync(&harness), 0);
    assert_int_equal(
        recorder_count(harness.recorder, WATCH_LIMITED, harness_path(&harness, "place")), 1);
    write_file(harness_path(&harness, "other/file"), "x");
    assert_int_equal(harness_sync(&harness), 0);
    assert_told(&harness, harness_path(&harness, "other/file"));
    (void)umount2(harness_path(&harness, "place"), MNT_DETACH);
    (void)close(fd);
    assert_int_equal(harness_sync(&harness), 0);
    recorder_clear(harness.recorder);
    write_file(harness_path(&harness, "place/later"), "x");
    assert_int_equal(harness_sync(&harness), 0);
    assert_told(&harness, harness_path(&harness, "place/later"));
    harness_done(&harness);
}

/* The watched path itself lies on a mount that comes later. */
static void waits_for_a_path_on_a_mount(void **state)
{
    struct harness harness;
    char source[96];

    (void)state;
    if (!have_namespace)
        skip();
    harness_init(&harness);
    (void)text_format(source, sizeof(source), "%s/source", harness.path);
    make_directory(source);
    (void)text_format(source, sizeof(source), "%s/source/data", harness.path);
    make_directory(source);
    make_directory(harness_path(&harness, "mnt"));
    harness.paths[0] = harness_path(&harness, "mnt/data");
    harness_start(&harness);
    assert_int_equal(harness_sync(&harness), 0);
    (void)text_format(source, sizeof(source), "%s/source", harness.path);
    mounted(source, harness_path(&harness, "mnt"), NULL, MS_BIND);
    write_file(harness_path(&harness, "mnt/data/file"), "x");
    assert_int_equal(harness_sync(&harness), 0);
    assert_told(&harness, harness_path(&harness, "mnt/data/file"));
    assert_int_equal(umount(harness_path(&harness, "mnt")), 0);
    assert_int_equal(harness_sync(&harness), 0);
    harness_done(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sees_into_new_mounts_and_below_gone_ones),
        cmocka_unit_test(tells_a_bind_mount_under_each_of_its_names),
        cmocka_unit_test(never_enters_kernel_file_systems),
        cmocka_unit_test(never_touches_fuse),
        cmocka_unit_test(waits_for_a_path_on_a_mount),
    };

    have_namespace =
        unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
