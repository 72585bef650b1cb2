/* More directories than may be watched: by our budget, and by the kernel in a user namespace whose
 * limit is tiny. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"
#include "tests/system/watch/watch_harness.h"

#define KERNEL_LIMIT 60U
#define HELD         30U

static bool have_namespace;

static int write_setting(const char *path, const char *value)
{
    AUTO_CLOSE int fd = -1;

    int r = file_open_following(path, O_WRONLY, 0, &fd);
    return r < 0 ? r : file_write(fd, value, strlen(value));
}

static bool enter_namespace(void)
{
    char map[64];
    uid_t user = getuid();
    gid_t group = getgid();

    if (unshare(CLONE_NEWUSER) < 0)
        return false;
    (void)write_setting("/proc/self/setgroups", "deny");
    (void)text_format(map, sizeof(map), "0 %u 1", (unsigned int)user);
    if (write_setting("/proc/self/uid_map", map) < 0)
        return false;
    (void)text_format(map, sizeof(map), "0 %u 1", (unsigned int)group);
    return write_setting("/proc/self/gid_map", map) == 0 &&
           write_setting("/proc/sys/user/max_inotify_watches", "60") == 0;
}

static void make_directories(struct harness *harness, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++) {
        make_directory(harness_path(harness, "d%u", i));
        write_file(harness_path(harness, "d%u/before", i), "x");
    }
}

static void remove_directories(struct harness *harness, unsigned int count)
{
    for (unsigned int i = 0; i < count; i++)
        assert_int_equal(file_remove_tree(AT_FDCWD, harness_path(harness, "d%u", i)), 0);
}

static void check_degraded(struct harness *harness, unsigned int directories)
{
    struct watch_status status;

    assert_int_equal(harness_sync(harness), 0);
    watch_status(harness->watch, &status);
    assert_true(status.directories_unwatched > 0);
    assert_true(status.directories_watched + status.directories_unwatched >= directories);
    assert_false(status.complete);
    assert_true(status.limit[0] != '\0');
    assert_true(recorder_total(harness->recorder, WATCH_LIMITED) == 1);
    for (unsigned int i = 0; i < directories; i++) {
        if (recorder_told(harness->recorder, harness_path(harness, "d%u/before", i)) == 0)
            fail_msg("not told though unwatched: d%u", i);
    }
}

/* Waits until a directory is watched that could not be. */
static void check_recovered(struct harness *harness, unsigned int last)
{
    struct watch_status status;

    do {
        assert_int_equal(harness_sync(harness), 0);
        watch_status(harness->watch, &status);
        if (status.directories_unwatched > 0)
            (void)sched_yield();
    } while (status.directories_unwatched > 0);
    assert_true(status.limit[0] == '\0');
    recorder_clear(harness->recorder);
    write_file(harness_path(harness, "d%u/after", last), "x");
    assert_int_equal(harness_sync(harness), 0);
    assert_int_equal(recorder_count(harness->recorder, WATCH_FILE_WRITTEN,
                                    harness_path(harness, "d%u/after", last)),
                     1);
}

static void budget_is_kept_and_room_is_used(void **state)
{
    struct harness harness;
    struct watch_status status;

    (void)state;
    harness_init(&harness);
    harness.options.budget = 20;
    harness.options.report_found = true;
    make_directories(&harness, 40);
    harness_start(&harness);
    check_degraded(&harness, 40);
    watch_status(harness.watch, &status);
    /* The budget and the few on the way to the watched path. */
    assert_true(status.directories_watched <= 24);
    assert_non_null(strstr(status.limit, "budget"));

    remove_directories(&harness, 30);
    check_recovered(&harness, 39);
    harness_done(&harness);
}

static void kernel_limit_is_told_with_its_cure(void **state)
{
    struct harness harness;
    struct watch_status status;
    int other;

    (void)state;
    if (!have_namespace) {
        print_message("SKIPPED: no user namespace here\n");
        skip();
    }
    harness_init(&harness);
    harness.options.report_found = true;
    make_directories(&harness, 100);
    /* Watches of our own process are not counted as others': the kernel says no first. */
    other = inotify_init1(IN_CLOEXEC);
    assert_true(other >= 0);
    for (unsigned int i = 0; i < HELD; i++)
        assert_true(inotify_add_watch(other, harness_path(&harness, "d%u", i), IN_CREATE) >= 0);
    harness_start(&harness);
    check_degraded(&harness, 100);
    watch_status(harness.watch, &status);
    assert_non_null(strstr(status.limit, "sysctl -w fs.inotify.max_user_watches="));

    (void)close(other);
    assert_int_equal(write_setting("/proc/sys/user/max_inotify_watches", "10000"), 0);
    check_recovered(&harness, 99);
    check_recovered(&harness, 0);
    harness_done(&harness);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budget_is_kept_and_room_is_used),
        cmocka_unit_test(kernel_limit_is_told_with_its_cure),
    };

    have_namespace = enter_namespace();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
