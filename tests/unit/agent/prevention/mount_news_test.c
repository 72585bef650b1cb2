/* What mounts that come and go do to the guards. */
#include "agent/prevention/guard_plan.h"
#include "agent/prevention/prevention_private.h"
#include "agent/watch/mounts.h"
#include "common/files/file.h"
#include "common/text/text.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { TICKS = 3 };

static const char *const none[] = {NULL};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned ticks, renewals, renewals_while_starting;

void __wrap_guard_life_renew(struct prevention *prevention);
void __wrap_guard_life_check(struct prevention *prevention);
void __wrap_guard_life_end(struct prevention *prevention, struct guard_process *guard);

/* A guard that takes some ticks to be ready. */
void __wrap_guard_life_renew(struct prevention *prevention)
{
    (void)pthread_mutex_lock(&lock);
    renewals++;
    (void)pthread_cond_broadcast(&changed);
    (void)pthread_mutex_unlock(&lock);
    prevention->mark_lost = false;
    prevention->next.number = 1;
}

/* The end of a tick. A marked file system goes in each. */
void __wrap_guard_life_check(struct prevention *prevention)
{
    (void)pthread_mutex_lock(&lock);
    if (++ticks == TICKS) {
        renewals_while_starting = renewals;
        prevention->next.number = 0;
    }
    (void)pthread_mutex_unlock(&lock);
    prevention->mark_lost = true;
}

void __wrap_guard_life_end(struct prevention *prevention UNUSED, struct guard_process *guard UNUSED)
{
}

static struct prevention_options options_of(const char *const *paths)
{
    return (struct prevention_options){
        .enabled = true,
        .guard_program = "/g",
        .paths = paths,
        .exclude_directories = none,
        .exclude_files = none,
        .exclude_extensions = none,
        .own_directories = none,
    };
}

static void a_guard_that_starts_is_left_to_it(void **state UNUSED)
{
    const char *const paths[] = {"/", NULL};
    const struct prevention_options options = options_of(paths);
    const struct prevention_parts parts = {.store = NULL};
    struct prevention *prevention = NULL;

    assert_int_equal(prevention_start(&options, &parts, &prevention), 0);
    (void)pthread_mutex_lock(&lock);
    while (ticks < TICKS || renewals == renewals_while_starting)
        (void)pthread_cond_wait(&changed, &lock);
    (void)pthread_mutex_unlock(&lock);
    (void)prevention_stop(prevention);
    assert_int_equal(renewals_while_starting, 1); /* the first, and what came since is not lost */
}

static void mount_at(const char *folder, const char *name, char path[static 128])
{
    (void)text_format(path, 128, "%s/%s", folder, name);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(mount("tmpfs", path, "tmpfs", 0, NULL), 0);
}

static void take_news(struct prevention *prevention)
{
    while (event_loop_turn(prevention->loop, 0) > 0)
        ;
}

static void use_path(struct prevention *prevention, const char *path)
{
    const char *const paths[] = {path, NULL};
    const struct prevention_options options = options_of(paths);
    struct mounts *mounts = NULL;

    (void)guard_plan_free(prevention->plan);
    assert_int_equal(guard_plan_new(&options, &prevention->plan), 0);
    assert_int_equal(prevention_watch_marks(prevention, &mounts), 0);
    (void)mounts_free(mounts);
}

/* In a mount namespace of this test's own, where nobody else keeps them. */
static void file_systems_of_the_plan_before_tell_nothing(void **state UNUSED)
{
    char folder[] = "/tmp/yagura-mount-news-XXXXXX", before[128], now[128];
    struct prevention prevention = {.unmounts_fd = -1};

    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        skip();
    assert_non_null(mkdtemp(folder));
    mount_at(folder, "before", before);
    mount_at(folder, "now", now);
    assert_int_equal(event_loop_new(&prevention.loop), 0);
    use_path(&prevention, before);
    use_path(&prevention, now);
    assert_int_equal(umount2(before, 0), 0);
    take_news(&prevention);
    assert_false(prevention.mark_lost);
    assert_int_equal(umount2(now, 0), 0);
    take_news(&prevention);
    assert_true(prevention.mark_lost);
    prevention.plan = guard_plan_free(prevention.plan);
    event_loop_remove_fd(prevention.loop, prevention.unmounts_fd);
    (void)close(prevention.unmounts_fd);
    (void)event_loop_free(prevention.loop);
    assert_int_equal(file_remove_tree(AT_FDCWD, folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guard_that_starts_is_left_to_it),
        cmocka_unit_test(file_systems_of_the_plan_before_tell_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
