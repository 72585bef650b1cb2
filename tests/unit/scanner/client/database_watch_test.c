/* A folder of signatures is watched as soon as it can be. */
#include "scanner/client/database_watch.h"

#include "common/event_loop/event_loop.h"
#include "common/files/file.h"
#include "common/text/text.h"
#include "common/time/clock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

static void count_change(void *owner)
{
    ++*(unsigned *)owner;
}

static void let_pass(uint64_t ns)
{
    clock_set_fake(clock_monotonic_ns() + ns, clock_realtime_ns());
}

/* Until nothing is left to do. */
static void turn(struct event_loop *loop)
{
    int r;

    while ((r = event_loop_turn(loop, 0)) > 0)
        continue;
    assert_int_equal(r, 0);
}

static void a_watch_without_a_descriptor_gets_one_later(void **state UNUSED)
{
    char folder[] = "/tmp/yagura-database-watch-XXXXXX";
    struct database_watch *watch = NULL;
    struct event_loop *loop = NULL;
    struct rlimit before, none;
    unsigned changes = 0;

    assert_non_null(mkdtemp(folder));
    const char *const paths[] = {folder};
    AUTO_FREE char *path = text_format_new("%s/new.hdb", folder);
    assert_int_equal(event_loop_new(&loop), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    int r = database_watch_start(loop, paths, 1, count_change, &changes, &watch);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(r, 0);

    let_pass(DATABASE_WATCH_PERIOD_NS);
    turn(loop);
    assert_int_equal(changes, 1);
    assert_int_equal(file_replace(path, "x", 1, 0600), 0);
    turn(loop);
    let_pass(DATABASE_WATCH_QUIET_NS);
    turn(loop);
    assert_int_equal(changes, 2);

    clock_set_fake(0, 0);
    (void)database_watch_free(watch);
    event_loop_free(loop);
    assert_int_equal(file_remove_tree(AT_FDCWD, folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_watch_without_a_descriptor_gets_one_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
