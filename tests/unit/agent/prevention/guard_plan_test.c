/* Which mounts are marked for which paths. */
#include "agent/prevention/guard_plan.h"

#include "agent/watch/mounts.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>

#include <cmocka.h>

static char marked[512];

static int mark(void *user, const struct mount_entry *mount)
{
    size_t length = strlen(marked);

    (void)user;
    (void)text_format(marked + length, sizeof marked - length, "%s ", mount->path);
    return 0;
}

static void assert_marks(const char *const *paths, const char *wanted)
{
    char table[] = "20 1 8:1 / / rw - ext4 /dev/a rw\n"
                   "21 20 0:5 / /proc rw - proc proc rw\n"
                   "22 20 8:2 / /srv rw - xfs /dev/b rw\n"
                   "23 22 8:3 / /srv/www/data rw - ext4 /dev/c rw\n"
                   "24 22 0:6 / /srv/www/far rw - nfs4 far:/ rw\n"
                   "25 20 0:7 / /srvx rw - tmpfs t rw\n";
    const char *const none[] = {NULL};
    const struct prevention_options options = {.guard_program = "/g",
                                               .paths = paths,
                                               .own_directories = none};
    struct prevention_plan *plan = NULL;
    struct mounts *mounts = NULL;

    assert_int_equal(guard_plan_new(&options, &plan), 0);
    assert_int_equal(mounts_parse(table, &mounts), 0);
    marked[0] = '\0';
    assert_int_equal(guard_plan_marks(plan, mounts, mark, NULL), 0);
    assert_string_equal(marked, wanted);
    mounts_free(mounts);
    (void)guard_plan_free(plan);
}

static void local_mounts_at_and_below_are_marked(void **state)
{
    (void)state;
    assert_marks((const char *const[]){"/srv/www/", NULL}, "/srv /srv/www/data ");
    assert_marks((const char *const[]){"/home", NULL}, "/ ");
    assert_marks((const char *const[]){"/srv/www/far", NULL}, "");
    assert_marks((const char *const[]){"/srv/www/data", "/srvx", NULL}, "/srv/www/data /srvx ");
    assert_marks((const char *const[]){"/", NULL}, "/ /srv /srv/www/data /srvx ");
}

/* In a mount namespace of this test's own, where nobody else keeps it. */
static void a_file_system_that_goes_is_told(void **state)
{
    char folder[] = "/tmp/yagura-guard-plan-XXXXXX";
    const char *const paths[] = {folder, NULL}, *const none[] = {NULL};
    const struct prevention_options options = {.guard_program = "/g",
                                               .paths = paths,
                                               .own_directories = none};
    union {
        char bytes[1024];
        struct inotify_event event;
    } buffer;
    struct prevention_plan *plan = NULL;
    struct mounts *mounts = NULL;

    (void)state;
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        skip();
    assert_non_null(mkdtemp(folder));
    assert_int_equal(mount("tmpfs", folder, "tmpfs", 0, NULL), 0);
    AUTO_CLOSE int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    assert_int_equal(guard_plan_new(&options, &plan), 0);
    assert_int_equal(guard_plan_mounts(&mounts), 0);
    guard_plan_watch(plan, mounts, fd);
    (void)mounts_free(mounts);
    assert_true(read(fd, &buffer, sizeof buffer) < 0);
    assert_int_equal(umount2(folder, 0), 0);
    assert_true(read(fd, &buffer, sizeof buffer) > 0);
    assert_true((buffer.event.mask & IN_UNMOUNT) != 0);
    (void)guard_plan_free(plan);
    assert_int_equal(rmdir(folder), 0);
}

static void a_path_is_judged_as_the_guard_does(void **state)
{
    const char *const paths[] = {"/srv/www/", "/home", NULL}, *const own[] = {"/home/1", NULL};
    const struct prevention_options options = {.guard_program = "/g",
                                               .paths = paths,
                                               .own_directories = own};
    struct prevention_plan *plan = NULL;

    (void)state;
    assert_int_equal(guard_plan_new(&options, &plan), 0);
    assert_true(guard_plan_protects(plan, "/srv/www/a"));
    assert_true(guard_plan_protects(plan, "/home/ours"));
    assert_false(guard_plan_protects(plan, "/srv/wwwroot"));
    assert_false(guard_plan_protects(plan, "/home/1/a"));
    assert_false(guard_plan_protects(plan, "/a"));
    (void)guard_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(local_mounts_at_and_below_are_marked),
        cmocka_unit_test(a_file_system_that_goes_is_told),
        cmocka_unit_test(a_path_is_judged_as_the_guard_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
